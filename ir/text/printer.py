"""Prints modules as text that `vmc.ir.text.parser` reads back.

    results = operation operands {attributes} : result types  loc(...)  (arguments) { region } ...

A value is printed as `%` and its name hint, made unique within the kernel; a value without one gets a number. An
attribute prints so that its Python type shows: `f32` is a dtype, `f32[]` a scalar tile's type, `1` an int, `1.0` a
float.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterable, Sequence

from vmc.ir.core import (
    Attr,
    Kernel,
    Level,
    Module,
    Op,
    Region,
    Space,
    Storage,
    Table,
    TensorType,
    TileType,
    Type,
    Value,
)
from vmc.ir.layout import Layout, Shuffle
from vmc.ir.span import UNKNOWN, Span
from vmc.ir.types import DType

INDENT = "  "
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
WORD = re.compile(r"[A-Za-z0-9_]+\Z")
NAN_BITS = 0x7FF8_0000_0000_0000


def print_module(module: Module, *, locations: bool = False) -> str:
    """The text of a module; with `locations`, every operation and kernel names the source it came from."""
    return "\n".join(print_kernel(kernel, locations=locations) for kernel in module.kernels)


def print_kernel(kernel: Kernel, *, locations: bool = False) -> str:
    """The text of one kernel, which ends in a newline."""
    return "\n".join(_Printer(kernel, locations).kernel()) + "\n"


def type_text(type: Type) -> str:
    """The text of a value's type."""
    match type:
        case TileType():
            return tile_text(type) if type.shape or type.layout else type.dtype.name
        case TensorType(dtype, shape, access, space, storage):
            parts = [f"{dtype.name}{brackets(map(str, shape))}", access.value]
            parts += [space.value] if space is not Space.GLOBAL else []
            parts += [storage_text(storage)] if storage is not None else []
            return f"tensor<{', '.join(parts)}>"


def tile_text(type: TileType) -> str:
    """The text of a tile's type, with the brackets of the shape even where it has no extents."""
    layout = f" {layout_text(type.layout)}" if type.layout is not None else ""
    return f"{type.dtype.name}{brackets(map(str, type.shape))}{layout}"


def layout_text(layout: Layout) -> str:
    return f"layout {json.dumps(layout.text())}"


def storage_text(storage: Storage) -> str:
    order = f", {brackets(map(str, storage.order))}" if storage.order else ""
    shuffle = f", {shuffle_text(storage.shuffle)}" if storage.shuffle is not None else ""
    where = f"{brackets(map(str, storage.block))}, {layout_text(storage.layout)}, {storage.pitch}"
    return f"storage({where}{order}{shuffle})"


def shuffle_text(shuffle: Shuffle) -> str:
    return f"shuffle({brackets(map(str, shuffle.order))}, {layout_text(shuffle.outer)})"


def attr_text(attr: Attr) -> str:
    """The text of an attribute."""
    match attr:
        case None:
            return "none"
        case bool():
            return "true" if attr else "false"
        case int():
            return str(attr)
        case float():
            return float_text(attr)
        case str():
            return json.dumps(attr)
        case DType():
            return attr.name
        case Layout():
            return layout_text(attr)
        case TileType():
            return tile_text(attr)
        case TensorType():
            return type_text(attr)
        case Table():
            return table_text(attr)
        case tuple():
            return brackets(map(attr_text, attr))


def float_text(number: float) -> str:
    """The shortest digits that give the float back; of a NaN that is not the usual one, its bits."""
    (bits,) = struct.unpack("<Q", struct.pack("<d", number))
    return f"nan({bits:#x})" if number != number and bits != NAN_BITS else repr(number)


def table_text(table: Table) -> str:
    codes = ", ".join(map(str, table.array().reshape(-1).tolist()))
    return f"table<{table.dtype.name}{brackets(map(str, table.shape))}: {codes}>"


def brackets(items: Iterable[str]) -> str:
    return f"[{', '.join(items)}]"


def identifier(name: str) -> str:
    """A name as it is where it reads as one, else in quotes."""
    return name if IDENTIFIER.match(name) else json.dumps(name)


def word(text: str) -> str:
    return text if WORD.match(text) else json.dumps(text)


class _Names:
    """Unique names of the values of one kernel."""

    def __init__(self) -> None:
        self.of: dict[Value, str] = {}
        self.taken: set[str] = set()
        self.suffix: dict[str, int] = {}
        self.unnamed = 0

    def define(self, value: Value) -> str:
        name = f"%{self.unique(re.sub(r'[^A-Za-z0-9_]', '_', value.name))}"
        self.of[value] = name
        return name

    def unique(self, hint: str) -> str:
        if not hint:
            self.unnamed += 1
            return str(self.unnamed - 1)
        base = name = hint if IDENTIFIER.match(hint) else f"_{hint}"
        while name in self.taken:
            self.suffix[base] = self.suffix.get(base, 0) + 1
            name = f"{base}_{self.suffix[base]}"
        self.taken.add(name)
        return name

    def use(self, value: Value) -> str:
        """The name; of a value that is not defined before its use, which the verifier reports, one that says so."""
        return self.of.get(value) or f"%undefined_{value.name}"


class _Printer:
    """The lines of one kernel."""

    def __init__(self, kernel: Kernel, locations: bool) -> None:
        self.source = kernel
        self.locations = locations
        self.names = _Names()
        self.lines: list[str] = []

    def kernel(self) -> list[str]:
        kernel = self.source
        head = f"kernel {identifier(kernel.name)}"
        if kernel.bindings:
            head += f"<{', '.join(f'{identifier(name)} = {word(text)}' for name, text in kernel.bindings)}>"
        head += f"({self.arguments(kernel.params)})"
        head += f" symbols({', '.join(map(identifier, kernel.symbols))})" if kernel.symbols else ""
        head += " fast" if kernel.fast else ""
        head += f" level({kernel.level.value})" if kernel.level is not Level.TILE else ""
        head += f" threads({kernel.threads})" if kernel.threads else ""
        self.lines.append(head + self.location(kernel.span, "") + " {")
        self.operations(kernel.body, INDENT)
        self.lines.append("}")
        return self.lines

    def arguments(self, values: Sequence[Value]) -> str:
        return ", ".join(f"{self.names.define(value)}: {type_text(value.type)}" for value in values)

    def location(self, span: Span, file: str) -> str:
        if not self.locations:
            return ""
        if span == UNKNOWN:
            return " loc(?)"
        where = f"{span.line}:{span.column}..{span.end_line}:{span.end_column}"
        return f" loc({where})" if span.file == file else f" loc({json.dumps(span.file)}, {where})"

    def operations(self, region: Region, indent: str) -> None:
        for op in region.ops:
            self.operation(op, indent)

    def operation(self, op: Op, indent: str) -> None:
        operands = ", ".join(map(self.names.use, op.operands))
        results = ", ".join(map(self.names.define, op.results))
        head = f"{results} = {op.name}" if results else op.name
        head += f" {operands}" if operands else ""
        if op.attrs:
            head += f" {{{', '.join(f'{name} = {attr_text(attr)}' for name, attr in op.attrs.items())}}}"
        head += f" : {', '.join(type_text(value.type) for value in op.results)}" if results else ""
        self.lines.append(indent + head + self.location(op.span, self.source.span.file))
        for region in op.regions:
            arguments = f" ({self.arguments(region.args)})" if region.args else ""
            self.lines[-1] += f"{arguments} {{"
            self.operations(region, indent + INDENT)
            self.lines.append(indent + "}")
