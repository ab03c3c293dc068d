"""Block formats: what is stored where, and how a code becomes a value.

A tensor of a format is a tensor of bytes; every field of the format is a view of those bytes (operation `field`), with
blocks `bytes` apart. A slice whose blocks are whole loads each field once a block; any other slice gathers.
"""

from __future__ import annotations

from dataclasses import dataclass

from vmc.ir.core import Storage, TensorType, Value
from vmc.ir.dims import Dim
from vmc.ir.layout import Layout
from vmc.ir.span import Span
from vmc.ir.types import DType
from vmc.lang import syntax
from vmc.lang.elaborate.elaborator import Elaborator
from vmc.lang.elaborate.errors import Reject
from vmc.lang.elaborate.scope import Scope
from vmc.lang.elaborate.values import Const, Tensor, Thing, Tile, TypeRef

MAX_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class Field:
    """One field: `count` elements (None for a single one) at `offset` bits, in dense order or in `layout`."""

    name: str
    dtype: DType
    count: int | None
    offset: int
    layout: Layout | None

    @property
    def bits(self) -> int:
        return self.dtype.width * (self.count or 1)


@dataclass(frozen=True, eq=False, slots=True)
class Format:
    """A declared format: `block` elements in `bytes` bytes."""

    name: str
    block: int
    bytes: int
    fields: tuple[Field, ...]
    declaration: syntax.FormatDecl
    scope: Scope


@dataclass(frozen=True, slots=True)
class FieldAccess:
    """A field inside the value's expression: how an access of it becomes a tile."""

    field: Field
    access: Access

    def describe(self) -> str:
        return f"the field {self.field.name}"


@dataclass(frozen=True, slots=True)
class Access:
    """Where a format's value is being computed: the tensor, and how places become tiles.

    Blocked: `starts` of the blocks and the tile's outer sizes. Scattered: index tiles for all leading dimensions.
    """

    tensor: Tensor
    span: Span
    leading: tuple[Value, ...]
    block: Value
    inside: Value
    shape: tuple[int, ...]
    mask: tuple[Value, ...] = ()

    @property
    def block_size(self) -> int:
        assert self.tensor.format is not None
        return self.tensor.format.block


