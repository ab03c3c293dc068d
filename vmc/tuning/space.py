"""What a search tries: values of a kernel's integer parameters, and their combinations, the likeliest first.

Nothing here knows what a parameter means. One that an argument's extent mentions (`G` in `scale: f16[cdiv(K, G), N]`)
is part of the interface and stays; whether others change results is seen by comparing. One that the kernel divides an
extent by (`cdiv(M, BM)`, `range(0, K, BK)`) needs to be no larger than that extent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from vmc.lang import syntax
from vmc.lang.queries import extent_names, steps

OCTAVES = 2
"""How far from its default, up and down, a parameter is tried."""

Parameters = dict[str, int]


@dataclass(frozen=True)
class Space:
    """The values to try of each parameter, and the kernel's defaults, which need not be among them."""

    choices: Mapping[str, tuple[int, ...]]
    defaults: Mapping[str, int]

    def candidates(self) -> list[Parameters]:
        """The defaults, then all other combinations, those that differ least from the defaults first."""
        combinations = [dict(zip(self.choices, values, strict=True)) for values in product(*self.choices.values())]
        others = [candidate for candidate in combinations if candidate != self.defaults]
        return [dict(self.defaults), *sorted(others, key=self.difference)]

    def difference(self, candidate: Parameters) -> tuple[float, tuple[int, ...]]:
        """Octaves between the candidate and the nearest sensible values to the defaults."""
        apart = (octaves(value, nearest(self.defaults[name], self.choices[name])) for name, value in candidate.items())
        return sum(apart), tuple(candidate.values())


def tunable(kernel: syntax.Kernel, statics: Mapping[str, str], bound: Iterable[str]) -> Parameters:
    """The defaults of the parameters that may be tuned: integers, positive, not bound, not in an argument's extent."""
    fixed = {*bound, *extent_names(kernel)}
    return {name: int(text) for name, text in statics.items() if name not in fixed and text.isdigit() and int(text) > 0}


def space(
    kernel: syntax.Kernel, defaults: Parameters, given: Mapping[str, Sequence[int]], sizes: Mapping[str, int]
) -> Space:
    """The values given, or powers of two around the default, without those beyond the extents that they divide."""
    divided = steps(kernel)
    choices = {}
    for name, default in defaults.items():
        enough = needed(divided.get(name, set()), sizes)
        choices[name] = pruned(given[name], enough) if name in given else around(default, enough)
    return Space(choices, defaults)


def needed(extents: Iterable[str], sizes: Mapping[str, int]) -> int | None:
    """The power of two that covers the largest of some extents; None where one has no size."""
    found = [sizes.get(name) for name in extents]
    known = [size for size in found if size is not None]
    return 1 << (max(1, *known) - 1).bit_length() if known and len(known) == len(found) else None


def pruned(values: Sequence[int], enough: int | None) -> tuple[int, ...]:
    """The values that are not larger than enough; the smallest where all are."""
    kept = [value for value in values if enough is None or value <= enough]
    return tuple(sorted(set(kept or [min(values)])))


def around(default: int, enough: int | None) -> tuple[int, ...]:
    """Powers of two near the default, or just below what is enough where that is less."""
    middle = round(math.log2(default))
    top = middle + OCTAVES if enough is None else min(middle + OCTAVES, enough.bit_length() - 1)
    low = max(0, min(middle, top) - OCTAVES)
    return tuple(1 << power for power in range(low, top + 1))


def nearest(value: int, choices: Sequence[int]) -> int:
    return min(choices, key=lambda choice: octaves(choice, value))


def octaves(one: int, other: int) -> float:
    return abs(math.log2(one / other))
