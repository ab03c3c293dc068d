"""Attention over pairs of keys: exact in cubic time, and by a polynomial of the scores in almost linear time.

    python examples/tensor_attention/reproduce.py

`attention.vmc` holds the kernels, `attend` calls them, `reproduce` shows how time grows and where the error breaks.
Source: Alman and Song, "How to Capture Higher-order Correlations? Generalizing Matrix Softmax Attention to Kronecker
Computation" (2023).
"""
