"""Weights rounded to few bits so that a language model keeps its output distribution: DiscQuant, GPTQ, to nearest.

    python examples/discquant/reproduce.py

`discquant.vmc` holds the kernels, `grid` the codes and scales of matrices, `gptq` rounds by second moments, `descent`
is DiscQuant, `products` multiplies by weights between two codes and by codes, `vertex` leaves few places fractional,
`study` trains a small transformer (examples/networks) and quantizes it in every way. The paper: DiscQuant: A
Quantization Method for Neural Networks Inspired by Discrepancy Theory.
"""
