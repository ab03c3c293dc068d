"""The state of one function under construction, and the vocabulary that lowerings are written in.

Evaluation of tiles, on top of code (`code`) and memory (`memory`). What an operation becomes stands in the lowerings;
which of them to call, in `regions`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from llvmlite import ir

from vmc.backends.cpu.elements import I32, element_size, number
from vmc.backends.cpu.memory import Memory, natural
from vmc.backends.cpu.plan import Plan
from vmc.backends.cpu.signature import Site
from vmc.backends.cpu.target import Machine
from vmc.backends.cpu.tiles import Buffer, Index, Scope, Tensor, Tile, elementwise_sources
from vmc.backends.cpu.vectors import ROWS, Atom, Place, Spot, interleaved, rows_of, shifted, splat
from vmc.ir.core import Kernel, Op, Value
from vmc.ir.types import DType

HEADER = 256  # bytes at the start of a thread's arena that are zeros when a launch begins
FAST = ("contract", "arcp", "nsz")  # not reassoc: it dissolves error-free sums and rounding by anchors (vmc.ir.math)


class Emitter(Memory):
    """Builds the function that executes blocks. In front of the thread's arena lie `header` and the tensors of `once`,
    of `scratch_size` bytes (see `once`).
    """

    def __init__(self, module: ir.Module, function: ir.Function, kernel: Kernel, plan: Plan, machine: Machine) -> None:
        super().__init__(module, function, FAST if kernel.fast else ())
        self.plan = plan
        self.env: dict[Value, Tile | Tensor] = {}
        self.header_words = 0
        self.header: ir.Value | None = None
        self.scratch_size: ir.Value = self.index(0)
        self.symbols: dict[str, ir.Value] = {}
        self.sites: list[Site] = []
        self.machine = machine
        self.has_half = machine.has_half
        self.vector_bytes = machine.vector_bytes
        self.region = object()
        self.exit: ir.Block | None = None
        self.status: ir.Value | None = None
        self.printer: ir.Value | None = None
        self.alike: tuple[int, ir.Value] | None = None
        """The rows of tiles whose last ones are alike, and how many of them are computed (see `alike`)."""
        self.tile_shapes: tuple[int, ...] | None = None

    def fail_when(self, condition: ir.Value, op: Op, message: str) -> None:
        """Ends the block, and has the launch raise an error of the program, where the i1 condition holds."""
        assert self.exit is not None and self.status is not None
        self.sites.append(Site(message, op.span, ()))
        bad, good = self.function.append_basic_block("bad"), self.function.append_basic_block("good")
        self.b.cbranch(condition, bad, good)
        self.b.position_at_end(bad)
        self.b.cmpxchg(self.status, self.index(0), self.index(len(self.sites)), "monotonic")
        self.b.branch(self.exit)
        self.b.position_at_end(good)

    def box(self, shape: Sequence[int]) -> list[tuple[ir.Value, ir.Value]]:
        """The bounds of all indices of a shape; of rows that are alike, of one of them."""
        ends = [self.rows(shape), *map(self.index, shape[1:])] if shape else []
        return [(self.index(0), end) for end in ends]

    def rows(self, shape: Sequence[int]) -> ir.Value:
        """How many rows of a tile with axes are computed."""
        return self.alike[1] if self.alike is not None and shape[0] == self.alike[0] else self.index(shape[0])

    # Tiles

    def tile(self, value: Value) -> Tile:
        found = self.env[value]
        assert isinstance(found, Tile)
        return found

    def tensor(self, value: Value) -> Tensor:
        found = self.env[value]
        assert isinstance(found, Tensor)
        return found

    def scalar(self, value: Value) -> ir.Value:
        """The element of a rank-0 tile."""
        return self.at(self.tile(value), ())

    def condition(self, value: Value) -> ir.Value:
        """A rank-0 u1 tile as i1."""
        return self.truth(self.scalar(value))

    def truth(self, element: ir.Value) -> ir.Value:
        """A u1 element as i1, a vector of them as a vector of i1."""
        return self.b.icmp_unsigned("!=", element, number(element.type, 0))

    def splat(self, dtype: DType, shape: Sequence[int], element: ir.Value) -> Tile:
        """A tile all of whose elements are one value that is already computed."""

        def lanes(place: Place, atom: Atom) -> ir.Value:
            return self.remembered(("splat", element, atom.size), lambda: splat(self.b, element, atom.size))

        return Tile(dtype, tuple(shape), lambda index: element, lambda position: element, cheap=True, lanes=lanes)

    def settled_tile(self, dtype: DType, shape: Sequence[int], buffer: Buffer) -> Tile:
        """The tile in a buffer."""
        return Tile(dtype, tuple(shape), buffer=buffer, cheap=True, sources={buffer: True})

    def at(self, tile: Tile, index: Index) -> ir.Value:
        """The element at an index."""
        return self._evaluate(tile, index, lambda one: self._element(one, index))

    def _element(self, tile: Tile, index: Index) -> ir.Value:
        if tile.buffer is not None:
            return self.read(tile.buffer, self.linear(index, tile.shape))
        assert tile.at is not None
        return tile.at(index)

    def flat(self, tile: Tile, position: ir.Value) -> ir.Value:
        """The element at a row-major position; `can_flat` must hold."""
        return self._evaluate(tile, ("flat", position), lambda one: self._flat_element(one, position))

    def _flat_element(self, tile: Tile, position: ir.Value) -> ir.Value:
        if tile.buffer is not None:
            return self.read(tile.buffer, position)
        assert tile.flat is not None
        return tile.flat(position)

    def _evaluate(self, tile: Tile, place: tuple[object, ...], compute: Callable[[Tile], ir.Value]) -> ir.Value:
        """An element, after those of all fused operands at the same place: chains may be longer than Python's stack."""
        memo = self._memo
        waiting = [] if (tile, *place) in memo else [tile]
        while waiting:
            top = waiting[-1]
            operands = () if top.buffer is not None else top.operands
            missing = [operand for operand in operands if (operand, *place) not in memo]
            waiting += missing
            if not missing:
                waiting.pop()
                if (top, *place) not in memo:
                    memo[(top, *place)] = compute(top)
        return memo[(tile, *place)]

    def spot(self, spot: Spot) -> ir.Value:
        """A coordinate as an i64."""
        base, offset = spot
        if base is None:
            return self.index(offset)
        return self.remembered(("spot", base, offset), lambda: self.add(base, self.index(offset)))

    def vector(self, tile: Tile, place: Place, atom: Atom) -> ir.Value:
        """The elements of an atom; `can_vector` must hold."""
        return self._evaluate(tile, ("lanes", place, atom), lambda one: self._vector(one, place, atom))

    def _vector(self, tile: Tile, place: Place, atom: Atom) -> ir.Value:
        if tile.buffer is not None:
            return self.buffer_lanes(tile.buffer, tile.shape, place, atom)
        if tile.lanes is not None:
            return tile.lanes(place, atom)
        rows = [self.gathered(tile, shifted(place, -2, row), atom.columns) for row in range(atom.rows)]
        return interleaved(self.b, rows)

    def gathered(self, tile: Tile, place: Place, columns: int) -> ir.Value:
        """Elements of a row, one by one."""
        elements = [self.at(tile, tuple(map(self.spot, shifted(place, -1, column)))) for column in range(columns)]
        if columns == 1:
            return elements[0]
        result: ir.Value = ir.Constant(ir.VectorType(elements[0].type, columns), ir.Undefined)
        for column, element in enumerate(elements):
            result = self.b.insert_element(result, element, ir.Constant(I32, column))
        return result

    def buffer_lanes(self, buffer: Buffer, shape: Sequence[int], place: Place, atom: Atom) -> ir.Value:
        """An atom of the tile in a buffer."""

        def line(row: int) -> ir.Value:
            index = [self.spot(spot) for spot in (shifted(place, -2, row) if row else place)]
            address = self.element(buffer, self.linear(tuple(index), shape))
            type = ir.VectorType(buffer.element, atom.columns) if atom.columns > 1 else buffer.element
            return self.load(buffer.scope, address, type, natural(buffer.element))

        return interleaved(self.b, [line(row) for row in range(atom.rows)])

    def know(self, tile: Tile, place: Place, atom: Atom, value: ir.Value) -> None:
        """Says what an atom is, for what is computed from here on."""
        self._memo[(tile, "lanes", place, atom)] = value

    def stacked(self, tile: Tile, place: Place, atom: Atom) -> ir.Value:
        """An atom from its rows, each asked for alone."""
        rows = [self.vector(tile, shifted(place, -2, row) if row else place, atom.line) for row in range(atom.rows)]
        return interleaved(self.b, rows)

    def rows_of_whole(self, tile: Tile, place: Place, atom: Atom) -> ir.Value:
        """Some rows of a tile of bytes that is decoded in atoms of four rows. What is computed byte by byte is computed
        for all four, and what comes after finds a row in words of 32 bits, from where it is a shift to a wider type.
        """
        row = place[-2][1] % ROWS
        whole = self.vector(tile, shifted(place, -2, -row), Atom(ROWS, atom.columns))
        return rows_of(self.b, whole, ROWS, range(row, row + atom.rows))

    def map(
        self, dtype: DType, tiles: Sequence[Tile], function: Callable[..., ir.Value], *, liftable: bool = True
    ) -> Tile:
        """The tile whose element i is a function of the elements i of others of one shape. `liftable`: the function
        takes vectors, too.
        """

        def at(index: Index) -> ir.Value:
            return function(*(self.at(tile, index) for tile in tiles))

        def flat(position: ir.Value) -> ir.Value:
            return function(*(self.flat(tile, position) for tile in tiles))

        def lanes(place: Place, atom: Atom) -> ir.Value:
            if narrow and result.period % ROWS == 0 and 1 <= atom.rows < ROWS < atom.columns:
                return self.rows_of_whole(result, place, atom)
            return function(*(self.vector(tile, place, atom) for tile in tiles))

        narrow = element_size(dtype) == 1
        result = Tile(dtype, tiles[0].shape, at, operands=tuple(tiles), sources=elementwise_sources(tuple(tiles)))
        result.flat = flat if all(map(can_flat, tiles)) else None
        result.lanes = lanes if liftable else None
        result.period = max(tile.period for tile in tiles)
        return result

    def visit(self, tile: Tile, body: Callable[[ir.Value, ir.Value], None]) -> None:
        """Loops over all elements of a tile; the body gets row-major position and element."""
        if can_flat(tile):
            row = self.index(prod(tile.shape[1:]))
            end = self.mul(self.rows(tile.shape), row) if tile.shape else row
            self.each(self.index(0), end, lambda position: body(position, self.flat(tile, position)))
            return
        self.nest(self.box(tile.shape), lambda index: body(self.linear(index, tile.shape), self.at(tile, index)))

    def fill(self, buffer: Buffer, tile: Tile) -> None:
        """Writes a tile to a buffer."""
        if tile.buffer is buffer:
            return
        from vmc.backends.cpu import dot, filling, products, transposing

        if any(True for _ in products.products_in(tile)):
            dot.drive(self, buffer, tile)
        elif transposing.fits(self, tile):
            transposing.fill(self, buffer, tile)
        elif filling.is_better_in_atoms(tile):
            filling.fill(self, buffer, tile)
        elif filling.is_load_in_vectors(self, tile):
            filling.wherever_loads_lie(self, tile, lambda: filling.vectors(self, buffer, tile))
        else:
            if tile.transposed is not None:
                self.settle(tile.transposed)
            self.visit(tile, lambda position, element: self.write(buffer, position, element))

    def settle(self, tile: Tile) -> Buffer:
        """The tile's buffer, made now if there is none; a copy if the tile belongs to another region's execution."""
        if tile.buffer is not None:
            return tile.buffer
        buffer = self.allocate(tile.dtype, tile.size)
        self.fill(buffer, tile)
        if tile.home in (None, self.region):
            tile.buffer, tile.cheap, tile.sources, tile.origin = buffer, True, {buffer: True}, None
        return buffer

    def define(self, value: Value, tile: Tile) -> None:
        """Binds a result: a scalar is computed now, a tile gets a buffer unless it is cheap or fused into its use."""
        if not tile.shape:
            element = self.at(tile, ())
            tile = self.splat(tile.dtype, (), element)
        elif (tile.buffer is None and not tile.cheap and value not in self.plan.fused) or (
            tile.product is not None and value not in self.plan.riding
        ):
            self.settle(tile)
        tile.home = tile.home or self.region
        self.env[value] = tile

    def pending_loads(self, scope: Scope) -> list[Tile]:
        """The virtual loads of a memory that live tiles still need."""
        found = (source for tile in self.live() for source in tile.sources if isinstance(source, Tile))
        waiting = (tile for tile in found if tile.buffer is None and tile.origin is not None)
        return [tile for tile in dict.fromkeys(waiting) if tile.origin and tile.origin.scope is scope]

    def needing(self, load: Tile) -> list[Tile]:
        """The live tiles that a virtual load is part of."""
        return [tile for tile in dict.fromkeys(self.live()) if load in tile.sources]

    def live(self) -> list[Tile]:
        """The tiles that an operation still to be lowered uses."""
        remaining = self.plan.remaining
        return [tile for value, tile in self.env.items() if remaining[value] > 0 and isinstance(tile, Tile)]

    def take_over(self, value: Value) -> Buffer:
        """A buffer with the tile's elements that may be overwritten: the tile's own, if this was its last use."""
        tile = self.tile(value)
        if value in self.plan.single and tile.buffer is not None and tile.buffer.owned:
            return tile.buffer
        buffer = self.allocate(tile.dtype, tile.size)
        self.fill(buffer, tile)
        return buffer


def can_flat(tile: Tile) -> bool:
    """Whether the elements can be had by row-major position."""
    return tile.buffer is not None or tile.flat is not None


def can_vector(tile: Tile) -> bool:
    """Whether the elements can be had an atom at a time."""
    return tile.buffer is not None or tile.lanes is not None
