"""Block formats: what is stored where, and the tensors that are stored so.

A tensor of a format is a tensor of bytes; every field of the format is a view of those bytes (operation `field`), with
blocks `bytes` apart. A slice of whole blocks loads each field once; any other slice, and `gather`, reads the fields at
the place of every element. How values come from fields stands in `decoding`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

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


class Access(Protocol):
    """Where a format's values are being computed: how its fields become tiles."""

    def single(self, field: Field) -> Tile:
        """A field of one element, at every place."""
        ...

    def element(self, field: Field, index: Tile, span: Span) -> Tile:
        """An element of a field at every place. Raises Reject."""
        ...


@dataclass(frozen=True, slots=True)
class FieldAccess:
    """A field of several elements inside the value's expression, which waits for its index."""

    field: Field
    access: Access

    def describe(self) -> str:
        return f"the field {self.field.name}"


# ---- declarations ----


def declare_format(el: Elaborator, node: syntax.FormatDecl, scope: Scope) -> Format:
    """A format from its declaration: fields one after the other, the block in whole bytes. Raises Reject."""
    from vmc.lang.elaborate.expressions import evaluate

    block = el.integer(evaluate(el, node.block, scope), node.block.span)
    if not 1 <= block <= MAX_BLOCK:
        raise Reject("E0802", f"a block has 1 to {MAX_BLOCK} elements, not {block}", node.block.span)
    check_names(node)
    fields: list[Field] = []
    offset = 0
    for field in node.fields:
        declared = declare_field(el, field, offset, scope)
        fields.append(declared)
        offset += declared.bits
    if offset % 8:
        raise Reject("E0802", f"a block of {offset} bits is no whole number of bytes", node.name_span)
    return Format(node.name, block, offset // 8, tuple(fields), node, scope)


def check_names(node: syntax.FormatDecl) -> None:
    """Raises Reject for a name that is declared twice."""
    names: set[str] = set()
    rows = [("field", field.name, field.name_span) for field in node.fields]
    rows += [("line", line.name, line.name_span) for line in node.lines]
    for kind, name, span in [*rows, ("index", node.value.index, node.value.index_span)]:
        if name in names:
            raise Reject("E0801", f"the {kind} `{name}` is declared twice", span)
        names.add(name)


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


# ---- tensors ----


def field_view(el: Elaborator, tensor: Tensor, field: Field, span: Span, parts: int = 1) -> Value:
    """A tensor's field as a tensor: [..., blocks], [..., blocks, count], or [..., blocks, parts, elements]."""
    from vmc.ir import layout as layouts

    assert tensor.format is not None
    dims: tuple[Dim, ...] = tensor.type.shape[:-1]
    inner = (1,) * len(dims)
    if field.count is not None:
        own = (field.count,) if parts == 1 else (parts, field.count // parts)
        dims, inner = (*dims, *own), (*inner, *own)
    base = field.layout if field.layout is not None else layouts.packed(field.dtype.width, field.count or 1)
    storage = Storage(inner, base.reshape(inner), tensor.format.bytes * 8)
    type = TensorType(field.dtype, dims, tensor.type.access, storage=storage)
    return el.at(span)("field", tensor.value, type=type, bit_offset=field.offset)


def load(el: Elaborator, tensor: Tensor, where: object, span: Span) -> Tile:
    """The values of a slice (an `indexing.TensorSlice`); what lies outside of the tensor is 0. Raises Reject."""
    from vmc.lang.elaborate import blocked, decoding
    from vmc.lang.elaborate.indexing import TensorSlice

    assert isinstance(where, TensorSlice) and tensor.format is not None
    pattern = decoding.study(el, tensor.format, span)
    if pattern.indices is not None and blocked.is_aligned(el, tensor.format, where):
        return blocked.load(el, tensor, where, pattern, span)
    return decoding.load_scattered(el, tensor, where, span)


def gather(el: Elaborator, tensor: Tensor, indices: list[Value], mask: list[Value], span: Span) -> Tile:
    """The values at computed places; masked-off ones are 0. Raises Reject."""
    from vmc.lang.elaborate import decoding

    assert tensor.format is not None
    decoding.study(el, tensor.format, span)
    return decoding.gather(el, tensor, indices, mask, span)


def index_field(el: Elaborator, thing: FieldAccess, index: Thing, span: Span) -> Tile:
    """`q[i]`, with i a tile or a compile-time index inside the block. Raises Reject."""
    field = thing.field
    if isinstance(index, Const) and not (isinstance(index.value, int) and 0 <= index.value < (field.count or 0)):
        raise Reject("E0803", f"`{field.name}` has {field.count} elements; {index.value} is not one of them", span)
    place = el.tile(index, span)
    if not place.dtype.is_int:
        raise Reject("E0221", f"an index must be an integer, and this is {place.describe()}", span)
    return thing.access.element(field, place, span)
