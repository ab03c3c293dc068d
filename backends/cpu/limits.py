"""What the machine can do at most: stated, as assumptions, or measured in about a second.

    limits = stated(cores=2)                  # figures of a common server core
    limits = measured(cores=2)                # reads memory, and multiplies vectors, on every core at once

Only bounds are computed from these figures, so that rough ones do; they are printed with what is computed from them.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from vmc.backends.cpu.options import Options
from vmc.backends.cpu.target import machine, optimize

BANDWIDTH, CLOCK, ISSUED, MULTIPLIED, TILES = 10e9, 2.5e9, 4.0, 2.0, 1 / 16
SECONDS = 0.1
BUFFER = 256 << 20
"""Bytes that all cores together read: more than most caches hold."""
ROUNDS = 1 << 16
CHAINS = 12


@dataclass(frozen=True, slots=True)
class Limits:
    """Of each core: bytes read from memory a second, cycles a second, and what a cycle starts: instructions, vector
    multiplications, and multiplications of tile registers.

    `is_measured`: whether `bandwidth` and `multiplications` were measured here; all else is an assumption.
    """

    cores: int
    bandwidth: float = BANDWIDTH
    clock: float = CLOCK
    instructions: float = ISSUED
    multiplications: float = MULTIPLIED
    tiles: float = TILES
    is_measured: bool = False

    def with_cores(self, count: int) -> Limits:
        """The limits of fewer cores."""
        return replace(self, cores=count)


def stated(cores: int) -> Limits:
    """Assumed figures."""
    return Limits(cores)


def measured(cores: int) -> Limits:
    """Bandwidth and rate of multiplications with all cores at work; the clock stays assumed, and the rate is one for a
    cycle of that clock.
    """
    bandwidth = read_rate(cores) / cores
    multiplications = multiply_rate(cores) / cores
    return replace(stated(cores), bandwidth=bandwidth, multiplications=multiplications / CLOCK, is_measured=True)


def read_rate(cores: int) -> float:
    """Bytes a second that all cores read from memory: the best of a few passes over a buffer."""
    words = BUFFER // 8 // cores // 64 * 64
    buffer = np.ones(words * cores, np.uint64)
    read = function("read", ctypes.c_uint64, ctypes.c_void_p, ctypes.c_int64)
    starts = [buffer.ctypes.data + 8 * words * core for core in range(cores)]
    return 8 * words * cores / fastest(lambda core: read(starts[core], words), cores)


def multiply_rate(cores: int) -> float:
    """Vector multiply-adds a second of all cores together."""
    multiply = function("multiply", ctypes.c_float, ctypes.c_int64)
    return CHAINS * ROUNDS * cores / fastest(lambda core: multiply(ROUNDS), cores)


def fastest(work: Callable[[int], Any], cores: int) -> float:
    """Seconds of the fastest run of work on all cores at once, out of those that fit in `SECONDS`, two at least."""
    times: list[float] = []
    while len(times) < 2 or sum(times) < SECONDS:
        others = [threading.Thread(target=work, args=(core,)) for core in range(1, cores)]
        start = time.perf_counter()
        for thread in others:
            thread.start()
        work(0)
        for thread in others:
            thread.join()
        times.append(time.perf_counter() - start)
    return min(times)


def function(name: str, result: Any, *arguments: Any) -> Any:
    """One of the measured functions; calling it lets other Python threads run."""
    return ctypes.CFUNCTYPE(result, *arguments)(engine().get_function_address(name))


@lru_cache(maxsize=1)
def engine() -> Any:
    """The compiled functions."""
    host = machine(Options())
    text = read_text() + multiply_text(host.vector_bytes // 4)
    built = llvm.create_mcjit_compiler(optimize(host, text), host.llvm_machine)
    built.finalize_object()
    return built


def lines(template: str, count: int) -> str:
    """A line for each number: `#` is the number, `^` the one before."""
    return "\n".join(template.replace("#", str(part)).replace("^", str(part - 1)) for part in range(count))


def read_text() -> str:
    """`read(from, count)`: the OR of u64 words, `count` a positive multiple of 64."""
    step = "  %p# = getelementptr <8 x i64>, ptr %b, i64 #\n  %v# = load <8 x i64>, ptr %p#, align 8\n"
    return f"""
declare i64 @llvm.vector.reduce.or.v8i64(<8 x i64>)
define i64 @read(ptr %from, i64 %count) {{
entry:
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%next, %loop]
{lines("  %s# = phi <8 x i64> [zeroinitializer, %entry], [%n#, %loop]", 8)}
  %b = getelementptr i64, ptr %from, i64 %i
{lines(step + "  %n# = or <8 x i64> %s#, %v#", 8)}
  %next = add i64 %i, 64
  %more = icmp slt i64 %next, %count
  br i1 %more, label %loop, label %done
done:
  %t0 = or <8 x i64> %n0, zeroinitializer
{lines("  %t# = or <8 x i64> %t^, %n#", 8).partition(chr(10))[2]}
  %all = call i64 @llvm.vector.reduce.or.v8i64(<8 x i64> %t7)
  ret i64 %all
}}
"""


def multiply_text(lanes: int) -> str:
    """`multiply(rounds)`: a round is a multiply-add on each of `CHAINS` vectors, which do not depend on each other."""
    vector = f"<{lanes} x float>"
    half = "splat (float 0.5)"
    return f"""
declare {vector} @llvm.fma.v{lanes}f32({vector}, {vector}, {vector})
declare float @llvm.vector.reduce.fadd.v{lanes}f32(float, {vector})
define float @multiply(i64 %rounds) {{
entry:
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%next, %loop]
{lines(f"  %s# = phi {vector} [zeroinitializer, %entry], [%n#, %loop]", CHAINS)}
{lines(f"  %n# = call {vector} @llvm.fma.v{lanes}f32({vector} %s#, {vector} {half}, {vector} {half})", CHAINS)}
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %rounds
  br i1 %more, label %loop, label %done
done:
  %t0 = fadd {vector} %n0, zeroinitializer
{lines(f"  %t# = fadd {vector} %t^, %n#", CHAINS).partition(chr(10))[2]}
  %all = call float @llvm.vector.reduce.fadd.v{lanes}f32(float 0.0, {vector} %t{CHAINS - 1})
  ret float %all
}}
"""
