"""Running the worker function on several threads: OpenMP's, if the process has it, else Python's.

torch brings an OpenMP runtime of its own. Joining that one's thread pool, instead of starting another, keeps the number
of running threads at the number of cores. A Python thread that calls native code does not hold the interpreter's lock.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

WORKER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)

_chosen: int | None = None
_forked = False


def set_num_threads(count: int | None) -> None:
    """Sets how many threads a launch may use; None for as many as there are cores. Raises ValueError below 1."""
    global _chosen
    if count is not None and count < 1:
        raise ValueError(f"the number of threads must be at least 1, not {count}")
    _chosen = count


def num_threads() -> int:
    """How many threads a launch may use: as set, else VMC_NUM_THREADS, else the cores that this process may run on."""
    if _chosen is not None:
        return _chosen
    return default_threads()


@lru_cache(maxsize=1)
def default_threads() -> int:
    asked = os.environ.get("VMC_NUM_THREADS", "")
    if asked.isdigit() and int(asked) >= 1:
        return int(asked)
    return max(1, min(affinity(), quota()))


def affinity() -> int:
    """The cores that the scheduler lets this process run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def quota() -> int:
    """The cores that the control group pays for, rounded up (Linux, cgroup v2: cpu.max)."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return -(-int(limit) // int(period))
    except (OSError, ValueError):
        return 1 << 16


def run(worker: int, context: int, threads: int) -> None:
    """Calls the function at address `worker` with `context` once on each of several threads, the caller among them."""
    call = WORKER(worker)
    if threads == 1:
        call(context)
        return
    parallel = openmp()
    if parallel is not None and not _forked:
        parallel(worker, context, threads, 0)
        return
    others = [threading.Thread(target=call, args=(context,)) for _ in range(threads - 1)]
    for thread in others:
        thread.start()
    call(context)
    for thread in others:
        thread.join()


def _after_fork() -> None:
    """A forked child has inherited the OpenMP runtime's state without its threads: waiting for them would not end."""
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@lru_cache(maxsize=1)
def openmp() -> Callable[[int, int, int, int], None] | None:
    """`GOMP_parallel` of the OpenMP runtime that is loaded already, or of the system's; None where there is none.

    libgomp, libomp and libiomp5 all offer it.
    """
    for name in (*loaded_runtimes(), "libgomp.so.1"):
        try:
            function = ctypes.CDLL(name).GOMP_parallel
        except (OSError, AttributeError):
            continue
        function.restype = None
        function.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
        return function
    return None


def loaded_runtimes() -> list[str]:
    """The paths of the OpenMP runtimes mapped into this process (Linux)."""
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return []
    paths = dict.fromkeys(line.split(maxsplit=5)[-1] for line in lines if "/" in line)
    return [path for path in paths if Path(path).name.startswith(("libgomp", "libomp", "libiomp"))]
