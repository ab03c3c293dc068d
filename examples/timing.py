"""How long calls take."""

from __future__ import annotations

import timeit
from collections.abc import Callable


def seconds(call: Callable[..., object], *arguments: object) -> float:
    """The least of four calls' times."""
    return min(timeit.repeat(lambda: call(*arguments), number=1, repeat=4))
