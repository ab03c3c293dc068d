"""Rewrite rules written as a pair of patterns over the operations of the IR.

    Rule("(sub x x)", "0", integer)
    Rule("(add (add x c) d)", "(add x (add c d))", integer)

In a pattern a letter of the alphabet's end (x, y, z) stands for any value, c and d for constants, a number for the
constant of that value, and parentheses for an operation. A letter met twice must be the same value. The replacement is
a letter, a number of the result's type, or an operation on such. `when` says which dtypes x may have.

A rule that a pattern cannot say is a `Transformation`: a function, with a text that says what it does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vmc.ir.core import Op, TileType, Value
from vmc.ir.passes.rewrite import Rewriter
from vmc.ir.types import DType

CONSTANT_LETTERS = ("c", "d")


@dataclass(frozen=True)
class Node:
    """An operation in a pattern."""

    name: str
    parts: tuple[Pattern, ...]


Pattern = str | Node
Bindings = dict[str, Value]
Condition = Callable[[DType], bool]


def read(text: str) -> Pattern:
    """The pattern that a text spells: a word, or the node of a name and patterns in parentheses."""
    tokens = re.findall(r"[()]|[^\s()]+", text)[::-1]

    def item() -> Pattern:
        word = str(tokens.pop())
        if word != "(":
            return word
        name, parts = str(tokens.pop()), []
        while tokens[-1] != ")":
            parts.append(item())
        tokens.pop()
        return Node(name, tuple(parts))

    return item()


def is_number(word: str) -> bool:
    return word[-1].isdigit()


@dataclass(frozen=True)
class Rule:
    """`left` may be replaced by `right` where x has a dtype that `when` holds of."""

    left: str
    right: str
    when: Condition

    def __str__(self) -> str:
        return f"{self.left} -> {self.right}  where x is {self.when.__name__}"

    @cached_property
    def pattern(self) -> Node:
        pattern = read(self.left)
        assert isinstance(pattern, Node)
        return pattern

    @cached_property
    def replacement(self) -> Pattern:
        return read(self.right)

    @property
    def root(self) -> str:
        """The operation that the rule is about."""
        return self.pattern.name

    def __call__(self, op: Op, rewriter: Rewriter) -> tuple[Value, ...] | None:
        """The replacement for an operation that matches, or None."""
        bindings: Bindings = {}
        if not match_op(self.pattern, op, bindings, rewriter):
            return None
        if not self.when(bindings["x"].tile.dtype):
            return None
        return (build(self.replacement, bindings, op.result.tile, rewriter),)


@dataclass(frozen=True)
class Transformation:
    """A rule about the operation `root` as a function: the values for the results, or None where it does not apply."""

    text: str
    root: str
    apply: Callable[[Op, Rewriter], Sequence[Value] | None]

    def __str__(self) -> str:
        return self.text

    def __call__(self, op: Op, rewriter: Rewriter) -> Sequence[Value] | None:
        return self.apply(op, rewriter)


def match_op(pattern: Node, op: Op, bindings: Bindings, rewriter: Rewriter) -> bool:
    if op.name != pattern.name or len(pattern.parts) != len(op.operands):
        return False
    pairs = zip(pattern.parts, op.operands, strict=True)
    return all(match(part, value, bindings, rewriter) for part, value in pairs)


def match(pattern: Pattern, value: Value, bindings: Bindings, rewriter: Rewriter) -> bool:
    producer = rewriter.producer(value)
    if isinstance(pattern, Node):
        return producer is not None and match_op(pattern, producer, bindings, rewriter)
    constant = producer is not None and producer.name == "constant"
    if is_number(pattern):
        return constant and producer is not None and producer.attrs["code"] == code_of(pattern, value.tile.dtype)
    if pattern in CONSTANT_LETTERS and not constant:
        return False
    return bindings.setdefault(pattern, value) is value


def code_of(number: str, dtype: DType) -> int:
    """The bit pattern of a number as a rule writes it; integers wrap."""
    value = float(number) if "." in number else int(number)
    if dtype.is_int:
        return int(value) & ((1 << dtype.width) - 1)
    return int(dtype.encode(np.float64(value))[()])


def build(pattern: Pattern, bindings: Bindings, type: TileType, rewriter: Rewriter) -> Value:
    """Emits a replacement; numbers in it have the type of the whole."""
    if isinstance(pattern, Node):
        return rewriter.emit(pattern.name, *(build(part, bindings, type, rewriter) for part in pattern.parts))
    if is_number(pattern):
        return rewriter.emit("constant", type=TileType(type.dtype, type.shape), code=code_of(pattern, type.dtype))
    return bindings[pattern]
