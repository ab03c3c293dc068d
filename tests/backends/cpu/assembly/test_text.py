"""Assembly text: operands, blocks, and data."""

from __future__ import annotations

import pytest

from tests.backends.cpu.assembly.snippets import NESTED, STREAM, function
from vmc.backends.cpu.assembly.text import (
    Immediate,
    Memory,
    Register,
    Target,
    constants,
    parse,
    parse_instruction,
)


@pytest.mark.parametrize(
    ("text", "mnemonic", "operands"),
    [
        ("retq", "retq", ()),
        ("movl\t$-1, %ecx", "movl", (Immediate(-1), Register("ecx"))),
        ("leaq\t7(,%rax,4), %r15", "leaq", (Memory(7, index="rax", scale=4), Register("r15"))),
        ("vpaddd\t.LCPI1_0+8(%rip), %ymm1, %ymm2", "vpaddd", None),
        ("lock\t\txaddq\t%rdx, 8(%rdi)", "xaddq", (Register("rdx"), Memory(8, base="rdi"))),
        ("rep;stosq\t%rax, %es:(%rdi)", "stosq", (Register("rax"), Memory(0, base="rdi"))),
        ("{vex}\tvpdpbusd\t%ymm1, %ymm2, %ymm3", "vpdpbusd", (Register("ymm1"), Register("ymm2"), Register("ymm3"))),
        ("vpandd\t.L0(%rip){1to16}, %zmm0, %zmm1", "vpandd", None),
        ("callq\tvmc_k.chunk@PLT", "callq", (Target("vmc_k.chunk"),)),
        ("jmpq\t*%rax", "jmpq", (Target(""),)),
        ("vcvtps2phx\t{rn-sae}, %zmm0, %ymm1", "vcvtps2phx", (Register("zmm0"), Register("ymm1"))),
    ],
)
def test_an_instruction_is_read(text: str, mnemonic: str, operands: tuple[object, ...] | None) -> None:
    instruction = parse_instruction(text)
    assert instruction.mnemonic == mnemonic
    if operands is not None:
        assert instruction.operands == operands


def test_symbols_broadcasts_and_masks_are_read() -> None:
    assert parse_instruction("vpaddd\t.L0+8(%rip), %ymm1, %ymm2").memory == Memory(8, ".L0", "rip")
    assert parse_instruction("vpandd\t(%rax){1to16}, %zmm0, %zmm1").memory == Memory(0, base="rax", broadcast=16)
    assert parse_instruction("vmovdqu8\t(%rax), %zmm0 {%k3} {z}").mask == "k3"


def test_blocks_end_at_labels_and_branches() -> None:
    (found,) = parse(NESTED)
    assert [block.label for block in found.blocks] == ["vmc_k.chunk", ".LBB0_1", ".LBB0_2", "", ".LBB0_4"]
    assert [block.successors for block in found.blocks] == [(4, 1), (2,), (2, 3), (1, 4), ()]


def test_functions_are_told_from_data() -> None:
    text = STREAM + "\t.section\t.rodata\nvmc.table:\n\t.byte\t1\n" + function("\tretq", "vmc_k.worker")
    assert [found.name for found in parse(text)] == ["vmc_k.chunk", "vmc_k.worker"]


def test_a_jump_through_a_table_may_go_to_each_of_its_labels() -> None:
    text = function("\tjmpq\t*%rax\n.LBB0_1:\n\tretq\n.LBB0_2:\n\tretq\n.LBB0_3:\n\tretq")
    text += "\t.section\t.rodata\n.LJTI0_0:\n\t.long\t.LBB0_1-.LJTI0_0\n\t.long\t.LBB0_3-.LJTI0_0\n"
    assert parse(text)[0].blocks[0].successors == (1, 3)


def test_data_is_read_from_bytes_zeros_and_texts() -> None:
    text = "a:\n\t.byte\t1\n\t.byte\t255\n\t.zero\t2\n\t.zero\t2,15\n"
    text += 'b:\n\t.asciz\t"\\001@\\n#"\n\t.size\tb, 5\nc:\n\t.quad\t4\n'
    assert constants(text) == {"a": bytes([1, 255, 0, 0, 15, 15]), "b": b"\1@\n#\0"}
