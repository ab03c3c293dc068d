"""M-FAC: products with the inverse of an empirical Fisher matrix, without the matrix.

    python examples/mfac/reproduce.py

`mfac.vmc` holds the kernels; `inverse` calls them: `Static` for gradients that stay, `Dynamic` for a ring in which one
is replaced at a time. `pruning` removes weights by them, `reproduce` shows cost, exactness and a pruned model.
Source: Frantar, Kurtic, Alistarh, "M-FAC: Efficient Matrix-Free Approximations of Second-Order Information" (2021).
"""
