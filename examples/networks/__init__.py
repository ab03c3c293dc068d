"""Neural networks whose every layer, forward and backward, is a kernel: what the training examples share.

`layers.vmc` holds the kernels, `kernels` compiles them when they are first wanted, `dense` multiplies by plain weights,
`parameters` keeps all weights of a network in one array for the optimizer, `mlp` and `transformer` are two networks
made of them, `text` is what the transformer reads. A network is told how to multiply (`dense.Products`), so that an
example trains the same network with products of its own.
"""
