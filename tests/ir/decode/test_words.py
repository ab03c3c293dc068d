"""The 32-bit operations against definitions on single bits and on exact fractions."""

import bisect
import functools
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

from vmc.ir.decode.words import OPERATIONS, Builder, Imm, truth_table

RNG = np.random.default_rng(5)
WORDS = RNG.integers(0, 1 << 32, (3, 200), dtype=np.uint32)
DTYPES = {"f16x2": np.float16, "bf16x2": ml_dtypes.bfloat16}


def halves(kind, word):
    """The two numbers of a word, as the NumPy dtype of the kind."""
    return np.array([word & 0xFFFF, word >> 16], np.uint16).view(DTYPES[kind])


@functools.cache
def finite_numbers(kind):
    """The numbers of the kind from 0 on, by their patterns."""
    with np.errstate(invalid="ignore"):
        numbers = np.arange(1 << 15, dtype=np.uint16).view(DTYPES[kind]).astype(np.float64)
    return [Fraction(x) for x in numbers.tolist() if np.isfinite(x)]


def nearest(kind, exact):
    """The number of the kind nearest to a fraction, the even one of two."""
    finite = finite_numbers(kind)
    above = bisect.bisect_left(finite, abs(exact))
    near = min((abs(finite[n] - abs(exact)), n % 2, n) for n in (above - 1, above) if n >= 0)
    return finite[near[2]] if exact >= 0 else -finite[near[2]]


def bits_of(kind, numbers):
    low, high = (int(x) for x in np.array(numbers, DTYPES[kind]).view(np.uint16))
    return low | high << 16


@pytest.mark.parametrize("table", [0xEA, 0x6A, 0x3C, 0x80, 0x01])
def test_lop3_looks_every_bit_up_in_its_truth_table(table):
    found = OPERATIONS["lop3"](*WORDS, np.full(200, table, np.uint32))
    for a, b, c, d in zip(*WORDS.tolist(), found.tolist(), strict=True):
        for bit in range(32):
            row = (a >> bit & 1) << 2 | (b >> bit & 1) << 1 | c >> bit & 1
            assert d >> bit & 1 == table >> row & 1


def test_truth_tables_are_those_of_the_ptx_manual():
    assert truth_table(lambda a, b, c: a & b | c).value == 0xEA
    assert truth_table(lambda a, b, c: a & b ^ c).value == 0x6A


def test_prmt_picks_bytes_and_signs():
    a, b, selectors = WORDS
    selectors = selectors & np.uint32(0xFFFF)
    for x, y, s, found in zip(
        a.tolist(), b.tolist(), selectors.tolist(), OPERATIONS["prmt"](a, b, selectors).tolist(), strict=True
    ):
        source = x.to_bytes(4, "little") + y.to_bytes(4, "little")
        wanted = []
        for place in range(4):
            nibble = s >> 4 * place & 15
            byte = source[nibble & 7]
            wanted.append((0xFF if byte & 0x80 else 0) if nibble & 8 else byte)
        assert found == int.from_bytes(bytes(wanted), "little")


def test_shifts_and_rotations_move_bits():
    a = WORDS[0]
    for amount in (1, 7, 31):
        n = np.full(200, amount, np.uint32)
        for x, left, right, around in zip(
            a.tolist(), OPERATIONS["shl"](a, n), OPERATIONS["shr"](a, n), OPERATIONS["rotr"](a, n), strict=True
        ):
            assert left == (x << amount) & 0xFFFFFFFF
            assert right == x >> amount
            assert around == (x >> amount | x << (32 - amount)) & 0xFFFFFFFF


@pytest.mark.parametrize("kind", DTYPES)
def test_arithmetic_on_halves_rounds_the_exact_result_once(kind):
    few = np.array([-3.0, -0.0, 0.0, 0.5, 1.0, 7.0, 96.0, 1032.0, 2.0**-9, 2.0**-14], DTYPES[kind])
    a, b, c = (RNG.choice(few, (2, 100)) for _ in range(3))
    words = [x.view(np.uint16)[0].astype(np.uint32) | x.view(np.uint16)[1].astype(np.uint32) << 16 for x in (a, b, c)]
    exact = [[Fraction(float(v)) for v in x.reshape(-1)] for x in (a, b, c)]
    wanted = {
        f"fma.{kind}": [x * y + z for x, y, z in zip(*exact, strict=True)],
        f"mul.{kind}": [x * y for x, y, _ in zip(*exact, strict=True)],
        f"add.{kind}": [x + y for x, y, _ in zip(*exact, strict=True)],
    }
    for name, results in wanted.items():
        found = OPERATIONS[name](*words[: 3 if name[0] == "f" else 2])
        numbers = np.stack([halves(kind, int(word)) for word in found], axis=1).reshape(-1)
        for number, result in zip(numbers.tolist(), results, strict=True):
            assert abs(result) > 65504 or Fraction(float(number)) == nearest(kind, result)


@pytest.mark.parametrize("kind", DTYPES)
def test_above_marks_magnitudes_that_are_larger_or_no_numbers(kind):
    pairs = [(1.0, -3.0), (-2.0, 2.0), (np.nan, np.inf), (0.0, -0.0)]
    words = np.array([bits_of(kind, pair) for pair in pairs], np.uint32)
    bound = np.full(4, bits_of(kind, (2.0, 2.0)), np.uint32)
    assert [hex(x) for x in OPERATIONS[f"above.{kind}"](words, bound)] == ["0xffff0000", "0x0", "0xffffffff", "0x0"]


@pytest.mark.parametrize("kind", DTYPES)
def test_min_and_max_prefer_numbers_to_nan(kind):
    nan, two = (np.array([bits_of(kind, (x, x))], np.uint32) for x in (np.nan, 2.0))
    assert OPERATIONS[f"min.{kind}"](nan, two) == two
    assert OPERATIONS[f"max.{kind}"](two, nan) == two


def test_floats_are_opened_and_joined_in_order():
    word = np.array([bits_of("f16x2", (1.5, -2.0))], np.uint32)
    low, high = OPERATIONS["low.f16x2"](word), OPERATIONS["high.f16x2"](word)
    assert (low.view(np.float32)[0], high.view(np.float32)[0]) == (1.5, -2.0)
    assert OPERATIONS["join.f16x2"](low, high) == word


def test_a_sum_that_float64_rounds_is_refused():
    build = Builder(1)
    result = build("fma.bf16x2", 0, Imm(0x7F007F00), Imm(0x00010001))
    with pytest.raises(ArithmeticError, match="not exact"):
        build.program([result])([np.array([0x3F803F80], np.uint32)])


def test_equal_operations_are_emitted_once_and_programs_print():
    build = Builder(1)
    first = build("shr", 0, Imm(4))
    assert build("shr", 0, Imm(4)) == first
    assert str(build.program([first])) == "%1 = shr %0, 4\nreturn %1"
    with pytest.raises(ValueError, match="expected 1 words, found 2"):
        build.program([first])([np.zeros(1, np.uint32)] * 2)
