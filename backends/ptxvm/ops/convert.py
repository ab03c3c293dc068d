"""Conversions: cvt between all types, packed and small formats included; addresses between spaces (cvta)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from vmc.backends.ptxvm import numeric, taint
from vmc.backends.ptxvm.addresses import WINDOW_SIZE
from vmc.backends.ptxvm.arrays import SINT, UINT, Array
from vmc.backends.ptxvm.emitter import WINDOWS, Emitter, Step, fit
from vmc.backends.ptxvm.ops.floats import PACKED, clamp_negative
from vmc.backends.ptxvm.ops.integer import is_signed
from vmc.backends.ptxvm.parser import WIDTHS

FLOATS = {"f16", "bf16", "tf32", "f32", "f64"}
TO_INTEGRAL: dict[str, Callable[[Array], Array]] = {
    "rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil,
}  # fmt: skip
SMALL_PACKED = {f"{name}x2": name for name in numeric.SMALL}
NARROW_WIDTH = {"e4m3": 8, "e5m2": 8, "ue8m0": 8, "e2m3": 8, "e3m2": 8, "e2m1": 4}


def cvt(e: Emitter) -> Step:
    types = [m for m in e.modifiers if m in WIDTHS or m in SMALL_PACKED]
    if e.has("pack"):
        return _pack_integers(e)
    if len(types) < 2:
        e.unsupported()
    target, source = types[0], types[1]
    if target in SMALL_PACKED or source in SMALL_PACKED:
        return _small(e, target, source)
    if target in PACKED and source == "f32":
        return _two_floats(e, target)
    if target in PACKED or source in PACKED:
        e.unsupported()
    apply = _conversion(e, target, source)
    width, result_width = WIDTHS[source], WIDTHS[target]
    slot = e.source(1, width, source)
    destination = e.result()
    register = e.program.widths[destination]
    extend = _to_register(target, register)

    def run(value: Array) -> Array:
        return extend(apply(fit(value, width)))

    rule = taint.anything(register)
    if source not in FLOATS and target not in FLOATS and not e.has("sat"):
        rule = taint.sign_filled(run)
    assert result_width <= register
    return e.compute(destination, [slot], run, rule)


def _to_register(target: str, register: int) -> Callable[[Array], Array]:
    """From the result type to the register, which may be wider: integers are extended."""
    width = WIDTHS[target]
    if width == register:
        return lambda bits: bits
    if is_signed(target):
        return lambda bits: bits.view(SINT[width]).astype(SINT[register]).view(UINT[register])
    return lambda bits: bits.astype(UINT[register])


def _conversion(e: Emitter, target: str, source: str) -> Callable[[Array], Array]:
    if source in FLOATS and target in FLOATS:
        return _float_to_float(e, target, source)
    if source in FLOATS:
        return _float_to_integer(e, target, source)
    if target in FLOATS:
        return _integer_to_float(e, target, source)
    return _integer_to_integer(target, source, e.has("sat"))


def _as_integer(bits: Array, kind: str) -> Array:
    return bits.view(SINT[WIDTHS[kind]]) if is_signed(kind) else bits


def _integer_to_integer(target: str, source: str, saturate: bool) -> Callable[[Array], Array]:
    width = WIDTHS[target]
    kind = (SINT if is_signed(target) else UINT)[width]

    def apply(bits: Array) -> Array:
        value = _as_integer(bits, source)
        if saturate:
            low, high = _limits(kind, value.dtype)
            value = np.clip(value, low, high)
        return value.astype(kind).view(UINT[width])

    return apply


def _limits(kind: type[np.integer], held: np.dtype[np.integer]) -> tuple[np.integer, np.integer]:
    """The range of a type, as far as another one holds it."""
    wanted, have = np.iinfo(kind), np.iinfo(held)
    return held.type(max(wanted.min, have.min)), held.type(min(wanted.max, have.max))


def _integer_to_float(e: Emitter, target: str, source: str) -> Callable[[Array], Array]:
    mode, saturate = e.rounding, e.has("sat")

    def apply(bits: Array) -> Array:
        value = _as_integer(bits, source)
        exact = numeric.integer_to_odd(value) if value.dtype.itemsize == 8 else value.astype(np.float64)
        if target == "f64":
            return numeric.directed_integers(value, mode)
        codes = numeric.encode(exact, target, mode)
        return numeric.saturate(codes, target) if saturate else codes

    return apply


def _float_to_integer(e: Emitter, target: str, source: str) -> Callable[[Array], Array]:
    to_integral = next((TO_INTEGRAL[m] for m in e.modifiers if m in TO_INTEGRAL), np.trunc)
    ftz = e.has("ftz")
    width = WIDTHS[target]
    kind = (SINT if is_signed(target) else UINT)[width]
    info = np.iinfo(kind)
    beyond = 2.0 ** (width - 1 if is_signed(target) else width)

    def apply(bits: Array) -> Array:
        with np.errstate(all="ignore"):
            value = numeric.decode(numeric.flush(bits, source) if ftz else bits, source).astype(np.float64)
            whole = to_integral(value)
            inside = (whole >= info.min) & (whole < beyond)
            result = np.where(inside, whole, 0).astype(kind)
            result = np.where(whole >= beyond, kind(info.max), result)
            result = np.where(whole < info.min, kind(info.min), result)
        return np.asarray(result).view(UINT[width])

    return apply


def _float_to_float(e: Emitter, target: str, source: str) -> Callable[[Array], Array]:
    to_integral = next((TO_INTEGRAL[m] for m in e.modifiers if m in TO_INTEGRAL), None)
    mode = e.rounding
    ftz, saturate, relu, finite = e.has("ftz"), e.has("sat"), e.has("relu"), e.has("satfinite")
    limit = numeric.FORMATS[target].largest

    def apply(bits: Array) -> Array:
        if ftz and source in ("f32", "f16"):
            bits = numeric.flush(bits, source)
        with np.errstate(all="ignore"):
            value = numeric.decode(bits, source).astype(np.float64)
            if to_integral is not None:
                value = to_integral(value)
            if finite:
                value = np.where(np.isinf(value), np.copysign(limit, value), value)
            codes = numeric.encode(value, target, mode)
            if finite:
                codes = numeric.encode(np.clip(numeric.decode(codes, target), -limit, limit).astype(np.float64), target)
        if ftz and target in ("f32", "f16"):
            codes = numeric.flush(codes, target)
        if saturate:
            codes = numeric.saturate(codes, target)
        return clamp_negative(codes, target) if relu else codes

    return apply


def _two_floats(e: Emitter, target: str) -> Step:
    """d, a, b: a becomes the upper half."""
    if e.has("rs"):
        e.unsupported("stochastic rounding")
    apply = _float_to_float(e, PACKED[target], "f32")

    def both(a: Array, b: Array) -> Array:
        return apply(a).astype(np.uint32) << np.uint32(16) | apply(b).astype(np.uint32)

    def rule(values: Sequence[Array], unset: Sequence[Array | None]) -> Array:
        upper, lower = unset
        halves: Array = np.zeros(1, np.uint32)
        if upper is not None:
            halves = halves | np.where(upper != 0, np.uint32(0xFFFF0000), np.uint32(0))
        if lower is not None:
            halves = halves | np.where(lower != 0, np.uint32(0xFFFF), np.uint32(0))
        return halves

    return e.compute(e.result(), [e.source(1, 32, "f32"), e.source(2, 32, "f32")], both, rule)


def _small(e: Emitter, target: str, source: str) -> Step:
    """Pairs of numbers of up to 8 bits, from and to pairs of f16, bf16 or f32."""
    if e.has("rs"):
        e.unsupported("stochastic rounding")
    relu, upwards = e.has("relu"), e.has("rp")
    if source in SMALL_PACKED:
        return _from_small(e, PACKED.get(target, ""), SMALL_PACKED[source], relu)
    kind = SMALL_PACKED[target]
    shift = NARROW_WIDTH[kind]

    def narrow(value: Array) -> Array:
        with np.errstate(all="ignore"):
            value = np.where(value < 0, 0.0, value) if relu else value
        if kind == "ue8m0":
            return numeric.encode_scale(value, upwards).astype(np.uint16)
        return numeric.encode_small(value, kind).astype(np.uint16)

    destination = e.result()
    register = UINT[e.program.widths[destination]]
    if source == "f32":

        def from_floats(a: Array, b: Array) -> Array:
            high, low = (narrow(v.view(np.float32).astype(np.float64)) for v in (a, b))
            return (high << np.uint16(shift) | low).astype(register)

        sources = [e.source(1, 32, "f32"), e.source(2, 32, "f32")]
        return e.compute(destination, sources, from_floats, taint.anything(e.program.widths[destination]))
    if source not in PACKED:
        e.unsupported()

    def from_pair(a: Array) -> Array:
        parts = np.ascontiguousarray(a).view(np.uint16).reshape(-1, 2)
        codes = narrow(numeric.decode(parts, PACKED[source]))
        return (codes[:, 1] << np.uint16(shift) | codes[:, 0]).astype(register)

    return e.compute(destination, [e.source(1, 32)], from_pair, taint.anything(e.program.widths[destination]))


def _from_small(e: Emitter, target: str, kind: str, relu: bool) -> Step:
    if target not in ("f16", "bf16"):
        e.unsupported()
    shift = NARROW_WIDTH[kind]
    mask = (1 << (8 if shift == 8 else 4)) - 1
    unused = {"e2m3": 0x3F, "e3m2": 0x3F}.get(kind, mask)

    def apply(bits: Array) -> Array:
        both = bits.astype(np.uint16)
        codes = np.stack([both & np.uint16(unused), (both >> np.uint16(shift)) & np.uint16(unused)], axis=1)
        result = numeric.encode(numeric.decode(codes, kind), target)
        if relu:
            result = clamp_negative(result, target)
        return np.ascontiguousarray(result).view(np.uint32).reshape(-1)

    slot = e.source(1, 8 if shift == 4 else 16, f"b{8 if shift == 4 else 16}")
    return e.compute(e.result(), [slot], apply, taint.anything(32))


def _pack_integers(e: Emitter) -> Step:
    """cvt.pack: two saturated integers, followed by what the third operand's low half holds."""
    target, source = e.types[0], e.types[1]
    width = WIDTHS[target]
    convert = _integer_to_integer(target, source, True)
    mask = np.uint32((1 << width) - 1)

    def pair(a: Array, b: Array) -> Array:
        high, low = convert(a).astype(np.uint32), convert(b).astype(np.uint32)
        return (high & mask) << np.uint32(width) | (low & mask)

    if len(e.operands) == 3:
        return e.compute(e.result(), [e.source(1, 32), e.source(2, 32)], pair, taint.anything(32))

    def triple(a: Array, b: Array, c: Array) -> Array:
        return c << np.uint32(2 * width) | pair(a, b)

    return e.compute(e.result(), [e.source(i, 32) for i in (1, 2, 3)], triple, taint.anything(32))


def cvta(e: Emitter) -> Step:
    """From an address in a space to a generic one, or with .to the other way round."""
    space = next(m for m in e.modifiers if m.split("::")[0] in WINDOWS).split("::")[0]
    width = e.width
    window = UINT[64](WINDOWS[space])
    back = e.has("to")
    slot = e.source(1, width, f"u{width}")

    def apply(address: Array) -> Array:
        wide = address.astype(np.uint64)
        return (wide - window if back else wide + window).astype(UINT[width])

    return e.compute(e.result(), [slot], apply, taint.upwards(width))


def isspacep(e: Emitter) -> Step:
    """Whether a generic address lies in a space."""
    space = next(m for m in e.modifiers if m.split("::")[0] in WINDOWS).split("::")[0]
    window = np.uint64(WINDOWS[space])

    def apply(address: Array) -> Array:
        if space in ("shared", "local"):
            return (address >= window) & (address - window < np.uint64(WINDOW_SIZE))
        result: Array = address < np.uint64(min(WINDOWS["shared"], WINDOWS["local"]))
        return result

    return e.compute(e.result(), [e.source(1, 64, "u64")], apply, taint.predicate)
