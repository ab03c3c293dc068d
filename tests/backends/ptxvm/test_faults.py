"""Planted faults: PTX of good kernels, damaged in one place, and what the machine says to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from tests.backends.ptxvm import kernels
from vmc.backends import ptxvm

Nvrtc = Callable[..., str]


def damage(text: str, pattern: str, replacement: str, which: int = 0) -> str:
    """The text with the given occurrence of a pattern replaced; it must be there."""
    found = list(re.finditer(pattern, text))
    assert len(found) > which, f"{pattern} occurs {len(found)} times"
    start, end = found[which].span()
    return text[:start] + found[which].expand(replacement) + text[end:]


class Good:
    """A kernel, its inputs and expected outputs."""

    def __init__(self, name: str, ptx: str, grid: int, block: int, args: Sequence[Any], want: np.ndarray) -> None:
        self.name, self.ptx, self.grid, self.block = name, ptx, grid, block
        self.args, self.want = args, want

    def run(self, ptx: str | None = None, grid: int | None = None) -> np.ndarray:
        """The outputs of the kernel's, or of damaged, PTX."""
        out = np.zeros_like(self.want)
        args = [ptxvm.Unset(out) if a is None else a for a in self.args]
        ptxvm.parse(ptx or self.ptx).launch(self.name, (grid or self.grid,), (self.block,), args)
        return out


@pytest.fixture
def matmul(nvrtc: Nvrtc) -> Good:
    rng = np.random.default_rng(1)
    a = rng.integers(-4, 5, (64, 128)).astype(np.float16)
    b = rng.integers(-4, 5, (128, 64)).astype(np.float16)
    want = a.astype(np.float32) @ b.astype(np.float32)
    return Good("matmul", nvrtc(kernels.MATMUL), 1, 128, [a, b, None, 128], want)


@pytest.fixture
def reverse(nvrtc: Nvrtc) -> Good:
    x = np.arange(1, 257, dtype=np.int32)
    return Good("reverse", nvrtc(kernels.REVERSE), 2, 128, [x, None, 256], x.reshape(2, 128)[:, ::-1].ravel().copy())


@pytest.fixture
def unpack(nvrtc: Nvrtc) -> Good:
    q = np.random.default_rng(2).integers(0, 256, 100).astype(np.uint8)
    return Good("unpack", nvrtc(kernels.UNPACK), 2, 64, [q, None, 100], np.stack([q & 15, q >> 4], 1).astype(np.int32))


@pytest.fixture
def tree_sum(nvrtc: Nvrtc) -> Good:
    x = np.random.default_rng(3).integers(-99, 99, (3, 256)).astype(np.float32)
    return Good("sum", nvrtc(kernels.SUM), 3, 256, [x, None], x.sum(axis=1))


@pytest.fixture
def stream(nvrtc: Nvrtc) -> Good:
    x = np.arange(128, dtype=np.int32).reshape(32, 4)
    return Good("stream", nvrtc(kernels.STREAM), 1, 32, [x, None], x[np.arange(32) ^ 1])


@pytest.mark.parametrize("name", ["matmul", "reverse", "unpack", "tree_sum", "stream"])
def test_the_undamaged_kernels_are_right_and_clean(name: str, request: pytest.FixtureRequest) -> None:
    good: Good = request.getfixturevalue(name)
    assert (good.run() == good.want).all()


def test_a_dropped_barrier_is_a_race_that_names_both_accesses(reverse: Good) -> None:
    with pytest.raises(
        ptxvm.RaceError, match="race in shared memory, read after write: thread 0 of block 0 and thread 127"
    ) as e:
        reverse.run(damage(reverse.ptx, r"bar\.sync\s+0;", ""))
    assert "ld.shared" in e.value.text
    assert e.value.location.file.endswith("k.cu")
    assert e.value.location.line == kernels.REVERSE.splitlines().index("  y[i] = s[127 - threadIdx.x];") + 1
    assert e.value.other is not None and e.value.other.line == 6


