"""Comparisons: setp and set, on every type."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vmc.backends.ptxvm import numeric, syntax, taint
from vmc.backends.ptxvm.arrays import UINT, Array
from vmc.backends.ptxvm.emitter import Emitter, Step, in_turn
from vmc.backends.ptxvm.ops.floats import KINDS, PACKED
from vmc.backends.ptxvm.ops.integer import is_signed, signed
from vmc.backends.ptxvm.parser import WIDTHS
from vmc.backends.ptxvm.state import Rule

Compare = Callable[[Array, Array], Array]

ORDERED: dict[str, Compare] = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
}  # fmt: skip
UNSIGNED_NAMES = {"lo": "lt", "ls": "le", "hi": "gt", "hs": "ge"}
COMBINE: dict[str, Callable[[Array, Array], Array]] = {
    "and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor,
}  # fmt: skip
COMPARISONS = {*ORDERED, *UNSIGNED_NAMES, *(f"{name}u" for name in ORDERED), "num", "nan"}


def comparison(name: str, kind: str, ftz: bool) -> Compare:
    """The comparison of codes of a type."""
    if kind not in KINDS:
        test = ORDERED[UNSIGNED_NAMES.get(name, name)]
        return (lambda a, b: test(signed(a), signed(b))) if is_signed(kind) else test

    def floating(a: Array, b: Array) -> Array:
        if ftz:
            a, b = numeric.flush(a, kind), numeric.flush(b, kind)
        x, y = numeric.decode(a, kind), numeric.decode(b, kind)
        unordered = np.isnan(x) | np.isnan(y)
        if name == "num":
            return ~unordered
        if name == "nan":
            return np.asarray(unordered)
        if name.endswith("u"):
            return np.asarray(ORDERED[name[:-1]](x, y) | unordered)
        return np.asarray(ORDERED[name](x, y) & ~unordered)

    return floating


def setp(e: Emitter) -> Step:
    name = next(m for m in e.modifiers if m in COMPARISONS)
    combine = next((COMBINE[m] for m in e.modifiers if m in COMBINE), None)
    kind = e.type
    if kind in PACKED:
        return _packed_setp(e, name, kind)
    test = comparison(name, kind, e.has("ftz"))
    rule: Rule = taint.equality if name in ("eq", "ne") and kind not in KINDS else taint.predicate
    sources = [e.source(1), e.source(2)]
    destination = e.operands[0]
    targets: list[tuple[syntax.Operand, bool]] = [(destination, False)]
    if isinstance(destination, syntax.Pair):
        targets = [(destination.first, False), (destination.second, True)]
    if combine is None:
        return in_turn([e.compute(e.result(t), sources, _negated(test, n), rule) for t, n in targets])
    slot, complement = e.predicate(e.operands[3])

    def combined(negate: bool) -> Callable[..., Array]:
        def apply(a: Array, b: Array, p: Array) -> Array:
            result = test(a, b)
            return combine(~result if negate else result, ~p if complement else p)

        return apply

    steps = [e.compute(e.result(t), [*sources, slot], combined(n), taint.predicate) for t, n in targets]
    return in_turn(steps)


def _negated(test: Compare, negate: bool) -> Compare:
    return (lambda a, b: ~test(a, b)) if negate else test


def _packed_setp(e: Emitter, name: str, kind: str) -> Step:
    """setp on pairs gives one predicate for each half."""
    test = comparison(name, PACKED[kind], e.has("ftz"))
    destination = e.operands[0]
    if not isinstance(destination, syntax.Pair):
        e.unsupported("packed setp with one result")
    sources = [e.source(1), e.source(2)]

    def half(shift: int) -> Compare:
        return lambda a, b: test((a >> np.uint32(shift)).astype(np.uint16), (b >> np.uint32(shift)).astype(np.uint16))

    return in_turn(
        [
            e.compute(e.result(target), sources, half(shift), taint.predicate)
            for target, shift in ((destination.first, 0), (destination.second, 16))
        ]
    )


def set_(e: Emitter) -> Step:
    """`set` writes all ones, or 1.0 of a float type, where the comparison holds."""
    name = next(m for m in e.modifiers if m in COMPARISONS)
    combine = next((COMBINE[m] for m in e.modifiers if m in COMBINE), None)
    target, kind = e.types[0], e.types[-1]
    if combine is not None:
        e.unsupported("set with a combined predicate")
    if kind in PACKED:
        return _packed_set(e, name, target, kind)
    test = comparison(name, kind, e.has("ftz"))
    true = _true_of(target, WIDTHS[target])

    def apply(a: Array, b: Array) -> Array:
        return np.where(test(a, b), true, true.dtype.type(0))

    return e.compute(e.result(), [e.source(1), e.source(2)], apply, taint.anything(WIDTHS[target]))


def _true_of(kind: str, width: int) -> Array:
    if kind in KINDS:
        return numeric.encode(np.ones(1), kind)
    return ~np.zeros(1, UINT[width])


def _packed_set(e: Emitter, name: str, target: str, kind: str) -> Step:
    test = comparison(name, PACKED[kind], e.has("ftz"))
    true = _true_of(PACKED.get(target, target), 16)

    def apply(a: Array, b: Array) -> Array:
        x, y = (np.ascontiguousarray(v).view(np.uint16).reshape(-1, 2) for v in (a, b))
        return np.where(test(x, y), true, np.uint16(0)).view(np.uint32).reshape(-1)

    return e.compute(e.result(), [e.source(1), e.source(2)], apply, taint.lanes(16, 32))
