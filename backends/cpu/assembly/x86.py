"""What x86 instructions do, as far as counting them needs it: class, width of access, products, registers written.

Everything is read from tables over the beginnings of mnemonics (the longest that fits counts), written without the `v`
of AVX. An instruction that no table knows is `Kind.OTHER`, and a width that is not known is None: nothing is guessed.
Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from vmc.backends.cpu.assembly.text import Immediate, Instruction, Memory, Register


class Kind(Enum):
    """The class that an instruction is counted in."""

    LOAD = "load"
    STORE = "store"
    MOVE = "move"
    SHUFFLE = "shuffle"
    SHIFT = "shift"
    LOGIC = "logic"
    ARITHMETIC = "arithmetic"
    MULTIPLY = "multiply"
    CONVERT = "convert"
    MASK = "mask"
    SCALAR = "scalar"
    BRANCH = "branch"
    OTHER = "other"


def of(kind: Kind, prefixes: str) -> dict[str, Kind]:
    return dict.fromkeys(prefixes.split(), kind)


VECTOR_KINDS: Mapping[str, Kind] = {
    **of(Kind.MOVE, "mov lddqu maskmov pmaskmov tilezero"),
    **of(Kind.LOAD, "gather pgather tileload"),
    **of(Kind.STORE, "scatter pscatter tilestore"),
    **of(
        Kind.SHUFFLE, "perm pshuf shuf unpck punpck pack pinsr pextr insert extract broadcast pbroadcast align palign"
    ),
    **of(Kind.SHUFFLE, "blend pblend movddup movshdup movsldup movlhps movhlps expand compress pexpand pcompress"),
    **of(Kind.SHUFFLE, "pslldq psrldq"),
    **of(Kind.SHIFT, "psll psrl psra prol pror pshld pshrd pmultishift"),
    **of(Kind.LOGIC, "pand por pxor and or xor ptern ptest test gf2p8"),
    **of(
        Kind.ARITHMETIC,
        "add sub padd psub phadd phsub hadd hsub min max pmin pmax pavg pabs phminpos cmp pcmp div sqrt rcp rsqrt",
    ),
    **of(Kind.ARITHMETIC, "psad dbpsad mpsad round rndscale psign scalef getexp getmant range reduce fixupimm popcnt"),
    **of(Kind.ARITHMETIC, "ppopcnt lzcnt plzcnt conflict pconflict comi ucomi fpclass"),
    **of(Kind.MULTIPLY, "mul pmul pmadd fmadd fmsub fnmadd fnmsub fmaddsub fmsubadd dp pdp tdp"),
    **of(Kind.CONVERT, "cvt pmov"),
    **of(Kind.MASK, "pmovm2 pmovb2m pmovw2m pmovd2m pmovq2m pmovmskb movmsk ptestm ptestnm pcmpeqm"),
    **of(Kind.OTHER, "zero"),
}
"""The class of instructions on vector registers. A move to or from memory is a load or a store."""


def longest(name: str, table: Mapping[str, Kind]) -> Kind | None:
    """The entry of the longest beginning of a name that a table has."""
    for length in range(len(name), 0, -1):
        found = table.get(name[:length])
        if found is not None:
            return found
    return None


# Registers

GENERAL = {
    "ax": ("rax", "eax", "ax", "al", "ah"),
    "bx": ("rbx", "ebx", "bx", "bl", "bh"),
    "cx": ("rcx", "ecx", "cx", "cl", "ch"),
    "dx": ("rdx", "edx", "dx", "dl", "dh"),
    "si": ("rsi", "esi", "si", "sil"),
    "di": ("rdi", "edi", "di", "dil"),
    "bp": ("rbp", "ebp", "bp", "bpl"),
    "sp": ("rsp", "esp", "sp", "spl"),
    **{str(n): (f"r{n}", f"r{n}d", f"r{n}w", f"r{n}b") for n in range(8, 16)},
}
WHOLE = {name: names[0] for names in GENERAL.values() for name in names}
WIDTHS = {"xmm": 128, "ymm": 256, "zmm": 512}
TILE_BITS = 8192


@lru_cache(maxsize=512)
def whole(register: str) -> str:
    """The register that a name stands for a part of: `rax` for `eax`, `v7` for `ymm7`."""
    if register[:3] in WIDTHS:
        return f"v{register[3:]}"
    return WHOLE.get(register, register)


def vector_bits(register: str) -> int:
    """Bits of a vector or tile register, 0 for another."""
    if register.startswith("tmm"):
        return TILE_BITS
    return WIDTHS.get(register[:3], 0)


def is_mask(register: str) -> bool:
    return len(register) == 2 and register[0] == "k"


def widest(instruction: Instruction) -> int:
    """Bits of the widest vector register that an instruction names, 0 for none."""
    return max(map(vector_bits, names(instruction)), default=0)


def names(instruction: Instruction) -> tuple[str, ...]:
    """All register names, an index of a gather included."""
    memory = instruction.memory
    return (*instruction.registers, memory.index) if memory is not None and memory.index else instruction.registers


# Class


def plain(instruction: Instruction) -> str:
    """The mnemonic without the `v` of AVX."""
    name = instruction.mnemonic
    return name[1:] if name[0] == "v" else name


def kind(instruction: Instruction) -> Kind:
    """The class of an instruction."""
    if instruction.is_branch or instruction.is_call or not instruction.falls_through:
        return Kind.BRANCH
    registers = names(instruction)
    if not any(map(vector_bits, registers)):
        if any(map(is_mask, registers)):
            return Kind.MASK
        return Kind.OTHER if instruction.mnemonic == "vzeroupper" else Kind.SCALAR
    if any(map(is_mask, instruction.registers)):
        return Kind.MASK
    found = longest(plain(instruction), VECTOR_KINDS) or Kind.OTHER
    if found is not Kind.MOVE:
        return found
    if instruction.memory is None:
        return Kind.MOVE
    return Kind.STORE if isinstance(instruction.operands[-1], Memory) else Kind.LOAD


# Products


@lru_cache(maxsize=256)
def products_per_lane(name: str) -> tuple[int, int] | None:
    """Bits of a lane of the accumulator, and products that are added to it; None for what adds no products."""
    if name.startswith(("pdpb", "pdpw", "dpbf16", "dpphps")):
        return 32, 4 if name.startswith("pdpb") else 2
    if name.startswith(("pmaddubsw", "pmaddwd")):
        return (16, 2) if name.startswith("pmaddub") else (32, 2)
    if name.startswith(("fmadd", "fmsub", "fnmadd", "fnmsub")):
        return {"s": 32, "d": 64, "h": 16}.get(name[-1], 32), 1
    return None


@dataclass(frozen=True, slots=True)
class TileShape:
    """Rows of a tile register, and bytes of a row."""

    rows: int
    row_bytes: int


def tile_shapes(configuration: bytes) -> tuple[TileShape, ...]:
    """The shapes that `ldtilecfg` sets: bytes of rows from byte 16 on, rows from byte 48 on (palette 1)."""
    widths = [int.from_bytes(configuration[16 + 2 * number : 18 + 2 * number], "little") for number in range(8)]
    return tuple(TileShape(configuration[48 + number], width) for number, width in enumerate(widths))


def tile_products(instruction: Instruction, tiles: Sequence[TileShape]) -> int | None:
    """Products that a tile instruction adds up: those of a row of a for each sum of 32 bits. None without shapes."""
    numbers = [int(name[3:]) for name in instruction.registers]
    if len(numbers) != 3 or not all(number < len(tiles) for number in numbers):
        return None
    a, c = tiles[numbers[1]], tiles[numbers[2]]
    element = 1 if instruction.mnemonic.startswith("tdpb") and not instruction.mnemonic.startswith("tdpbf16") else 2
    return c.rows * (c.row_bytes // 4) * (a.row_bytes // element)


def multiply_adds(instruction: Instruction, tiles: Sequence[TileShape] = ()) -> int | None:
    """Products that one execution adds up: 0 for one that adds none, None where another instruction sets its size."""
    name = plain(instruction)
    if name.startswith("tdp"):
        return tile_products(instruction, tiles)
    found = products_per_lane(name)
    if found is None:
        return 0
    lane, count = found
    scalar = name.startswith(("fm", "fnm")) and name[-2] == "s"
    return count if scalar else widest(instruction) // lane * count


# Width of access

UNTOUCHED = ("lea", "prefetch", "nop", "clflush", "clwb", "cldemote")
STRINGS = ("movsb", "movsw", "movsl", "movsq", "stosb", "stosw", "stosl", "stosq", "lodsb", "scasb", "cmpsb")
ELEMENT = {"b": 8, "w": 16, "d": 32, "q": 64, "l": 32}
BLOCKS = {"128": 128, "2x64": 128, "4x32": 128, "32x4": 128, "64x2": 128, "32x2": 64, "32x8": 256, "64x4": 256}
RATIOS = {"bw": 2, "bd": 4, "bq": 8, "wd": 2, "wq": 4, "dq": 2, "wb": 2, "db": 4, "qb": 8, "dw": 2, "qw": 4, "qd": 2}
HALF = ("cvtph2ps", "cvtps2pd", "cvtdq2pd", "cvtudq2pd", "cvtps2qq", "cvtps2uqq", "cvttps2qq", "cvttps2uqq", "cvtph2w")
SCALARS = {"ss": 32, "sd": 64, "sh": 16}
FIXED = {
    **{"movq": 64, "movd": 32, "movw": 16, "movhps": 64, "movlps": 64, "movhpd": 64, "movlpd": 64, "insertps": 32},
    **{"extractps": 32},
}


def access_bits(instruction: Instruction) -> int | None:
    """Bits that the operand in memory has; 0 where nothing is accessed, None where this table cannot tell."""
    memory = instruction.memory
    if memory is None or instruction.mnemonic.startswith(UNTOUCHED):
        return 0
    if instruction.mnemonic in STRINGS:
        return None
    vectors = [vector_bits(name) for name in instruction.registers if vector_bits(name)]
    if not vectors:
        return general_bits(instruction)
    if memory.broadcast:
        return None if plain(instruction).startswith("cvt") else max(vectors) // memory.broadcast
    return vector_access_bits(plain(instruction), vectors, instruction)


def vector_access_bits(name: str, vectors: list[int], instruction: Instruction) -> int | None:
    """As `access_bits`, for an instruction on vector registers of these bits."""
    full = max(vectors)
    if name in FIXED:
        return FIXED[name]
    if name.startswith(("pinsr", "pextr")):
        return ELEMENT[name[-1]]
    if name.startswith("pbroadcast"):
        return ELEMENT.get(name[-1])
    if name.startswith(("broadcast", "insert", "extract")):
        if name[-2:] in SCALARS:
            return SCALARS[name[-2:]]
        shape = name.removeprefix("broadcast").removeprefix("insert").removeprefix("extract").lstrip("fi")
        return BLOCKS.get(shape)
    if name.startswith("pmov") and name[-2:] in RATIOS:
        return full // RATIOS[name[-2:]]
    if name.startswith("movddup"):
        return 64 if full == 128 else full
    if name.startswith("cvt"):
        return conversion_bits(name, full)
    if is_shift_by_count(name, instruction):
        return 128
    if name[-2:] in SCALARS and name[0] != "p":
        return SCALARS[name[-2:]]
    if name.startswith(
        ("tile", "gather", "pgather", "scatter", "pscatter", "compress", "expand", "pcompress", "pexpand")
    ):
        return None
    return full if longest(name, VECTOR_KINDS) is not None else None


def is_shift_by_count(name: str, instruction: Instruction) -> bool:
    """Whether all lanes are shifted by one count, which an operand of 128 bits holds."""
    shifts = name.startswith(("psll", "psrl", "psra")) and not name.startswith(("psllv", "psrlv", "psrav"))
    return shifts and not any(isinstance(operand, Immediate) for operand in instruction.operands)


def conversion_bits(name: str, full: int) -> int | None:
    """The memory operand of a conversion whose widest register has `full` bits."""
    if name.startswith(("cvtsi2", "cvtusi2")):
        return ELEMENT.get(name[-1])
    for scalar, bits in (("cvtss", 32), ("cvttss", 32), ("cvtsd", 64), ("cvttsd", 64), ("cvtsh", 16), ("cvttsh", 16)):
        if name.startswith(scalar):
            return bits
    if name.startswith("cvtps2phx"):
        return {"x": 128, "y": 256, "z": 512}.get(name[9:], 2 * full)
    if name.startswith(("cvtps2ph", *HALF)):
        return full // 2
    if name.startswith(("cvtdq2ps", "cvtudq2ps", "cvtps2dq", "cvttps2dq", "cvtps2udq", "cvttps2udq")):
        return full
    return None


EXTENSIONS = ("movz", "movs")


def general_bits(instruction: Instruction) -> int | None:
    """The memory operand of an instruction on general registers, masks, or memory alone."""
    name = instruction.mnemonic
    if name.startswith("k"):
        return ELEMENT.get(name[-1])
    if name.startswith("set"):
        return 8
    if name.startswith(EXTENSIONS) and len(name) == 6 and name[4] in ELEMENT:
        return ELEMENT[name[4]]
    return ELEMENT.get(name[-1])


# Registers and memory written

READ_ONLY = ("cmp", "test", "bt", "comi", "ucomi", "ptest", "vptest", "vcomi", "vucomi", "vtest", "ktest", "kortest")
ONE_READ = ("mul", "imul", "div", "idiv", "push", "call", "jmp")
PURE_STORES = (
    *("mov", "set", "pop", "vmov", "vextract", "extract", "vpextr", "pextr", "vpmov", "vcvt", "kmov", "vmaskmov"),
    *("vpmaskmov", "vpscatter", "vscatter", "tilestore", "vpcompress", "vcompress"),
)
"""Instructions that overwrite what they write, as others read it first."""


def only_reads(instruction: Instruction) -> bool:
    """Whether an instruction writes flags alone."""
    name = instruction.mnemonic
    return name.startswith(READ_ONLY) and not name.startswith(("btr", "bts", "btc"))


def reads_memory(instruction: Instruction) -> bool:
    """Whether the operand in memory is read."""
    if instruction.memory is None or instruction.mnemonic.startswith(UNTOUCHED):
        return False
    return not (writes_memory(instruction) and instruction.mnemonic.startswith(PURE_STORES))


def writes_memory(instruction: Instruction) -> bool:
    """Whether the operand in memory is written."""
    if instruction.memory is None or instruction.mnemonic.startswith(UNTOUCHED) or only_reads(instruction):
        return False
    if not isinstance(instruction.operands[-1], Memory):
        return instruction.mnemonic.startswith(("xchg", "xadd", "cmpxchg"))
    return not (len(instruction.operands) == 1 and instruction.mnemonic.startswith(ONE_READ))


OVERWRITES = ("v", "mov", "set", "lea", "kmov", "cvt", "popcnt", "lzcnt", "tzcnt", "bsf", "bsr", "bls", "bswap", "pop")


def overwrites(instruction: Instruction) -> bool:
    """Whether the result does not depend on what its register held. The accumulators of AVX count as overwritten."""
    three = len(instruction.operands) == 3 and not instruction.mnemonic.startswith(("shld", "shrd"))
    return three or instruction.mnemonic.startswith(OVERWRITES)


IMPLICIT: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("mulq", "mull", "mulb", "mulw", "divq", "divl", "idivq", "idivl", "divb", "idivb"), ("rax", "rdx")
    ),
    **dict.fromkeys(("cqto", "cltd", "cwtd"), ("rdx",)),
    **dict.fromkeys(("cltq", "cwtl", "cbtw"), ("rax",)),
    **dict.fromkeys(("cmpxchgq", "cmpxchgl", "cmpxchgb", "cmpxchgw"), ("rax",)),
    **dict.fromkeys(("stosq", "stosb", "stosl"), ("rdi", "rcx")),
    **dict.fromkeys(("movsb", "movsl"), ("rdi", "rsi", "rcx")),
    **dict.fromkeys(("cpuid",), ("rax", "rbx", "rcx", "rdx")),
    **dict.fromkeys(("xgetbv", "rdtsc"), ("rax", "rdx")),
}
"""Registers that are written without being named."""
VOLATILE = ("rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", *(f"v{n}" for n in range(32)))
"""Registers that a call may change (System V ABI)."""
BOTH = ("xchg", "xadd", "mulx")


def written(instruction: Instruction) -> tuple[str, ...]:
    """The whole registers that an instruction changes, but for the stack pointer of pushes, pops and calls."""
    if instruction.is_call:
        return VOLATILE
    found = list(IMPLICIT.get(instruction.mnemonic, ()))
    single = len(instruction.operands) == 1
    if single and instruction.mnemonic.startswith(("imul", "mul", "div", "idiv")):
        return ("rax", "rdx")
    if single and instruction.mnemonic.startswith("push"):
        return ()
    if not only_reads(instruction) and not instruction.is_branch:
        count = 2 if instruction.mnemonic.startswith(BOTH) else 1
        found += [whole(op.name) for op in instruction.operands[-count:] if isinstance(op, Register)]
    return tuple(found)
