"""The pass `integers`, which multiplies bytes where floats provably are small integers. Its parts, each on the last:

    exact       intervals of integers times a power of two, and arithmetic on them
    functions   a tile as a function of the codes of one small tile, tried on all of them
    facts       what is known of every tile of a kernel
    columns     sums of a function of codes and a number of each column
    factors     the right factor of a product, and what its bytes are made of
    emission    the operations that make bytes of the factors, and multiply them
    selection   what passes share that choose how products are computed, this one and others
    digits      a licence of `fast`: float rows as three digits of a byte each
    products    the pass: which products become integer products, and why that is allowed

Names in it: the left factor of a product is `i8`, the right one `u8` plus the least number that it has.
"""

from vmc.ir.passes.integers.products import exact_integers_unless, few_digits, integers

__all__ = ["exact_integers_unless", "few_digits", "integers"]
