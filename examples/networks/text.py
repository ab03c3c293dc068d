"""Text that comes with Python, as numbers: the documentation that `help()` shows of the language's topics."""

from __future__ import annotations

from pydoc_data.topics import topics

import numpy as np

from networks.kernels import Array

# What the text is written in; all else, which is rare, is left out.
SYMBOLS = "\n" + "".join(map(chr, range(32, 127)))


def python_topics() -> Array:
    """Half a million characters or so, int32 places in SYMBOLS."""
    text = "\n".join(topics[name] for name in sorted(topics))
    codes = np.frombuffer(text.encode("ascii", "ignore"), np.uint8).astype(np.int32)
    codes = codes[(codes == 10) | ((codes >= 32) & (codes < 127))]
    return np.where(codes == 10, 0, codes - 31).astype(np.int32)


def windows(text: Array, count: int, length: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Random pieces [count, length] of a text and what follows each of their symbols, also [count, length]."""
    starts = rng.integers(0, len(text) - length, count)
    pieces = text[starts[:, None] + np.arange(length + 1)]
    return np.ascontiguousarray(pieces[:, :-1]), np.ascontiguousarray(pieces[:, 1:])