def test_a_dropped_barrier_between_loop_turns_is_a_race(tree_sum: Good) -> None:
    with pytest.raises(ptxvm.RaceError, match="shared memory"):
        tree_sum.run(damage(tree_sum.ptx, r"bar\.sync\s+0;", "", 1))


def test_a_dropped_barrier_before_a_buffer_is_refilled_is_a_race_of_the_copy(matmul: Good) -> None:
    with pytest.raises(ptxvm.RaceError, match="write after read") as e:
        last = len(re.findall(r"bar\.sync\s+0;", matmul.ptx)) - 1
        matmul.run(damage(matmul.ptx, r"bar\.sync\s+0;", "", last))
    assert "cp.async" in e.value.text


@pytest.mark.parametrize("which", [0, 1])
def test_a_dropped_wait_is_a_read_of_what_was_not_waited_for(matmul: Good, which: int) -> None:
    with pytest.raises(ptxvm.AsyncCopyError, match="has not been waited for") as e:
        matmul.run(damage(matmul.ptx, r"cp\.async\.wait_group \d;", "", which))
    assert "ldmatrix" in e.value.text
    assert e.value.other is not None and "cp.async" in matmul.ptx.splitlines()[e.value.other.ptx_line - 1]


def test_a_wait_that_allows_one_group_too_many_is_found(matmul: Good) -> None:
    with pytest.raises(ptxvm.AsyncCopyError):
        matmul.run(damage(matmul.ptx, r"cp\.async\.wait_group 1;", "cp.async.wait_group 2;"))


def test_a_dropped_commit_makes_the_waits_wait_for_the_wrong_group(matmul: Good) -> None:
    with pytest.raises(ptxvm.AsyncCopyError):
        matmul.run(damage(matmul.ptx, r"cp\.async\.commit_group;", ""))


def test_an_off_by_one_bound_reads_past_the_end(unpack: Good) -> None:
    text = damage(unpack.ptx, r"setp\.(ge|gt|lt|le)\.s32", r"setp.gt.s32")
    with pytest.raises(ptxvm.BoundsError, match=r"1 bytes at offset 100 of `unpack_param_0`, which has 100 bytes") as e:
        unpack.run(text)
    assert e.value.threads == ((1, 36),)


def test_more_blocks_than_data_write_past_the_end(reverse: Good) -> None:
    with pytest.raises(ptxvm.BoundsError, match="write of 4 bytes at offset 1024 of `reverse_param_1`"):
        reverse.run(grid=3)


def test_blocks_that_write_different_values_to_the_same_place_race(reverse: Good) -> None:
    with pytest.raises(
        ptxvm.RaceError, match="race in global memory, write after write: thread 0 of block 0 and thread 0 of block 1"
    ) as e:
        reverse.run(damage(reverse.ptx, r"mul\.wide\.s32\s+(%rd\d+), %r\d+, 4;", r"mul.wide.u32 \1, %r1, 4;", 1))
    assert "st.global" in e.value.text


def test_a_read_of_shared_memory_never_written_is_found_when_it_is_stored(stream: Good) -> None:
    text = damage(stream.ptx, r"xor\.b32\s+(%r\d+), (%r\d+), 16;", r"add.s32 \1, \2, 16;")
    with pytest.raises(ptxvm.UninitialisedError, match=r"stored to global memory.*never written \(thread 31") as e:
        stream.run(text)
    assert e.value.other is not None and "ld.shared" in text.splitlines()[e.value.other.ptx_line - 1]


def test_shared_memory_past_the_declared_size_is_found(stream: Good) -> None:
    text = damage(stream.ptx, r"xor\.b32\s+(%r\d+), (%r\d+), 16;", r"add.s32 \1, \2, 32;")
    with pytest.raises(ptxvm.BoundsError, match="read of 16 bytes at 528 of shared memory, of which the block has 528"):
        stream.run(text)


