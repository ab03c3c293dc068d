"""The state of emission: statements of the block under construction, and what stands for the values of the tile IR.

    with e.when([condition]):                 # statements under a condition
        e.put(buffer, index, value)
    for slot in e.each(tile.slots): ...       # a loop over slots that the CUDA compiler unrolls

A scalar is an expression that all threads compute alike; a tile is a buffer of registers, one for each slot.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from vmc.backends.cuda.errors import UnsupportedError
from vmc.backends.cuda.lines import MARK
from vmc.backends.cuda.registers import Registers, element_layout, expression
from vmc.backends.cuda.tir import I32, I64, Expr, Stmt, binary, conjunction, const, container, tirx
from vmc.ir.core import Op, TileType, Value, walk
from vmc.ir.dims import Dim, DimOp, Sym
from vmc.ir.multiples import Multiples
from vmc.ir.span import UNKNOWN, Span
from vmc.ir.types import DType

MOST_UNROLLED = 256
"""Slots of a loop that is unrolled; registers that a longer one would index could not exist."""

REGISTERS = 255
MOST_WORDS = 4 * REGISTERS
"""What a tile of more takes is no matter of a few spills: the compiler unrolls its loops, and is busy for minutes."""


@dataclass(frozen=True)
class Scalar:
    """A value of rank 0; `known` is the number of an integer constant."""

    dtype: DType
    value: Expr
    known: int | None = None


@dataclass(frozen=True)
class Tile:
    """A tile in registers: `buffer` holds `registers.slots` containers; None where all elements are `uniform`.

    `words`: those that hold the codes of some slots side by side, the first one lowest, where there are any.
    """

    dtype: DType
    registers: Registers
    buffer: Any
    uniform: Expr | None = None
    words: dict[tuple[int, ...], Expr] = field(default_factory=dict, compare=False)


class Emitter:
    """Builds the body of one kernel. `values` says what stands for the values of the IR, `turns` are the loops around.

    `lines`: mark statements with the lines of the source that they come from (`lines.py`), files numbered in `files`.
    `name` is the kernel's, `number` its place among those that are compiled together.
    `shows_writes`: barriers show what threads wrote to shared memory to instructions that read it asynchronously.
    `counts_copies`: there are bulk copies, counted by `arrivals` (`bulk.py`).
    """

    def __init__(self, threads: int, lines: bool = False, name: str = "", number: int = 0) -> None:
        self.name, self.number = name, number
        self.threads = threads
        self.lines = lines
        self.files: list[str] = []
        self.thread = tirx().Var("thread", I32)
        self.statements: list[Stmt] = []
        self.values: dict[Value, Any] = {}
        self.symbols: dict[str, Any] = {}
        self.multiples: Multiples | None = None
        self.turns: list[Any] = []
        self.head: list[Stmt] = []
        self.arenas: list[tuple[Any, int]] = []
        self.texts: dict[str, str] = {}
        self.shows_writes = False
        self.counts_copies = False
        self.under_way: dict[Value, Callable[[], None]] = {}
        self.arrivals: Any = None
        self.views: dict[tuple[Any, str], Any] = {}
        self.names = 0
        self.span: Span = UNKNOWN

    # Statements

    def emit(self, statement: Stmt) -> None:
        self.statements.append(statement)

    def call(self, name: str, *arguments: Expr) -> None:
        """A call of a device function for its effect."""
        self.emit(tirx().Evaluate(tirx().call_extern(I32, name, *arguments)))

    def text(self, name: str, text: str) -> str:
        """The name of a device function that this kernel needs, with its text."""
        self.texts[name] = text
        return name

    def mark(self, span: Span) -> None:
        """What is emitted from here on comes from this place."""
        self.span = span
        if not self.lines or not span.line:
            return
        if span.file not in self.files:
            self.files.append(span.file)
        self.call(MARK, const(self.files.index(span.file), I32), const(span.line, I32))

    def fresh(self, name: str) -> str:
        self.names += 1
        return f"{name}{self.names}"

    def fresh_global(self, name: str) -> str:
        """A name that is no other device function's either."""
        return f"{self.fresh(name)}_{self.number}" if self.number else self.fresh(name)

    def let(self, value: Expr, kind: str, name: str = "v") -> Expr:
        """A variable with the value."""
        variable = tirx().Var(self.fresh(name), kind)
        self.emit(tirx().Bind(variable, value))
        return variable

    def block(self, build: Callable[[], None]) -> Stmt:
        """What `build` emits, as one statement."""
        outer, self.statements = self.statements, []
        build()
        inner, self.statements = self.statements, outer
        return sequence(inner)

    @contextmanager
    def when(self, conditions: Sequence[Expr]) -> Iterator[None]:
        """Statements under all of the conditions."""
        outer, self.statements = self.statements, []
        yield
        inner, self.statements = self.statements, outer
        condition = conjunction(list(conditions))
        if condition is None:
            self.statements += inner
        elif inner:
            self.emit(tirx().IfThenElse(condition, sequence(inner), None))

    def choose(self, conditions: Sequence[Expr], then: Callable[[], None], otherwise: Callable[[], None]) -> None:
        """One of two blocks."""
        condition = conjunction(list(conditions))
        if condition is None:
            then()
            return
        self.emit(tirx().IfThenElse(condition, self.block(then), self.block(otherwise)))

    def each(self, count: int, body: Callable[[Expr], None], name: str = "r") -> None:
        """A loop over numbers below `count`, unrolled where that is sensible; one turn is no loop."""
        if count == 1:
            body(const(0, I32))
            return
        variable = tirx().Var(self.fresh(name), I32)
        inner = self.block(lambda: body(variable))
        kind = tirx().ForKind.UNROLLED if count <= MOST_UNROLLED else tirx().ForKind.SERIAL
        self.emit(tirx().For(variable, const(0, I32), const(count, I32), kind, inner))

    # Memory

    def view(self, pointer: Any, kind: str) -> Any:
        """What a pointer points to, as a buffer of a machine type."""
        if (pointer, kind) not in self.views:
            scope = pointer.ty.storage_scope
            made = tirx().decl_buffer((1 << 30,), kind, name=self.fresh("m"), scope=scope, layout=None)
            self.views[pointer, kind] = made
        return self.views[pointer, kind]

    # What is under way

    def start(self, value: Value, wait: Callable[[], None]) -> None:
        """A value is there only after `wait`, which is emitted before the first operation that may need it."""
        self.under_way[value] = wait

    def finish(self, op: Op | None = None, keep: Collection[Value] = ()) -> None:
        """Waits for what an operation takes; for all but `keep` where it is a loop or there is none, and at barriers,
        behind which the memory that is read meanwhile may be another's.
        """
        all_of_it = () if op is None else (op, *inside(op))
        everything = op is None or any(one.name in ("for", "while", "barrier") for one in all_of_it)
        taken = {value for one in all_of_it for value in one.operands}
        needed = [value for value in self.under_way if (everything and value not in keep) or value in taken]
        for value in needed:
            self.under_way.pop(value)()

    # Registers

    def extent(self, dim: Dim) -> Expr:
        """An extent as an expression (i64); extents are not negative, so that C's division rounds down."""
        match dim:
            case Sym(name):
                return self.symbols[name]
            case DimOp(operator, left, right):
                return combined(operator, self.extent(left), self.extent(right))
        return const(dim, I64)

    def kind(self, dtype: DType) -> str:
        return container(dtype)

    def buffer(self, kind: str, count: int, name: str = "t") -> Any:
        """Registers of the thread."""
        made = tirx().decl_buffer((count,), kind, name=self.fresh(name), scope="local", layout=None)
        self.emit(tirx().AllocBuffer(made))
        return made

    def get(self, buffer: Any, index: Expr | int) -> Expr:
        return tirx().BufferLoad(buffer, [expression(index)])

    def put(self, buffer: Any, index: Expr | int, value: Expr) -> None:
        self.emit(tirx().BufferStore(buffer, value, [expression(index)]))

    def tile(self, type: TileType, name: str = "") -> Tile:
        """Fresh registers for a tile. Raises UnsupportedError for one that no compiler would find registers for."""
        registers = Registers(element_layout(type), self.threads, self.thread)
        words = registers.slots * (2 if type.dtype.width > 32 else 1)
        if words > MOST_WORDS:
            raise UnsupportedError(
                f"a tile of {type.dtype.name}{list(type.shape)} takes {words} registers of each of {self.threads} "
                f"threads, of which a GPU has {REGISTERS} for one; smaller tiles, or more threads, take fewer"
            )
        return Tile(type.dtype, registers, self.buffer(container(type.dtype), registers.slots, name or "t"))

    def tile_of(self, type: TileType, buffer: Any) -> Tile:
        """A tile in registers that exist already."""
        return Tile(type.dtype, Registers(element_layout(type), self.threads, self.thread), buffer)

    def multiple_of(self, value: Value) -> int:
        """What a scalar is known to be a multiple of; 0 for 0."""
        return self.multiples.of(value) if self.multiples is not None else 1

    def made(self, value: Value) -> Op | None:
        """The operation that made a value; None for arguments."""
        return self.multiples.made.get(value) if self.multiples is not None else None

    def extent_multiple(self, dim: Dim) -> int:
        """What an extent is known to be a multiple of, here."""
        return self.multiples.of_extent(dim) if self.multiples is not None else 1

    # Values

    def define(self, value: Value, made: Any) -> None:
        self.values[value] = made

    def scalar(self, value: Value) -> Expr:
        """The expression of a value of rank 0."""
        return self.values[value].value

    def element(self, value: Value, slot: Expr) -> Expr:
        """A value's element in a slot; of a scalar, itself."""
        held = self.values[value]
        return held.value if isinstance(held, Scalar) else self.held(held, slot)

    def held(self, tile: Tile, slot: Expr | int) -> Expr:
        """A tile's element in a slot."""
        return tile.uniform if tile.buffer is None else self.get(tile.buffer, slot)

    def define_scalar(self, value: Value, made: Expr) -> None:
        """Binds a scalar, so that it is computed once."""
        dtype = value.tile.dtype
        self.define(value, Scalar(dtype, self.let(made, container(dtype))))

    def uniform(self, value: Value, element: Expr) -> None:
        """A tile all of whose elements are one; it takes no registers."""
        registers = Registers(element_layout(value.tile), self.threads, self.thread)
        self.define(value, Tile(value.tile.dtype, registers, None, element))

    def fill(self, value: Value, compute: Callable[[Expr], Expr]) -> None:
        """A value whose element in every slot is computed."""
        if value.tile.rank == 0:
            self.define_scalar(value, compute(const(0, I32)))
            return
        made = self.tile(value.tile, value.name)
        self.each(made.registers.slots, lambda slot: self.put(made.buffer, slot, compute(slot)))
        self.define(value, made)


def inside(op: Op) -> Iterator[Op]:
    """The operations of an operation's regions."""
    for region in op.regions:
        yield from walk(region)


def sequence(statements: Sequence[Stmt]) -> Stmt:
    if len(statements) == 1:
        return statements[0]
    if not statements:
        return tirx().Evaluate(const(0, I32))
    return tirx().SeqStmt(list(statements))


def combined(operator: str, a: Expr, b: Expr) -> Expr:
    match operator:
        case "+" | "-" | "*":
            return binary({"+": "Add", "-": "Sub", "*": "Mul"}[operator], a, b)
        case "min" | "max":
            return binary(operator.capitalize(), a, b)
        case "cdiv":
            return floor_divide(binary("Sub", binary("Add", a, b), const(1, I64)), b)
        case "//":
            return floor_divide(a, b)
    return binary("Sub", a, binary("Mul", floor_divide(a, b), b))


def floor_divide(a: Expr, b: Expr) -> Expr:
    """The quotient rounded down, for b above 0."""
    low = binary("Div", binary("Sub", binary("Add", a, const(1, I64)), b), b)
    return tirx().Select(binary("LT", a, const(0, I64)), low, binary("Div", a, b))
