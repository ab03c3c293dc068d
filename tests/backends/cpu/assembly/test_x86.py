"""What the tables say of instructions, against the manual (Intel SDM, volume 2)."""

from __future__ import annotations

import pytest

from vmc.backends.cpu.assembly import x86
from vmc.backends.cpu.assembly.text import parse_instruction
from vmc.backends.cpu.assembly.x86 import Kind, TileShape

KINDS = [
    ("vmovdqu64\t(%rax), %zmm1", Kind.LOAD),
    ("vmovups\t%ymm1, 8(%rax)", Kind.STORE),
    ("vmovdqa64\t%zmm1, %zmm2", Kind.MOVE),
    ("vmovsldup\t%xmm1, %xmm2", Kind.SHUFFLE),
    ("vpermb\t%zmm1, %zmm2, %zmm3", Kind.SHUFFLE),
    ("vpbroadcastd\t(%rax), %zmm3", Kind.SHUFFLE),
    ("vpsrldq\t$4, %xmm1, %xmm2", Kind.SHUFFLE),
    ("vpsrlvw\t%zmm1, %zmm2, %zmm3", Kind.SHIFT),
    ("vpmultishiftqb\t%zmm1, %zmm2, %zmm3", Kind.SHIFT),
    ("vpternlogd\t$202, %zmm1, %zmm2, %zmm3", Kind.LOGIC),
    ("pxor\t%xmm1, %xmm2", Kind.LOGIC),
    ("vpabsb\t%ymm1, %ymm2", Kind.ARITHMETIC),
    ("vsubps\t%ymm1, %ymm2, %ymm3", Kind.ARITHMETIC),
    ("vfmadd231ps\t%zmm1, %zmm2, %zmm3", Kind.MULTIPLY),
    ("vpdpbusd\t%zmm1, %zmm2, %zmm3", Kind.MULTIPLY),
    ("tdpbssd\t%tmm1, %tmm2, %tmm3", Kind.MULTIPLY),
    ("tileloadd\t(%rax,%rdx), %tmm1", Kind.LOAD),
    ("vcvtdq2ps\t%zmm1, %zmm2", Kind.CONVERT),
    ("vpmovzxbd\t(%rax), %zmm2", Kind.CONVERT),
    ("vpcmpub\t$1, %zmm1, %zmm2, %k1", Kind.MASK),
    ("kmovq\t%rax, %k1", Kind.MASK),
    ("leaq\t(%rax,%rax,2), %rcx", Kind.SCALAR),
    ("prefetcht0\t(%rax)", Kind.SCALAR),
    ("jne\t.LBB0_1", Kind.BRANCH),
    ("callq\tmemcpy@PLT", Kind.BRANCH),
    ("vzeroupper", Kind.OTHER),
    ("vaesenc\t%zmm1, %zmm2, %zmm3", Kind.OTHER),
]

WIDTHS = [
    ("vmovdqu64\t(%rax), %zmm1", 512),
    ("movaps\t%xmm1, (%rax)", 128),
    ("vpaddb\t(%rax), %ymm1, %ymm2", 256),
    ("vpandd\t(%rax){1to16}, %zmm1, %zmm2", 32),
    ("vpandq\t(%rax){1to8}, %zmm1, %zmm2", 64),
    ("vpinsrb\t$1, (%rax), %xmm1, %xmm2", 8),
    ("vpextrw\t$1, %xmm1, (%rax)", 16),
    ("vmovq\t(%rax), %xmm1", 64),
    ("vmovd\t%xmm1, (%rax)", 32),
    ("vmovss\t(%rax), %xmm1", 32),
    ("vmovsh\t%xmm1, (%rax)", 16),
    ("vpminsd\t(%rax), %zmm1, %zmm2", 512),
    ("vpbroadcastw\t(%rax), %zmm1", 16),
    ("vbroadcastss\t(%rax), %ymm1", 32),
    ("vbroadcasti32x4\t(%rax), %zmm1", 128),
    ("vbroadcastf64x4\t(%rax), %zmm1", 256),
    ("vinserti128\t$1, (%rax), %ymm1, %ymm2", 128),
    ("vextracti64x4\t$1, %zmm1, (%rax)", 256),
    ("vpmovzxbd\t(%rax), %zmm1", 128),
    ("vpmovsxbw\t(%rax), %ymm1", 128),
    ("vpmovzxbq\t(%rax), %xmm1", 16),
    ("vpmovdb\t%zmm1, (%rax)", 128),
    ("vcvtph2ps\t(%rax), %zmm1", 256),
    ("vcvtps2ph\t$4, %zmm1, (%rax)", 256),
    ("vcvtps2phx\t(%rax), %ymm1", 512),
    ("vcvtps2phxx\t(%rax), %xmm1", 128),
    ("vcvtdq2ps\t(%rax), %zmm1", 512),
    ("vcvtsi2ssl\t(%rax), %xmm1, %xmm2", 32),
    ("vpslld\t(%rax), %zmm1, %zmm2", 128),
    ("vpslld\t$3, (%rax), %zmm2", 512),
    ("vmulss\t(%rax), %xmm1, %xmm2", 32),
    ("movzbl\t(%rax), %ecx", 8),
    ("movswq\t(%rax), %rcx", 16),
    ("movslq\t(%rax), %rcx", 32),
    ("shrxq\t%r9, (%rax), %r10", 64),
    ("addb\t$1, (%rax)", 8),
    ("kmovw\t(%rax), %k1", 16),
    ("leaq\t(%rax), %rcx", 0),
    ("prefetcht0\t(%rax)", 0),
    ("vpgatherdd\t(%rax,%zmm1,4), %zmm2 {%k1}", None),
    ("tileloadd\t(%rax,%rdx), %tmm1", None),
]


