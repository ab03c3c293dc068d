"""The papers' kernels beside the libraries that compute the same: one module a paper, each with `contests(quick)`."""
