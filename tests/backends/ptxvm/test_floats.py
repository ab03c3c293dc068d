"""Floating-point arithmetic and conversions against exact fractions, NumPy and ml_dtypes."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from tests.backends.ptxvm import oracle
from tests.backends.ptxvm.oracle import FORMATS, Number, is_nan

Each = Callable[..., Any]

MODES = {"f32": ("rn", "rz", "rm", "rp"), "f64": ("rn", "rz", "rm", "rp"), "f16": ("rn",), "bf16": ("rn",)}
CASES = [(kind, mode) for kind, modes in MODES.items() for mode in modes]


def codes(kind: str, count: int, seed: int) -> np.ndarray:
    """Special codes, all magnitudes, and numbers near 1, so that sums cancel and round."""
    form = FORMATS[kind]
    rng = np.random.default_rng(seed)
    unsigned = np.dtype(f"u{form.width // 8}")
    top = 1 << (form.width - 1)
    inf = form.infinity
    special = [0, 1, 2, (1 << form.mantissa) - 1, 1 << form.mantissa, inf - 1, inf, inf + 1, form.bias << form.mantissa]
    edges = np.array([s | sign for s in special for sign in (0, top)], np.uint64).astype(unsigned)
    anything = np.frombuffer(rng.bytes(count * form.width // 8), unsigned)
    near = rng.integers((form.bias - 3) << form.mantissa, (form.bias + 3) << form.mantissa, count)
    near = near.astype(unsigned) | (rng.integers(0, 2, count).astype(unsigned) << unsigned.type(form.width - 1))
    pool = np.concatenate([np.repeat(edges, 3), anything, near, near])
    return rng.permutation(pool)


def triples(kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    a, b, c = (codes(kind, 200, seed) for seed in (1, 2, 3))
    return a, b, c


def check(kind: str, mode: str, got: np.ndarray, want: list[Number]) -> None:
    form = FORMATS[kind]
    for position, (code, value) in enumerate(zip(got.tolist(), want, strict=True)):
        if is_nan(value):
            assert is_nan(form.decode(code)), position
        else:
            assert code == form.encode(value, mode), (position, hex(code), value)


def decoded(kind: str, *arrays: np.ndarray) -> list[tuple[Number, ...]]:
    return [tuple(FORMATS[kind].decode(c) for c in row) for row in zip(*(a.tolist() for a in arrays), strict=True)]


@pytest.mark.parametrize(("kind", "mode"), CASES)
def test_sums_and_differences_are_rounded_once(each: Each, kind: str, mode: str) -> None:
    a, b, _ = triples(kind)
    total, difference = each(
        f"add.{mode}.{kind} %x, %a, %b; sub.{mode}.{kind} %y, %a, %b;", a, b, out=(a.dtype, a.dtype)
    )
    values = decoded(kind, a, b)
    check(kind, mode, total, [oracle.add(x, y, mode) for x, y in values])
    check(kind, mode, difference, [oracle.add(x, -y if y != 0 else negated_zero(y), mode) for x, y in values])


def negated_zero(value: Number) -> Number:
    return -0.0 if isinstance(value, Fraction) else Fraction(0)


@pytest.mark.parametrize(("kind", "mode"), CASES)
def test_products_are_rounded_once(each: Each, kind: str, mode: str) -> None:
    a, b, _ = triples(kind)
    got = each(f"mul.{mode}.{kind} %x, %a, %b;", a, b, out=a.dtype)
    check(kind, mode, got, [oracle.multiply(x, y) for x, y in decoded(kind, a, b)])


@pytest.mark.parametrize(("kind", "mode"), CASES)
def test_fused_multiply_adds_are_rounded_once(each: Each, kind: str, mode: str) -> None:
    a, b, c = triples(kind)
    got = each(f"fma.{mode}.{kind} %x, %a, %b, %c;", a, b, c, out=a.dtype)
    want = [oracle.add(oracle.multiply(x, y), z, mode) for x, y, z in decoded(kind, a, b, c)]
    check(kind, mode, got, want)


@pytest.mark.parametrize(("kind", "mode"), [c for c in CASES if c[0] in ("f32", "f64")])
def test_quotients_and_roots_are_rounded_once(each: Each, kind: str, mode: str) -> None:
    a, b, _ = triples(kind)
    form = FORMATS[kind]
    quotient, reciprocal, root = each(
        f"div.{mode}.{kind} %x, %a, %b; rcp.{mode}.{kind} %y, %b; sqrt.{mode}.{kind} %z, %a;",
        a, b, out=(a.dtype,) * 3,
    )  # fmt: skip
    for x, y, q, r, s in zip(*(v.tolist() for v in (a, b, quotient, reciprocal, root)), strict=True):
        p, d = form.decode(x), form.decode(y)
        if isinstance(d, Fraction) and d != 0:
            assert r == form.encode(1 / d, mode)
            if isinstance(p, Fraction):
                want = form.encode(p / d, mode)
                assert q == (want if p != 0 else want | (y >> (form.width - 1) << (form.width - 1)))
        if isinstance(p, Fraction) and p > 0:
            near = form.decode(s)
            assert isinstance(near, Fraction)
            below, above = (form.decode(s + k) for k in (-1, 1))
            match mode:
                case "rz" | "rm":
                    assert near**2 <= p < above**2
                case "rp":
                    assert below**2 < p <= near**2
                case _:
                    assert ((below + near) / 2) ** 2 <= p <= ((near + above) / 2) ** 2


def test_subnormal_numbers_are_flushed_where_asked_and_kept_otherwise(each: Each) -> None:
    a = np.array([1e-40, -1e-40, 2e-38, 1.0], np.float32).view(np.uint32)
    b = np.array([1.0, 1.0, 0.25, 1e-40], np.float32).view(np.uint32)
    kept, flushed = each("mul.f32 %x, %a, %b; mul.ftz.f32 %y, %a, %b;", a, b, out=(np.float32, np.float32))
    assert (kept == a.view(np.float32) * b.view(np.float32)).all()
    assert flushed.tolist() == [0, 0, 0, 0] and np.signbit(flushed).tolist() == [False, True, False, False]


def test_saturation_clamps_to_the_unit_interval_and_nan_to_zero(each: Each) -> None:
    a = np.array([-3, 0.25, 7, np.nan, np.inf], np.float32)
    got = each("add.sat.f32 %x, %a, 0f00000000;", a, out=np.float32)
    assert got.tolist() == [0, 0.25, 1, 0, 1]


def test_nan_results_are_the_canonical_nan(each: Each) -> None:
    a = np.array([np.inf, 0], np.float32)
    b = np.array([-np.inf, 0], np.float32)
    total, quotient = each("add.f32 %x, %a, %b; div.rn.f32 %y, %b, %b;", a, b, out=(np.uint32, np.uint32))
    assert total[0] == 0x7FFFFFFF and (quotient == 0x7FFFFFFF).all()


@pytest.mark.parametrize("kind", ["f16", "bf16", "f32", "f64"])
def test_minimum_and_maximum_prefer_numbers_to_nan_and_order_zeros(each: Each, kind: str) -> None:
    a, b, _ = triples(kind)
    least, most, strict = each(
        f"min.{kind} %x, %a, %b; max.{kind} %y, %a, %b; max.{'NaN.' if kind != 'f64' else ''}{kind} %z, %a, %b;",
        a, b, out=(a.dtype,) * 3,
    )  # fmt: skip
    form = FORMATS[kind]
    top = form.width - 1

    def key(code: int) -> tuple[float | Fraction, int]:
        return (form.decode(code), -(code >> top))

    for x, y, lo, hi, hn in zip(*(v.tolist() for v in (a, b, least, most, strict)), strict=True):
        x_nan, y_nan = is_nan(form.decode(x)), is_nan(form.decode(y))
        if x_nan and y_nan:
            assert is_nan(form.decode(lo)) and is_nan(form.decode(hi))
        elif x_nan or y_nan:
            assert lo == hi == (y if x_nan else x)
            assert kind == "f64" or is_nan(form.decode(hn))
        else:
            assert (lo, hi) == (min(x, y, key=key), max(x, y, key=key))


@pytest.mark.parametrize("kind", ["f16x2", "bf16x2"])
def test_packed_operations_are_those_of_their_halves(each: Each, kind: str) -> None:
    half = kind[:-2]
    rng = np.random.default_rng(5)
    a, b, c = (codes(half, 200, s)[:400] for s in (6, 7, 8))
    whole = [np.ascontiguousarray(v).view(np.uint32) for v in (a, b, c)]
    packed = each(f"fma.rn.{kind} %x, %a, %b, %c;", *whole, out=np.uint32)
    single = each(f"fma.rn.{half} %x, %a, %b, %c;", a, b, c, out=np.uint16)
    assert (packed.view(np.uint16) == single).all()
    del rng


def test_half_precision_agrees_with_numpy_and_bfloat_with_ml_dtypes(each: Each) -> None:
    for kind, numpy_type in (("f16", np.float16), ("bf16", ml_dtypes.bfloat16)):
        a, b, _ = triples(kind)
        with np.errstate(all="ignore"):
            want = a.view(numpy_type) * b.view(numpy_type)
        got = each(f"mul.rn.{kind} %x, %a, %b;", a, b, out=np.uint16).view(numpy_type)
        same = (got == want) | (np.isnan(got.astype(np.float32)) & np.isnan(want.astype(np.float32)))
        assert same.all()


APPROXIMATE: dict[str, tuple[Callable[[float], float], float]] = {
    "ex2.approx.f32": (lambda x: 2.0**x, 2.0**-22),
    "sqrt.approx.f32": (math.sqrt, 2.0**-22),
    "rsqrt.approx.f32": (lambda x: 1 / math.sqrt(x), 2.0**-22),
    "rcp.approx.f32": (lambda x: 1 / x, 2.0**-22),
    "lg2.approx.f32": (math.log2, 2.0**-22),
    "tanh.approx.f32": (math.tanh, 2.0**-10),
}


@pytest.mark.parametrize("name", list(APPROXIMATE))
def test_approximate_functions_stay_within_the_documented_error(each: Each, name: str) -> None:
    function, bound = APPROXIMATE[name]
    x = np.random.default_rng(9).uniform(0.01, 20, 500).astype(np.float32)
    got = each(f"{name} %x, %a;", x, out=np.float32)
    for value, result in zip(x.tolist(), got.tolist(), strict=True):
        assert abs(result - function(value)) <= bound * max(abs(function(value)), 1e-2)


@pytest.mark.parametrize("source", ["f16", "f32", "f64"])
@pytest.mark.parametrize("target", ["f16", "f32", "f64"])
@pytest.mark.parametrize("mode", ["rn", "rz", "rm", "rp"])
def test_floats_convert_with_one_rounding(each: Each, source: str, target: str, mode: str) -> None:
    a = codes(source, 300, 10)
    narrows = FORMATS[target].width < FORMATS[source].width
    if not narrows and mode != "rn":
        pytest.skip("widening rounds nothing")
    modifier = f".{mode}" if narrows else ""
    got = each(f"cvt{modifier}.{target}.{source} %x, %a;", a, out=f"u{FORMATS[target].width // 8}")
    check(target, mode, got, [FORMATS[source].decode(c) for c in a.tolist()])


@pytest.mark.parametrize("mode", ["rn", "rz"])
def test_bfloat16_conversions(each: Each, mode: str) -> None:
    a = codes("f32", 500, 11)
    got, back = each(f"cvt.{mode}.bf16.f32 %x, %a; cvt.f32.bf16 %y, %x;", a, out=(np.uint16, np.uint32))
    check("bf16", mode, got, [FORMATS["f32"].decode(c) for c in a.tolist()])
    assert all(
        y == x << 16 or is_nan(FORMATS["bf16"].decode(x)) for x, y in zip(got.tolist(), back.tolist(), strict=True)
    )


def test_two_floats_become_a_pair_the_first_one_on_top(each: Each) -> None:
    a, b = codes("f32", 300, 12), codes("f32", 300, 13)
    for kind in ("f16", "bf16"):
        pair = each(f"cvt.rn.{kind}x2.f32 %x, %a, %b;", a, b, out=np.uint32)
        values = [[FORMATS["f32"].decode(c) for c in v.tolist()] for v in (a, b)]
        check(kind, "rn", pair >> 16, values[0])
        check(kind, "rn", pair & 0xFFFF, values[1])


@pytest.mark.parametrize("mode", ["rna", "rn", "rz"])
def test_tf32_keeps_ten_bits_of_mantissa(each: Each, mode: str) -> None:
    a = codes("f32", 500, 14)
    got = each(f"cvt.{mode}.tf32.f32 %x, %a;", a, out=np.uint32)
    form = oracle.Binary(8, 10)
    for code, result in zip(a.tolist(), got.tolist(), strict=True):
        value = FORMATS["f32"].decode(code)
        if not is_nan(value):
            want = form.encode(value, mode)
            assert want is not None and result == want << 13


@pytest.mark.parametrize("kind", ["f16", "f32", "f64"])
@pytest.mark.parametrize("target", ["s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64"])
@pytest.mark.parametrize("mode", ["rni", "rzi", "rmi", "rpi"])
def test_floats_to_integers_clamp_and_nan_becomes_zero(each: Each, kind: str, target: str, mode: str) -> None:
    a = np.concatenate([codes(kind, 60, 15), integral_codes(kind)])
    width, signed = int(target[1:]), target[0] == "s"
    low, high = (-(1 << (width - 1)), (1 << (width - 1)) - 1) if signed else (0, (1 << width) - 1)
    register = max(16, width)
    got = each(f"cvt.{mode}.{target}.{kind} %x, %a;", a, out=f"u{register // 8}")
    rounding = {"rni": round, "rzi": math.trunc, "rmi": math.floor, "rpi": math.ceil}[mode]
    for code, result in zip(a.tolist(), got.tolist(), strict=True):
        value = FORMATS[kind].decode(code)
        if isinstance(value, float):
            want = 0 if math.isnan(value) or value == 0 else high if value > 0 else low
        else:
            want = min(max(rounding(value), low), high)
        assert result == want & ((1 << register) - 1), (value, result, want)


def integral_codes(kind: str) -> np.ndarray:
    """Numbers around halves and around the limits of the integer types."""
    numpy_type = {"f16": np.float16, "f32": np.float32, "f64": np.float64}[kind]
    limits = [s * (2.0**p + d) for p in (7, 8, 15, 16, 31, 32, 63, 64) for d in (-1, 0, 1) for s in (1, -1)]
    with np.errstate(over="ignore"):
        values = np.array([*np.arange(-4, 4, 0.25), *limits]).astype(numpy_type)
    return values.view(f"u{values.itemsize}")


@pytest.mark.parametrize("kind", ["f16", "f32", "f64"])
@pytest.mark.parametrize("source", ["s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64"])
@pytest.mark.parametrize("mode", ["rn", "rz", "rm", "rp"])
def test_integers_to_floats_round_once(each: Each, kind: str, source: str, mode: str) -> None:
    width, signed = int(source[1:]), source[0] == "s"
    rng = np.random.default_rng(16)
    register = max(16, width)
    a = (
        np.frombuffer(rng.bytes(120 * register // 8), f"u{register // 8}")
        >> np.repeat(np.arange(0, register, 8).astype(f"u{register // 8}"), -(-120 // (register // 8)))[:120]
    )
    got = each(f"cvt.{mode}.{kind}.{source} %x, %a;", a, out=f"u{FORMATS[kind].width // 8}")
    want: list[Number] = []
    for code in a.tolist():
        value = code & ((1 << width) - 1)
        want.append(Fraction(value - (1 << width) if signed and value >> (width - 1) else value))
    check(kind, mode, got, want)


@pytest.mark.parametrize(("source", "target"), [
    ("s8", "s32"), ("u8", "u32"), ("s16", "s64"), ("u32", "u64"), ("s32", "s8"), ("u64", "u16"), ("s64", "s32"),
    ("s32", "u8"), ("u32", "s8"), ("s64", "u32"), ("s16", "u8"),
])  # fmt: skip
def test_integers_convert_by_extension_truncation_or_saturation(each: Each, source: str, target: str) -> None:
    from_width, to_width = int(source[1:]), int(target[1:])
    rng = np.random.default_rng(17)
    held = max(16, from_width)
    a = np.frombuffer(rng.bytes(200 * held // 8), f"u{held // 8}")
    register = max(16, to_width)
    widens = to_width > from_width and source[0] == target[0]  # saturation would do nothing, and PTX forbids it
    code = f"cvt.{target}.{source} %x, %a; cvt{'' if widens else '.sat'}.{target}.{source} %y, %a;"
    plain, clamped = each(code, a, out=(f"u{register // 8}",) * 2)
    low, high = (-(1 << (to_width - 1)), (1 << (to_width - 1)) - 1) if target[0] == "s" else (0, (1 << to_width) - 1)
    for code, p, c in zip(a.tolist(), plain.tolist(), clamped.tolist(), strict=True):
        value = code & ((1 << from_width) - 1)
        if source[0] == "s" and value >> (from_width - 1):
            value -= 1 << from_width
        cut = value & ((1 << to_width) - 1)
        if target[0] == "s" and cut >> (to_width - 1):
            cut -= 1 << to_width
        assert p == cut & ((1 << register) - 1)
        assert c == min(max(value, low), high) & ((1 << register) - 1)


@pytest.mark.parametrize(("kind", "numpy_type"), [("e4m3", ml_dtypes.float8_e4m3fn), ("e5m2", ml_dtypes.float8_e5m2)])
def test_pairs_of_8_bit_floats(each: Each, kind: str, numpy_type: Any) -> None:
    every = np.arange(65536, dtype=np.uint32).astype(np.uint16)
    wide = each(f"cvt.rn.f16x2.{kind}x2 %x, %a;", every, out=np.uint32).view(np.float16)
    want = every.view(np.uint8).view(numpy_type).astype(np.float16)
    assert ((wide == want) | (np.isnan(wide) & np.isnan(want))).all()
    halves = np.random.default_rng(18).permutation(65536).astype(np.uint16)
    narrow = each(f"cvt.rn.satfinite.{kind}x2.f16x2 %x, %a;", halves.view(np.uint32), out=np.uint16).view(np.uint8)
    largest = float(ml_dtypes.finfo(numpy_type).max)
    values = halves.view(np.float16)
    with np.errstate(invalid="ignore"):
        clipped = np.clip(values.astype(np.float32), -largest, largest).astype(numpy_type)
    nan = np.isnan(values)
    assert (narrow[~nan] == clipped.view(np.uint8)[~nan]).all() and (narrow[nan] == 0x7F).all()
    floats = np.random.default_rng(19).standard_normal(512).astype(np.float32) * 100
    both = each(f"cvt.rn.satfinite.{kind}x2.f32 %x, %a, %b;", floats, floats[::-1].copy(), out=np.uint16)
    clipped = np.clip(floats, -largest, largest).astype(numpy_type).view(np.uint8)
    assert (both >> 8 == clipped).all() and (both & 0xFF == clipped[::-1]).all()


def test_rounding_to_integral_floats(each: Each) -> None:
    a = integral_codes("f32")
    x = a.view(np.float32)
    for mode, function in (("rni", np.rint), ("rzi", np.trunc), ("rmi", np.floor), ("rpi", np.ceil)):
        assert (each(f"cvt.{mode}.f32.f32 %x, %a;", a, out=np.float32) == function(x)).all()


@pytest.mark.parametrize("kind", ["f16", "f32", "f64"])
def test_comparisons_know_unordered_numbers(each: Each, kind: str) -> None:
    a, b, _ = triples(kind)
    values = decoded(kind, a, b)
    tests: dict[str, Callable[[Any, Any], bool]] = {
        "eq": lambda x, y: x == y, "ne": lambda x, y: x != y, "lt": lambda x, y: x < y, "le": lambda x, y: x <= y,
        "gt": lambda x, y: x > y, "ge": lambda x, y: x >= y, "num": lambda x, y: True, "nan": lambda x, y: False,
    }  # fmt: skip
    for name, test in tests.items():
        for suffix in ("", "u") if name not in ("num", "nan") else ("",):
            code = f"setp.{name}{suffix}.{kind} %p, %a, %b; selp.u32 %x, 1, 0, %p;"
            got = each(code, a, b, out=np.uint32).tolist()
            unordered = name == "nan" or suffix == "u"
            want = [int(unordered if is_nan(x) or is_nan(y) else test(x, y)) for x, y in values]
            assert got == want, (name, suffix)


@pytest.mark.parametrize(
    ("kind", "numpy_type", "bits"),
    [
        ("e2m1", ml_dtypes.float4_e2m1fn, 4),
        ("e2m3", ml_dtypes.float6_e2m3fn, 6),
        ("e3m2", ml_dtypes.float6_e3m2fn, 6),
    ],
)
def test_pairs_of_4_and_6_bit_floats(each: Each, kind: str, numpy_type: Any, bits: int) -> None:
    shift = 4 if bits == 4 else 8
    every = np.array([x << shift | y for x in range(1 << bits) for y in range(1 << bits)], np.uint16)
    declare = ".reg .b8 %b0, %b1;"
    unpack = "mov.b16 {%b0, %b1}, %a;" if bits == 4 else ""
    wide = each(f"{declare}{unpack} cvt.rn.f16x2.{kind}x2 %x, {'%b0' if bits == 4 else '%a'};", every, out=np.uint32)
    values = np.arange(1 << bits, dtype=np.uint8).view(numpy_type).astype(np.float16)
    halves = wide.view(np.float16).reshape(-1, 2)
    assert (halves[:, 1] == np.repeat(values, 1 << bits)).all() and (halves[:, 0] == np.tile(values, 1 << bits)).all()
    rng = np.random.default_rng(20)
    floats = np.concatenate([rng.standard_normal(500) * 4, values, [-0.0, np.inf, -np.inf, 1e9]]).astype(np.float32)
    other = rng.permutation(floats)
    pack = "mov.b16 %x, {%b0, %b0};" if bits == 4 else ""
    result = "%b0" if bits == 4 else "%x"
    code = f"{declare} cvt.rn.satfinite.{kind}x2.f32 {result}, %a, %b; {pack}"
    got = each(code, floats, other, out=np.uint16)
    largest = float(ml_dtypes.finfo(numpy_type).max)
    upper, lower = (np.clip(v, -largest, largest).astype(numpy_type).view(np.uint8) for v in (floats, other))
    mask = (1 << bits) - 1
    assert (got >> shift & mask == upper & mask).all() and (got & mask == lower & mask).all()
    nan = each(code, np.full(32, np.nan, np.float32), np.zeros(32, np.float32), out=np.uint16)
    assert (nan >> shift & mask == mask >> 1).all()


def test_scales_are_powers_of_two_rounded_down_or_up(each: Each) -> None:
    x = np.array([0, 1, 1.5, 2, 3.99, 2.0**-130, 2.0**-126, 3e38, np.inf, np.nan, 0.75], np.float32)
    down, up = each(
        "cvt.rz.satfinite.ue8m0x2.f32 %x, %a, %a; cvt.rp.satfinite.ue8m0x2.f32 %y, %a, %a;", x, out=(np.uint16,) * 2
    )
    assert (down & 255).tolist() == [0, 127, 127, 128, 128, 0, 1, 254, 254, 255, 126]
    assert (up >> 8).tolist() == [0, 127, 128, 128, 129, 0, 1, 254, 254, 255, 127]
    back = each("cvt.rn.bf16x2.ue8m0x2 %x, %a;", np.array([0x7F80, 0xFF01], np.uint16), out=np.uint32)
    assert [v & 0xFFFF for v in back.tolist()] == [0x4000, 0x0080] and back[0] >> 16 == 0x3F80
    assert back[1] >> 16 == 0x7FFF


@pytest.mark.parametrize(("kind", "to_float"), [("f16", np.float16), ("bf16", ml_dtypes.bfloat16)])
def test_sums_of_mixed_precision_widen_the_first_operands(each: Each, kind: str, to_float: Any) -> None:
    """PTX ISA, "Mixed Precision Floating-Point Instructions": add.f32.f16 and its kin, rounded once to f32."""
    a, b = (np.resize(codes(kind, 200, seed), 600) for seed in (1, 2))
    c = np.resize(codes("f32", 200, 3), 600)
    code = f"add.rn.f32.{kind} %x, %a, %c; sub.rn.f32.{kind} %y, %a, %c; fma.rn.f32.{kind} %z, %a, %b, %c;"
    total, difference, fused = each(code, a, b, c, out=(np.uint32,) * 3)
    for name, bits in (("add", total), ("sub", difference), ("fma", fused)):
        wide = f"{name}.rn.f32 %x, %a, {'%b' if name != 'fma' else '%b, %c'};"
        x, y, z = a.view(to_float).astype(np.float32), b.view(to_float).astype(np.float32), c.view(np.float32)
        others = (y, z) if name == "fma" else (z,)
        np.testing.assert_array_equal(bits, each(wide, x, *others, out=np.uint32))
