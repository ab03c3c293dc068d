"""How fast all threads together read memory: the limit that products with one row are held against.

Each thread ORs its part of a buffer together, eight independent vectors of 64 bytes a step; LLVM makes whatever the
processor has of them. The buffer is read in long stretches, so that starting the threads does not count.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from benchmarks.matmul.problem import Array

STEP = 512
WORDS = STEP // 8


@dataclass(frozen=True, eq=False)
class Reader:
    """Reads a buffer, u64[words], on some threads. Each call reads the next `stretch` bytes and returns their OR."""

    buffer: Array
    stretch: int
    threads: int

    def calls(self) -> list[Callable[[], int]]:
        """One call for each stretch of the buffer."""
        words = self.stretch // 8
        return [
            lambda part=self.buffer[start : start + words]: or_of(part, self.threads)  # type: ignore[misc]
            for start in range(0, self.buffer.size - words + 1, words)
        ]


def make_reader(total: int, stretch: int, threads: int) -> Reader:
    """A reader of `total` bytes, written once so that they exist, in stretches of about `stretch` bytes."""
    stretch = max(STEP * threads, stretch // (STEP * threads) * (STEP * threads))
    return Reader(np.ones(max(total, stretch) // stretch * stretch // 8, np.uint64), stretch, threads)


def or_of(words: Array, threads: int) -> int:
    """The OR of u64[n], n a multiple of `threads` * 64, read once by that many threads."""
    count = words.size // threads
    found = [0] * threads
    read = reading_function()

    def part(number: int) -> None:
        found[number] = read(words.ctypes.data + 8 * number * count, count)

    others = [threading.Thread(target=part, args=(number,)) for number in range(1, threads)]
    for thread in others:
        thread.start()
    part(0)
    for thread in others:
        thread.join()
    return int(np.bitwise_or.reduce(np.array(found, np.uint64)))


@lru_cache(maxsize=1)
def reading_function() -> Any:
    """A C function: the OR of `count` words from an address on, count a multiple of 64."""
    import llvmlite.binding as llvm

    from vmc.backends.cpu.options import Options
    from vmc.backends.cpu.target import machine, optimize

    host = machine(Options())
    engine = llvm.create_mcjit_compiler(optimize(host, READ), host.llvm_machine)
    engine.finalize_object()
    signature = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p, ctypes.c_int64)
    function = signature(engine.get_function_address("read"))
    function.engine = engine  # type: ignore[attr-defined]
    return function


PARTS = 8
LOADS = "\n".join(
    f"""  %p{part} = getelementptr <8 x i64>, ptr %block, i64 {part}
  %v{part} = load <8 x i64>, ptr %p{part}, align 8
  %n{part} = or <8 x i64> %s{part}, %v{part}"""
    for part in range(PARTS)
)
PHIS = "\n".join(f"  %s{part} = phi <8 x i64> [zeroinitializer, %entry], [%n{part}, %loop]" for part in range(PARTS))
TOTALS = "\n".join(
    f"  %t{part} = or <8 x i64> %t{part - 1}, %n{part}" if part else "  %t0 = or <8 x i64> %n0, %n0"
    for part in range(PARTS)
)
READ = f"""
declare i64 @llvm.vector.reduce.or.v8i64(<8 x i64>)
define i64 @read(ptr %from, i64 %count) {{
entry:
  %empty = icmp slt i64 %count, {WORDS}
  br i1 %empty, label %nothing, label %loop
loop:
  %i = phi i64 [0, %entry], [%next, %loop]
{PHIS}
  %block = getelementptr i64, ptr %from, i64 %i
{LOADS}
  %next = add i64 %i, {WORDS}
  %more = icmp slt i64 %next, %count
  br i1 %more, label %loop, label %done
done:
{TOTALS}
  %all = call i64 @llvm.vector.reduce.or.v8i64(<8 x i64> %t{PARTS - 1})
  ret i64 %all
nothing:
  ret i64 0
}}
"""
