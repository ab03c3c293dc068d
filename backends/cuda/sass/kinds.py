"""What the instructions of NVIDIA's machine code do, as far as counts need it.

The names are those of the CUDA Binary Utilities manual, "Instruction Set Reference", for compute capabilities 8.0 to
12.0. Whatever is not in the table counts as `other`, so that a new instruction is seen rather than lost.
"""

from __future__ import annotations

from enum import Enum

from vmc.backends.cuda.sass.text import Instruction


class Kind(Enum):
    """The kinds of instructions that are told apart."""

    LOGIC = "integer and logic"
    HALF = "packed half arithmetic"
    FLOAT = "float arithmetic"
    CONVERT = "conversion"
    PACK = "packed conversion"
    MOVE = "move"
    SHUFFLE = "shuffle"
    SPECIAL = "special function"
    MATRIX = "matrix"
    GLOBAL = "global memory"
    SHARED = "shared memory"
    LOCAL = "local memory"
    CONSTANT = "constant memory"
    UNIFORM = "uniform"
    BARRIER = "barrier and wait"
    CONTROL = "control"
    OTHER = "other"


ARITHMETIC = frozenset(
    {Kind.LOGIC, Kind.HALF, Kind.FLOAT, Kind.CONVERT, Kind.PACK, Kind.MOVE, Kind.SHUFFLE, Kind.SPECIAL, Kind.OTHER}
)
"""What takes the issue slots of the arithmetic units: all but memory, matrix units, control and the uniform path."""

MNEMONICS: dict[Kind, str] = {
    Kind.LOGIC: "LOP3 LOP LOP32I PLOP3 SHF SHL SHR PRMT IADD3 IADD IADD32I LEA ISETP SEL FSEL IMNMX VIMNMX VIMNMX3 "
    "IMAD IMUL IDP IDP4A POPC FLO BREV BMSK SGXT IABS ISCADD VABSDIFF VABSDIFF4 LEPC VIADD VIADDMNMX VIADD3 PSETP",
    Kind.HALF: "HADD2 HFMA2 HMUL2 HSET2 HSETP2 HMNMX2 HADD2_32I HFMA2_32I HMUL2_32I VHMNMX",
    Kind.FLOAT: "FADD FFMA FMUL FMNMX FSETP FSET FCHK FSWZADD FADD32I FFMA32I FMUL32I DADD DFMA DMUL DSETP DMNMX "
    "FADD2 FFMA2 FMUL2 FMNMX3",
    Kind.CONVERT: "I2F F2I F2F I2I FRND I2FP FRND2 I2IP",
    Kind.PACK: "F2FP",
    Kind.MOVE: "MOV MOV32I S2R S2UR CS2R P2R R2P R2UR B2R VOTE MATCH",
    Kind.SHUFFLE: "SHFL",
    Kind.SPECIAL: "MUFU",
    Kind.MATRIX: "HMMA IMMA DMMA BMMA QMMA OMMA HGMMA IGMMA QGMMA BGMMA UTCHMMA UTCQMMA UTCIMMA MOVM",
    Kind.GLOBAL: "LDG STG LDGSTS RED ATOMG ATOM LD ST LDGMC UBLKCP UBLKPF UTMALDG UTMASTG UTMAREDG CCTL REDG",
    Kind.SHARED: "LDS STS LDSM STSM ATOMS LDSLK STSCUL UTMACCTL SYNCS",
    Kind.LOCAL: "LDL STL",
    Kind.CONSTANT: "LDC ULDC LDCU",
    Kind.BARRIER: "BAR DEPBAR LDGDEPBAR MEMBAR ERRBAR WARPSYNC FENCE UTMACMDFLUSH ARRIVES WARPGROUP UCGABAR_ARV "
    "UCGABAR_WAIT",
    Kind.CONTROL: "BRA BRX JMP JMX EXIT RET CALL BSSY BSYNC BREAK BMOV YIELD NOP NANOSLEEP KILL BPT RPCMOV ELECT "
    "ENDCOLLECTIVE",
}
KINDS = {mnemonic: kind for kind, names in MNEMONICS.items() for mnemonic in names.split()}
WIDTHS = {"U8": 8, "S8": 8, "U16": 16, "S16": 16, "64": 64, "128": 128, "256": 256}


def kind_of(instruction: Instruction) -> Kind:
    """What kind an instruction is of."""
    if instruction.opcode.startswith("IMAD.MOV"):
        return Kind.MOVE
    found = KINDS.get(instruction.mnemonic)
    if found is not None:
        return found
    return Kind.UNIFORM if instruction.mnemonic.startswith("U") else Kind.OTHER


def access_bits(instruction: Instruction) -> int:
    """The bits that each thread moves by an access of memory; what ldmatrix gives each thread."""
    if instruction.mnemonic in ("LDSM", "STSM"):
        counts = {"2": 2, "4": 4}
        return 32 * next((counts[m] for m in instruction.modifiers if m in counts), 1)
    return next((WIDTHS[m] for m in instruction.modifiers if m in WIDTHS), 32)


def loads(instruction: Instruction) -> bool:
    return instruction.mnemonic in ("LDG", "LDS", "LDSM", "LDL", "LDGSTS", "LD", "ATOMG", "ATOMS")


def stores(instruction: Instruction) -> bool:
    return instruction.mnemonic in ("STG", "STS", "STSM", "STL", "ST", "RED", "REDG")


def multiply_adds(instruction: Instruction) -> int:
    """The multiply-adds that a warp's matrix instruction makes: M * N * K of `HMMA.16816`, `IMMA.16832`; a quarter of
    that where four warps make them together, `HGMMA.64x128x16`. 0 where the name does not tell.
    """
    if kind_of(instruction) is not Kind.MATRIX:
        return 0
    for modifier in instruction.modifiers:
        if "x" in modifier and modifier.replace("x", "").isdigit():
            m, n, k = (int(part) for part in modifier.split("x"))
            return m * n * k // 4
        if modifier in SHAPES:
            m, n, k = SHAPES[modifier]
            return m * n * k
    return 0


SHAPES = {
    "1688": (16, 8, 8),
    "1684": (16, 8, 4),
    "16816": (16, 8, 16),
    "16832": (16, 8, 32),
    "16864": (16, 8, 64),
    "168128": (16, 8, 128),
    "168256": (16, 8, 256),
    "884": (8, 8, 4),
    "8816": (8, 8, 16),
    "8832": (8, 8, 32),
}
"""M, N, K by how opcodes write them."""
