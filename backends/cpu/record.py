"""The record of a launch: what its threads share, as memory that native code reads and writes.

It is words of eight bytes, named in `WORDS`, then from byte `COUNTERS` on one counter for each thread, each in a cache
line of its own. The arguments are words elsewhere: addresses of the tensors, bits of the scalars, symbols, the address
of the print callback.

    arguments, blocks, worker   addresses of the arguments and of two functions of the kernel
    arena, capacity             scratch memory and its bytes
    stride, work                the facts that `.blocks` reports: bytes of arena a thread, element operations a block
    total, threads, share       number of blocks, of threads, and blocks of each thread's region
    coarse, fine                blocks that a thread takes at once, at first and in the last quarter of a region
    thread                      number of threads that have begun, changes atomically
    status                      0, or the number of the site that failed, changes atomically

The counter of region r starts at its first block, r * share, and changes atomically.
"""

from __future__ import annotations

import ctypes

import numpy as np

LINE = 64
WORDS = (
    "arguments",
    "blocks",
    "worker",
    "arena",
    "capacity",
    "stride",
    "work",
    "total",
    "threads",
    "share",
    "coarse",
    "fine",
    "thread",
    "status",
)
COUNTERS = -(-8 * len(WORDS) // LINE) * LINE


class Record:
    """A record with room for `limit` threads, for `count` argument words, and for scratch memory that can grow.

    Several launches one after the other use one, launches at the same time do not.
    """

    def __init__(self, blocks: int, worker: int, count: int, arena: int, limit: int) -> None:
        self.limit = limit
        self.arguments = (ctypes.c_uint64 * count)()
        self._memory = aligned(COUNTERS + LINE * limit)
        self.address = address_of(self._memory)
        self._words = (ctypes.c_int64 * len(WORDS)).from_address(self.address)
        self._words[:] = [0] * len(WORDS)
        self._words[:3] = [ctypes.addressof(self.arguments), blocks, worker]
        self.grow(arena)

    def grow(self, bytes: int) -> None:
        """Replaces the scratch memory by `bytes` of it, aligned to a cache line."""
        self._arena = aligned(bytes)
        self._words[WORDS.index("arena")] = address_of(self._arena)
        self._words[WORDS.index("capacity")] = bytes

    @property
    def threads(self) -> int:
        """How many threads the latest launch was divided among."""
        return self._words[WORDS.index("threads")]


def aligned(size: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """Uninitialized bytes that begin at a cache line."""
    memory = np.empty(size + LINE, np.uint8)
    return memory[-memory.ctypes.data % LINE :][:size]


def address_of(memory: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> int:
    """Where an array lies."""
    return memory.ctypes.data
