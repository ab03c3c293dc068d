"""Certified training by interval bound propagation (IBP), and how tight its bounds are.

    python examples/ibp/reproduce.py

`ibp.vmc` holds the kernels, `boxes` propagates boxes through a perceptron and trains it by them, `tightness` compares
the boxes with what is reached, `study` repeats the paper's figures. The paper: Understanding Certified Training with
Interval Bound Propagation.
"""
