"""How many threads a launch may use.

The threads are this package's own (`pool.py`). OpenMP's, of which torch has a pool, sleep or soon fall asleep while a
kernel runs, so that no more threads run than a launch uses; and what limits them limits these.
"""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from pathlib import Path

_chosen: int | None = None


def set_num_threads(count: int | None) -> None:
    """Sets how many threads a launch may use; None for as many as there are cores. Raises ValueError below 1."""
    global _chosen
    if count is not None and count < 1:
        raise ValueError(f"the number of threads must be at least 1, not {count}")
    _chosen = count


def num_threads() -> int:
    """How many threads a launch may use: as set, else VMC_NUM_THREADS, else the cores that this process may run on, but
    no more than OMP_NUM_THREADS or, where torch is loaded, than `torch.get_num_threads()`.
    """
    if _chosen is not None:
        return _chosen
    most = default_threads()
    of_torch = getattr(sys.modules.get("torch"), "get_num_threads", None)  # not there while torch is being imported
    if of_torch is None or asked_threads() is not None:
        return most
    theirs: int = of_torch()
    return theirs if theirs < most else most


@lru_cache(maxsize=1)
def default_threads() -> int:
    """The number where neither `set_num_threads` nor torch has another."""
    cores = max(1, min(affinity(), quota()))
    return asked_threads() or min(cores, from_environment("OMP_NUM_THREADS") or cores)


@lru_cache(maxsize=1)
def asked_threads() -> int | None:
    """The number that VMC_NUM_THREADS asks for."""
    return from_environment("VMC_NUM_THREADS")


def from_environment(name: str) -> int | None:
    """The number of threads in a variable; the first one of OpenMP's list, which has one for each level of nesting."""
    text = os.environ.get(name, "").partition(",")[0].strip()
    return int(text) if text.isdecimal() and int(text) >= 1 else None


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
