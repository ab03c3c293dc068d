"""Sums of distances and kernels to a private data set, published once under differential privacy.

    python examples/private_kde/reproduce.py

`kde.vmc` holds the kernels, `estimators` calls them, `reproduce` shows error and time against epsilon.
Source: Backurs, Lin, Mahabadi, Silwal, Tarnawski, "Efficiently Computing Similarities to a Private Dataset" (2024).
Noise is Laplace's from Philox in f64; without a defence against attacks on low bits (Mironov 2012): a study.
"""
