"""Computing on coded data with workers that may be late, wrong or curious: secure Berrut approximated coded computing.

    python examples/berrut/reproduce.py

`berrut.vmc` holds the kernels, `coding` calls them, `reproduce` shows errors against stragglers and wrong workers.
Sources: Jahani-Nezhad and Maddah-Ali, "Berrut approximated coded computing" (2023), and its secure variant SBACC, whose
workers are at Chebyshev points of the first kind, so that wrong ones are located by a cosine transform.
"""
