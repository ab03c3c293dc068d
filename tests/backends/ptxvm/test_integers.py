"""Integer and bit instructions against NumPy's integers and Python's exact ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

Each = Callable[..., Any]

EDGES = [0, 1, 2, 3, 31, 32, 33, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF,
         0x123456789ABCDEF0, 0x7FFFFFFFFFFFFFFF, 0x8000000000000000, 0xFFFFFFFFFFFFFFFF]  # fmt: skip


def numbers(width: int, count: int, seed: int) -> np.ndarray:
    """All pairs of edge values, then random bits, as unsigned integers of a width."""
    rng = np.random.default_rng(seed)
    unsigned = np.dtype(f"u{width // 8}")
    return np.frombuffer(rng.bytes(count * width // 8), unsigned).copy()


def pairs(width: int) -> tuple[np.ndarray, np.ndarray]:
    mask = (1 << width) - 1
    edges = np.array(sorted({e & mask for e in EDGES}), f"u{width // 8}")
    x, y = np.meshgrid(edges, edges)
    a, b = numbers(width, 300, 1), numbers(width, 300, 2)
    return np.concatenate([x.ravel(), a]), np.concatenate([y.ravel(), b])


def exact(value: int, width: int, signed: bool) -> int:
    value &= (1 << width) - 1
    return value - (1 << width) if signed and value >> (width - 1) else value


def truncated(a: int, b: int) -> int:
    """Quotient toward zero."""
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


REFERENCE: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul.lo": lambda a, b: a * b,
    "min": min,
    "max": max,
    "div": lambda a, b: truncated(a, b) if b else -1,
    "rem": lambda a, b: a - truncated(a, b) * b if b else a,
}


@pytest.mark.parametrize("kind", ["u16", "s16", "u32", "s32", "u64", "s64"])
@pytest.mark.parametrize("name", list(REFERENCE))
def test_arithmetic_is_that_of_integers_modulo_two_to_the_width(each: Each, name: str, kind: str) -> None:
    width, signed = int(kind[1:]), kind[0] == "s"
    a, b = pairs(width)
    got = each(f"{name}.{kind} %x, %a, %b;", a, b, out=a.dtype)
    reference = REFERENCE[name]
    want = [
        reference(exact(x, width, signed), exact(y, width, signed)) & ((1 << width) - 1)
        for x, y in zip(a.tolist(), b.tolist(), strict=True)
    ]
    assert got.tolist() == want


@pytest.mark.parametrize("kind", ["u16", "s16", "u32", "s32", "u64", "s64"])
def test_upper_halves_of_products_and_multiply_adds(each: Each, kind: str) -> None:
    width, signed = int(kind[1:]), kind[0] == "s"
    a, b = pairs(width)
    c = numbers(width, len(a), 3)
    high, multiply_add = each(
        f"mul.hi.{kind} %x, %a, %b; mad.lo.{kind} %y, %a, %b, %c;", a, b, c, out=(a.dtype, a.dtype)
    )
    mask = (1 << width) - 1
    for x, y, z, h, m in zip(*(v.tolist() for v in (a, b, c, high, multiply_add)), strict=True):
        product = exact(x, width, signed) * exact(y, width, signed)
        assert h == product >> width & mask
        assert m == product + z & mask


@pytest.mark.parametrize("kind", ["u16", "s16", "u32", "s32"])
def test_wide_products_keep_all_bits(each: Each, kind: str) -> None:
    width, signed = int(kind[1:]), kind[0] == "s"
    a, b = pairs(width)
    got = each(f"mul.wide.{kind} %x, %a, %b;", a, b, out=np.dtype(f"u{width // 4}"))
    want = [
        exact(x, width, signed) * exact(y, width, signed) & ((1 << 2 * width) - 1)
        for x, y in zip(a.tolist(), b.tolist(), strict=True)
    ]
    assert got.tolist() == want


def test_extended_sums_carry_from_word_to_word(each: Each) -> None:
    a, b = pairs(64)
    low = "cvt.u32.u64 %t0, %a; shr.u64 %u0, %a, 32; cvt.u32.u64 %t1, %u0;"
    other = "cvt.u32.u64 %t2, %b; shr.u64 %u0, %b, 32; cvt.u32.u64 %t3, %u0;"
    add = "add.cc.u32 %t4, %t0, %t2; addc.u32 %t5, %t1, %t3; mov.b64 %x, {%t4, %t5};"
    subtract = "sub.cc.u32 %t4, %t0, %t2; subc.u32 %t5, %t1, %t3; mov.b64 %y, {%t4, %t5};"
    total, difference = each(low + other + add + subtract, a, b, out=(np.uint64, np.uint64))
    assert (total == a + b).all()
    assert (difference == a - b).all()


def test_multiply_adds_carry_from_word_to_word(each: Each) -> None:
    """a * a.low + b in 96 bits: the carries go through lower and upper halves of products."""
    a, b = pairs(64)
    code = """cvt.u32.u64 %t0, %a; shr.u64 %u0, %a, 32; cvt.u32.u64 %t1, %u0;
    cvt.u32.u64 %t2, %b; shr.u64 %u0, %b, 32; cvt.u32.u64 %t3, %u0;
    mad.lo.cc.u32 %t4, %t0, %t0, %t2;
    madc.hi.cc.u32 %t5, %t0, %t0, %t3;
    addc.u32 %t6, 0, 0;
    mad.lo.cc.u32 %t5, %t1, %t0, %t5;
    madc.hi.u32 %t6, %t1, %t0, %t6;
    mov.b64 %x, {%t4, %t5}; mov.b32 %y, %t6;"""
    low, high = each(code, a, b, out=(np.uint64, np.uint32))
    for x, y, got, upper in zip(*(v.tolist() for v in (a, b, low, high)), strict=True):
        assert upper << 64 | got == x * (x & 0xFFFFFFFF) + y & (1 << 96) - 1


@pytest.mark.parametrize("kind", ["b16", "b32", "b64"])
def test_logic_works_on_each_bit(each: Each, kind: str) -> None:
    a, b = pairs(int(kind[1:]))
    for name, reference in (("and", a & b), ("or", a | b), ("xor", a ^ b)):
        assert (each(f"{name}.{kind} %x, %a, %b;", a, b, out=a.dtype) == reference).all()
    assert (each(f"not.{kind} %x, %a;", a, out=a.dtype) == ~a).all()


@pytest.mark.parametrize("table", [0x00, 0xFF, 0x80, 0xC0, 0xEA, 0x6A, 0xCA, 0x96, 0xE8, 0x1B])
def test_lop3_looks_its_table_up_for_every_bit(each: Each, table: int) -> None:
    a, b = pairs(32)
    c = numbers(32, len(a), 5)
    got = each(f"lop3.b32 %x, %a, %b, %c, {table};", a, b, c, out=np.uint32)
    for x, y, z, value in zip(*(v.tolist() for v in (a, b, c, got)), strict=True):
        bits = [table >> (4 * (x >> i & 1) + 2 * (y >> i & 1) + (z >> i & 1)) & 1 for i in range(32)]
        assert value == sum(bit << i for i, bit in enumerate(bits))


@pytest.mark.parametrize("kind", ["b16", "b32", "b64"])
def test_shifts_by_the_width_or_more_leave_nothing_but_signs(each: Each, kind: str) -> None:
    width = int(kind[1:])
    a = numbers(width, 400, 7)
    amount = np.arange(400, dtype=np.uint32) % (width + 10)
    amount[-1] = 0xFFFFFFFF
    left, right, signed = each(
        f"shl.b{width} %x, %a, %b; shr.u{width} %y, %a, %b; shr.s{width} %z, %a, %b;",
        a, amount, out=(a.dtype, a.dtype, a.dtype),
    )  # fmt: skip
    mask = (1 << width) - 1
    for v, n, x, y, z in zip(*(t.tolist() for t in (a, amount, left, right, signed)), strict=True):
        assert x == (v << min(n, width) & mask)
        assert y == v >> min(n, width)
        assert z == exact(v, width, True) >> min(n, width) & mask


def test_funnel_shifts_move_two_words(each: Each) -> None:
    a, b = numbers(32, 400, 8), numbers(32, 400, 9)
    n = np.arange(400, dtype=np.uint32) % 40
    code = "".join(
        f"shf.{direction}.{mode}.b32 %{name}, %a, %b, %c;"
        for name, (direction, mode) in zip(
            "xyzw", [("l", "wrap"), ("l", "clamp"), ("r", "wrap"), ("r", "clamp")], strict=True
        )
    )
    results = each(code, a, b, n, out=(np.uint32,) * 4)
    for x, y, k, *got in zip(a.tolist(), b.tolist(), n.tolist(), *(r.tolist() for r in results), strict=True):
        both = y << 32 | x
        wrapped, clamped = k & 31, min(k, 32)
        want = [both << wrapped >> 32, both << clamped >> 32, both >> wrapped, both >> clamped]
        assert got == [w & 0xFFFFFFFF for w in want]


def prmt_reference(a: int, b: int, control: int) -> int:
    """Byte permute after the PTX ISA's table for the default mode."""
    source = [(b << 32 | a) >> 8 * i & 255 for i in range(8)]
    result = 0
    for position in range(4):
        selector = control >> 4 * position & 15
        byte = source[selector & 7]
        if selector & 8:
            byte = 255 if byte & 128 else 0
        result |= byte << 8 * position
    return result


