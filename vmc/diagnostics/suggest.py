"""Did you mean: the known name closest to one that is not known."""

from __future__ import annotations

from collections.abc import Iterable


def distance(a: str, b: str) -> int:
    """The number of insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`."""
    two_back: list[int] = []
    back = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            cost = min(back[j] + 1, row[j - 1] + 1, back[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and y == a[i - 2]:
                cost = min(cost, two_back[j - 2] + 1)
            row.append(cost)
        two_back, back = back, row
    return back[-1]


def suggest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `name` most likely stands for, or None where none is near.

    A name of n letters may differ in one place per three letters or in the order of
    two neighbours; letter case counts half. Of equally near candidates the alphabetically first is taken.
    """
    if not 0 < len(name) <= 64:
        return None
    allowed = len(name) // 3
    best: tuple[float, str] | None = None
    for candidate in candidates:
        if candidate == name or abs(len(candidate) - len(name)) > allowed:
            continue
        folded = distance(name.lower(), candidate.lower())
        if folded > allowed and not (folded == 1 and sorted(name) == sorted(candidate)):
            continue
        score = (folded + 0.5 * (distance(name, candidate) > folded), candidate)
        if best is None or score < best:
            best = score
    return best[1] if best else None
