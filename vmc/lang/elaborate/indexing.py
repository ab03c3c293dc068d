"""Slices: of tensors (loads and stores) and of tiles.

A slice of a tensor has, per dimension, a start that may be computed at run time and a length that is known at compile
time; a plain index drops the dimension. Slices of tiles have compile-time starts; `None` inserts an axis.
"""

from __future__ import annotations

from dataclasses import dataclass

from vmc.diagnostics import Diagnostic, Note, warning
from vmc.ir.core import Access, Value
from vmc.ir.span import Span
from vmc.ir.types import DType
from vmc.lang import syntax
from vmc.lang.elaborate import formats
from vmc.lang.elaborate.elaborator import Elaborator
from vmc.lang.elaborate.errors import Reject
from vmc.lang.elaborate.expressions import evaluate
from vmc.lang.elaborate.scope import Scope
from vmc.lang.elaborate.values import Const, Tensor, Thing, Tile


@dataclass(frozen=True, slots=True)
class TensorSlice:
    """Starts (i64 scalars), sizes (None drops the dimension) and steps of an access to a tensor."""

    starts: tuple[Value, ...]
    sizes: tuple[int | None, ...]
    steps: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(size for size in self.sizes if size is not None)


def load(el: Elaborator, tensor: Tensor, node: syntax.Index, scope: Scope, fill: Const | None = None) -> Tile:
    """The tile that a slice of a tensor holds; elements outside the extents are `fill`, or 0. Raises Reject."""
    where = tensor_slice(el, tensor, node, scope)
    if tensor.type.access is Access.OUT and tensor.value not in el.stored:
        el.report(unset_read(tensor, node.span))
    if tensor.format is not None:
        return formats.load(el, tensor, where, node.span)
    attrs = {"sizes": where.sizes, "steps": where.steps, "fill": fill_code(el, tensor.type.dtype, fill, node.span)}
    inbounds = (False,) * len(where.sizes)
    return Tile(el.at(node.span)("load", tensor.value, *where.starts, inbounds=inbounds, **attrs))


def fill_code(el: Elaborator, type: DType, fill: Const | None, span: Span) -> int:
    """The bit pattern of a fill value; all zero bits where none is given. Raises Reject."""
    if fill is None:
        return 0
    constant = el.constant(fill.value, type, span, "E0511")
    code = el.definitions[constant].attrs["code"]
    assert isinstance(code, int)
    return code


def store(
    el: Elaborator, tensor: Tensor, node: syntax.Index, value: Thing, scope: Scope, span: Span, value_span: Span
) -> None:
    """Writes a tile to a slice of a tensor. Raises Reject."""
    check_writable(tensor, node.span)
    where = tensor_slice(el, tensor, node, scope)
    el.stored.add(tensor.value)
    stored = stored_value(el, tensor, where.shape, value, value_span)
    inbounds = (False,) * len(where.sizes)
    el.at(span).many(
        "store", tensor.value, stored, *where.starts, sizes=where.sizes, steps=where.steps, inbounds=inbounds
    )


def unset_read(tensor: Tensor, span: Span) -> Diagnostic:
    """The warning for a read of an output that nothing has been stored to."""
    return warning(
        "W0501",
        f"`{tensor.name}` is an output, and is read before anything is stored to it",
        span,
        help=f"if it holds values before the launch, declare it `{tensor.name}: inout {tensor.element}[...]`",
    )


def check_writable(tensor: Tensor, span: Span) -> None:
    """Raises Reject for an input."""
    if tensor.format is not None:
        raise Reject("E0808", f"`{tensor.name}` has the format {tensor.format.name}, which can only be read", span)
    if not tensor.type.access.writable:
        notes = (Note(tensor.declared, "it is declared here"),) if tensor.declared else ()
        raise Reject(
            "E0501",
            f"`{tensor.name}` is an input, and cannot be stored to",
            span,
            notes=notes,
            help=f"declare it `{tensor.name}: out {tensor.element}[...]` or `inout`",
        )


