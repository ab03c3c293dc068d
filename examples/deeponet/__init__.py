"""Operators learned by two networks, one of the function and one of the place: DeepONet.

    python examples/deeponet/reproduce.py

`deeponet.vmc` holds the kernels, `functions` draws random functions and solves for what an operator makes of them,
`network` is the DeepONet, `study` trains it and a plain network on as many numbers. The paper: Learning nonlinear
operators via DeepONet.
"""
