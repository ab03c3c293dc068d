"""docs/types.md and the examples in docstrings say what the code does."""

from __future__ import annotations

import doctest
from fractions import Fraction
from pathlib import Path

import vmc.ir.types
from vmc.ir.types import ALL_DTYPES, dtype, packing

DOCUMENT = Path(__file__).parents[3] / "docs" / "types.md"


def number(text: str) -> Fraction:
    """`15 · 2^-2`, `2^-4` or `448`."""
    product = Fraction(1)
    for factor in text.split(" · "):
        base, _, power = factor.partition("^")
        product *= Fraction(base) ** int(power or 1)
    return product


def test_the_examples_of_the_document_run_as_shown() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    examples = doctest.DocTestParser().get_doctest(text, {}, DOCUMENT.name, str(DOCUMENT), 0)
    runner = doctest.DocTestRunner()
    runner.run(examples)
    assert runner.tries > 10 and runner.failures == 0


def test_the_examples_of_the_docstrings_run_as_shown() -> None:
    for module in (vmc.ir.types, packing):
        results = doctest.testmod(module)
        assert results.attempted > 0 and results.failed == 0


def test_the_table_of_floats_lists_every_float_with_its_record() -> None:
    rows = [line.strip("| \n").split(" | ") for line in DOCUMENT.read_text(encoding="utf-8").splitlines()]
    table = {row[0]: row[1:] for row in rows if len(row) == 9 and row[0][0] in "fbt" and row[0] != "type"}
    assert list(table) == [element.name for element in ALL_DTYPES if element.is_float]
    for name, (sign, exponent, mantissa, bias, largest, least, infinity, nan) in table.items():
        element = dtype(name)
        assert (element.has_sign, element.has_infinity, element.has_nan) == tuple(
            x == "yes" for x in (sign, infinity, nan)
        )
        assert (element.exponent_bits, element.mantissa_bits, element.bias) == (int(exponent), int(mantissa), int(bias))
        assert (Fraction(element.max), Fraction(element.smallest_subnormal)) == (number(largest), number(least))
