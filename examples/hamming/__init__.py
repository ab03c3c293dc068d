"""Hamming distances between a pattern and every place of a text: exact in three ways, and estimated.

    python examples/hamming/reproduce.py

`hamming.vmc` holds the kernels, `distances` calls them, `reproduce` shows where the ways cross and how they grow.
Sources: Abrahamson (1987), Karloff (1993), and the practical parts of "Faster algorithms for text-to-pattern Hamming
distances" (Chan, Jin, Vassilevska Williams, Xu 2023); the randomized O(n sqrt m) algorithm itself is not here.
"""
