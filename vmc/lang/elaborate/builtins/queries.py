"""Questions about types and extents, answered at compile time (`dim` of a symbolic extent: at run time)."""

from __future__ import annotations

from collections.abc import Callable

from vmc.ir.dims import Dim
from vmc.ir.types import DType
from vmc.lang.elaborate.arguments import Arguments
from vmc.lang.elaborate.builtins.definition import Builtin
from vmc.lang.elaborate.builtins.moving import cdiv
from vmc.lang.elaborate.elaborator import Elaborator
from vmc.lang.elaborate.values import Const, ShapedRef, Tensor, Thing, Tile, TypeRef


def query(answer: Callable[[DType], int | float | bool]) -> Callable[[Elaborator, Arguments], Thing]:
    """A question about a numeric type, or about the type of a value."""

    def call(el: Elaborator, args: Arguments) -> Thing:
        thing = args.thing("type")
        match thing:
            case TypeRef(dtype):
                return Const(answer(dtype))
            case ShapedRef(type):
                return Const(answer(type.dtype))
            case Tile() | Tensor():
                return Const(answer(thing.type.dtype))
        raise el.unexpected(thing, "a numeric type", args.span("type"), code="E0116")

    return call


def dim(el: Elaborator, args: Arguments) -> Thing:
    thing = args.thing("x")
    dims: tuple[Dim, ...]
    match thing:
        case Tensor():
            dims = thing.dims
        case Tile():
            dims = thing.shape
        case _:
            raise el.unexpected(thing, "a tensor or a tile", args.span("x"))
    extent = dims[args.axis("axis", len(dims))]
    return Const(extent) if isinstance(extent, int) else Tile(el.extent(extent, args.call_span))


TYPE = ("type",)

BUILTINS = (
    Builtin("zero_point", TYPE, query(lambda t: t.zero_point), "2^(b-1) for an unsigned type of b bits, else 0"),
    Builtin("bits", TYPE, query(lambda t: t.width), "the width in bits"),
    Builtin("min_value", TYPE, query(lambda t: t.min), "the least finite value"),
    Builtin("max_value", TYPE, query(lambda t: t.max), "the greatest finite value"),
    Builtin("is_float", TYPE, query(lambda t: t.is_float), "whether it is a float type"),
    Builtin("is_int", TYPE, query(lambda t: t.is_int), "whether it is an integer type"),
    Builtin(
        "is_signed", TYPE, query(lambda t: not t.is_uint and (t.is_int or t.has_sign)), "whether it has negative values"
    ),
    Builtin("exponent_bits", TYPE, query(lambda t: t.exponent_bits), "exponent bits of a float type"),
    Builtin("mantissa_bits", TYPE, query(lambda t: t.mantissa_bits), "mantissa bits of a float type"),
    Builtin("dim", ("x", "axis"), dim, "an extent of a tensor or tile"),
    Builtin("cdiv", ("a", "b"), cdiv, "division rounded up"),
)