def stored_value(el: Elaborator, tensor: Tensor, shape: tuple[int, ...], value: Thing, span: Span) -> Value:
    """The value to store, in the tensor's dtype and the slice's shape. Raises Reject."""
    operand = el.numeric(value, span)
    type = tensor.type.dtype
    if isinstance(operand, Const):
        return el.at(span).broadcast(el.constant(operand.value, type, span), shape)
    if operand.dtype != type:
        raise Reject(
            "E0210",
            f"`{tensor.name}` holds {type.name}, and the value is {operand.describe()}",
            span,
            label=f"expected {type.name}, found {operand.dtype.name}",
            help=f"convert it: `{type.name}(...)`",
        )
    if operand.shape not in (shape, ()):
        raise Reject(
            "E0307",
            f"the slice of `{tensor.name}` has the shape {list(shape)}, and the value {list(operand.shape)}",
            span,
            label=f"expected {list(shape)}, found {list(operand.shape)}",
        )
    return el.at(span).broadcast(operand.value, shape)


def tensor_slice(el: Elaborator, tensor: Tensor, node: syntax.Index, scope: Scope) -> TensorSlice:
    """Starts, sizes and steps from an index expression. Raises Reject."""
    if len(node.items) != len(tensor.dims):
        notes = (Note(tensor.declared, f"`{tensor.name}` is declared here"),) if tensor.declared else ()
        raise Reject(
            "E0303",
            f"`{tensor.name}` has {len(tensor.dims)} dimensions, and is indexed with {len(node.items)}",
            node.span,
            label=f"{tensor.describe()}",
            notes=notes,
        )
    parts = [dimension_slice(el, tensor, axis, item, scope) for axis, item in enumerate(node.items)]
    where = TensorSlice(tuple(p[0] for p in parts), tuple(p[1] for p in parts), tuple(p[2] for p in parts))
    el.check_shape(where.shape, node.span)
    return where


def dimension_slice(
    el: Elaborator, tensor: Tensor, axis: int, item: syntax.IndexItem, scope: Scope
) -> tuple[Value, int | None, int]:
    """Start, size and step of one dimension. Raises Reject."""
    match item:
        case syntax.NewAxis():
            raise Reject("E0303", "`None` inserts an axis into a tile; load the slice first", item.span)
        case syntax.Slice(start=None, length=None):
            extent = tensor.dims[axis]
            if not isinstance(extent, int):
                raise Reject(
                    "E0316",
                    f"`:` takes the whole dimension, whose extent `{extent}` is known only at run time",
                    item.span,
                    help="write `start : +LENGTH` with a compile-time length",
                )
            return el.index(Const(0), item.span), extent, 1
        case syntax.Slice(start=start, length=length, step=step):
            assert length is not None
            first = Const(0) if start is None else evaluate(el, start, scope)
            size = el.integer(evaluate(el, length, scope), length.span, "a compile-time length", "E0304")
            stride = 1 if step is None else el.integer(evaluate(el, step, scope), step.span, "a compile-time step")
            if stride < 1:
                raise Reject("E0608", f"a slice's step must be at least 1, and this is {stride}", item.span)
            el.check_shape((size,), length.span)
            return el.index(first, item.span if start is None else start.span), size, stride
    thing = evaluate(el, item, scope)
    if isinstance(thing, Tile) and thing.shape != ():
        raise Reject(
            "E0221",
            f"an index must be a scalar, and this is {thing.describe()}",
            item.span,
            help=f"`gather({tensor.name}, ...)` takes tiles of indices",
        )
    check_constant_index(tensor, axis, thing, item.span)
    return el.index(thing, item.span), None, 1


def check_constant_index(tensor: Tensor, axis: int, thing: Thing, span: Span) -> None:
    """Raises Reject for a constant index that is surely outside the tensor."""
    if not (isinstance(thing, Const) and isinstance(thing.value, int)):
        return
    extent = tensor.dims[axis]
    if thing.value < 0 or (isinstance(extent, int) and thing.value >= extent):
        help = f"the last one is `dim({tensor.name}, {axis}) - 1`" if thing.value < 0 else None
        message = f"the index {thing.value} is outside `{tensor.name}`, whose extent here is {extent}"
        raise Reject("E0308", message, span, help=help)


