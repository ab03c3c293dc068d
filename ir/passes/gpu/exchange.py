"""Operations whose elements cross threads by nature, in terms of shared memory, loops and simpler operations.

    dot      both factors to shared memory; for every k, a column times a row is added to the sums
    sort     every element counts those that come before it, and is written to that place
    scan     one line after the other, in order, as the definition of float scans asks for
    nonzero  places written behind one another, as a scan tells
    arg      the extreme of order-preserving integers, then the least place that has it
    take, slice, concat, flip    written, and read where wanted

Nothing here knows of threads: layouts come later, and with them the barriers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from vmc.ir.builder import Builder, argument, make_op
from vmc.ir.core import Access, Module, Op, Space, TensorType, TileType, Value
from vmc.ir.ops.linear import DOTS
from vmc.ir.ops.reduction import identity
from vmc.ir.passes.gpu.carrying import carried, restored, stored_type
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.rewrite import Rewriter, each_kernel
from vmc.ir.types import DType, dtype

I32, I64, U1, F32 = map(dtype, ("i32", "i64", "u1", "f32"))
PARTS, SHORTEST = 8, 64
"""A long sum is cut into at most so many parts, of at least so many elements, so that several warps work on it."""


def exchange(is_matrix: Callable[[Op], bool] = lambda op: False) -> Pass:
    """The pass, which leaves the products that matrix instructions compute."""

    def exchange_elements(module: Module) -> Module:
        """Needs: a well-formed module at the tile level. Guarantees: no `sort`, `scan`, `nonzero`, `arg`, `take`,
        `slice`, `concat` or `flip` is left, and of matrix products only those asked for; sums and products of f16 and
        bf16 are computed in f32, long reductions in two steps; atomics have a tile with axes; no two elements in
        shared memory share a byte. Idempotent. Keeps: everything else, and the bits of every result but for the order
        of float sums.
        """
        return each_kernel(module, lambda kernel: Rewriter(Expansion(is_matrix)).kernel(kernel))

    return Pass("exchange", exchange_elements)


class Expansion:
    """The rule of the walk; `packed` has the types of what was allocated for elements that share bytes."""

    def __init__(self, is_matrix: Callable[[Op], bool]) -> None:
        self.is_matrix = is_matrix
        self.packed: dict[Value, DType] = {}

    def __call__(self, op: Op, rewriter: Rewriter) -> Sequence[Value] | None:
        """The values that replace an operation's results; None where it stays."""
        build = Builder(op.span)
        results = self.results(build, op)
        if results is None:
            return None
        rewriter.splice(build.ops)
        return [pinned(rewriter, rewriter.value(made), value) for made, value in zip(results, op.results, strict=True)]

    def results(self, build: Builder, op: Op) -> list[Value] | None:
        if op.name in DOTS:
            return None if self.is_matrix(op) else expand_dot(build, op)
        if op.name == "alloc":
            type = op.result.tensor
            if stored_type(type.dtype) == type.dtype:
                return None
            memory = alloc(build, stored_type(type.dtype), [extent for extent in type.shape if isinstance(extent, int)])
            self.packed[memory] = type.dtype
            return [memory]
        if op.operands and op.operands[0] in self.packed:
            return in_bytes(build, op, self.packed[op.operands[0]])
        rule = RULES.get(op.name)
        return rule(build, op) if rule is not None else None


def in_bytes(build: Builder, op: Op, type: DType) -> list[Value] | None:
    """An access to shared memory in which every element has bytes of its own; None where it is one already."""
    memory, *others = op.operands
    match op.name:
        case "load" | "gather" if op.result.tile.dtype == type:
            return [restored(build, build(op.name, memory, *others, **op.attrs), type)]
        case "store" | "scatter" if others[0].tile.dtype == type:
            build.many(op.name, memory, carried(build, others[0]), *others[1:], **op.attrs)
            return []
        case "copy_async":
            source, starts = others[0], others[1:]
            rank = source.tensor.rank
            taken = {key: op.attrs[key] for key in ("sizes", "steps", "fill", "inbounds")}
            value = carried(build, build("load", source, *starts[:rank], **taken))
            own = memory.tensor.rank
            slice: dict[str, Any] = {"sizes": op.attrs["target_sizes"], "steps": (1,) * own, "inbounds": (True,) * own}
            build.many("store", memory, value, *starts[rank:], **slice)
            return []
    return None


def pinned(rewriter: Rewriter, made: Value, value: Value) -> Value:
    layout = value.type.layout if isinstance(value.type, TileType) else None
    return made if layout is None else rewriter.emit("relayout", made, layout=layout)


# Shared memory