def test_prmt_picks_bytes_and_replicates_signs(each: Each) -> None:
    a, b, control = (numbers(32, 500, seed) for seed in (10, 11, 12))
    got = each("prmt.b32 %x, %a, %b, %c;", a, b, control, out=np.uint32)
    want = [prmt_reference(*t) for t in zip(a.tolist(), b.tolist(), control.tolist(), strict=True)]
    assert got.tolist() == want


@pytest.mark.parametrize(
    ("mode", "rows"),
    [
        ("f4e", ["3210", "4321", "5432", "6543"]),
        ("b4e", ["5670", "6701", "7012", "0123"]),
        ("rc8", ["0000", "1111", "2222", "3333"]),
        ("ecl", ["3210", "3211", "3222", "3333"]),
        ("ecr", ["0000", "1110", "2210", "3210"]),
        ("rc16", ["1010", "3232", "1010", "3232"]),
    ],
)
def test_prmt_has_the_modes_of_its_table(each: Each, mode: str, rows: list[str]) -> None:
    a, b = numbers(32, 64, 13), numbers(32, 64, 14)
    control = np.arange(64, dtype=np.uint32)
    got = each(f"prmt.b32.{mode} %x, %a, %b, %c;", a, b, control, out=np.uint32)
    want = [
        prmt_reference(x, y, int(rows[n & 3], 16))
        for x, y, n in zip(a.tolist(), b.tolist(), control.tolist(), strict=True)
    ]
    assert got.tolist() == want


