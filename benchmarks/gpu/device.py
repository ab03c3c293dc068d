"""Where products run: a GPU through torch, or, in a dry run, the CPU in its place.

A dry run goes the same way through the same code, but for three things, which are all in this file: memory is the
CPU's, kernels are those that the kit has for the CPU, and times are those of the wall clock. It shows that the
benchmark works, and says nothing of speed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from benchmarks.matmul.contender import library
from benchmarks.matmul.timing import Call, Lane

INSTALL = "pip install torch"
LEAST_LAUNCHES = 8
"""Launches in one graph, at least: the time between two events is then far above their resolution."""


class Device(Protocol):
    """`name` is torch's name of the place, `target` that of a kit's code for it."""

    name: str
    target: str

    def describe(self) -> dict[str, Any]: ...

    def cache(self) -> int:
        """Bytes of the last cache before memory."""
        ...

    def memory(self) -> int:
        """Bytes that can be allocated, about."""
        ...

    def finish(self) -> None:
        """Waits for everything that was launched; raises RuntimeError for what went wrong in it."""
        ...

    def lane(self, runs: Sequence[Call], before: Call) -> tuple[Lane, str | None]:
        """A lane whose calls run every one of `runs`, and whose clock tells the time of one; and why they could not be
        captured into a graph, if they could not.
        """
        ...


class Gpu:
    """The current GPU of torch."""

    name = "cuda"
    target = "cuda"

    def __init__(self) -> None:
        self.torch = library("torch", INSTALL)
        if not self.torch.cuda.is_available():
            raise RuntimeError("torch finds no GPU; --dry-run shows everything but the launches")
        self.properties = self.torch.cuda.get_device_properties(self.torch.cuda.current_device())

    def describe(self) -> dict[str, Any]:
        found, torch = self.properties, self.torch
        driver = getattr(torch._C, "_cuda_getDriverVersion", lambda: None)()
        return {
            "gpu": found.name,
            "compute_capability": f"{found.major}.{found.minor}",
            "multiprocessors": found.multi_processor_count,
            "memory": found.total_memory,
            "l2": self.cache(),
            "cuda": torch.version.cuda,
            "driver": driver,
        }

    def cache(self) -> int:
        return int(getattr(self.properties, "L2_cache_size", 0) or 50 << 20)

    def memory(self) -> int:
        return int(self.torch.cuda.mem_get_info()[0])

    def finish(self) -> None:
        self.torch.cuda.synchronize()

    def lane(self, runs: Sequence[Call], before: Call) -> tuple[Lane, str | None]:
        before()
        for run in runs:
            run()
        self.finish()
        try:
            replay = self.captured(runs)
            failure = None
        except RuntimeError as error:  # of a library that waits, allocates or compiles where it is called
            self.finish()
            replay, failure = sequence(runs), str(error).splitlines()[0]
        return Lane([replay], before, self.clock(len(runs))), failure

    def captured(self, runs: Sequence[Call]) -> Call:
        """The launches as a CUDA graph, whose replay is one call, and which keeps alive what they read and write.

        Raises RuntimeError where they cannot be captured.
        """
        torch = self.torch
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for run in runs:
                run()
        self.finish()
        kept = list(runs)

        def replay() -> None:
            assert kept
            graph.replay()

        return replay

    def clock(self, launches: int) -> Callable[[Call], float]:
        """Seconds of one launch, by events before and after all of them."""
        torch = self.torch
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))

        def seconds(call: Call) -> float:
            start.record()
            call()
            end.record()
            end.synchronize()
            return float(start.elapsed_time(end)) / 1e3 / launches

        return seconds


class Dry:
    """The CPU in place of a GPU."""

    name = "cpu"
    target = "cpu"

    def __init__(self) -> None:
        library("torch", INSTALL)

    def describe(self) -> dict[str, Any]:
        return {"gpu": None, "dry_run": True}

    def cache(self) -> int:
        return 1 << 16

    def memory(self) -> int:
        return 1 << 30

    def finish(self) -> None: ...

    def lane(self, runs: Sequence[Call], before: Call) -> tuple[Lane, str | None]:
        launches = len(runs)

        def seconds(call: Call) -> float:
            start = time.perf_counter()
            call()
            return (time.perf_counter() - start) / launches

        return Lane([sequence(runs)], before, seconds), None


def sequence(runs: Sequence[Call]) -> Call:
    def replay() -> None:
        for run in runs:
            run()

    return replay
