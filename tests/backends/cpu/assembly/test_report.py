"""Which tensors instructions touch, and what loops do: on snippets, and on the code of kernels."""

from __future__ import annotations

import pytest

from tests.backends.cpu.assembly.snippets import ENTRY, STREAM, function
from tests.generators.ir_modules import generate
from vmc.backends import cpu
from vmc.backends.cpu.assembly.report import CodeReport, LoopReport, report
from vmc.backends.cpu.assembly.x86 import Kind
from vmc.ir.core import Kernel, Module, TensorType, walk
from vmc.ir.passes import pipeline, run
from vmc.lang import compile_kernel


def only_loop(body: str, *tensors: str) -> LoopReport:
    (loop,) = report(function(body), ENTRY, tensors).loops
    return loop


def test_a_stream_is_counted() -> None:
    (loop,) = report(STREAM, ENTRY, ("w", "x")).loops
    assert (loop.label, loop.depth, loop.instructions, loop.vector_bits) == (".LBB0_1", 1, 9, 512)
    assert loop.kinds == {
        **{Kind.LOAD: 1, Kind.SHIFT: 1, Kind.LOGIC: 1, Kind.MULTIPLY: 2},
        **{Kind.SCALAR: 3, Kind.BRANCH: 1},
    }
    assert (loop.multiply_adds, loop.most_products, loop.spills) == (128, 64, 1)
    assert (loop.memories["w"].loads, loop.memories["w"].bytes) == ({512: 1}, 64)
    assert (loop.memories["x"].loads, loop.memories["x"].bytes) == ({512: 1}, 0)


def test_spills_are_what_comments_say_where_there_are_comments() -> None:
    text = STREAM.replace("vmc_k.chunk:\n", "vmc_k.chunk:  # @vmc_k.chunk\n")
    assert report(text, ENTRY, ("w", "x")).loops[0].spills == 0
    marked = text.replace("-8(%rsp)", "-8(%rsp)  # 8-byte Spill")
    assert report(marked, ENTRY, ("w", "x")).loops[0].spills == 1


TURN = "\n\taddq\t$16, %rcx\n\tcmpq\t%rcx, %rdx\n\tjne\t.LBB0_1\n\tretq"
START = "\tmovq\t(%rdi), %rax\n\txorl\t%ecx, %ecx\n"


@pytest.mark.parametrize(
    ("body", "new"),
    [
        ("\tvmovdqu\t(%rax,%rcx), %xmm0", 16),
        ("\tvmovdqu\t(%rax,%rcx), %xmm0\n\tvmovdqu\t4(%rax,%rcx), %xmm1", 16),
        ("\tvmovdqu\t(%rax,%rcx,4), %xmm0\n\tvmovdqu\t4(%rax,%rcx,4), %xmm1", 20),
        ("\tmovl\t(%rax,%rcx), %esi\n\tmovl\t8(%rax,%rcx), %esi", 8),
        ("\tvmovdqu\t(%rax,%rcx), %xmm0\n\tvmovdqu\t(%rax,%r9), %xmm1", 16),
        ("\tmovq\t%rcx, %rsi\n\tshrq\t$3, %rsi\n\tmovzbl\t(%rax,%rsi), %r8d", None),
        ("\tvmovdqu8\t(%rax,%rcx), %xmm0 {%k1} {z}", None),
        ("\tvpgatherdd\t(%rax,%zmm1,4), %zmm2 {%k1}", None),
        ("\ttestq\t%r9, %r9\n\tje\t.LBB0_2\n\tmovl\t(%rax,%rcx), %esi\n.LBB0_2:", None),
        ("\tmovq\t%rcx, -8(%rsp)\n\tmovq\t-8(%rsp), %rsi\n\tvmovdqu\t(%rax,%rsi), %xmm0", 16),
    ],
    ids=[
        *("advance", "window", "gaps", "part", "again", "computed", "masked", "gathered", "skipped", "spilled"),
    ],
)
def test_new_bytes_follow_the_rule_or_are_not_derived(body: str, new: int | None) -> None:
    assert only_loop(f"{START}.LBB0_1:\n{body}{TURN}", "w").memories["w"].bytes == new


