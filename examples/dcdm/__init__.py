"""Conjugate directions from a small convolutional network, for Poisson's equation on the plane.

    python examples/dcdm/reproduce.py

`dcdm.vmc` holds the kernels, `network` is the network and its training, `solver` the method, `reproduce` compares the
iterations with those of conjugate gradients at several sizes.
Source: Kaneda, Akar, Chen, Kala, Hyde, Teran, "A Deep Conjugate Direction Method for Iteratively Solving Linear
Systems" (2023).
"""
