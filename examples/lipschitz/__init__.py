"""Local Lipschitz constants of small networks, bounded by linear bounds through the gradient, and branch and bound.

    python examples/lipschitz/reproduce.py

The constant is the greatest sum of |dy_k / dx_j| over j, for x within a distance of each number: how fast output k
may change where the greatest change of a number of x counts. `lipschitz.vmc` holds the kernels, `bounds` puts them in
order, `search` decides units until the bound is small enough, `study` compares with simpler bounds and with samples.
The paper: Efficiently Computing Local Lipschitz Constants of Neural Networks via Bound Propagation.
"""