def test_an_address_that_mixes_pointers_is_not_attributed() -> None:
    body = "\tmovq\t(%rdi), %rax\n\tmovq\t8(%rdi), %rcx\n\ttestq\t%rdx, %rdx\n\tcmoveq\t%rcx, %rax\n.LBB0_1:\n"
    loop = only_loop(f"{body}\tmovl\t(%rax), %esi\n\tdecq\t%rdx\n\tjne\t.LBB0_1\n\tretq", "w", "x")
    assert loop.memories["?"].loads == {32: 1}


def test_a_difference_of_pointers_leads_from_one_to_the_other() -> None:
    body = "\tmovq\t(%rdi), %rax\n\tmovq\t8(%rdi), %rcx\n\tsubq\t%rax, %rcx\n.LBB0_1:\n"
    loop = only_loop(f"{body}\tmovl\t(%rax,%rcx), %esi\n\taddq\t$4, %rax\n\tjne\t.LBB0_1\n\tretq", "w", "x")
    assert (loop.memories["x"].loads, loop.memories["x"].bytes) == ({32: 1}, 4)


def test_a_callee_touches_what_its_caller_passes() -> None:
    callee = function(".LBB1_1:\n\tmovb\t$1, (%rdi)\n\tincq\t%rdi\n\tjne\t.LBB1_1\n\tretq", "helper")
    text = function("\tmovq\t8(%rdi), %rdi\n\tcallq\thelper\n\tretq") + callee
    (loop,) = report(text, ENTRY, ("w", "x")).loops
    assert (loop.function, loop.memories["x"].stores) == ("helper", {8: 1})


def test_a_copy_by_the_library_is_an_access_of_unknown_width() -> None:
    text = function("\tmovq\t8(%rdi), %rsi\n\tmovq\t(%rdi), %rdi\n\tcallq\tmemcpy@PLT\n\tretq")
    memories = report(text, ENTRY, ("y", "x")).memories
    assert (memories["x"].loads, memories["y"].stores) == ({None: 1}, {None: 1})


def test_a_turn_is_the_way_with_most_products() -> None:
    body = """.LBB0_1:
	testq	%rdx, %rdx
	je	.LBB0_3
	vfmadd231ps	%zmm1, %zmm2, %zmm3
	jmp	.LBB0_4
.LBB0_3:
	vfmadd231ps	%ymm1, %ymm2, %ymm3
	nop
	nop
.LBB0_4:
	decq	%rcx
	jne	.LBB0_1
	retq"""
    loop = only_loop(body)
    assert (loop.multiply_adds, loop.turn_instructions, loop.instructions) == (16, 6, 9)


# Real code


def compiled(source: str, **bindings: int | str) -> CodeReport:
    executable = cpu.compile(after_passes(compile_kernel(source, "<text>", None, bindings).kernel))
    return report(executable.commented_assembly, executable.signature.entry, executable.signature.tensors)


def after_passes(kernel: Kernel) -> Kernel:
    return run(Module((kernel,)), pipeline("cpu")).kernels[0]


def test_a_copy_of_floats_reads_each_element_once() -> None:
    source = """
kernel negate(x: f32[N], y: out f32[N]):
    for i in grid(N // 64):
        y[i*64 : +64] = -x[i*64 : +64]
"""
    code = compiled(source)
    assert set(code.memories) >= {"x", "y"} and "?" not in code.memories
    assert code.memories["x"].stores == {} and code.memories["y"].loads == {}


@pytest.mark.parametrize("seed", range(6))
def test_accesses_of_random_kernels_go_where_the_ir_goes(seed: int) -> None:
    kernel = after_passes(generate(seed).kernels[0])
    executable = cpu.compile(kernel)
    code = report(executable.commented_assembly, executable.signature.entry, executable.signature.tensors)
    fields = {op.result: op.operands[0] for op in walk(kernel.body) if op.name == "field"}
    read, written = set(), set()
    for op in walk(kernel.body):
        if op.operands and isinstance(op.operands[0].type, TensorType) and op.definition.reads_memory:
            read.add(fields.get(op.operands[0], op.operands[0]).name)
        if op.definition.writes_memory:
            written.add(fields.get(op.operands[0], op.operands[0]).name)
    for name in executable.signature.tensors:
        access = code.memories.get(name)
        if access is not None:
            assert name in read or not access.loads or name in written
            assert name in written or not access.stores
