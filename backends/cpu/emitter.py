"""The state of one function under construction, and the vocabulary that lowerings are written in.

Loops, index arithmetic, buffers, evaluation of tiles. What an operation becomes stands in the lowerings; which of them
to call, in `regions`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod

from llvmlite import ir

from vmc.backends.cpu.elements import I8, I32, I64, POINTER, element_size, element_type, number, step_to, suffix
from vmc.backends.cpu.plan import Plan
from vmc.backends.cpu.signature import Site
from vmc.backends.cpu.target import Machine
from vmc.backends.cpu.tiles import Buffer, Index, Scope, Tensor, Tile, elementwise_sources
from vmc.backends.cpu.vectors import ROWS, Atom, Place, Spot, interleaved, rows_of, shifted, splat
from vmc.ir.core import Kernel, Op, Value
from vmc.ir.types import DType

STACK_BUFFER = 2048  # bytes up to which a buffer is an alloca, which LLVM may dissolve into registers,
STACK = 1 << 16  # as long as all of them together take no more than this
LINE = 64  # bytes: alignment of buffers
HEADER = 256  # bytes at the start of a thread's arena that are zeros when a launch begins
LONG_LOOP = 16  # turns from which a loop has enough for vectors
SCOPES = 24  # more memory than that shares scopes, since each lists all others
FAST = ("contract", "arcp", "nsz")  # not reassoc: it dissolves error-free sums and rounding by anchors (vmc.ir.math)


class Emitter:
    """Builds the function that executes blocks. `arena` points to `arena_size` bytes of the running thread's own; in
    front of them lie `header` and the tensors of `once`, of `scratch_size` bytes (see `once`).
    """

    def __init__(self, module: ir.Module, function: ir.Function, kernel: Kernel, plan: Plan, machine: Machine) -> None:
        self.module, self.function, self.plan = module, function, plan
        self.b = ir.IRBuilder(function.append_basic_block("entry"))
        self.env: dict[Value, Tile | Tensor] = {}
        self._indices: dict[int, ir.Constant] = {}
        self.arena: ir.Value | None = None
        self.arena_size = self.stack_size = self.header_words = 0
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
        self.fast: tuple[str, ...] = FAST if kernel.fast else ()
        self.guarded = False
        self.alike: tuple[int, ir.Value] | None = None
        """The rows of tiles whose last ones are alike, and how many of them are computed (see `alike`)."""
        self.tile_shapes: tuple[int, ...] | None = None
        self._memo: dict[tuple[object, ...], ir.Value] = {}
        self._scopes: list[Scope] = []
        self.before: ir.Value | None = None

    # Numbers

    def index(self, number: int) -> ir.Constant:
        """An i64 constant, one object per number."""
        return self._indices.setdefault(number, ir.Constant(I64, number))

    def add(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """a + b in i64, folded where it is plain."""
        if isinstance(a, ir.Constant) and isinstance(b, ir.Constant):
            return self.index(a.constant + b.constant)
        if isinstance(a, ir.Constant) and a.constant == 0:
            return b
        if isinstance(b, ir.Constant) and b.constant == 0:
            return a
        return self.b.add(a, b)

    def sub(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """a - b in i64, folded where it is plain."""
        if isinstance(b, ir.Constant):
            return self.add(a, self.index(-b.constant))
        return self.b.sub(a, b)

    def mul(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """a * b in i64, folded where it is plain."""
        if isinstance(a, ir.Constant) and isinstance(b, ir.Constant):
            return self.index(a.constant * b.constant)
        for one, other in ((a, b), (b, a)):
            if isinstance(one, ir.Constant) and one.constant in (0, 1):
                return other if one.constant else self.index(0)
        return self.b.mul(a, b)

    def divmod(self, a: ir.Value, divisor: int) -> tuple[ir.Value, ir.Value]:
        """Quotient and remainder of a non-negative i64."""
        if divisor == 1:
            return a, self.index(0)
        if isinstance(a, ir.Constant):
            return self.index(a.constant // divisor), self.index(a.constant % divisor)
        return self.b.udiv(a, self.index(divisor)), self.b.urem(a, self.index(divisor))

    def clamp(self, value: ir.Value, low: ir.Value, high: ir.Value) -> ir.Value:
        """A signed integer, or each lane of a vector, brought into [low, high]."""
        type, name = value.type, suffix(value.type)
        return self.call(f"llvm.smin.{name}", type, self.call(f"llvm.smax.{name}", type, value, low), high)

    def linear(self, index: Index, shape: Sequence[int]) -> ir.Value:
        """The row-major position of an index."""
        position: ir.Value = self.index(0)
        for place, extent in zip(index, shape, strict=True):
            position = self.add(self.mul(position, self.index(extent)), place)
        return position

    def call(self, name: str, result: ir.Type, *args: ir.Value, flags: tuple[str, ...] = ()) -> ir.Value:
        """A call of an intrinsic or another function of the module, declared on first use."""
        function = self.declare(name, result, [arg.type for arg in args])
        return self.b.call(function, args, fastmath=flags)

    def declare(self, name: str, result: ir.Type, arguments: Sequence[ir.Type]) -> ir.Function:
        """An intrinsic or another function of the module."""
        function = self.module.globals.get(name)
        return function or ir.Function(self.module, ir.FunctionType(result, arguments), name)

    # Control flow

    def loop(
        self, low: ir.Value, high: ir.Value, carried: Sequence[ir.Value], body: LoopBody, step: int = 1
    ) -> list[ir.Value]:
        """Counts from `low` while below `high`; the body maps index and carried values to the next ones."""
        static = isinstance(low, ir.Constant) and isinstance(high, ir.Constant)
        if static and low.constant >= high.constant:
            return list(carried)
        if static and low.constant + step >= high.constant:
            with self.fresh_memo():
                return list(body(low, carried))
        before, inside = self.b.block, self.function.append_basic_block("loop")
        after = self.function.append_basic_block("done")
        if static:
            self.b.branch(inside)
        else:
            self.b.cbranch(self.b.icmp_signed("<", low, high), inside, after)
        self.b.position_at_end(inside)
        counter = self.b.phi(I64)
        phis = [self.b.phi(value.type) for value in carried]
        with self.fresh_memo():
            following = list(body(counter, phis))
        bumped = self.b.add(counter, self.index(step), flags=("nsw",))
        latch = self.b.block
        again = self.b.cbranch(self.b.icmp_signed("<", bumped, high), inside, after)
        if static and not carried and (high.constant - low.constant) // step >= LONG_LOOP:
            self._keep_loop(again)
        for phi, first, later in zip([counter, *phis], [low, *carried], [bumped, *following], strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(later, latch)
        self.b.position_at_end(after)
        if static:
            return following
        return [
            self.join(value.type, (value, before), (later, latch))
            for value, later in zip(carried, following, strict=True)
        ]

    def _keep_loop(self, branch: ir.Instruction) -> None:
        """Keeps LLVM from unrolling a loop wholly before it looks for vectors: from straight code it makes few."""
        node = ir.MDValue(self.module, (), str(len(self.module.metadata)))
        node.operands = (node, self.module.add_metadata(["llvm.loop.unroll.disable"]))
        branch.set_metadata("llvm.loop", node)

    def each(self, low: ir.Value, high: ir.Value, body: Callable[[ir.Value], None], step: int = 1) -> None:
        """A loop without carried values."""

        def once(place: ir.Value, carried: Sequence[ir.Value]) -> Sequence[ir.Value]:
            body(place)
            return ()

        self.loop(low, high, (), once, step)

    def nest(self, bounds: Sequence[tuple[ir.Value, ir.Value]], body: Callable[[Index], None]) -> None:
        """Loops over a box of indices, the last one innermost."""

        def level(index: Index) -> None:
            if len(index) == len(bounds):
                body(index)
            else:
                self.each(*bounds[len(index)], lambda place: level((*index, place)))

        with self.fresh_memo():
            level(())

    def box(self, shape: Sequence[int]) -> list[tuple[ir.Value, ir.Value]]:
        """The bounds of all indices of a shape; of rows that are alike, of one of them."""
        ends = [self.rows(shape), *map(self.index, shape[1:])] if shape else []
        return [(self.index(0), end) for end in ends]

    def rows(self, shape: Sequence[int]) -> ir.Value:
        """How many rows of a tile with axes are computed."""
        return self.alike[1] if self.alike is not None and shape[0] == self.alike[0] else self.index(shape[0])

    def join(self, type: ir.Type, *incoming: tuple[ir.Value, ir.Block]) -> ir.Value:
        """A phi."""
        phi = self.b.phi(type)
        for value, block in incoming:
            phi.add_incoming(value, block)
        return phi

    def choose(
        self, condition: ir.Value, type: ir.Type, yes: Callable[[], ir.Value], no: Callable[[], ir.Value]
    ) -> ir.Value:
        """The value of one of two computations, only one of which runs."""
        with self.b.if_else(condition) as (then, otherwise):
            with then, self.fresh_memo():
                a, from_a = yes(), self.b.block
            with otherwise, self.fresh_memo():
                c, from_c = no(), self.b.block
        return self.join(type, (a, from_a), (c, from_c))

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

    @contextmanager
    def when(self, condition: ir.Value) -> Iterator[None]:
        """Code that runs only where the i1 condition holds."""
        with self.b.if_then(condition), self.fresh_memo():
            yield

    @contextmanager
    def fresh_memo(self) -> Iterator[None]:
        """Elements computed inside are not known outside, nor those from outside inside: other code may not run."""
        saved, self._memo = self._memo, {}
        yield
        self._memo = saved

    def remembered(self, key: tuple[object, ...], compute: Callable[[], ir.Value]) -> ir.Value:
        """What was computed under a key where that is still known, else what is computed now."""
        found = self._memo.get(key)
        if found is None:
            found = self._memo[key] = compute()
        return found

    @contextmanager
    def guard(self, guarded: bool) -> Iterator[None]:
        """Code whose vectors of loads may reach outside of their tensors, or are known not to."""
        saved, self.guarded = self.guarded, guarded
        with self.fresh_memo():
            yield
        self.guarded = saved

    # Memory

    def slot(self, type: ir.Type, count: int = 1) -> ir.Value:
        """Stack memory of the function."""
        with self.b.goto_entry_block():
            memory = self.b.alloca(type, count)
            memory.align = LINE if count > 1 else None
            return memory

    def new_scope(self) -> Scope:
        """A scope for memory that overlaps none so far; past a limit, a shared one, which promises less."""
        if len(self._scopes) < SCOPES:
            self._scopes.append(Scope(f"memory{len(self._scopes)}"))
            return self._scopes[-1]
        self._scopes.append(self._scopes[len(self._scopes) % SCOPES])
        return self._scopes[-1]

    def allocate(self, dtype: DType, size: int) -> Buffer:
        """Uninitialized memory for `size` elements, of this block's own."""
        return self.allocate_raw(element_type(dtype), element_size(dtype), size)

    def allocate_raw(self, element: ir.Type, width: int, size: int) -> Buffer:
        """Uninitialized memory for `size` values of an LLVM type of `width` bytes."""
        bytes = -(-size * width // LINE) * LINE
        if bytes <= STACK_BUFFER and self.stack_size + bytes <= STACK:
            self.stack_size += bytes
            return Buffer(self.slot(element, size), element, size, None, owned=True)
        assert self.arena is not None
        with self.b.goto_entry_block():
            pointer = step_to(self.b, self.arena, self.index(self.arena_size), I8)
        self.arena_size += bytes
        return Buffer(pointer, element, size, self.new_scope(), owned=True)

    def load(self, scope: Scope | None, pointer: ir.Value, type: ir.Type, align: int = 1) -> ir.Value:
        """A load from memory of a scope."""
        return self.tagged(scope, self.b.load(pointer, typ=type, align=align))

    def store(self, scope: Scope | None, value: ir.Value, pointer: ir.Value, align: int = 1) -> None:
        """A store to memory of a scope."""
        self.tagged(scope, self.b.store(value, pointer, align=align))

    def prefetch(self, pointer: ir.Value) -> None:
        """Says that a cache line is read soon, and read only."""
        read, near, data = (ir.Constant(I32, number) for number in (0, 3, 1))
        self.call("llvm.prefetch.p0", ir.VoidType(), pointer, read, near, data)

    def tagged(self, scope: Scope | None, access: ir.Instruction) -> ir.Instruction:
        """An access marked with what it may overlap; without a scope it may overlap anything that escapes."""
        if scope is not None:
            if scope.own is None:
                scope.own = self.module.add_metadata([self._scope_node(scope)])
                scope.others = ir.MDValue(self.module, (), str(len(self.module.metadata)))
            access.set_metadata("alias.scope", scope.own)
            access.set_metadata("noalias", scope.others)
        return access

    def _scope_node(self, scope: Scope) -> ir.MDValue:
        domain = self.module.add_metadata([f"vmc.{self.function.name}"])
        return self.module.add_metadata([f"{self.function.name}.{scope.name}", domain])

    def close_scopes(self) -> None:
        """Writes down, once all are known, which scopes each one does not overlap."""
        nodes = {scope: self._scope_node(scope) for scope in dict.fromkeys(self._scopes) if scope.own is not None}
        for scope in nodes:
            assert scope.others is not None
            scope.others.operands = tuple(node for other, node in nodes.items() if other is not scope)

    def opaque(self, pointer: ir.Value) -> ir.Value:
        """The same address, whose terms LLVM's passes over loops do not see: they take long over sums of many."""
        return self.call("llvm.strip.invariant.group.p0", POINTER, pointer)

    def ordered(self, pointer: ir.Value) -> ir.Value:
        """The same address, which LLVM cannot tell before it has what `behind` names: its schedulers then keep what is
        loaded from there apart from what came before, where all at once would not fit the registers.
        """
        if self.before is None:
            return pointer
        type = ir.FunctionType(POINTER, [POINTER, self.before.type])
        return self.b.call(ir.InlineAsm(type, "", "=r,0,x"), [pointer, self.before])

    @contextmanager
    def behind(self, value: ir.Value | None) -> Iterator[None]:
        """Code whose blocks of memory are found after a vector is computed."""
        saved, self.before = self.before, value
        yield
        self.before = saved

    def element(self, buffer: Buffer, position: ir.Value) -> ir.Value:
        """The address of an element of a buffer."""
        return step_to(self.b, buffer.pointer, position, buffer.element, inbounds=True)

    def read(self, buffer: Buffer, position: ir.Value) -> ir.Value:
        return self.load(buffer.scope, self.element(buffer, position), buffer.element, natural(buffer.element))

    def write(self, buffer: Buffer, position: ir.Value, value: ir.Value) -> None:
        self.store(buffer.scope, value, self.element(buffer, position), natural(buffer.element))

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


LoopBody = Callable[[ir.Value, Sequence[ir.Value]], Sequence[ir.Value]]

_FLOAT_BYTES = {"half": 2, "float": 4, "double": 8}


def can_flat(tile: Tile) -> bool:
    """Whether the elements can be had by row-major position."""
    return tile.buffer is not None or tile.flat is not None


def can_vector(tile: Tile) -> bool:
    """Whether the elements can be had an atom at a time."""
    return tile.buffer is not None or tile.lanes is not None


def natural(type: ir.Type) -> int:
    """The alignment of an element in a buffer, in bytes."""
    return type.width // 8 if isinstance(type, ir.IntType) else _FLOAT_BYTES[str(type)]
