"""AutoNumerics-Zero: numerical functions as short programs of +, -, x and /, found by evolution.

    python examples/autonumerics/reproduce.py

`evaluator.vmc` runs a population of programs on all points at once; `programs` mutates them, `training` trains their
constants, `search` evolves the front of error and length; `evolved.vmc` holds exp2 in ten operations. What a kernel
gets with `exp(x, approx=...)` is in vmc itself (docs/math.md). Source: Real et al., "AutoNumerics-Zero" (2023).
"""