def alloc(build: Builder, type: DType, shape: Sequence[int]) -> Value:
    """Shared memory for a tile."""
    return build("alloc", type=TensorType(type, tuple(shape), Access.INOUT, Space.SHARED))


def put(build: Builder, memory: Value, value: Value, starts: Sequence[int] | None = None) -> None:
    """Writes a tile to shared memory, from an index on."""
    rank = memory.tensor.rank
    places = [build.index(start) for start in starts or [0] * rank]
    attrs: dict[str, Any] = {"sizes": value.tile.shape, "steps": (1,) * rank, "inbounds": (True,) * rank}
    build.many("store", memory, carried(build, value), *places, **attrs)


def share(build: Builder, value: Value) -> Value:
    """A tile in shared memory of its own."""
    memory = alloc(build, stored_type(value.tile.dtype), value.tile.shape)
    put(build, memory, value)
    return memory


def get(
    build: Builder,
    memory: Value,
    type: DType,
    starts: Sequence[Value],
    sizes: Sequence[int | None],
    steps: Sequence[int] | None = None,
) -> Value:
    """A part of what lies in shared memory, as elements of a type."""
    rank = memory.tensor.rank
    attrs = {"sizes": tuple(sizes), "steps": tuple(steps or (1,) * rank), "inbounds": (True,) * rank, "fill": 0}
    return restored(build, build("load", memory, *starts, **attrs), type)


# Lines along an axis


def line_index(build: Builder, shape: Sequence[int], axis: int, type: DType = I32) -> Value:
    """Every element's place along an axis."""
    numbers = build.cast(build("iota", n=shape[axis]), type)
    column = build("reshape", numbers, shape=(shape[axis], *(1 for _ in shape[axis + 1 :])))
    return build.broadcast(column, shape)


def spread_line(build: Builder, line: Value, shape: Sequence[int], axis: int) -> Value:
    """A tile without an axis, repeated along it."""
    if line.tile.rank == 0:
        return build.broadcast(line, shape)
    kept = (*line.tile.shape[:axis], 1, *line.tile.shape[axis:])
    return build.broadcast(build("reshape", line, shape=kept), shape)


def without(shape: Sequence[int], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], *shape[axis + 1 :])


def counted(
    build: Builder, count: int, starts: Sequence[Value], step: Callable[[Builder, Value, Sequence[Value]], list[Value]]
) -> tuple[Value, ...]:
    """A loop over 0, 1, ..., count - 1 that carries values; what it leaves."""
    index = argument(TileType(I64), "k")
    carried_values = [argument(TileType(start.tile.dtype, start.tile.shape), start.name) for start in starts]
    inner = Builder(build.span)
    region = inner.region((index, *carried_values), step(inner, index, carried_values))
    bounds = [build.index(bound) for bound in (0, count, 1)]
    return build.append(make_op("for", [*bounds, *starts], {"stages": 1, "unroll": 1}, [region], build.span))


# Matrix products


def expand_dot(build: Builder, op: Op) -> list[Value]:
    a, b, sums = op.operands
    type = sums.tile.dtype
    (rows, depth), columns = a.tile.shape, b.tile.shape[1]
    left, right = share(build, factor(build, a, type)), share(build, factor(build, b, type))
    kinds = [stored_factor(value.tile.dtype, type) for value in (a, b)]

    def step(build: Builder, k: Value, carried_values: Sequence[Value]) -> list[Value]:
        zero = build.index(0)
        column = build.cast(get(build, left, kinds[0], [zero, k], [rows, None]), type)
        row = build.cast(get(build, right, kinds[1], [k, zero], [None, columns]), type)
        x = build.broadcast(build("reshape", column, shape=(rows, 1)), (rows, columns))
        y = build.broadcast(row, (rows, columns))
        if type.is_float:
            return [build("fma", x, y, carried_values[0])]
        return [build("add", carried_values[0], build("mul", x, y))]

    return list(counted(build, depth, [sums], step))


def stored_factor(source: DType, sums: DType) -> DType:
    """As what a factor lies in shared memory: as it is, or where it has no machine type, as what is summed."""
    return source if stored_type(source) == source else sums


def factor(build: Builder, value: Value, sums: DType) -> Value:
    return build.cast(value, stored_factor(value.tile.dtype, sums))


# Order


