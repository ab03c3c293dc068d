"""The state of one elaboration: where operations go, what was reported, and the conversions that all parts share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from vmc.diagnostics import Diagnostic, Fix, Note, error, suggest
from vmc.ir.builder import Builder
from vmc.ir.core import IRError, Op, TileType, Value
from vmc.ir.dims import Dim, DimOp, Sym
from vmc.ir.span import UNKNOWN, Span
from vmc.ir.types import DType
from vmc.lang.elaborate.errors import AlreadyReported, Reject
from vmc.lang.elaborate.scope import Scope
from vmc.lang.elaborate.typing import I64, U1, constant_code, default_type, holds
from vmc.lang.elaborate.values import (
    Const,
    ListRef,
    Nothing,
    Poison,
    ShapedRef,
    Tensor,
    TextRef,
    Thing,
    Tile,
    TupleRef,
    TypeRef,
)

MAX_TILE = 1 << 24
FROM_PYTHON = {
    "len": "an extent is `dim(x, 0)`",
    "int": "convert with a type: `i32(x)`",
    "float": "convert with a type: `f32(x)`",
    "bool": "compare: `x != 0`",
    "np": "there is no NumPy here; docs/language.md lists the functions",
    "numpy": "there is no NumPy here; docs/language.md lists the functions",
    "tl": "there is no `tl` here; docs/language.md lists the functions",
    "program_id": "block indices are the variables of `for i, j in grid(...)`",
}
MAX_OPERATIONS = 100_000


class Recorder(Builder):
    """A builder that also remembers which operation made each value."""

    def __init__(self, elaborator: Elaborator, span: Span) -> None:
        super().__init__(span)
        self.elaborator = elaborator

    def append(self, op: Op) -> tuple[Value, ...]:
        self.elaborator.count_operation(self.span)
        for result in op.results:
            self.elaborator.definitions[result] = op
        return super().append(op)


@dataclass(eq=False)
class Elaborator:
    """Turns one kernel with bound compile-time parameters into tile IR. Errors collect in `diagnostics`."""

    diagnostics: list[Diagnostic] = field(default_factory=list)
    calls: list[tuple[str, Span]] = field(default_factory=list)
    definitions: dict[Value, Op] = field(default_factory=dict)
    operations: int = 0
    symbols: dict[str, Value] = field(default_factory=dict)
    stored: set[Value] = field(default_factory=set)
    whole_numbers: dict[Value, str] = field(default_factory=dict)
    inductions: dict[Value, tuple[Value, Value]] = field(default_factory=dict)  # of loop indices: start and step
    build: Builder = field(init=False)

    def __post_init__(self) -> None:
        self.build = Recorder(self, UNKNOWN)

    def count_operation(self, span: Span) -> None:
        """Stops programs whose compile-time loops unroll without end."""
        self.operations += 1
        if self.operations > MAX_OPERATIONS:
            raise Reject(
                "E0610",
                f"this kernel unrolls to more than {MAX_OPERATIONS} operations",
                span,
                help="use `range` instead of `static`, or larger tiles",
            )

    @contextmanager
    def region(self) -> Iterator[Builder]:
        """Emits into a fresh region while the context lasts."""
        outer, self.build = self.build, Recorder(self, self.build.span)
        try:
            yield self.build
        finally:
            self.build = outer

    @contextmanager
    def emitting_into(self, builder: Builder) -> Iterator[None]:
        """Emits into an earlier region again, before it is closed."""
        outer, self.build = self.build, builder
        try:
            yield
        finally:
            self.build = outer

    def at(self, span: Span) -> Builder:
        """The current builder, stamping operations with a span."""
        self.build.span = span
        return self.build

    @contextmanager
    def reporting(self, span: Span) -> Iterator[None]:
        """Turns a mistake inside the context into a diagnostic, with the calls that led there."""
        try:
            yield
        except AlreadyReported:
            pass
        except Reject as reject:
            self.report(reject.diagnostic)
        except IRError as failure:
            self.report(error("E0222", failure.message, failure.span if failure.span != UNKNOWN else span))
        except RecursionError:
            self.report(error("E0029", "this expression is nested too deeply", span))

    def report(self, diagnostic: Diagnostic) -> None:
        """Adds a diagnostic, noting the calls that it happened in."""
        notes = tuple(Note(span, f"in this call of `{name}`") for name, span in reversed(self.calls[-3:]))
        whole = replace(diagnostic, notes=diagnostic.notes + notes)
        if whole not in self.diagnostics:
            self.diagnostics.append(whole)

    @property
    def failed(self) -> bool:
        return any(d.is_error for d in self.diagnostics)

    # ---- conversions -------------------------------------------------------------------------------------------------

    def constant(self, value: int | float | bool, type: DType, span: Span, code: str | None = None) -> Value:
        """A scalar constant of a compile-time number. Raises Reject where the type cannot hold it."""
        if type.is_int and isinstance(value, float):
            raise Reject(
                code or "E0205",
                f"the number {value} is not an integer, and {type.name} is an integer type",
                span,
                label=f"expected a whole number, found {value}",
            )
        if not holds(type, value):
            raise Reject(
                code or "E0204",
                f"the number {value} is out of range for {type.name}",
                span,
                label=f"{type.name} holds {type.min} to {type.max}",
                help="convert the other operand to a wider type",
            )
        if type.is_int:
            return self.at(span)("constant", type=TileType(type), code=int(value) % (1 << type.width))
        bits = constant_code(type, float(value))
        return self.at(span)("constant", type=TileType(type), code=bits)

    def tile(self, thing: Thing, span: Span) -> Tile:
        """A run-time value; compile-time numbers become scalars of their default type. Raises Reject."""
        match thing:
            case Tile():
                return thing
            case Const(value):
                return Tile(self.constant(value, default_type(value), span))
        raise self.unexpected(thing, "a value", span)

    def numeric(self, thing: Thing, span: Span) -> Tile | Const:
        """A run-time value or a compile-time number. Raises Reject."""
        if isinstance(thing, Tile | Const):
            return thing
        raise self.unexpected(thing, "a value", span)

    def as_type(self, thing: Tile | Const, type: DType, span: Span) -> Value:
        """The value in a dtype that holds all its values."""
        if isinstance(thing, Const):
            return self.constant(thing.value, type, span)
        return self.at(span).cast(thing.value, type)

    def index(self, thing: Thing, span: Span) -> Value:
        """An i64 scalar. Raises Reject."""
        match thing:
            case Const(value) if isinstance(value, int) and not isinstance(value, bool):
                return self.constant(value, I64, span)
            case Tile() if thing.dtype.is_int and thing.shape == ():
                return self.at(span).cast(thing.value, I64)
        raise self.unexpected(thing, "an integer scalar", span, code="E0221")

    def extent(self, dim: Dim, span: Span) -> Value:
        """A tensor's extent as an i64 scalar."""
        match dim:
            case int():
                return self.index(Const(dim), span)
            case Sym(name):
                return self.symbols[name]
            case DimOp(operator, left, right):
                a, b = self.extent(left, span), self.extent(right, span)
                names = {"+": "add", "-": "sub", "*": "mul", "//": "floordiv", "%": "mod", "min": "min", "max": "max"}
                if operator == "cdiv":
                    return self.at(span)("neg", self.build("floordiv", self.build("neg", a), b))
                return self.at(span)(names[operator], a, b)
        raise AssertionError(dim)

    def condition(self, thing: Thing, span: Span) -> Value | bool:
        """A scalar condition: a compile-time boolean, or a u1 value. Raises Reject."""
        match thing:
            case Const(value) if isinstance(value, bool):
                return value
            case Tile() if thing.dtype == U1 and thing.shape == ():
                return thing.value
            case Tile() if thing.dtype == U1:
                raise Reject(
                    "E0209",
                    f"a condition must be a scalar, and this is {thing.describe()}",
                    span,
                    help="reduce it with `any(...)` or `all(...)`, or select elementwise with `where(...)`",
                )
        help = "compare it: `... != 0`" if isinstance(thing, Tile | Const) else None
        raise self.unexpected(thing, "a condition (a u1 scalar or a compile-time boolean)", span, help, "E0209")

    def integer(self, thing: Thing, span: Span, what: str = "a compile-time integer", code: str = "E0217") -> int:
        """A compile-time integer. Raises Reject."""
        if isinstance(thing, Const) and isinstance(thing.value, int) and not isinstance(thing.value, bool):
            return thing.value
        if isinstance(thing, Tile):
            raise Reject(
                code,
                f"expected {what}, found {thing.describe()}, which is known only at run time",
                span,
                label="not known at compile time",
                help="tile shapes are compile-time: use a parameter in [...], a constant or a literal",
            )
        raise self.unexpected(thing, what, span, code="E0221" if isinstance(thing, Const) else "E0115")

    def shaped(self, thing: Thing, span: Span) -> TileType:
        """A tile type such as `f32[64, 64]`, or a scalar type. Raises Reject."""
        match thing:
            case ShapedRef(type):
                return type
            case TypeRef(type):
                return TileType(type)
        raise self.unexpected(thing, "a type such as `f32[64, 64]`", span, code="E0116")

    def check_shape(self, shape: Sequence[int], span: Span) -> tuple[int, ...]:
        """A legal tile shape. Raises Reject."""
        for extent in shape:
            if extent < 1:
                raise Reject("E0313", f"a tile's extent must be at least 1, and this is {extent}", span)
        size = 1
        for extent in shape:
            size *= extent
        if size > MAX_TILE:
            raise Reject("E0321", f"a tile of {size} elements is too large (at most {MAX_TILE})", span)
        return tuple(shape)

    def unexpected(
        self, thing: Thing, wanted: str, span: Span, help: str | None = None, code: str = "E0115"
    ) -> Exception:
        """The exception for a thing of the wrong kind."""
        from vmc.lang.elaborate.formats import FieldAccess

        match thing:
            case Tensor():
                code, help = "E0503", help or f"load a slice of it: `{thing.name}[i : +LENGTH, ...]`"
            case Nothing():
                code = "E0615"
            case FieldAccess():
                code, help = "E0810", help or f"name one element of it: `{thing.field.name}[i]`"
            case TextRef():
                code = "E0219"
            case ListRef() if code == "E0115":
                code = "E0222"
            case TupleRef():
                help = help or f"give each a name first: `{', '.join('abcdefgh'[: len(thing.items)])} = ...`"
        if isinstance(thing, Poison):
            if not thing.reason:
                return AlreadyReported()
            notes = (Note(thing.span, "it is assigned here"),) if thing.span else ()
            return Reject("E0107", thing.reason, span, notes=notes)
        return Reject(code, f"expected {wanted}, found {thing.describe()}", span, help=help)

    def where_to_find(self, name: str) -> str | None:
        """What to write for a name of Python's, or one that a module of the library declares; None for any other."""
        from vmc.lang.elaborate.library import library_modules

        if name in FROM_PYTHON:
            return FROM_PYTHON[name]
        modules = [module for module, names in library_modules().items() if name in names]
        return f"the library has it: `from {modules[0]} import {name}`" if modules else None

    def unknown_name(self, name: str, scope: Scope, span: Span, code: str = "E0101", what: str = "name") -> Reject:
        """The error for a name that stands for nothing, with the likeliest spelling."""
        close = suggest(name, scope.all_names())
        fix = Fix(span, close) if close else None
        help = f"did you mean `{close}`?" if close else self.where_to_find(name)
        return Reject(code, f"unknown {what} `{name}`", span, label="not found", help=help, fix=fix)
