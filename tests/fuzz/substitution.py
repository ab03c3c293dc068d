"""Random damage that keeps the syntax: names, numbers and operators replaced by others of their kind.

What text damage rarely reaches, this does: the rules of names, types, shapes and control.
"""

from __future__ import annotations

import random
import re
from functools import cache

from tests.fuzz.mutation import seeds
from tests.generators.programs import program
from vmc.lang.elaborate.builtins import BUILTINS

_PIECE = re.compile(r'"[^"\n]*"|#[^\n]*|[A-Za-z_]\w*|\d[\w.]*|//|<<|>>|==|!=|<=|>=|\*\*|[-+*/%@&|^<>]|.|\n', re.DOTALL)
_KEYWORDS = frozenset(
    "kernel def format const import from fast block for while if elif else in grid range static pipelined return "
    "unrolled pass assert static_assert layout shared register packed out inout not and or true false inf nan None "
    "value".split()
)
_TYPES = "u1 u3 u4 u8 i2 i8 i32 u32 i64 u64 f16 bf16 f32 f64 tf32 f4e2m1 f8e8m0 f6e3m2 f3e1m1".split()
_NUMBERS = "0 1 2 3 4 7 16 31 64 255 65536 4294967296 18446744073709551616 0.5 1e30 -1 -3 inf nan true".split()
_OPERATORS = (("+", "-", "*", "//", "/", "%", "@", "&", "|", "^", "<<", ">>", "**"), ("<", "<=", ">", ">=", "==", "!="))


@cache
def sources() -> tuple[str, ...]:
    """The known programs, and generated ones."""
    return (*seeds(), *(program(seed, 5).source for seed in range(60)))


def substituted_program(seed: int) -> str:
    """The program that belongs to a seed: a known or generated one with one to five pieces replaced."""
    rng = random.Random(f"substitution {seed}")
    pieces = _PIECE.findall(rng.choice(sources()))
    names = [p for p in pieces if p[0].isalpha() and p not in _KEYWORDS] or ["x"]
    for _ in range(rng.randint(1, 5)):
        index = rng.randrange(len(pieces))
        for offset in range(len(pieces)):
            place = (index + offset) % len(pieces)
            other = substitute(pieces[place], names, rng)
            if other is not None:
                pieces[place] = other
                break
    return "".join(pieces)


def substitute(piece: str, names: list[str], rng: random.Random) -> str | None:
    """Another piece of the same kind, or None where the piece is of no kind."""
    if piece[0].isalpha() or piece[0] == "_":
        if piece in _KEYWORDS:
            return None
        pool = (names, _TYPES, tuple(BUILTINS), _NUMBERS)
        return rng.choice(rng.choices(pool, (5, 2, 2, 1))[0])
    if piece[0].isdigit():
        return rng.choice(rng.choices((_NUMBERS, names), (4, 1))[0])
    for group in _OPERATORS:
        if piece in group:
            return rng.choice(group)
    return None
