"""Malformed text is an IRError with a place, and never anything else."""

from __future__ import annotations

import random

import pytest

from tests.generators.ir_modules import generate
from vmc.ir.core import IRError
from vmc.ir.text import parse_module, print_module


def body(line: str) -> str:
    """A kernel with one more line in it."""
    return f"kernel k(%x: i32, %t: tensor<f32[4], in>) {{\n  {line}\n  yield\n}}\n"


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("kernle k() {}", "expected 'kernel', found 'kernle'", "1:1"),
        ("kernel k(", "expected an argument, found the end of the text", "1:10"),
        ("kernel k() {", "expected an operation, found the end of the text", "1:13"),
        ("kernel k() $", "unexpected character '$'", "1:12"),
        ("kernel k() level(moon) {}", "expected a level (tile, access), found 'moon'", "1:18"),
        ("kernel k(%x: i33) {}", "unknown type 'i33'; did you mean 'i3", "1:14"),
        ("kernel k(%x: i32, %x: i32) {}", "%x is defined twice", "1:19"),
        (body("%y = ad %x, %x : i32"), "there is no operation 'ad'", "2:8"),
        (body("%y = add %x, %z : i32"), "%z is not defined here", "2:16"),
        (body("%y = add %x, %x : i64"), "the result types are i32, and the text says i64", "2:8"),
        (body("%y, %z = add %x, %x : i32"), "2 names for 1 results", "2:12"),
        (body("add %x, %x : i32"), "0 names for 1 results", "2:3"),
        (body("%y = add %x : i32"), "add takes 2 operands, and has 1", "2:8"),
        (body("%y = add : i32"), "add takes 2 operands, and has 0", "2:8"),
        (body("%x = add %x, %x : i32"), "%x is defined twice", "2:8"),
        (body("%y = iota : i32[4]"), "iota needs the attribute n", "2:8"),
        (body("%y = iota {n = 4, m = 4} : i32[4]"), "iota has no attribute m", "2:8"),
        (body("%y = iota {n = true} : i32[4]"), "the attribute n of iota must be int, and is True", "2:8"),
        (body("%y = broadcast %x {shape = [2.5]} : i32[2]"), "", "2:8"),
        (body("%y = broadcast %x {shape = 3} : i32[2]"), "must be tuple", "2:8"),
        (body("%y = iota {n = 4 : i32[4]"), "expected '}', found ':'", "2:20"),
        (body('assert %x {message = "a\\q"}'), "an escape that does not exist", "2:24"),
        (body("%y = iota {n = nan(0x0)} : i32[4]"), "0x0 are not the bits of a NaN", "2:22"),
        (body("%y = iota {n = table<u4[2]: 1, 2, 3>} : i32[4]"), "shape [2] has 3 codes", "2:18"),
        (body("%y = iota {n = table<u4[2]: 1, 16>} : i32[4]"), "a code that is not one of u4", "2:18"),
        (body(f"%y = iota {{n = {'9' * 5000}}} : i32[4]"), "more than a thousand digits", "2:18"),
        (body(f"%y = iota {{n = {'[' * 99}}} : i32[4]"), "nests deeper", "2:"),
        (body("%y = constant {code = 1, type = f32[99999999999999999999]} : f32[4]"), "", "2:8"),
        (body("if %x {results = []} { yield } { yield }"), "the condition of if must be a u1 scalar", "2:3"),
        (
            "kernel k(%c: u1) {\n if %c {results = []} { %y = iota {n = 1} : i32[1] yield } {yield}\n yield %y }",
            "",
            "3:8",
        ),
        ("kernel k(%x: tensor<f32[(M ? 2)], in>) {}", "expected an operator (+ - * // %), found '?'", "1:28"),
        ("kernel k(%x: tensor<f32[M], up>) {}", "expected an access (in, out, inout), found 'up'", "1:29"),
        (
            "kernel k(%x: tensor<f32[M], in, moon>) {}",
            "expected a space (global, shared, workspace), found 'moon'",
            "1:33",
        ),
        ('kernel k(%x: f32[4] layout "row of ducks") {}', "", "1:28"),
        ("kernel k() loc(1:2..3) {}", "expected ':', found ')'", "1:22"),
    ],
)
def test_an_error_says_what_and_where(text: str, message: str, place: str) -> None:
    with pytest.raises(IRError) as caught:
        parse_module(text, "a.ir")
    assert message in caught.value.message
    assert str(caught.value.span).startswith(f"a.ir:{place}")


def mutated(text: str, rng: random.Random) -> str:
    """The text with a few stretches deleted, doubled, moved or replaced."""
    pieces = [
        "%x",
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        ",",
        ":",
        "=",
        "0",
        "-1",
        "1.5",
        '"',
        '"s"',
        "yield",
        "f32",
        "i64",
        "loc",
        "#",
    ]
    for _ in range(rng.randint(1, 4)):
        a = rng.randrange(len(text))
        b = min(len(text), a + rng.choice((1, 1, 2, 5, 20)))
        other = rng.randrange(len(text))
        new = rng.choice(("", text[a:b] * 2, rng.choice(pieces), text[other : other + rng.randint(1, 20)]))
        text = text[:a] + new + text[b:]
    return text


@pytest.mark.parametrize("seed", range(12))
def test_mutated_text_parses_or_is_an_ir_error(seed: int) -> None:
    rng = random.Random(seed)
    text = print_module(generate(seed, size=8), locations=seed % 2 == 0)
    for _ in range(60):
        mutant = mutated(text, rng)
        try:
            print_module(parse_module(mutant))
        except IRError as error:
            assert error.span.line >= 1


def test_a_deep_nest_of_regions_is_refused() -> None:
    nest = "if %c {results = []} {" * 500 + "yield" + "} {yield}" * 500
    with pytest.raises(IRError, match="nests deeper"):
        parse_module(f"kernel k(%c: u1) {{ {nest} yield }}")
