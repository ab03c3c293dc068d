"""Calls of device functions: those without parameters, which stand for failed assertions and the like."""

from __future__ import annotations

import numpy as np
import pytest

from tests.backends.ptxvm.text import entry
from vmc.backends import ptxvm

COUNT = """
.func add_up()
{
    .reg .pred %p<2>;
    .reg .b32 %r<4>;
    .reg .b64 %rd<2>;
    mov.u32 %r1, %tid.x;
    setp.gt.u32 %p1, %r1, 40;
    @%p1 ret;
    mov.u64 %rd1, total;
    atom.global.add.u32 %r2, [%rd1], %r1;
    ret;
}
"""
TOTAL = ".global .align 4 .u32 total;"
READ = "mov.u64 %rd1, total; bar.sync 0; ld.global.u32 %r2, [%rd1]; ld.param.u64 %rd2, [p0]; st.global.u32 [%rd2], %r2;"


def total(body: str, functions: str = COUNT) -> int:
    """What 64 threads leave in `total`."""
    registers = ".reg .pred %p<3>; .reg .b32 %r<4>; .reg .b64 %rd<4>;"
    y = np.zeros(1, np.uint32)
    text = entry(body + READ, ("u64",), registers, TOTAL + functions)
    ptxvm.parse(text).launch("k", (1,), (64,), [y])
    return int(y[0])


def test_threads_come_back_from_where_they_return() -> None:
    assert total("call.uni add_up, ();") == sum(range(41))
    assert total("mov.u32 %r1, 7; call.uni add_up, (); call add_up, ();") == 2 * sum(range(41))


def test_a_guard_leaves_threads_out() -> None:
    body = "mov.u32 %r1, %tid.x; setp.lt.u32 %p1, %r1, 10; {} call add_up, ();"
    assert total(body.format("@%p1")) == sum(range(10))
    assert total(body.format("@!%p1")) == sum(range(10, 41))


def test_functions_may_call_others_but_not_themselves() -> None:
    twice = COUNT + ".func twice() { call.uni add_up, (); { call.uni add_up, (); } ret; }"
    assert total("call.uni twice, ();", twice) == 2 * sum(range(41))
    with pytest.raises(ptxvm.UnsupportedError, match="`again` calls itself"):
        total("call.uni again, ();", COUNT + ".func again() { call.uni again, (); ret; }")


def test_a_call_with_arguments_is_refused_by_its_name() -> None:
    with pytest.raises(ptxvm.UnsupportedError, match="a call of `take`"):
        total("call.uni take, (%r1);", COUNT + ".func take(.param .b32 a) { ret; }")
