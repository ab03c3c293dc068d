"""Logarithms of modified Bessel functions, and the von Mises-Fisher distribution that needs them in high dimensions.

    python examples/log_bessel/reproduce.py

`bessel.vmc` holds the mathematics, `log_bessel.vmc` and `von_mises_fisher.vmc` the kernels, `tables.vmc` (written by
make_tables.py) the coefficients; `functions` calls the kernels; `reproduce` measures errors, times and fits. Source:
Plesner, Sorensen, Hauberg, "Accurate computation of the logarithm of modified Bessel functions on GPUs" (2024).
"""
