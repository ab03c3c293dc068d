"""Code that finds out which of several sets of features the processor has that executes it (x86-64).

It reads words of CPUID, and of XCR0 what the system saves of a thread's registers; a feature is a bit of the former,
and needs bits of the latter. Intel SDM, volume 2, CPUID and XGETBV; volume 1, 13.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from llvmlite import ir

from vmc.backends.cpu.elements import I32, I64, POINTER, step_to

EAX, EBX, ECX, EDX = range(4)
EXTENDED = 0x80000000
LEAVES = ((1, 0), (7, 0), (7, 1), (EXTENDED + 1, 0))
WORDS = [(*leaf, register) for leaf in LEAVES for register in range(4)]
"""Leaf, subleaf and register of every word that is read; XCR0 comes after them."""

XCR0 = len(WORDS)
OSXSAVE = 1 << 27  # of leaf 1, ECX: XGETBV may be executed

PLACES = {
    (1, 0, ECX): {
        "sse3": 0,
        "ssse3": 9,
        "fma": 12,
        "cx16": 13,
        "sse4.1": 19,
        "sse4.2": 20,
        "movbe": 22,
        "popcnt": 23,
        "avx": 28,
        "f16c": 29,
    },
    (7, 0, EBX): {
        "bmi": 3,
        "avx2": 5,
        "bmi2": 8,
        "avx512f": 16,
        "avx512dq": 17,
        "avx512ifma": 21,
        "avx512cd": 28,
        "avx512bw": 30,
        "avx512vl": 31,
    },
    (7, 0, ECX): {
        "avx512vbmi": 1,
        "avx512vbmi2": 6,
        "gfni": 8,
        "avx512vnni": 11,
        "avx512bitalg": 12,
        "avx512vpopcntdq": 14,
    },
    (7, 0, EDX): {"amx-bf16": 22, "avx512fp16": 23, "amx-tile": 24, "amx-int8": 25},
    (7, 1, EAX): {"avxvnni": 4, "avx512bf16": 5},
    (EXTENDED + 1, 0, ECX): {"sahf": 0, "lzcnt": 5},
}
BITS = {name: (WORDS.index(place), bit) for place, names in PLACES.items() for name, bit in names.items()}
"""The word and the bit of every feature that can be asked for. For tiles the system must be asked as well, by name."""

YMM, ZMM, TILES = 0x6, 0xE6, 0x60000
YMM_FEATURES = frozenset({"avx", "avx2", "avxvnni", "f16c", "fma"})


def masks(features: Iterable[str]) -> dict[int, int]:
    """The bits of each word that must be set for a set of features."""
    found: dict[int, int] = {}
    for name in features:
        word, bit = BITS[name]
        found[word] = found.get(word, 0) | 1 << bit
        if state := saved(name):
            found[XCR0] = found.get(XCR0, 0) | state
    return found


def saved(feature: str) -> int:
    """The bits of XCR0 that say that the system saves the registers of a feature."""
    if feature.startswith("amx"):
        return TILES
    return ZMM if feature.startswith("avx512") else YMM if feature in YMM_FEATURES else 0


def emit_choice(module: ir.Module, name: str, sets: Sequence[Iterable[str]]) -> ir.Function:
    """Defines `i32 name(words)`: the place of the last set that the words show, 0 if they show none."""
    function = ir.Function(module, ir.FunctionType(I32, [POINTER]), name)
    b = ir.IRBuilder(function.append_basic_block())
    chosen: ir.Value = ir.Constant(I32, 0)
    for place, features in enumerate(sets):
        holds: ir.Value = ir.Constant(ir.IntType(1), 1)
        for word, mask in sorted(masks(features).items()):
            value = b.load(word_at(b, function.args[0], word), typ=I32, align=4)
            wanted = ir.Constant(I32, mask)
            holds = b.and_(holds, b.icmp_unsigned("==", b.and_(value, wanted), wanted))
        chosen = b.select(holds, ir.Constant(I32, place), chosen)
    b.ret(chosen)
    return function


def emit_reading(module: ir.Module, name: str) -> ir.Function:
    """Defines `void name(words)`, which writes all words; those that the processor lacks as zeros."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER]), name)
    b = ir.IRBuilder(function.append_basic_block())
    (words,) = function.args
    most = {0: cpuid(b, 0, 0)[EAX], EXTENDED: cpuid(b, EXTENDED, 0)[EAX]}
    subleaves: ir.Value = ir.Constant(I32, 0)
    for place, (leaf, subleaf) in enumerate(LEAVES):
        exists = b.icmp_unsigned(">=", most[leaf & EXTENDED], ir.Constant(I32, leaf))
        if subleaf:
            exists = b.and_(exists, b.icmp_unsigned(">=", subleaves, ir.Constant(I32, subleaf)))
        registers = [b.select(exists, value, ir.Constant(I32, 0)) for value in cpuid(b, leaf, subleaf)]
        if (leaf, subleaf) == (7, 0):
            subleaves = registers[EAX]
        for register, value in enumerate(registers):
            b.store(value, word_at(b, words, 4 * place + register), align=4)
    b.store(ir.Constant(I32, 0), word_at(b, words, XCR0), align=4)
    features = b.load(word_at(b, words, WORDS.index((1, 0, ECX))), typ=I32, align=4)
    with b.if_then(b.icmp_unsigned("!=", b.and_(features, ir.Constant(I32, OSXSAVE)), ir.Constant(I32, 0))):
        b.store(xcr0(b), word_at(b, words, XCR0), align=4)
    b.ret_void()
    return function


def word_at(b: ir.IRBuilder, words: ir.Value, place: int) -> ir.Value:
    return step_to(b, words, ir.Constant(I64, place), I32)


def cpuid(b: ir.IRBuilder, leaf: int, subleaf: int) -> list[ir.Value]:
    """EAX, EBX, ECX and EDX of a leaf."""
    type = ir.FunctionType(ir.LiteralStructType([I32] * 4), [I32, I32])
    places = "={ax},={bx},={cx},={dx},{ax},{cx}"
    result = b.asm(type, "cpuid", places, [ir.Constant(I32, leaf), ir.Constant(I32, subleaf)], True)
    return [b.extract_value(result, register) for register in range(4)]


def xcr0(b: ir.IRBuilder) -> ir.Value:
    """The lower half of XCR0."""
    type = ir.FunctionType(ir.LiteralStructType([I32, I32]), [I32])
    return b.extract_value(b.asm(type, "xgetbv", "={ax},={dx},{cx}", [ir.Constant(I32, 0)], True), 0)