def ordered(build: Builder, value: Value, descending: bool = False, nan: str = "last") -> Value:
    """Integers (i32 or i64) in the order of the values: -0 equals +0; NaN is first or last."""
    type = value.tile.dtype
    wide = dtype("i64") if type.width > 32 or (type.is_uint and type.width == 32) else I32
    if type.is_int:
        if type.is_uint and type.width == 64:
            key = build("xor", build("bitcast", value, dtype=I64), build.constant(I64, -(1 << 63), value.tile.shape))
        else:
            key = build.cast(value, wide)
        return build("not", key) if descending else key
    signed = dtype(f"i{type.width}")
    zero = build("eq", value, build.like(value, 0.0))
    plain = build("select", zero, build.like(value, 0.0), value)
    bits = build("bitcast", plain, dtype=signed)
    magnitude = build.like(bits, (1 << (type.width - 1)) - 1)
    negative = build("lt", bits, build.like(bits, 0))
    key = build("select", negative, build("xor", bits, magnitude), bits)
    key = build.cast(build("not", key) if descending else key, wide)
    extreme = int(wide.max) if nan == "last" else int(wide.min)
    return build("select", build("ne", value, value), build.like(key, extreme), key)


def expand_sort(build: Builder, op: Op) -> list[Value]:
    (value,) = op.operands
    axis, shape, type = op.attrs["axis"], value.tile.shape, value.tile.dtype
    keys = ordered(build, value, op.attrs["descending"])
    lines, own = share(build, keys), line_index(build, shape, axis)

    def step(build: Builder, k: Value, carried_values: Sequence[Value]) -> list[Value]:
        starts = [k if dim == axis else build.index(0) for dim in range(len(shape))]
        sizes = [None if dim == axis else extent for dim, extent in enumerate(shape)]
        other = spread_line(build, get(build, lines, keys.tile.dtype, starts, sizes), shape, axis)
        place = build.broadcast(build.cast(k, I32), shape)
        earlier = build("and", build("eq", other, keys), build("lt", place, own))
        before = build("or", build("lt", other, keys), earlier)
        return [build("add", carried_values[0], build.cast(before, I32))]

    (rank,) = counted(build, shape[axis], [build.constant(I32, 0, shape)], step)
    index = [rank if dim == axis else line_index(build, shape, dim) for dim in range(len(shape))]
    results = []
    for part in (value, own):
        memory = alloc(build, stored_type(part.tile.dtype), shape)
        build.many("scatter", memory, carried(build, part), *index)
        results.append(get(build, memory, part.tile.dtype, [build.index(0) for _ in shape], shape))
    assert type == results[0].tile.dtype
    return results


def expand_arg(build: Builder, op: Op) -> list[Value]:
    (value,) = op.operands
    axis, shape, kind = op.attrs["axis"], value.tile.shape, op.attrs["kind"]
    keys = ordered(build, value, nan="first" if kind == "min" else "last")
    extreme = build("reduce", keys, kind=kind, axis=axis)
    found = build("eq", keys, spread_line(build, extreme, shape, axis))
    places = build("select", found, line_index(build, shape, axis), build.constant(I32, shape[axis], shape))
    return [build("reduce", places, kind="min", axis=axis)]


# Scans and reductions

STEPS = {"sum": "add", "prod": "mul", "min": "min", "max": "max", "and": "and", "or": "or", "xor": "xor"}


def expand_scan(build: Builder, op: Op) -> list[Value]:
    (value,) = op.operands
    axis, shape, type = op.attrs["axis"], value.tile.shape, value.tile.dtype
    source = share(build, value)
    target = alloc(build, stored_type(type), shape)
    start = build("constant", type=TileType(type, without(shape, axis)), code=identity(op.attrs["kind"], type))

    def step(build: Builder, k: Value, carried_values: Sequence[Value]) -> list[Value]:
        place = build("sub", build.index(shape[axis] - 1), k) if op.attrs["reverse"] else k
        starts = [place if dim == axis else build.index(0) for dim in range(len(shape))]
        sizes = tuple(None if dim == axis else extent for dim, extent in enumerate(shape))
        line = get(build, source, type, starts, sizes)
        (before,) = carried_values
        after = build(STEPS[op.attrs["kind"]], before, line)
        first = build.broadcast(build("eq", k, build.index(0)), line.tile.shape)
        after = build("select", first, line, after)
        shown = before if op.attrs["exclusive"] else after
        attrs: dict[str, Any] = {"sizes": sizes, "steps": (1,) * len(shape), "inbounds": (True,) * len(shape)}
        build.many("store", target, carried(build, shown), *starts, **attrs)
        return [after]

    counted(build, shape[axis], [start], step)
    return [get(build, target, type, [build.index(0) for _ in shape], shape)]


