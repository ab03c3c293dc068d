"""Launches on several threads: every block once, errors, launches at the same time, forks, scratch memory, how many."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.backends.cpu.execution import Sketch, load, store, tensor
from tests.backends.cpu.test_executable import launch, scaled_sum
from vmc.backends import cpu
from vmc.backends.cpu import kernel as generator
from vmc.backends.cpu import threads
from vmc.ir.builder import Builder, argument
from vmc.ir.core import Access, Kernel, TileType
from vmc.ir.dims import Sym
from vmc.ir.span import Span
from vmc.ir.types import dtype

ROOT = Path(__file__).parents[3]
COUNTS = (1, 2, 5)
QUICK = cpu.Options(opt_level=1)


@pytest.fixture
def costly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block is thought to be worth a thread."""
    monkeypatch.setattr(generator, "emit_work", lambda e, region: e.index(1 << 20))


def counting(bad: int | None = None) -> Kernel:
    """Block i adds 1 to y[i], the number of times that it was executed; block `bad` fails."""
    y = tensor("y", "i32", (Sym("N"),), Access.INOUT)
    block = argument(TileType(dtype("i64")), "block")
    outer, body = Builder(), Builder(Span("a.vmc", 3, 5, 3, 20))
    if bad is not None:
        body.many("assert", body("ne", block, body.index(bad)), message="a bad block")
    store(body, y, body("add", load(body, y, (1,), block), body.constant("i32", 1, (1,))), block)
    outer.many("grid", outer("symbol", name="N"), regions=(body.region((block,)),))
    return Kernel("counting", (y,), ("N",), outer.region())


@pytest.mark.usefixtures("costly")
@pytest.mark.parametrize("count", [*COUNTS, 8, 40])
def test_every_block_is_executed_once_by_any_number_of_threads(count: int) -> None:
    executable = cpu.compile(counting(), QUICK)
    for blocks in (0, 1, 2, 3, 7, 31, 32, 33, 100, 1000, 4097):
        y = np.zeros(blocks, np.int32)
        executable.launch([y.ctypes.data], (), (blocks,), max_threads=count)
        np.testing.assert_array_equal(y, 1)
        (record,) = executable._records
        assert blocks == 0 or record.threads == min(blocks, count)


@pytest.mark.usefixtures("costly")
@pytest.mark.parametrize("count", COUNTS)
def test_a_block_that_fails_is_reported_by_any_number_of_threads_and_leaves_no_trace(count: int) -> None:
    executable = cpu.compile(counting(bad=700), QUICK)
    for _ in range(20):
        y = np.zeros(1000, np.int32)
        with pytest.raises(cpu.ExecutionError, match=r"a\.vmc:3:5: a bad block"):
            executable.launch([y.ctypes.data], (), (1000,), max_threads=count)
        assert y[700] == 0 and y.max() <= 1
        y = np.zeros(700, np.int32)
        executable.launch([y.ctypes.data], (), (700,), max_threads=count)
        np.testing.assert_array_equal(y, 1)


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Runs `work` in Python threads at the same time; raises what one of them has raised."""
    raised: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            raised.append(error)

    workers = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if raised:
        raise raised[0]


@pytest.mark.parametrize("count", COUNTS)
def test_launches_from_several_python_threads_do_not_disturb_each_other(count: int) -> None:
    executable = cpu.compile(scaled_sum(), cpu.Options(opt_level=2))
    x = np.random.default_rng(2).random(300_000, np.float32)
    results = [np.zeros_like(x) for _ in range(6)]

    def work(number: int) -> None:
        for _ in range(20):
            launch(executable, x, results[number], float(number), max_threads=count)

    in_threads(6, work)
    for number, found in enumerate(results):
        expected = np.zeros_like(x)
        for _ in range(20):
            expected = x * np.float32(number) + expected
        np.testing.assert_array_equal(found, expected)


@pytest.mark.usefixtures("costly")
def test_many_short_launches_from_several_python_threads_execute_every_block_once() -> None:
    fine, bad = cpu.compile(counting(), QUICK), cpu.compile(counting(bad=3), QUICK)

    def work(number: int) -> None:
        for turn in range(300):
            y = np.zeros(1 + (number + turn) % 40, np.int32)
            fine.launch([y.ctypes.data], (), (y.size,), max_threads=1 + turn % 5)
            assert (y == 1).all()
            if y.size > 3:
                with pytest.raises(cpu.ExecutionError, match="a bad block"):
                    bad.launch([y.ctypes.data], (), (y.size,), max_threads=1 + turn % 5)

    in_threads(5, work)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize("count", COUNTS)
def test_forked_children_and_their_parent_can_launch(count: int) -> None:
    script = """
        import os, sys
        import numpy as np
        from tests.backends.cpu.test_executable import launch, scaled_sum
        from vmc.backends import cpu
        executable = cpu.compile(scaled_sum(), cpu.Options(opt_level=1))
        def check():
            x, y = np.ones((2, 300_000), np.float32)
            for _ in range(10):
                launch(executable, x, y, 2, max_threads=int(sys.argv[1]))
            assert (y == 21).all()
        check()
        child = os.fork()
        if child == 0:
            check()
            grandchild = os.fork()
            check()
            if grandchild:
                assert os.waitpid(grandchild, 0)[1] == 0
            os._exit(0)
        check()
        assert os.waitpid(child, 0)[1] == 0
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(count)]
    subprocess.run(command, check=True, timeout=120, cwd=ROOT)


