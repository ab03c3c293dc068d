"""Reads types, extents and attributes.

    type     :=  dtype ["[" int, ... "]"] [layout]  |  "tensor" "<" dtype "[" extent, ... "]" "," access
                 ["," space] ["," "storage" "(" "[" int, ... "]" "," layout "," int
                 ["," "[" int, ... "]"] ["," "shuffle" "(" "[" int, ... "]" "," layout ")"] ")"] ">"
    layout   :=  "layout" string
    extent   :=  int  |  name  |  "(" extent operator extent ")"  |  ("cdiv" | "min" | "max") "(" extent "," extent ")"
    attr     :=  "none" | "true" | "false" | int | float | ["-"] "inf" | "nan" ["(" bits ")"] | string | dtype | layout
               | tile type, with brackets | tensor type | table | "[" attr, ... "]"
    table    :=  "table" "<" dtype "[" int, ... "]" ":" code, ... ">"

Extents are read as they are written, without folding. What an attribute's text looks like tells its Python type.
"""

from __future__ import annotations

import math
import struct

import numpy as np

from vmc.ir.core import Access, Attr, Space, Storage, Table, TensorType, TileType, Type
from vmc.ir.dims import Dim, DimOp, Sym
from vmc.ir.layout import Layout, LayoutError, Shuffle
from vmc.ir.layout import parse as parse_layout
from vmc.ir.text.cursor import Cursor
from vmc.ir.types import DType, UnknownTypeError, dtype

CONSTANTS: dict[str, Attr] = {"none": None, "true": True, "false": False, "inf": math.inf}
CALLS = ("cdiv", "min", "max")
OPERATORS = ("+", "-", "*", "//", "%")


class AttributeReader(Cursor):
    """The part of the parser below operations."""

    def type(self) -> Type:
        return self.tensor_type() if self.at("tensor") else self.tile_type()

    def dtype(self) -> DType:
        token = self.expect_kind("word", "a type")
        try:
            return dtype(token.text)
        except UnknownTypeError as error:
            self.fail(str(error), token)

    def tile_type(self) -> TileType:
        element = self.dtype()
        shape = self.shape() if self.at("[") else ()
        return TileType(element, shape, self.layout() if self.at("layout") else None)

    def shape(self) -> tuple[int, ...]:
        return self.listed("[", lambda: self.integer("an extent"), "]")

    def layout(self) -> Layout:
        self.expect("layout")
        token = self.token
        text = self.string("a layout in quotes")
        try:
            return parse_layout(text)
        except ValueError as error:
            self.fail(str(error), token)

    def tensor_type(self) -> TensorType:
        self.expect("tensor")
        self.expect("<")
        element = self.dtype()
        shape = self.listed("[", self.extent, "]")
        self.expect(",")
        access = self.one_of("an access", {access.value: access for access in Access})
        space, storage = Space.GLOBAL, None
        while self.accept(","):
            if self.at("storage"):
                storage = self.storage()
            else:
                space = self.one_of("a space", {space.value: space for space in Space})
        self.expect(">")
        return TensorType(element, shape, access, space, storage)

    def storage(self) -> Storage:
        self.expect("storage")
        self.expect("(")
        block = self.shape()
        self.expect(",")
        layout = self.layout()
        self.expect(",")
        pitch = self.integer("the pitch in bits")
        order: tuple[int, ...] = ()
        shuffle: Shuffle | None = None
        while self.accept(","):
            if self.at("shuffle"):
                shuffle = self.shuffle()
            else:
                order = self.shape()
        self.expect(")")
        return Storage(block, layout, pitch, order, shuffle)

    def shuffle(self) -> Shuffle:
        self.expect("shuffle")
        self.expect("(")
        order = self.shape()
        self.expect(",")
        outer = self.layout()
        self.expect(")")
        return self.checked_shuffle(order, outer)

    def checked_shuffle(self, order: tuple[int, ...], outer: Layout) -> Shuffle:
        try:
            return Shuffle(order, outer)
        except LayoutError as error:
            self.fail(error.message)

    def extent(self) -> Dim:
        with self.nested():
            if self.token.kind == "int":
                return self.integer()
            if self.accept("("):
                return self.infix_extent()
            name = self.name("an extent")
            if not (name in CALLS and self.at("(")):
                return Sym(name)
            self.expect("(")
            left = self.extent()
            self.expect(",")
            right = self.extent()
            self.expect(")")
            return DimOp(name, left, right)

    def infix_extent(self) -> Dim:
        left = self.extent()
        operator = self.next()
        if operator.kind != "mark" or operator.text not in OPERATORS:
            self.fail(f"expected an operator ({' '.join(OPERATORS)}), found '{operator.text}'", operator)
        right = self.extent()
        self.expect(")")
        return DimOp(operator.text, left, right)

    def attr(self) -> Attr:
        match self.token.kind:
            case "int":
                return self.integer()
            case "float":
                return float(self.next().text)
            case "string":
                return self.string("a string")
            case "word":
                return self.word_attr(self.token.text)
        if self.at("["):
            with self.nested():
                return self.listed("[", self.attr, "]")
        if self.accept("-"):
            self.expect("inf")
            return -math.inf
        self.fail(f"expected an attribute, found {self.describe()}")

    def word_attr(self, word: str) -> Attr:
        if word in CONSTANTS:
            self.next()
            return CONSTANTS[word]
        match word:
            case "nan":
                return self.nan()
            case "layout":
                return self.layout()
            case "tensor":
                return self.tensor_type()
            case "table":
                return self.table()
        element = self.dtype()
        if not self.at("["):
            return element
        return TileType(element, self.shape(), self.layout() if self.at("layout") else None)

    def nan(self) -> float:
        self.expect("nan")
        if not self.accept("("):
            return math.nan
        token = self.expect_kind("hex", "the bits of the NaN")
        self.expect(")")
        bits = int(token.text, 16)
        number = struct.unpack("<d", struct.pack("<Q", bits))[0] if bits < 1 << 64 else 0.0
        if not math.isnan(number):
            self.fail(f"{token.text} are not the bits of a NaN", token)
        return float(number)

    def table(self) -> Table:
        start = self.expect("table")
        self.expect("<")
        element, shape = self.dtype(), self.shape()
        codes = self.listed(":", lambda: self.integer("a code"), ">")
        if any(extent < 1 for extent in shape) or math.prod(shape) != len(codes):
            self.fail(f"this table of shape {list(shape)} has {len(codes)} codes", start)
        if not all(0 <= code < 1 << element.width for code in codes):
            self.fail(f"this table has a code that is not one of {element.name}", start)
        return Table.of(element, np.array(codes, element.code_dtype).reshape(shape))