def bfe_reference(value: int, position: int, length: int, width: int, signed: bool) -> int:
    """The PTX ISA's pseudo-code for bfe."""
    position, length = position & 0xFF, length & 0xFF
    top = width - 1
    sign = 0 if not signed or length == 0 else value >> min(position + length - 1, top) & 1
    result = 0
    for i in range(width):
        inside = i < length and position + i <= top
        result |= (value >> (position + i) & 1 if inside else sign) << i
    return result


@pytest.mark.parametrize("kind", ["u32", "s32", "u64", "s64"])
def test_bfe_extracts_fields_as_its_pseudo_code_does(each: Each, kind: str) -> None:
    width = int(kind[1:])
    a = numbers(width, 600, 15)
    rng = np.random.default_rng(16)
    position, length = (rng.integers(0, width + 8, 600).astype(np.uint32) for _ in range(2))
    got = each(f"bfe.{kind} %x, %a, %b, %c;", a, position, length, out=a.dtype)
    want = [
        bfe_reference(v, p, n, width, kind[0] == "s")
        for v, p, n in zip(a.tolist(), position.tolist(), length.tolist(), strict=True)
    ]
    assert got.tolist() == want


@pytest.mark.parametrize("kind", ["b32", "b64"])
def test_bfi_inserts_fields_as_its_pseudo_code_does(each: Each, kind: str) -> None:
    width = int(kind[1:])
    a, b = numbers(width, 600, 17), numbers(width, 600, 18)
    rng = np.random.default_rng(19)
    position, length = (rng.integers(0, width + 8, 600).astype(np.uint32) for _ in range(2))
    got = each(f"bfi.{kind} %x, %a, %b, %c, %d;", a, b, position, length, out=a.dtype)
    for x, y, p, n, value in zip(*(t.tolist() for t in (a, b, position, length, got)), strict=True):
        want = y
        for i in range(n):
            if p + i < width:
                want = want & ~(1 << p + i) | (x >> i & 1) << p + i
        assert value == want


