"""Random block formats with an expression of their fields, and their decoding by plain NumPy, bit by bit."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vmc.ir.types import DType, dtype

Array = np.ndarray[Any, Any]

TYPES = ("u1", "u2", "i2", "u3", "u4", "i4", "u5", "u6", "i7", "u8", "i8", "i16", "f4e2m1", "f6e3m2", "f8e4m3", "f16")
SINGLES = ("f16", "bf16", "f32", "u8", "i8", "f8e8m0", "u16")
BLOCKS = (1, 4, 8, 12, 24, 32, 64, 256)


@dataclass(frozen=True)
class Field:
    """`split` is None for dense elements, else the length of a run and the number of runs in a group."""

    name: str
    type: DType
    count: int | None
    split: tuple[int, int] | None = None

    def declaration(self) -> str:
        count = "" if self.count is None else f"[{self.count}]"
        packed = "" if self.split is None else f" packed split({self.split[0]}, {self.split[1]})"
        return f"    {self.name}: {self.type.name}{count}{packed}\n"

    def place(self, element: int) -> int:
        """The position of an element among those of the field."""
        if self.split is None:
            return element
        run, runs = self.split
        group, inside = divmod(element, run * runs)
        return group * run * runs + inside % run * runs + inside // run


@dataclass(frozen=True)
class Term:
    """One addend: a field at an index, which is text and a function of i."""

    field: Field
    index: str
    place: Callable[[int], int]


@dataclass(frozen=True)
class RandomFormat:
    """A format whose value is the sum of its terms, each converted to f32."""

    block: int
    fields: tuple[Field, ...]
    terms: tuple[Term, ...]

    @property
    def bits(self) -> int:
        return sum(field.type.width * (field.count or 1) for field in self.fields)

    def source(self, name: str) -> str:
        rows = "".join(field.declaration() for field in self.fields)
        parts = [f"f32({t.field.name}{'' if t.field.count is None else f'[{t.index}]'})" for t in self.terms]
        return f"format {name} block {self.block}:\n{rows}    value[i] = {' + '.join(parts)}\n"

    def decode(self, blocks: Array) -> Array:
        """f32[..., block] of uint8[..., bytes]."""
        bits = np.unpackbits(blocks, axis=-1, bitorder="little")
        start = {}
        offset = 0
        for field in self.fields:
            start[field.name] = offset
            offset += field.type.width * (field.count or 1)
        values = np.zeros((*blocks.shape[:-1], self.block), np.float32)
        for i in range(self.block):
            for number, term in enumerate(self.terms):
                place = 0 if term.field.count is None else term.field.place(term.place(i))
                first, width = start[term.field.name] + place * term.field.type.width, term.field.type.width
                weights = np.uint64(1) << np.arange(width, dtype=np.uint64)
                codes = (bits[..., first : first + width] * weights).sum(axis=-1, dtype=np.uint64)
                with np.errstate(all="ignore"):
                    addend = term.field.type.decode(codes.astype(term.field.type.code_dtype)).astype(np.float32)
                    values[..., i] = addend if number == 0 else values[..., i] + addend
        return values


def generate(seed: int) -> RandomFormat:
    """The format of a seed."""
    rng = random.Random(f"format {seed}")
    block = rng.choice(BLOCKS)
    fields = [random_field(rng, f"x{number}", block) for number in range(rng.randint(1, 5))]
    terms = [Term(field, *random_index(rng, field.count or 1, block)) for field in fields]
    spare = -sum(field.type.width * (field.count or 1) for field in fields) % 8
    if spare:
        fields.append(Field("pad", dtype("u1"), spare))
    return RandomFormat(block, tuple(fields), tuple(terms))


def random_field(rng: random.Random, name: str, block: int) -> Field:
    if rng.random() < 0.3:
        return Field(name, dtype(rng.choice(SINGLES)), None)
    divisors = [n for n in range(1, block + 1) if block % n == 0]
    count = rng.choice((block, block, rng.choice(divisors), rng.randint(1, block)))
    split = None
    if rng.random() < 0.5:
        run = rng.choice([n for n in range(1, count + 1) if count % n == 0])
        split = run, rng.choice([n for n in range(1, count // run + 1) if count // run % n == 0])
    return Field(name, dtype(rng.choice(TYPES)), count, split)


def random_index(rng: random.Random, count: int, block: int) -> tuple[str, Callable[[int], int]]:
    """An index inside a field of `count` elements."""
    n, m = -(-block // count), rng.randint(1, block)
    fixed, factor = rng.randrange(count), rng.randrange(1, 2 * count, 2)
    choices: list[tuple[str, Callable[[int], int]]] = [
        (f"i % {count}", lambda i: i % count),
        (f"i // {n}", lambda i: i // n),
        (f"i // {m} % {count}", lambda i: i // m % count),
        (f"{fixed}", lambda i: fixed),
        (f"(i * {factor} + {fixed}) % {count}", lambda i: (i * factor + fixed) % count),
        (f"i % {count} if i < {m} else {fixed}", lambda i: i % count if i < m else fixed),
        (f"{count - 1} - i % {count}", lambda i: count - 1 - i % count),
    ]
    if count >= block:
        choices += [("i", lambda i: i)] * 4
    return rng.choice(choices)