def expand_nonzero(build: Builder, op: Op) -> list[Value]:
    """Every element that is 1 writes its place behind those of the elements before it."""
    (mask,) = op.operands
    shape = mask.tile.shape
    ones = build.cast(mask, I32)
    scan = make_op("scan", [ones], {"kind": "sum", "axis": 0, "exclusive": True, "reverse": False})
    (before,) = expand_scan(build, scan)
    memory = share(build, build.constant(I32, 0, shape))
    build.many("scatter", memory, line_index(build, shape, 0), before, mask)
    count = build("reduce", ones, kind="sum", axis=0)
    return [get(build, memory, I32, [build.index(0)], shape), count]


def expand_reduce(build: Builder, op: Op) -> list[Value] | None:
    """Halves in f32, and long lines in parts; None where neither is so."""
    (value,) = op.operands
    axis, kind, type = op.attrs["axis"], op.attrs["kind"], value.tile.dtype
    if type.is_float and type.width == 16 and kind in ("sum", "prod"):
        wide = build("reduce", build.cast(value, F32), kind=kind, axis=axis)
        return [build.cast(wide, type)]
    shape = value.tile.shape
    parts = next((n for n in (8, 4, 2) if n <= PARTS and shape[axis] % n == 0 and shape[axis] // n >= SHORTEST), 1)
    if parts == 1 or prod(without(shape, axis)) >= PARTS:
        return None
    cut = (*shape[:axis], parts, shape[axis] // parts, *shape[axis + 1 :])
    inner = build("reduce", build("reshape", value, shape=cut), kind=kind, axis=axis + 1)
    return [build("reduce", inner, kind=kind, axis=axis)]


# Movement


def expand_take(build: Builder, op: Op) -> list[Value]:
    source, index = op.operands
    axis, shape, result = op.attrs["axis"], source.tile.shape, op.result.tile.shape
    memory = share(build, source)
    inner = index.tile.rank
    index = clamped(build, index, shape[axis])
    lines = []
    for dim in range(len(shape)):
        if dim == axis:
            after = result[axis + inner :]
            kept = (*index.tile.shape, *(1 for _ in after))
            own = build("reshape", index, shape=kept) if index.tile.rank and after else index
            lines.append(build.broadcast(own, result))
        else:
            lines.append(line_index(build, result, dim if dim < axis else dim + inner - 1))
    return [restored(build, build("gather", memory, *lines, fill=None), source.tile.dtype)]


def clamped(build: Builder, index: Value, extent: int) -> Value:
    """The index (i32) brought into an axis; as unsigned, what is below 0 is far above."""
    type = index.tile.dtype
    if type.is_uint:
        limit = min(extent - 1, int(type.max))
        return build.cast(build("min", index, build.like(index, limit)), I32)
    raised = build("max", index, build.like(index, 0))
    return build.cast(build("min", raised, build.like(index, min(extent - 1, int(type.max)))), I32)


def expand_slice(build: Builder, op: Op) -> list[Value]:
    (source,) = op.operands
    starts = [build.index(start) for start in op.attrs["starts"]]
    return [get(build, share(build, source), source.tile.dtype, starts, op.attrs["sizes"], op.attrs["steps"])]


def expand_concat(build: Builder, op: Op) -> list[Value]:
    axis, type, shape = op.attrs["axis"], op.result.tile.dtype, op.result.tile.shape
    memory = alloc(build, stored_type(type), shape)
    first = 0
    for part in op.operands:
        put(build, memory, part, [first if dim == axis else 0 for dim in range(len(shape))])
        first += part.tile.shape[axis]
    return [get(build, memory, type, [build.index(0) for _ in shape], shape)]


def expand_flip(build: Builder, op: Op) -> list[Value]:
    (source,) = op.operands
    axis, shape = op.attrs["axis"], source.tile.shape
    own = line_index(build, shape, axis)
    back = build("sub", build.constant(I32, shape[axis] - 1, shape), own)
    lines = [back if dim == axis else line_index(build, shape, dim) for dim in range(len(shape))]
    return [restored(build, build("gather", share(build, source), *lines, fill=None), source.tile.dtype)]


def expand_atomic(build: Builder, op: Op) -> list[Value] | None:
    """One element as a tile of one."""
    if op.result.tile.rank:
        return None
    memory, *tiles = op.operands
    lines = [build("reshape", tile, shape=(1,)) for tile in tiles]
    return [build("reshape", build("atomic", memory, *lines, kind=op.attrs["kind"]), shape=())]


RULES: dict[str, Callable[[Builder, Op], list[Value] | None]] = {
    "sort": expand_sort,
    "arg": expand_arg,
    "scan": expand_scan,
    "nonzero": expand_nonzero,
    "reduce": expand_reduce,
    "take": expand_take,
    "slice": expand_slice,
    "concat": expand_concat,
    "flip": expand_flip,
    "atomic": expand_atomic,
}
"""What replaces an operation, by name."""
