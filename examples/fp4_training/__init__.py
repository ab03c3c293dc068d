"""Training with products of four-bit numbers, forward and backward, all of them kernels.

    python examples/fp4_training/reproduce.py

`fp4.vmc` holds the kernels, `recipe` says what a configuration is, `tensors` quantizes with them, `products` multiplies
a network's layers by them, `errors` makes the table of quantization errors, `study` trains networks with one recipe
after another. The networks are those of examples/networks. The paper: Elucidating the Design Space of FP4 Training.
"""