def declare_format(el: Elaborator, node: syntax.FormatDecl, scope: Scope) -> Format:
    """A format from its declaration: fields one after the other, the block in whole bytes. Raises Reject."""
    from vmc.lang.elaborate.expressions import evaluate

    block = el.integer(evaluate(el, node.block, scope), node.block.span)
    if not 1 <= block <= MAX_BLOCK:
        raise Reject("E0802", f"a block has 1 to {MAX_BLOCK} elements, not {block}", node.block.span)
    fields: list[Field] = []
    offset = 0
    for field in node.fields:
        if any(other.name == field.name for other in fields):
            raise Reject("E0801", f"the field `{field.name}` is declared twice", field.name_span)
        declared = declare_field(el, field, offset, scope)
        fields.append(declared)
        offset += declared.bits
    if offset % 8:
        raise Reject("E0802", f"a block of {offset} bits is no whole number of bytes", node.name_span)
    return Format(node.name, block, offset // 8, tuple(fields), node, scope)


def declare_field(el: Elaborator, node: syntax.FormatField, offset: int, scope: Scope) -> Field:
    from vmc.lang.elaborate.expressions import evaluate
    from vmc.lang.elaborate.layouts import evaluate_packing
    from vmc.lang.elaborate.types import numeric_type

    type = TypeRef(numeric_type(el, node.dtype, scope, "E0809"))
    count = None if node.count is None else el.integer(evaluate(el, node.count, scope), node.count.span)
    if count is not None and not 1 <= count <= MAX_BLOCK:
        raise Reject("E0802", f"a field has 1 to {MAX_BLOCK} elements, not {count}", node.span)
    layout = None
    if node.packed is not None:
        if count is None:
            raise Reject("E0806", "`packed` orders the elements of a field that has several", node.packed.span)
        layout = evaluate_packing(el, node.packed, type.dtype, count, scope)
    return Field(node.name, type.dtype, count, offset, layout)


def field_view(el: Elaborator, tensor: Tensor, field: Field, span: Span) -> Value:
    """A tensor's field as a tensor of its own: [..., blocks] or [..., blocks, count]."""
    from vmc.ir import layout as layouts

    assert tensor.format is not None
    dims: tuple[Dim, ...] = tensor.type.shape[:-1]
    inner = (1,) * len(dims)
    if field.count is not None:
        dims, inner = (*dims, field.count), (*inner, field.count)
    base = field.layout if field.layout is not None else layouts.packed(field.dtype.width, field.count or 1)
    storage = Storage(inner, base.reshape(inner), tensor.format.bytes * 8)
    type = TensorType(field.dtype, dims, tensor.type.access, storage=storage)
    return el.at(span)("field", tensor.value, type=type, bit_offset=field.offset)


def load(el: Elaborator, tensor: Tensor, where: object, span: Span) -> Tile:
    """The values of a slice (an `indexing.TensorSlice`). Raises Reject."""
    from vmc.lang.elaborate.indexing import TensorSlice

    assert isinstance(where, TensorSlice) and tensor.format is not None
    indices: list[Value] = []
    axis = 0
    shape = where.shape
    for start, size, step in zip(where.starts, where.sizes, where.steps, strict=True):
        if size is None:
            indices.append(el.at(span).broadcast(start, shape))
            continue
        line = el.build.cast(el.build("iota", n=size), "i64")
        if step != 1:
            line = el.build("mul", line, el.build.broadcast(el.index(Const(step), span), (size,)))
        line = el.build("add", line, el.build.broadcast(start, (size,)))
        column = el.build("reshape", line, shape=tuple(size if d == axis else 1 for d in range(len(shape))))
        indices.append(el.build.broadcast(column, shape))
        axis += 1
    return gather(el, tensor, indices, in_range(el, tensor, indices, span), span)


def in_range(el: Elaborator, tensor: Tensor, indices: list[Value], span: Span) -> list[Value]:
    """A mask of the places inside the tensor's logical extents."""
    from vmc.lang.elaborate import operators

    assert tensor.format is not None
    mask: Thing = Const(True)
    build = el.at(span)
    for dim, index in zip(tensor.dims, indices, strict=True):
        extent = el.index(Const(dim), span) if isinstance(dim, int) else el.extent(dim, span)
        below = build("lt", index, build.broadcast(extent, index.tile.shape))
        above = build("ge", index, build.broadcast(el.index(Const(0), span), index.tile.shape))
        mask = operators.logical(el, "and", mask, Tile(build("and", below, above)), span)
    return [el.tile(mask, span).value]


def gather(el: Elaborator, tensor: Tensor, indices: list[Value], mask: list[Value], span: Span) -> Tile:
    """The values at computed places; masked-off ones are 0."""
    assert tensor.format is not None
    format = tensor.format
    build = el.at(span)
    last = build.cast(indices[-1], "i64")
    per_block = build.broadcast(el.index(Const(format.block), span), last.tile.shape)
    block, inside = build("floordiv", last, per_block), build("mod", last, per_block)
    leading = tuple(build.cast(index, "i64") for index in indices[:-1])
    place = build.cast(inside, "i32")
    access = Access(tensor, span, leading, block, place, last.tile.shape, tuple(mask))
    value = format_value(el, format, access)
    if not mask:
        return value
    zero = build.broadcast(el.constant(0, value.dtype, span), value.shape)
    return Tile(el.at(span)("select", mask[0], value.value, zero))


def format_value(el: Elaborator, format: Format, access: Access) -> Tile:
    """The format's `value[i]` expression, elementwise on the accessed places. Raises Reject."""
    from vmc.lang.elaborate.expressions import evaluate

    scope = Scope(format.scope, local=True)
    for field in format.fields:
        scope.names[field.name] = field_thing(el, field, access)
    node = format.declaration
    scope.names[node.value.index] = Tile(access.inside)
    el.calls.append((f"format {format.name}", access.span))
    try:
        for line in node.lines:
            scope.names[line.name] = evaluate(el, line.value, scope)
        result = evaluate(el, node.value.value, scope)
        if not isinstance(result, Tile | Const):
            raise Reject(
                "E0804", f"the value of a format is a number, and this is {result.describe()}", node.value.span
            )
        value = el.tile(result, node.value.span)
    finally:
        el.calls.pop()
    return Tile(el.at(access.span).broadcast(value.value, access.shape))


def field_thing(el: Elaborator, field: Field, access: Access) -> Thing:
    """A single field as a tile at every place; a field of several elements waits for its index."""
    if field.count is None:
        view = field_view(el, access.tensor, field, access.span)
        return Tile(read_field(el, view, (*access.leading, access.block), access))
    return FieldAccess(field, access)


def index_field(el: Elaborator, thing: FieldAccess, index: Thing, span: Span) -> Tile:
    """`q[i]`, with i a tile or a compile-time index inside the block. Raises Reject."""
    field, access = thing.field, thing.access
    assert field.count is not None
    if isinstance(index, Const) and not (isinstance(index.value, int) and 0 <= index.value < field.count):
        raise Reject("E0803", f"`{field.name}` has {field.count} elements; {index.value} is not one of them", span)
    if index == Tile(access.inside) and field.count < access.block_size:
        message = f"`{field.name}` has {field.count} elements, and the block {access.block_size}"
        raise Reject("E0803", message, span, help=f"index it with `i % {field.count}` or `i // n`")
    place = el.tile(index, span)
    if not place.dtype.is_int:
        raise Reject("E0221", f"an index must be an integer, and this is {place.describe()}", span)
    wide = el.at(span).broadcast(el.build.cast(place.value, "i64"), access.shape)
    view = field_view(el, access.tensor, field, access.span)
    return Tile(read_field(el, view, (*access.leading, access.block, wide), access))


def read_field(el: Elaborator, view: Value, places: tuple[Value, ...], access: Access) -> Value:
    return el.at(access.span)("gather", view, *places, *access.mask, fill=None)
