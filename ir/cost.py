"""What one launch of a kernel costs, counted on the tile IR with every symbol bound.

    work = count(kernel, {"M": 1, "K": 4096, "N": 4096})
    work.multiply_adds, work.elementwise, work.read["w"]

Tiles are counted whole, also where they reach past the end of a tensor, because that is what executes. Trip counts are
computed from the IR; loops whose bounds depend on the indices around them are counted turn by turn. Where only the data
tell (a `while`, an `if`), one turn or the longer branch is counted, and `Work.assumed` says so.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np

from vmc.ir.core import Kernel, Op, Region, TensorType, TileType, Value, walk
from vmc.ir.dims import Dim
from vmc.ir.ops.linear import DOTS
from vmc.ir.passes.evaluator import NotConstantError, evaluate
from vmc.ir.storage import extents, storage_bytes

MOST_TURNS = 1 << 14
"""Turns of a loop that are counted one by one; more are not."""
ALONG_AXIS = ("reduce", "arg", "scan", "sort")
READS, WRITES = ("load", "gather"), ("store", "scatter")


@dataclass(frozen=True)
class Work:
    """One launch. `multiply_adds` of `dot`; `elementwise` and `along_axis` (sums, maxima, scans, sorts) operations on
    elements of tiles, scalars left out; `read` and `written` are elements by parameter, each as often as it is moved.
    """

    blocks: int
    multiply_adds: int
    elementwise: int
    along_axis: int
    read: Mapping[str, int]
    written: Mapping[str, int]
    assumed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Slices:
    """How a kernel accesses a parameter. `checked`: the dimensions in which some slice may reach past the end, which
    costs a check or a mask; `indexed` whether single elements are gathered or scattered.
    """

    loads: int
    stores: int
    checked: tuple[int, ...]
    indexed: bool


Costs = Counter[tuple[str, str]]
"""Of one execution, by what is counted and, for traffic, the parameter."""


class _UndeterminedError(Exception):
    """A number depends on an index that is not fixed yet."""


def count(kernel: Kernel, symbols: Mapping[str, int]) -> Work:
    """The work of a launch. Raises KeyError for a symbol without value, ZeroDivisionError for a zero divisor."""
    counter = _Counter(parameters(kernel), symbols)
    costs = counter.region(kernel.body, {})
    costs.update(counter.once)
    kinds = {kind: costs[kind, ""] for kind in ("blocks", "multiply_adds", "elementwise", "along_axis")}
    traffic = {
        way: {name: total for (kind, name), total in sorted(costs.items()) if kind == way}
        for way in ("read", "written")
    }
    assumed = tuple(dict.fromkeys(counter.assumed))
    return Work(**kinds, read=traffic["read"], written=traffic["written"], assumed=assumed)


def slices(kernel: Kernel) -> dict[str, Slices]:
    """How the kernel accesses each of its tensors that it does access."""
    names = parameters(kernel)
    found: dict[str, Slices] = {}
    for op in walk(kernel.body):
        name = names.get(op.operands[0]) if op.name in (*READS, *WRITES, "atomic") else None
        if name is not None:
            old = found.get(name, Slices(0, 0, (), False))
            claims = op.attrs.get("inbounds", ())
            checked = {dim for dim, claimed in enumerate(claims) if not claimed}
            found[name] = Slices(
                old.loads + (op.name not in WRITES),
                old.stores + (op.name not in READS),
                tuple(sorted({*old.checked, *checked})),
                old.indexed or op.name in ("gather", "scatter", "atomic"),
            )
    return found


def parameters(kernel: Kernel) -> dict[Value, str]:
    """The tensors that are parameters or parts of them, with the parameters' names."""
    found = {value: value.name for value in kernel.params if isinstance(value.type, TensorType)}
    for op in walk(kernel.body):
        if op.name == "field" and op.operands[0] in found:
            found[op.result] = found[op.operands[0]]
    return found


# Bytes


