"""Layout inference: from tiles to registers of threads.

Layouts start at anchors (`anchors`: pins, matrix instructions, reductions, accesses) and spread along relations
(`relations`) to every value that none has reached; then the block is rewritten once, and where an operand does not
stand as its use wants it, a `relayout` moves it, or an operation that is cheap to repeat is repeated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from vmc.ir.builder import make_op
from vmc.ir.core import IRError, Kernel, Level, Module, Op, Region, TileType, Value, walk
from vmc.ir.layout import Layout
from vmc.ir.passes.gpu.anchors import WIDEST, Fragments, anchors, axis_layout
from vmc.ir.passes.gpu.relations import FREE, Relation, has_layout, natural, projected, relations
from vmc.ir.passes.gpu.spread import (
    MAX_THREADS,
    WARP_SIZE,
    everywhere,
    in_all_threads,
    is_local,
    reducible,
    spread,
    threads_of,
    without_copies,
)
from vmc.ir.passes.gpu.swaps import pieces, widened
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.rewrite import each_kernel
from vmc.ir.span import Span

ELEMENTS = 8
"""Elements of the largest tile for each thread, where the number of threads is free."""
MOST_INFERRED = 256
COALESCED = 512
"""Bits of a row that make a store as good as any."""


def layouts(fragments: Fragments | None = None) -> Pass:
    """The pass, with the layouts that matrix instructions want of the products that they compute."""

    def infer_layouts(module: Module) -> Module:
        """Needs: a well-formed module without `sort`, `take`, `slice`, `concat`, `flip` and `arg`, whose elements cross
        threads by nature. Guarantees: the kernel is at the access level: it has a number of threads, and every tile
        with axes a layout over them; elementwise operations stand as their results do, reductions find their axis in
        slots and in lanes of one warp, scans in slots, and atomics have one holder an element. Where that is not so by
        itself, a `relayout` makes it so. Keeps: everything else, pins in particular. Idempotent.
        """
        return each_kernel(module, lambda kernel: inferred(kernel, fragments))

    return Pass("layouts", infer_layouts)


def inferred(kernel: Kernel, fragments: Fragments | None) -> Kernel:
    if kernel.level is Level.ACCESS:
        return kernel
    threads = kernel.threads or block_threads(kernel)
    chosen = assigned(kernel.body, threads, fragments)
    body = _Placing(chosen, threads, fragments).region(kernel.body)
    return replace(kernel, body=body, level=Level.ACCESS, threads=threads)


def block_threads(kernel: Kernel) -> int:
    """Threads for a block: what pinned layouts take, or as many as the largest tile keeps busy. Raises IRError."""
    made = [(value.tile, op) for op in walk(kernel.body) for value in op.results if has_layout(value)]
    pinned = [(threads_of(tile.layout), op) for tile, op in made if tile.layout is not None]
    if pinned:
        count, op = max(pinned, key=lambda pair: pair[0])
        if count > MAX_THREADS:
            raise IRError(f"this layout takes {count} threads, and a block has at most {MAX_THREADS}", op.span)
        return -(-count // WARP_SIZE) * WARP_SIZE
    wanted = max((tile.size for tile, _ in made), default=1) // ELEMENTS
    threads = WARP_SIZE
    while threads < min(wanted, MOST_INFERRED):
        threads *= 2
    return threads


def assigned(body: Region, threads: int, fragments: Fragments | None) -> dict[Value, Layout]:
    """A layout for every tile with axes."""
    related: defaultdict[Value, list[Relation]] = defaultdict(list)
    for op in walk(body):
        for relation in relations(op):
            if has_layout(relation.given) and has_layout(relation.value):
                related[relation.given].append(relation)
    chosen: dict[Value, Layout] = {}
    for anchor in anchors(body, threads, fragments):
        if anchor.value in chosen:
            continue
        chosen[anchor.value] = anchor.layout
        pending = [anchor.value]
        while pending:
            value = pending.pop()
            for relation in related[value]:
                if relation.value not in chosen and (layout := relation.apply(chosen[value])) is not None:
                    chosen[relation.value] = layout
                    pending.append(relation.value)
    return chosen


class _Placing:
    """Rewrites a block: which value stands for which, in which layouts it has been made."""

    def __init__(self, chosen: dict[Value, Layout], threads: int, fragments: Fragments | None) -> None:
        self.chosen = chosen
        self.threads = threads
        self.fragments = fragments
        self.values: dict[Value, Value] = {}
        self.makers: dict[Value, Op] = {}
        self.ops: list[Op] = []
        self.made: list[dict[tuple[Value, Layout], Value]] = [{}]

    def region(self, region: Region, yields: Sequence[Layout | None] | None = None) -> Region:
        """A region under the chosen layouts; what it yields in those of `yields`."""
        outer, self.ops = self.ops, []
        self.made.append({})
        args = tuple(self.defined(value) for value in region.args)
        for op in region.ops[:-1]:
            self.op(op)
        last = region.ops[-1]
        wanted = yields or [None] * len(last.operands)
        operands = [self.at(value, layout, last.span) for value, layout in zip(last.operands, wanted, strict=True)]
        self.ops.append(replace(last, operands=tuple(operands)))
        self.made.pop()
        ops, self.ops = self.ops, outer
        return Region(args, tuple(ops))

    def defined(self, value: Value, layout: Layout | None = None) -> Value:
        """The value that stands for one of the block before, in its chosen layout or another."""
        if not has_layout(value):
            return value
        tile = value.tile
        fresh = Value(TileType(tile.dtype, tile.shape, layout or self.chosen[value]), value.name)
        self.values[value] = fresh
        return fresh

    def value(self, value: Value) -> Value:
        return self.values.get(value, value)

    def at(self, value: Value, layout: Layout | None, span: Span) -> Value:
        """A value of the block before in a layout: itself, made again, or moved."""
        return self.moved(self.value(value), layout, span)

    def moved(self, value: Value, layout: Layout | None, span: Span) -> Value:
        if layout is None or not has_layout(value) or value.tile.layout == layout:
            return value
        for scope in self.made:
            if (value, layout) in scope:
                return scope[value, layout]
        maker = self.makers.get(value)
        if maker is not None and maker.name in FREE and self.repeatable(maker, layout):
            operands = tuple(
                self.moved(v, projected(layout, v.tile.shape) if has_layout(v) else None, span) for v in maker.operands
            )
            tile = value.tile
            result = Value(TileType(tile.dtype, tile.shape, layout), value.name)
            self.append(replace(maker, operands=operands, results=(result,)))
        else:
            op = make_op("relayout", [value], {"layout": layout}, (), span)
            self.append(op)
            result = op.result
        self.made[-1][value, layout] = result
        return result

    def repeatable(self, maker: Op, layout: Layout) -> bool:
        sources = [v for v in maker.operands if has_layout(v)]
        return all(projected(layout, v.tile.shape) is not None for v in sources)

    def append(self, op: Op) -> None:
        self.ops.append(op)
        for result in op.results:
            self.makers[result] = op

    def op(self, op: Op) -> None:
        match op.name:
            case "for" | "while":
                self.loop(op)
            case "if":
                wanted = [self.chosen.get(value) for value in op.results]
                regions = tuple(self.region(region, wanted) for region in op.regions)
                operands = tuple(map(self.value, op.operands))
                self.append(replace(op, operands=operands, regions=regions, results=self.results(op)))
            case "view":
                self.view(op)
            case "relayout":
                self.values[op.result] = self.at(op.operands[0], op.attrs["layout"], op.span)
            case _:
                self.plain(op)

    def results(self, op: Op) -> tuple[Value, ...]:
        return tuple(self.defined(value) for value in op.results)

    def loop(self, op: Op) -> None:
        first = 3 if op.name == "for" else 0
        carried = [self.chosen.get(value) for value in op.results]
        starts = [self.at(v, layout, op.span) for v, layout in zip(op.operands[first:], carried, strict=True)]
        operands = (*map(self.value, op.operands[:first]), *starts)
        regions = tuple(
            self.region(region, None if op.name == "while" and number == 0 else carried)
            for number, region in enumerate(op.regions)
        )
        self.append(replace(op, operands=operands, regions=regions, results=self.results(op)))

    def view(self, op: Op) -> None:
        """Without layouts: groups of elements whose bits are those of whole groups of the result stay in a thread."""
        source, result = op.operands[0], op.result
        if op.attrs["layout"] is not None:
            operand = self.at(source, source.tile.layout, op.span)
            self.append(replace(op, operands=(operand,), results=(self.defined(result, op.attrs["layout"]),)))
            return
        taken, given = view_groups(source.tile, result.tile)
        shape = (*source.tile.shape[:-1], source.tile.shape[-1] // taken)
        outer = spread(shape, self.threads)
        ones = (1,) * (len(shape) - 1)
        operand = self.at(source, outer.local(*ones, taken), op.span)
        self.finish(op, (operand,), outer.local(*ones, given))

    def plain(self, op: Op) -> None:
        wanted = [self.wanted(op, number) for number in range(len(op.operands))]
        operands = tuple(self.at(value, layout, op.span) for value, layout in zip(op.operands, wanted, strict=True))
        op = replace(op, operands=operands, regions=tuple(map(self.region, op.regions)))
        self.finish(op, operands, self.made_in(op))

    def finish(self, op: Op, operands: tuple[Value, ...], layout: Layout | None) -> None:
        """Appends an operation whose results come in `layout`, or in their own, and moves them to their own."""
        results = []
        for value in op.results:
            if not has_layout(value):
                results.append(value)
                continue
            tile = value.tile
            results.append(Value(TileType(tile.dtype, tile.shape, layout or self.chosen[value]), value.name))
        self.append(replace(op, operands=operands, results=tuple(results)))
        for value, made in zip(op.results, results, strict=True):
            if has_layout(value):
                self.values[value] = self.moved(made, self.chosen[value], op.span)

    def wanted(self, op: Op, number: int) -> Layout | None:
        """The layout in which an operation takes an operand; None where any will do."""
        operand = op.operands[number]
        if not has_layout(operand):
            return None
        given = self.value(operand).tile.layout
        assert given is not None
        if self.fragments is not None and (chosen := self.fragments(op, self.threads)) is not None:
            return chosen[number]
        match op.name:
            case "reduce":
                axis = op.attrs["axis"]
                scalar = operand.tile.rank == 1
                fits = reducible(given, axis) and (not scalar or in_all_threads(given, self.threads))
                return given if fits else axis_layout(operand, op, self.threads)
            case "scan":
                return given if is_local(given, op.attrs["axis"]) else axis_layout(operand, op, self.threads)
            case "reshape" if not op.result.tile.rank:
                return everywhere(operand.tile.shape, self.threads)
            case "print":
                return everywhere(operand.tile.shape, self.threads)
            case "broadcast":
                return projected(self.chosen[op.result], operand.tile.shape)
            case "atomic":
                return without_copies(self.chosen[op.result])
            case "store":
                return wider_stores(op, given)
            case "scatter":
                return self.chosen[op.operands[1]]
            case "gather":
                return self.chosen[op.result]
            case name if op.definition.elementwise and name not in FREE:
                return self.chosen[op.results[0]]
        return None

    def made_in(self, op: Op) -> Layout | None:
        """The layout that an operation's results come in; None for the chosen one."""
        if op.name == "scan":
            return op.operands[0].tile.layout
        if op.name == "atomic":
            return without_copies(self.chosen[op.result]) if has_layout(op.result) else None
        return natural(op)


def wider_stores(op: Op, given: Layout) -> Layout:
    """The layout in which a store to rows of device memory takes its tile: where threads hold, and neighbouring lanes
    continue, short pieces of rows only, one with longer pieces that is a few shuffles away.
    """
    tensor, dtype = op.operands[0].tensor, op.operands[1].tile.dtype
    sizes, steps = op.attrs["sizes"], op.attrs["steps"]
    plain = tensor.in_device_memory and tensor.storage is None and dtype.width >= 8 and WIDEST % dtype.width == 0
    if not plain or sizes[-1] is None or steps[-1] != 1 or pieces(given) * dtype.width >= COALESCED:
        return given
    return widened(given, dtype.width, WIDEST) or given


def view_groups(source: TileType, result: TileType) -> tuple[int, int]:
    """How many elements of the last axis of each have the same bits: the fewest."""
    step, made = source.shape[-1], result.shape[-1]
    count = next(n for n in range(min(step, made), 0, -1) if step % n == 0 and made % n == 0)
    return step // count, made // count