@pytest.mark.parametrize("width", [32, 64])
def test_counts_and_reversals_of_bits(each: Each, width: int) -> None:
    a = np.concatenate([pairs(width)[0], np.uint64(1) << np.arange(width, dtype=np.uint64)]).astype(f"u{width // 8}")
    ones, zeros, backwards, found = each(
        f"popc.b{width} %x, %a; clz.b{width} %y, %a; brev.b{width} %z, %a; bfind.u{width} %w, %a;",
        a, out=(np.uint32, np.uint32, a.dtype, np.uint32),
    )  # fmt: skip
    for v, p, c, r, f in zip(*(t.tolist() for t in (a, ones, zeros, backwards, found)), strict=True):
        assert p == v.bit_count()
        assert c == width - v.bit_length()
        assert r == int(f"{v:0{width}b}"[::-1], 2)
        assert f == (v.bit_length() - 1) & 0xFFFFFFFF


@pytest.mark.parametrize(("first", "second"), [("s32", "s32"), ("u32", "s32"), ("s32", "u32"), ("u32", "u32")])
def test_dp4a_and_dp2a_sum_products_of_parts(each: Each, first: str, second: str) -> None:
    a, b, c = (numbers(32, 300, seed) for seed in (20, 21, 22))
    four, low, high = each(
        f"dp4a.{first}.{second} %x, %a, %b, %c; dp2a.lo.{first}.{second} %y, %a, %b, %c;"
        f"dp2a.hi.{first}.{second} %z, %a, %b, %c;",
        a, b, c, out=(np.uint32,) * 3,
    )  # fmt: skip

    def split(value: int, bits: int, kind: str) -> list[int]:
        return [exact(value >> bits * i, bits, kind == "s32") for i in range(32 // bits)]

    for x, y, z, f, lo, hi in zip(*(t.tolist() for t in (a, b, c, four, low, high)), strict=True):
        octets, halves = split(x, 8, first), split(x, 16, first)
        others = split(y, 8, second)
        assert f == sum(p * q for p, q in zip(octets, others, strict=True)) + z & 0xFFFFFFFF
        assert lo == sum(p * q for p, q in zip(halves, others[:2], strict=True)) + z & 0xFFFFFFFF
        assert hi == sum(p * q for p, q in zip(halves, others[2:], strict=True)) + z & 0xFFFFFFFF


@pytest.mark.parametrize("kind", ["u16", "s16", "u32", "s32", "u64", "s64"])
def test_comparisons_and_selections(each: Each, kind: str) -> None:
    width, signed = int(kind[1:]), kind[0] == "s"
    a, b = pairs(width)
    names = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
    x, y = (v.view(f"i{width // 8}") if signed else v for v in (a, b))
    for name, symbol in names.items():
        code = f"setp.{name}.{kind} %p|%q, %a, %b; selp.b{width} %x, %a, %b, %p; selp.u32 %y, 1, 0, %q;"
        chosen, complement = each(code, a, b, out=(a.dtype, np.uint32))
        holds = eval(f"x {symbol} y", {"x": x, "y": y})
        assert (chosen == np.where(holds, a, b)).all()
        assert (complement == ~holds).all()


def test_predicates_combine(each: Each) -> None:
    a, b = pairs(32)
    for name, combined in (("and", lambda p, q: p & q), ("or", lambda p, q: p | q), ("xor", lambda p, q: p ^ q)):
        code = f"setp.lt.u32 %p, %a, %b; setp.eq.{name}.u32 %q, %a, 3, !%p; selp.u32 %x, 1, 0, %q;"
        assert (each(code, a, b, out=np.uint32) == combined(a == 3, ~(a < b))).all()


def test_packed_halves_are_independent(each: Each) -> None:
    a, b = numbers(32, 300, 30), numbers(32, 300, 31)
    total, least = each("add.u16x2 %x, %a, %b; min.s16x2 %y, %a, %b;", a, b, out=(np.uint32, np.uint32))
    assert (total.view(np.uint16) == a.view(np.uint16) + b.view(np.uint16)).all()
    assert (least.view(np.int16) == np.minimum(a.view(np.int16), b.view(np.int16))).all()


def test_small_constants_of_the_24_bit_multiply(each: Each) -> None:
    a, b = numbers(32, 300, 32), numbers(32, 300, 33)
    low, high = each("mul24.lo.s32 %x, %a, %b; mul24.hi.u32 %y, %a, %b;", a, b, out=(np.uint32, np.uint32))
    for x, y, lo, hi in zip(*(t.tolist() for t in (a, b, low, high)), strict=True):
        assert lo == exact(x, 24, True) * exact(y, 24, True) & 0xFFFFFFFF
        assert hi == (x & 0xFFFFFF) * (y & 0xFFFFFF) >> 16 & 0xFFFFFFFF
