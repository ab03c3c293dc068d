"""Counts by kind and by loop."""

import pytest

from tests.backends.cuda.sass.snippets import LOOP, NESTED
from vmc.backends.cuda.sass import Kind, kind_of, parse, report
from vmc.backends.cuda.sass.kinds import KINDS, MNEMONICS, access_bits, multiply_adds
from vmc.backends.cuda.sass.resources import Resources
from vmc.backends.cuda.sass.text import Instruction

USED = Resources(25, 8, 1024, 16)


def test_a_loop_is_counted_by_kind():
    found = report(parse(LOOP)[0], USED)
    (loop,) = found.loops
    assert loop.kinds == {
        Kind.LOGIC: 1,
        Kind.HALF: 1,
        Kind.MOVE: 1,
        Kind.MATRIX: 1,
        Kind.GLOBAL: 2,
        Kind.SHARED: 2,
        Kind.LOCAL: 2,
        Kind.UNIFORM: 1,
        Kind.CONTROL: 2,
    }
    assert (loop.arithmetic, loop.instructions, loop.products) == (3, 13, 16 * 8 * 16)
    assert loop.per_weight(2) == 1.5


def test_accesses_are_counted_by_their_widths():
    (loop,) = report(parse(LOOP)[0], USED).loops
    assert loop.moved[Kind.GLOBAL].loads == {128: 2}
    assert loop.moved[Kind.SHARED].loads == {128: 1, 64: 1}
    assert (loop.moved[Kind.LOCAL].loads, loop.moved[Kind.LOCAL].stores) == ({64: 1}, {32: 1})


def test_spills_are_accesses_of_local_memory():
    found = report(parse(LOOP)[0], USED)
    assert (found.spills, found.registers, found.shared, found.stack, found.local) == (2, 25, 1024, 8, 16)


def test_the_branch_to_itself_behind_a_kernel_is_no_loop():
    assert [loop.label for loop in report(parse(LOOP)[0], USED).loops] == [".L_x_1"]


def test_loops_in_loops_are_told_apart():
    outer, inner = report(parse(NESTED)[0], Resources(12, 0, 0, 0)).loops
    assert (outer.depth, outer.innermost, inner.depth, inner.innermost) == (1, False, 2, True)
    assert inner.kinds == {Kind.FLOAT: 1, Kind.CONTROL: 1}


def test_the_report_is_json():
    data = report(parse(LOOP)[0], USED).to_json()
    assert data["loops"][0]["accesses"]["global memory"] == {"loads": {128: 2}, "stores": {}}
    assert data["spills"] == 2


def test_no_mnemonic_has_two_kinds():
    assert sum(len(names.split()) for names in MNEMONICS.values()) == len(KINDS)


@pytest.mark.parametrize(
    ("opcode", "kind"),
    [
        ("I2F.F16", Kind.CONVERT),
        ("F2FP.F16.F32.PACK_AB", Kind.PACK),
        ("UIADD3", Kind.UNIFORM),
        ("ULDC.64", Kind.CONSTANT),
        ("IMAD.MOV.U32", Kind.MOVE),
        ("IMAD.SHL.U32", Kind.LOGIC),
        ("SHFL.BFLY", Kind.SHUFFLE),
        ("HGMMA.64x128x16.F32", Kind.MATRIX),
        ("SOMETHING.NEW", Kind.OTHER),
    ],
)
def test_instructions_have_kinds(opcode, kind):
    assert kind_of(Instruction(0, opcode, "")) is kind


def test_matrix_instructions_tell_their_products_and_accesses_their_bits():
    assert multiply_adds(Instruction(0, "IMMA.16832.S8.S8", "")) == 16 * 8 * 32
    assert multiply_adds(Instruction(0, "HGMMA.64x128x16.F32", "")) == 16 * 128 * 16
    assert multiply_adds(Instruction(0, "LDS", "")) == 0
    assert [access_bits(Instruction(0, opcode, "")) for opcode in ("LDS.U8", "STG.E", "LDSM.16.MT88.2")] == [8, 32, 64]