def test_a_misaligned_vector_access_is_found(stream: Good) -> None:
    text = damage(stream.ptx, r"(ld\.shared\.v4\.u32\s+\{[^}]*\}, \[%r\d+)\]", r"\1+8]")
    with pytest.raises(ptxvm.AlignmentError, match="no multiple of 16"):
        stream.run(text)


BARRIER_FOR_HALF = """{
 .reg .pred p; .reg .b32 l;
 mov.u32 l, %laneid; setp.lt.u32 p, l, 16;
 @p bra SKIP;
 bar.sync 0;
SKIP:
}"""

BARRIERS_ON_TWO_PATHS = BARRIER_FOR_HALF.replace("SKIP:", "bra END;\nSKIP: bar.sync 0;\nEND:")


def test_a_barrier_that_half_of_each_warp_skips_is_divergent(unpack: Good) -> None:
    text = damage(unpack.ptx, r"ld\.param\.u32", BARRIER_FOR_HALF + " ld.param.u32")
    with pytest.raises(
        ptxvm.BarrierError, match=r"divergent barrier: 32 threads of block 0 \(16-31, 48-63\) wait at.*32 more"
    ) as e:
        unpack.run(text)
    assert "32 (0-15, 32-47) have ended" in e.value.message
    assert "bar.sync" in e.value.text


def test_a_barrier_on_each_side_of_a_branch_within_a_warp_is_divergent(unpack: Good) -> None:
    text = damage(unpack.ptx, r"ld\.param\.u32", BARRIERS_ON_TWO_PATHS + " ld.param.u32")
    with pytest.raises(ptxvm.BarrierError, match=r"divergent barrier.*wait at.*other lanes of their warps") as e:
        unpack.run(text)
    assert e.value.other is not None and e.value.other.ptx_line != e.value.location.ptx_line


def test_a_barrier_that_the_threads_past_the_bound_leave_out_is_divergent(unpack: Good) -> None:
    text = damage(unpack.ptx, r"st\.global\.u32", "bar.sync 0; st.global.u32")
    with pytest.raises(
        ptxvm.BarrierError, match=r"36 threads of block 1.*28 more at barrier 0; 28 \(36-63\) have ended"
    ):
        unpack.run(text)


def test_a_wrong_fragment_index_gives_wrong_values(matmul: Good) -> None:
    text = damage(matmul.ptx, r"(mma\.sync[^{]*\{[^}]*\}, \{)(%r\d+),(%r\d+),", r"\1\3,\2,")
    assert (matmul.run(text) != matmul.want).any()


def test_swapped_nibbles_give_wrong_values(unpack: Good) -> None:
    text = damage(unpack.ptx, r"(and\.b(?:16|32)\s+%r?s?\d+, %r?s?\d+, )15;", r"\g<1>240;")
    assert (unpack.run(text) != unpack.want).any()


SYNCHRONISATION = r"bar\.sync\s+0;|cp\.async\.(?:wait|commit)_group[^;]*;"


@pytest.mark.parametrize(("name", "needless"), [("matmul", 0), ("tree_sum", 1), ("reverse", 0)])
def test_no_barrier_wait_or_commit_can_be_dropped_unnoticed(
    name: str, needless: int, request: pytest.FixtureRequest
) -> None:
    """The last barrier of the sum is needless: thread 0 reads what it wrote itself."""
    good: Good = request.getfixturevalue(name)
    count = len(re.findall(SYNCHRONISATION, good.ptx))
    assert count >= {"matmul": 6, "tree_sum": 2, "reverse": 1}[name]
    if needless:
        assert (good.run(damage(good.ptx, SYNCHRONISATION, "", count - 1)) == good.want).all()
    for which in range(count - needless):
        with pytest.raises((ptxvm.RaceError, ptxvm.AsyncCopyError)):
            good.run(damage(good.ptx, SYNCHRONISATION, "", which))
