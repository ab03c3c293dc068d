"""Programs to start from, and random damage to them, for fuzzing everything that reads source text."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

from vmc.diagnostics.codes import CODES

ROOT = Path(__file__).parent.parent.parent
_TOKEN = re.compile(r"\w+|[^\w\s]+|[ \t]+|\n")
_FENCE = re.compile(r"^```vmc[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_WORDS = r"""kernel def format const import from fast block for while if elif else in grid range static pipelined return
    unrolled pass assert static_assert layout shared register packed out inout true false inf nan None and or not x y
    f32 u4 0 1 0x 1e 1.5 ( ) [ ] : , . + - * / // % @ ** ~ & | ^ << >> == != < <= > >= = += -> ; { } ! && || ? " ' #
    \ kernal fro class break True as"""
_POOL = (*_WORDS.split(), "\t", "\n", "\n    ", " ")
_ODD_LETTERS = "\0\x01\x7f\x85\u00a0\u00e9\u2028\u2212\u4e2d\ud800\udfff\ufeff\uffff\U0001f600\r\f\v\t"

Mutation = Callable[[str, random.Random], str]


@cache
def seeds() -> tuple[str, ...]:
    """The examples, the programs in docs/language.md and those of the table of codes."""
    programs = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "examples").glob("*.vmc"))]
    programs += [path.read_text(encoding="utf-8") for path in sorted((ROOT / "vmc" / "library").glob("*.vmc"))]
    language = ROOT / "docs" / "language.md"
    if language.exists():
        programs += _FENCE.findall(language.read_text(encoding="utf-8"))
    programs += [entry.right for entry in CODES.values()]
    programs += [entry.wrong for entry in CODES.values()]
    return tuple(program for program in programs if program.strip())


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text)


def _at_token(change: Callable[[list[str], int, random.Random], None]) -> Mutation:
    def mutation(text: str, rng: random.Random) -> str:
        tokens = _tokens(text)
        if tokens:
            change(tokens, rng.randrange(len(tokens)), rng)
        return "".join(tokens)

    return mutation


def _at_line(change: Callable[[list[str], int, random.Random], None]) -> Mutation:
    def mutation(text: str, rng: random.Random) -> str:
        lines = text.split("\n")
        change(lines, rng.randrange(len(lines)), rng)
        return "\n".join(lines)

    return mutation


def _delete(parts: list[str], index: int, rng: random.Random) -> None:
    del parts[index : index + rng.randint(1, 3)]


def _duplicate(parts: list[str], index: int, rng: random.Random) -> None:
    parts.insert(rng.randrange(len(parts)), parts[index])


def _swap(parts: list[str], index: int, rng: random.Random) -> None:
    other = rng.randrange(len(parts))
    parts[index], parts[other] = parts[other], parts[index]


def _replace(parts: list[str], index: int, rng: random.Random) -> None:
    parts[index] = rng.choice(_POOL)


def _insert(parts: list[str], index: int, rng: random.Random) -> None:
    parts.insert(index, rng.choice(_POOL))


def _misspell(parts: list[str], index: int, rng: random.Random) -> None:
    word = parts[index]
    cut = rng.randrange(len(word) + 1)
    parts[index] = word[:cut] + rng.choice(("", "x", "_", "1", word[:1])) + word[cut + 1 :]


def _indent(parts: list[str], index: int, rng: random.Random) -> None:
    parts[index] = rng.choice((" ", "  ", "    ", "\t")) + parts[index]


def _dedent(parts: list[str], index: int, rng: random.Random) -> None:
    parts[index] = parts[index][rng.randint(1, 4) :] if parts[index][:1] == " " else parts[index]


def _odd_letters(text: str, rng: random.Random) -> str:
    place = rng.randrange(len(text) + 1)
    letters = "".join(rng.choice(_ODD_LETTERS) for _ in range(rng.randint(1, 3)))
    return text[:place] + letters + text[place:]


def _random_bytes(text: str, rng: random.Random) -> str:
    place = rng.randrange(len(text) + 1)
    return text[:place] + rng.randbytes(rng.randint(1, 12)).decode("utf-8", "surrogateescape") + text[place:]


def _truncate(text: str, rng: random.Random) -> str:
    cut = rng.randrange(len(text) + 1)
    return text[:cut] if rng.random() < 0.7 else text[cut:]


def _splice(text: str, rng: random.Random) -> str:
    other = rng.choice(seeds())
    return text[: rng.randrange(len(text) + 1)] + other[rng.randrange(len(other)) :]


def _repeat(text: str, rng: random.Random) -> str:
    place = rng.randrange(len(text) + 1)
    piece = rng.choice(("(", "[", "-", "not ", "x**", "x if y else ", "if x:\n", "f(", "x.", "1+", '"', "\n", " ", "9"))
    return text[:place] + piece * rng.choice((2, 30, 300)) + text[place:]


_MUTATIONS: tuple[Mutation, ...] = (
    *(_at_token(change) for change in (_delete, _duplicate, _swap, _replace, _insert, _misspell) for _ in range(3)),
    *(_at_line(change) for change in (_delete, _duplicate, _swap, _indent, _dedent)),
    _odd_letters,
    _random_bytes,
    _truncate,
    _splice,
    _repeat,
)


def damaged_program(seed: int) -> str:
    """The program that belongs to a seed: a known one with one to four mutations."""
    rng = random.Random(seed)
    text = rng.choice(seeds())
    for _ in range(rng.choice((1, 1, 2, 4))):
        text = rng.choice(_MUTATIONS)(text, rng)
    return text[:20_000]
