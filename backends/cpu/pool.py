"""The helper threads of this process: made when a launch first wants them, and asleep until the next.

They run native code only, hold no lock of Python's, take no signals, and end with the process. A forked child makes its
own. Where they cannot be had, launches run on their caller's thread.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from vmc.backends.cpu.resident import resident
from vmc.backends.cpu.scheduler import has_team, text

MOST = 1 << 14
"""Threads of one launch: the pool counts them in 15 bits."""

LAUNCH = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64)

_size = 0
_growing = threading.Lock()


@dataclass(frozen=True, eq=False)
class Scheduler:
    """The native code of `scheduler.py`: its functions, and the address of `vmc.helper`, 0 where there is no pool."""

    launch: Callable[[int, int], int]
    helper: int
    forget: Callable[[], None] | None


@lru_cache(maxsize=1)
def scheduler() -> Scheduler:
    """The scheduler of this process. Its code stays: helpers may sleep in it until the process has ended."""
    names = ["vmc.launch", *(["vmc.helper", "vmc.forget"] if has_team() else [])]
    linked = resident("vmc.scheduler", text(), names)
    launch = LAUNCH(linked["vmc.launch"])
    if not has_team():
        return Scheduler(launch, 0, None)
    return Scheduler(launch, linked["vmc.helper"], ctypes.CFUNCTYPE(None)(linked["vmc.forget"]))


def at_most(threads: int) -> int:
    """How many threads of so many a launch may count on, the caller among them; helpers that are missing are made."""
    if threads <= _size + 1:
        return threads
    grow(min(threads, MOST) - 1)
    return min(threads, _size + 1)


def grow(helpers: int) -> None:
    """Makes helper threads until there are so many, or no more can be had."""
    global _size
    with _growing:
        while _size < helpers and start_helper():
            _size += 1


def start_helper() -> bool:
    """Makes a helper thread. False where there is none to be had."""
    helper = scheduler().helper
    if not helper:
        return False
    process = ctypes.CDLL(None)
    thread = ctypes.c_void_p()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        if process.pthread_create(ctypes.byref(thread), None, ctypes.c_void_p(helper), None):
            return False
        process.pthread_detach(thread)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return True


def _after_fork() -> None:
    """A forked child has inherited what the pool knows, without its threads."""
    global _size, _growing
    _size, _growing = 0, threading.Lock()
    forget = scheduler().forget if scheduler.cache_info().currsize else None
    if forget is not None:
        forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