@pytest.mark.parametrize(("text", "kind"), KINDS)
def test_an_instruction_has_its_class(text: str, kind: Kind) -> None:
    assert x86.kind(parse_instruction(text)) is kind


@pytest.mark.parametrize(("text", "bits"), WIDTHS)
def test_an_access_has_its_width(text: str, bits: int | None) -> None:
    assert x86.access_bits(parse_instruction(text)) == bits


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("vfmadd231ps\t%zmm1, %zmm2, %zmm3", 16),
        ("vfmadd213pd\t%ymm1, %ymm2, %ymm3", 4),
        ("vfmadd213ss\t%xmm1, %xmm2, %xmm3", 1),
        ("vfnmadd213ph\t%zmm1, %zmm2, %zmm3", 32),
        ("vpdpbusd\t%zmm1, %zmm2, %zmm3", 64),
        ("vpdpwssd\t%ymm1, %ymm2, %ymm3", 16),
        ("vdpbf16ps\t%zmm1, %zmm2, %zmm3", 32),
        ("vpmaddubsw\t%ymm1, %ymm2, %ymm3", 32),
        ("vpmaddwd\t%ymm1, %ymm2, %ymm3", 16),
        ("vmulps\t%zmm1, %zmm2, %zmm3", 0),
        ("tdpbssd\t%tmm6, %tmm4, %tmm0", None),
    ],
)
def test_products_are_counted(text: str, count: int | None) -> None:
    assert x86.multiply_adds(parse_instruction(text)) == count


def test_products_of_tiles_follow_from_their_configuration() -> None:
    table = bytearray(64)
    table[0], table[16], table[24], table[48], table[52] = 1, 32, 64, 5, 5
    tiles = x86.tile_shapes(bytes(table))
    assert (tiles[0], tiles[4]) == (TileShape(5, 32), TileShape(5, 64))
    assert x86.multiply_adds(parse_instruction("tdpbssd\t%tmm6, %tmm4, %tmm0"), tiles) == 5 * 8 * 64
    assert x86.multiply_adds(parse_instruction("tdpbf16ps\t%tmm6, %tmm4, %tmm0"), tiles) == 5 * 8 * 32


@pytest.mark.parametrize(
    ("text", "reads", "writes"),
    [
        ("movq\t(%rax), %rcx", True, False),
        ("movq\t%rcx, (%rax)", False, True),
        ("addq\t%rcx, (%rax)", True, True),
        ("cmpq\t%rcx, (%rax)", True, False),
        ("incq\t(%rax)", True, True),
        ("divq\t(%rax)", True, False),
        ("xaddq\t%rdx, 8(%rdi)", True, True),
        ("vmovdqu64\t%zmm0, (%rax)", False, True),
        ("vpaddd\t(%rax), %zmm0, %zmm1", True, False),
        ("leaq\t(%rax), %rcx", False, False),
    ],
)
def test_reads_and_writes_are_told_apart(text: str, reads: bool, writes: bool) -> None:
    instruction = parse_instruction(text)
    assert (x86.reads_memory(instruction), x86.writes_memory(instruction)) == (reads, writes)


@pytest.mark.parametrize(
    ("text", "registers"),
    [
        ("movzbl\t%al, %r9d", {"r9"}),
        ("cmpq\t%rax, %rcx", set()),
        ("mulq\t%rcx", {"rax", "rdx"}),
        ("imulq\t%rcx, %rdx", {"rdx"}),
        ("xchgq\t%rax, %rcx", {"rax", "rcx"}),
        ("vpaddd\t%zmm1, %zmm2, %zmm30", {"v30"}),
        ("pushq\t%rbx", set()),
        ("jne\t.L", set()),
    ],
)
def test_written_registers_are_known(text: str, registers: set[str]) -> None:
    assert set(x86.written(parse_instruction(text))) == registers
