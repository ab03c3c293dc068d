"""Bandits that learn the relaxation of SOR over a sequence of linear systems from the sweeps of their own choices.

    python examples/relaxation/reproduce.py

`relaxation.vmc` holds the kernels, `learning` calls them, `reproduce` plays 5000 systems.
Source: Khodak, Chow, Balcan, Talwalkar, "Learning to Relax: Setting Solver Parameters Across a Sequence of Linear
System Instances" (2024).
"""