def tensor_bytes(type: TensorType, symbols: Mapping[str, int]) -> int | None:
    """The bytes of a tensor, moved once; None where a symbol of its extents has no value. Raises ZeroDivisionError."""
    try:
        return storage_bytes(type, extents(type, symbols))
    except KeyError:
        return None


def bits_per_element(type: TensorType) -> float:
    """Bits that an element takes in memory, the padding of its block included."""
    return type.dtype.width if type.storage is None else type.storage.pitch / prod(type.storage.block)


def bytes_formula(type: TensorType) -> str:
    """The bytes of a tensor as a formula in its symbols."""
    if type.storage is None:
        factors: list[Dim | str] = [*type.shape, type.dtype.width]
    else:
        parts = zip(type.shape, type.storage.block, strict=True)
        factors = [*(f"cdiv({extent}, {size})" for extent, size in parts), type.storage.pitch]
    return f"{' * '.join(map(str, factors))} / 8"


# Counting

Env = dict[Value, "int | frozenset[Value] | None"]
"""What is known of scalars: a number, or on which indices of loops it depends, or None where memory decides."""


@dataclass(eq=False)
class _Counter:
    """Counts regions. `once` collects the total of what is executed once for each of its keys."""

    names: Mapping[Value, str]
    symbols: Mapping[str, int]
    once: Costs = field(default_factory=Counter)
    assumed: list[str] = field(default_factory=list)
    turns: dict[Value, int] = field(default_factory=dict)
    """Of every index, how many values it takes."""
    _kept: set[tuple[Op, tuple[object, ...]]] = field(default_factory=set)

    def region(self, region: Region, env: Env) -> Costs:
        """One execution of a region, whose arguments are in `env`."""
        costs: Costs = Counter()
        for op in region.ops:
            costs.update(self.op(op, env))
        return costs

    def op(self, op: Op, env: Env) -> Costs:
        match op.name:
            case "grid":
                return self.grid(op, env)
            case "for":
                return self.loop(op, env)
            case "while":
                self.assume(op, "a `while` loop is counted as one turn")
                return self.region(op.regions[0], env) + self.region(op.regions[1], env)
            case "if":
                return self.branches(op, env)
            case "once":
                return self.kept(op, env)
        self.know(op, env)
        return self.plain(op) + sum((self.region(inner, env) for inner in op.regions), Counter())

    def plain(self, op: Op) -> Costs:
        """An operation by itself."""
        costs: Costs = Counter()
        tiles = [value.type for value in op.results if isinstance(value.type, TileType)]
        if op.name in DOTS:
            costs["multiply_adds", ""] = op.operands[0].tile.size * op.operands[1].tile.shape[1]
        elif op.name in ALONG_AXIS:
            costs["along_axis", ""] = op.operands[0].tile.size
        elif op.definition.elementwise and tiles and tiles[0].rank:
            costs["elementwise", ""] = tiles[0].size
        name = self.names.get(op.operands[0]) if op.operands else None
        if name is not None and op.definition.reads_memory and tiles:
            costs["read", name] = tiles[0].size
        if name is not None and op.definition.writes_memory:
            costs["written", name] = op.operands[1].tile.size
        return costs

    # Scalars

    def know(self, op: Op, env: Env) -> None:
        """Computes a scalar, if only known ones are in it, else notes what it depends on."""
        for result in op.results:
            if not (isinstance(result.type, TileType) and result.type.rank == 0):
                continue
            env[result] = self.scalar(op, env) if len(op.results) == 1 else None

    def scalar(self, op: Op, env: Env) -> int | frozenset[Value] | None:
        if op.name == "symbol":
            return self.symbols[op.attrs["name"]]
        if op.definition.reads_memory or not op.definition.pure or not op.result.tile.dtype.is_int:
            return None
        values = [env.get(operand) for operand in op.operands]
        if any(value is None for value in values):
            return None
        numbers = [value for value in values if isinstance(value, int)]
        if len(numbers) < len(values):
            return frozenset().union(*(value for value in values if isinstance(value, frozenset)))
        types = [operand.tile.dtype for operand in op.operands]
        arrays = [np.array(value, type.array_dtype) for value, type in zip(numbers, types, strict=True)]
        try:
            return int(evaluate(op, arrays)[0])
        except NotConstantError:
            return None

    def number(self, value: Value, env: Env) -> int | None:
        """A scalar's value; None where memory decides it. Raises _UndeterminedError where an index does."""
        found = env.get(value)
        if isinstance(found, frozenset):
            raise _UndeterminedError
        return found

    # Control

    def grid(self, op: Op, env: Env) -> Costs:
        counts = [self.number(extent, env) for extent in op.operands]
        if any(extent is None for extent in counts):
            self.assume(op, "the extents of the grid depend on data: one block is counted")
        ranges = [range(max(0, extent)) if extent is not None else range(1) for extent in counts]
        costs = self.repeated(op, env, ranges)
        costs["blocks", ""] = prod(map(len, ranges))
        return costs

    def loop(self, op: Op, env: Env) -> Costs:
        low, high, step = (self.number(bound, env) for bound in op.operands[:3])
        if low is None or high is None or step is None:
            self.assume(op, "a loop whose bounds depend on data is counted as one turn")
            turns = range(1)
        else:
            turns = range(low, high, max(1, step))
        costs = self.repeated(op, env, [turns])
        for result in op.results:
            env[result] = None
        return costs

    def repeated(self, op: Op, env: Env, ranges: Sequence[range]) -> Costs:
        """A region for all values of its first arguments: one execution that stands for all, or each by itself."""
        (body,) = op.regions
        indices, total = body.args[: len(ranges)], prod(map(len, ranges))
        self.turns.update(zip(indices, map(len, ranges), strict=True))
        if total == 0:
            return Counter()
        if total == 1:
            return self.region(body, env | dict(zip(indices, (line[0] for line in ranges), strict=True)))
        once, kept, assumed = self.once.copy(), self._kept.copy(), self.assumed.copy()
        try:
            each = self.region(body, env | {index: frozenset({index}) for index in indices})
        except _UndeterminedError:
            self.once, self._kept, self.assumed = once, kept, assumed
            return self.one_by_one(op, env, ranges)
        return Counter({key: total * times for key, times in each.items()})

    def one_by_one(self, op: Op, env: Env, ranges: Sequence[range]) -> Costs:
        (body,) = op.regions
        indices, total = body.args[: len(ranges)], prod(map(len, ranges))
        places: Iterator[tuple[int, ...]] = itertools.product(*ranges)
        if total > MOST_TURNS:
            self.assume(op, f"{total} turns of different lengths are counted like the middle one")
            places = iter([tuple(line[len(line) // 2] for line in ranges)])
        costs: Costs = Counter()
        for place in places:
            costs.update(self.region(body, env | dict(zip(indices, place, strict=True))))
        return costs if total <= MOST_TURNS else Counter({key: total * times for key, times in costs.items()})

    def branches(self, op: Op, env: Env) -> Costs:
        condition = env.get(op.operands[0])
        if isinstance(condition, frozenset):
            raise _UndeterminedError
        for result in op.results:
            env[result] = None
        if condition is not None:
            return self.region(op.regions[0 if condition else 1], env)
        self.assume(op, "of an `if` on data the branch with more operations is counted")
        return max((self.region(region, env) for region in op.regions), key=lambda costs: costs.total())

    def kept(self, op: Op, env: Env) -> Costs:
        """What is executed once for all blocks with equal keys: the ranges of the indices in the keys multiply it."""
        keys = [env.get(key) for key in op.operands]
        known = op, tuple(key if isinstance(key, int) else None for key in keys)
        if known not in self._kept:
            self._kept.add(known)
            indices = frozenset().union(*(key for key in keys if isinstance(key, frozenset)))
            times = prod(self.turns[index] for index in indices)
            for kind, total in self.region(op.regions[0], env).items():
                self.once[kind] += times * total
        return Counter()

    def assume(self, op: Op, text: str) -> None:
        self.assumed.append(f"line {op.span.line}: {text}" if op.span.line else text)