def index_tile(el: Elaborator, tile: Tile, node: syntax.Index, scope: Scope) -> Tile:
    """A slice of a tile. Raises Reject."""
    real: list[syntax.IndexItem] = [item for item in node.items if not isinstance(item, syntax.NewAxis)]
    if len(real) > tile.type.rank:
        raise Reject(
            "E0303",
            f"this tile has {tile.type.rank} dimensions, and is indexed with {len(real)}",
            node.span,
            label=tile.describe(),
        )
    real += [syntax.Slice(None, None, None, span=node.span)] * (tile.type.rank - len(real))
    value, dropped = slice_tile(el, tile, real, scope, node.span)
    shape = new_shape(node.items, value.tile.shape, dropped)
    return Tile(value if shape == value.tile.shape else el.at(node.span)("reshape", value, shape=shape))


def slice_tile(
    el: Elaborator, tile: Tile, items: list[syntax.IndexItem], scope: Scope, span: Span
) -> tuple[Value, list[bool]]:
    """The sliced tile, indexed axes kept at extent 1, and which axes are to be dropped."""
    starts, sizes, steps, dropped = [], [], [], []
    value = tile.value
    for axis, (item, extent) in enumerate(zip(items, tile.shape, strict=True)):
        thing = None if isinstance(item, syntax.Slice | syntax.NewAxis) else evaluate(el, item, scope)
        if isinstance(thing, Tile):
            value = take_scalar(el, value, thing, axis, item.span)
            start, size, step, drop = 0, 1, 1, True
        else:
            start, size, step, drop = tile_range(el, item, extent, scope)
        starts.append(start)
        sizes.append(size)
        steps.append(step)
        dropped.append(drop)
    if sizes == list(value.tile.shape) and set(steps) <= {1}:
        return value, dropped
    return el.at(span)("slice", value, starts=tuple(starts), sizes=tuple(sizes), steps=tuple(steps)), dropped


def take_scalar(el: Elaborator, value: Value, index: Tile, axis: int, span: Span) -> Value:
    """The part of a tile at a run-time index of one axis, which keeps extent 1."""
    if index.shape != () or not index.dtype.is_int:
        help = "`take(tile, indices, axis=...)` takes tiles of indices"
        raise Reject("E0221", f"an index must be an integer scalar, and this is {index.describe()}", span, help=help)
    one = el.at(span)("reshape", el.index(index, span), shape=(1,))
    return el.at(span)("take", value, one, axis=axis)


def tile_range(el: Elaborator, item: syntax.IndexItem, extent: int, scope: Scope) -> tuple[int, int, int, bool]:
    """Start, size, step of one axis of a tile, and whether the axis goes. Raises Reject when out of range."""
    if isinstance(item, syntax.Slice):
        if item.length is None:
            return 0, extent, 1, False
        start = 0 if item.start is None else tile_start(el, item.start, scope)
        size = el.integer(evaluate(el, item.length, scope), item.length.span)
        step = 1 if item.step is None else el.integer(evaluate(el, item.step, scope), item.step.span)
        el.check_shape((size,), item.span)
        if start < 0 or step < 1 or start + (size - 1) * step >= extent:
            raise Reject("E0308", f"the slice reaches outside the tile's extent of {extent}", item.span)
        return start, size, step, False
    assert not isinstance(item, syntax.NewAxis)
    index = el.integer(evaluate(el, item, scope), item.span, "a compile-time index")
    if not -extent <= index < extent:
        raise Reject("E0308", f"the index {index} is outside the tile's extent of {extent}", item.span)
    return index % extent, 1, 1, True


def tile_start(el: Elaborator, expr: syntax.Expr, scope: Scope) -> int:
    return el.integer(evaluate(el, expr, scope), expr.span, "a compile-time start of a slice of a tile", "E0317")


def new_shape(items: tuple[syntax.IndexItem, ...], sliced: tuple[int, ...], dropped: list[bool]) -> tuple[int, ...]:
    """The shape after dropping indexed axes and inserting new ones."""
    shape: list[int] = []
    axis = 0
    for item in items:
        if isinstance(item, syntax.NewAxis):
            shape.append(1)
            continue
        if not dropped[axis]:
            shape.append(sliced[axis])
        axis += 1
    return (*shape, *sliced[axis:])