@pytest.mark.usefixtures("costly")
def test_where_no_helper_can_be_made_the_caller_does_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmc.backends.cpu.pool._size", 0)
    monkeypatch.setattr("vmc.backends.cpu.pool.start_helper", lambda: False)
    y = np.zeros(100, np.int32)
    cpu.compile(counting(), QUICK).launch([y.ctypes.data], (), (100,), max_threads=5)
    np.testing.assert_array_equal(y, 1)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells of threads in /proc")
def test_helpers_take_no_signals() -> None:
    launch(cpu.compile(scaled_sum(), QUICK), *np.ones((2, 300_000), np.float32), 2, max_threads=2)
    blocked = [path.read_text().partition("SigBlk:")[2].split()[0] for path in Path("/proc/self/task").glob("*/status")]
    assert any(int(mask, 16) >> 1 & 1 for mask in blocked)  # SIGINT is signal 2


def test_denormals_are_kept_whatever_the_caller_has_set() -> None:
    sketch = Sketch()
    sketch.give(sketch.b("mul", sketch.take("f32", (1,)), sketch.b.constant("f32", 0.5, (1,))))
    executable = cpu.compile(sketch.kernel(), QUICK)
    x, y = np.array([0x00800000], np.uint32), np.zeros(1, np.uint32)
    torch.set_flush_denormal(True)
    try:
        executable.launch([x.ctypes.data, y.ctypes.data])
    finally:
        torch.set_flush_denormal(False)
    assert y[0] == 0x00400000


# What a launch is told


def facts(executable: cpu.Executable, *arguments: int) -> list[int]:
    """The number of blocks, the bytes of arena of a thread, and the element operations of a block."""
    words, reported = (ctypes.c_int64 * (len(arguments) + 1))(*arguments, 0), (ctypes.c_int64 * 2)()
    arena = np.empty(executable.signature.arena, np.uint8)
    blocks = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)(executable._blocks)
    return [blocks(words, arena.ctypes.data, reported), *reported]


def looping(inner: bool) -> Kernel:
    """A block sums K // 8 pieces of x: as many turns as a symbol says, or, where `inner`, as the block's number."""
    x, y = tensor("x", "f32", (Sym("K"),)), tensor("y", "f32", (8,), Access.INOUT)
    block, turn = argument(TileType(dtype("i64")), "block"), argument(TileType(dtype("i64")), "turn")
    outer, body, loop = Builder(), Builder(), Builder()
    store(loop, y, load(loop, x, (8,), loop("mul", turn, loop.index(8))))
    end = block if inner else body("floordiv", body("symbol", name="K"), body.index(8))
    region = loop.region((turn,))
    body.many("for", body.index(0), end, body.index(1), regions=(region,), stages=1, unroll=1)
    outer.many("grid", outer.index(3), regions=(body.region((block,)),))
    return Kernel("looping", (x, y), ("K",), outer.region())


def test_a_loop_over_a_symbol_counts_with_its_turns() -> None:
    executable = cpu.compile(looping(inner=False), QUICK)
    works = [facts(executable, 0, 0, 8 * turns) for turns in (0, 1, 10, 1000, 1 << 50)]
    assert all(blocks == 3 and bytes == executable.signature.arena for blocks, bytes, _ in works)
    none, one, ten, thousand, endless = (work for *_, work in works)
    assert ten - none == 10 * (one - none) and thousand - none == 1000 * (one - none) > 4000
    assert 1 << 20 < endless < 1 << 41


def test_a_loop_whose_turns_a_block_knows_counts_with_some() -> None:
    executable = cpu.compile(looping(inner=True), QUICK)
    assert facts(executable, 0, 0, 80)[2] == facts(executable, 0, 0, 8000)[2] > 100


# How many


def test_the_number_of_threads_can_be_set() -> None:
    cores = threads.default_threads()
    assert 1 <= cores <= threads.affinity()
    cpu.set_num_threads(3)
    try:
        assert cpu.num_threads() == 3
        with pytest.raises(ValueError, match="at least 1"):
            cpu.set_num_threads(0)
    finally:
        cpu.set_num_threads(None)
    assert cpu.num_threads() <= cores


@pytest.mark.parametrize(
    ("environment", "count"),
    [
        ({"VMC_NUM_THREADS": "5"}, 5),
        ({"VMC_NUM_THREADS": "5", "OMP_NUM_THREADS": "1"}, 5),
        ({"OMP_NUM_THREADS": "1,4"}, 1),
        ({"OMP_NUM_THREADS": "none"}, threads.default_threads()),
        ({"OMP_NUM_THREADS": "10000"}, threads.default_threads()),
    ],
)
def test_the_environment_sets_the_number_of_threads(environment: dict[str, str], count: int) -> None:
    script = "from vmc.backends import cpu; print(cpu.num_threads())"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert ran.stdout.strip() == str(count)


def test_torch_limits_the_number_of_threads() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert cpu.num_threads() == 1
    finally:
        torch.set_num_threads(before)
