"""Who touched which bytes last: finds races.

A `Tracker` keeps, for every granule of a memory (as many bytes as the narrowest access of the program), its last writer
and its readers since. After FastTrack (Flanagan and Freund, PLDI 2009) one reader is enough while each read is ordered
after the one before; of concurrent readers it keeps the set of their warps and the latest stamp, which is exact for
barriers of whole warps and errs towards reporting otherwise.

Threads are numbered over the whole launch, `block * threads + thread`. Blocks are unordered among themselves, but for
what `Releases` learnt from atomic operations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vmc.backends.ptxvm.arrays import Array, Bools
from vmc.backends.ptxvm.order import Order

NOBODY = -1
MANY = -2


@dataclass(frozen=True)
class Conflict:
    """A race: `thread` and the `other` one (None where it is one of many), the other's instruction, and the granule."""

    kind: str
    thread: int
    other: int | None
    instruction: int
    granule: int


class Tracker:
    """Last accesses of `count` granules. `first`: the launch-wide number of the first thread of the current blocks."""

    def __init__(self, count: int, threads: int) -> None:
        self.threads = threads
        self.first = 0
        self.writer = np.full(count, NOBODY, np.int32)
        self.write_stamp = np.full(count, -1, np.int32)
        self.write_line = np.zeros(count, np.int32)
        self.write_strong = np.zeros(count, np.bool_)
        self.reader = np.full(count, NOBODY, np.int32)
        self.read_stamp = np.full(count, -1, np.int32)
        self.read_line = np.zeros(count, np.int32)
        self.read_warps = np.zeros(count, np.uint32)
        self.read_strong = np.zeros(count, np.bool_)
        self.foreign = np.zeros(count, np.bool_)
        """Whether blocks other than the one of `reader` read, too."""
        self.by_proxy = np.zeros(count, np.bool_)
        """Whether the last writer was the async proxy, on behalf of the thread."""
        self.ordered: Callable[[int, int, int | None, int], bool] = lambda block, other, thread, stamp: False
        """Whether accesses of a thread of another block (None: of all) up to a stamp are known to a block."""

    def read(self, granules: Array, threads: Array, order: Order, line: int, strong: bool) -> Conflict | None:
        """Threads (cohort-wide numbers, shape [n]) read granules [n, k]. The race that this is, if any."""
        who = np.broadcast_to((threads + self.first)[:, None], granules.shape)
        blocks = np.broadcast_to((threads // self.threads)[:, None], granules.shape)
        conflict = self._with_writer("read after write", granules, who, blocks, order, strong)
        if conflict is not None:
            return conflict[0]
        self._note_read(granules, who, blocks, order, line, strong)
        return None

    def write(
        self, granules: Array, threads: Array, order: Order, line: int, strong: bool, same: Callable[[], Bools]
    ) -> Conflict | None:
        """Threads write granules [n, k]. `same()`: where the granule already holds what is written, which is no race
        between two writes."""
        who = np.broadcast_to((threads + self.first)[:, None], granules.shape)
        blocks = np.broadcast_to((threads // self.threads)[:, None], granules.shape)
        conflict = self._with_writer("write after write", granules, who, blocks, order, strong, same)
        if conflict is None:
            conflict = self._with_readers(granules, who, blocks, order, strong)
        if conflict is not None:
            return conflict[0]
        self.writer[granules] = who
        self.write_stamp[granules] = order.stamp[threads][:, None]
        self.write_line[granules] = line
        self.write_strong[granules] = strong
        self.reader[granules] = NOBODY
        self.read_stamp[granules] = -1
        self.foreign[granules] = False
        self.by_proxy[granules] = False
        return None

    def unfenced(self, granules: Array, threads: Array, order: Order) -> Array:
        """Which granules [n, k] threads last wrote without a fence that shows it to the async proxy for threads [n]."""
        assert order.fenced is not None
        stamps, writer = self.write_stamp[granules], self.writer[granules] - self.first
        block, place = np.divmod(threads[:, None], self.threads)
        own = (self.writer[granules] != NOBODY) & (writer // self.threads == block)
        fenced = order.fenced[block, place, writer % self.threads] >= stamps
        result: Array = own & ~fenced & ~self.by_proxy[granules]
        return result

    def _with_writer(
        self,
        kind: str,
        granules: Array,
        who: Array,
        blocks: Array,
        order: Order,
        strong: bool,
        same: Callable[[], Bools] | None = None,
    ) -> tuple[Conflict] | None:
        stamps = self.write_stamp[granules]
        if stamps.max(initial=-1) < 0:
            return None
        writer = self.writer[granules]
        own = writer // self.threads == who // self.threads
        suspect = (writer != NOBODY) & (writer != who) & ~(own & (stamps <= order.settled[blocks]))
        if strong:
            suspect &= ~self.write_strong[granules]
        if not suspect.any():
            return None
        known = order.known[blocks, who % self.threads, writer % self.threads] >= stamps
        suspect &= ~(own & known)
        if same is not None and suspect.any():
            suspect &= ~same()
        for row, column in np.argwhere(suspect):
            thread, other, stamp = int(who[row, column]), int(writer[row, column]), int(stamps[row, column])
            if not self._before(order, thread, other, stamp):
                granule = int(granules[row, column])
                return (Conflict(kind, thread, other, int(self.write_line[granule]), granule),)
        return None

    def _before(self, order: Order, thread: int, other: int, stamp: int) -> bool:
        block, place = divmod(thread - self.first, self.threads)
        if other // self.threads == thread // self.threads:
            return bool(order.known[block, place, other % self.threads] >= stamp)
        return self.ordered(thread // self.threads, *divmod(other, self.threads), stamp)

    def _with_readers(
        self, granules: Array, who: Array, blocks: Array, order: Order, strong: bool
    ) -> tuple[Conflict] | None:
        stamps = self.read_stamp[granules]
        if stamps.max(initial=-1) < 0:
            return None
        reader = self.reader[granules]
        own = self._reader_block(granules) == who // self.threads
        settled = own & (stamps <= order.settled[blocks])
        suspect = (stamps >= 0) & (reader != who) & ~settled
        suspect |= self.foreign[granules]
        if strong:
            suspect &= ~self.read_strong[granules]
        if not suspect.any():
            return None
        known = order.known[blocks, who % self.threads, reader % self.threads] >= stamps
        suspect &= ~(own & known & (reader >= 0)) | self.foreign[granules]
        for row, column in np.argwhere(suspect):
            granule, thread = int(granules[row, column]), int(who[row, column])
            other = int(reader[row, column])
            if self._readers_before(order, thread, granule):
                continue
            single = other if other >= 0 and not self.foreign[granule] else None
            return (Conflict("write after read", thread, single, int(self.read_line[granule]), granule),)
        return None

    def _reader_block(self, granules: Array) -> Array:
        """The block of the last reader; readers that are many keep it in `reader` as MANY - block."""
        reader = self.reader[granules]
        return np.where(reader >= 0, reader // self.threads, MANY - reader)

    def _readers_before(self, order: Order, thread: int, granule: int) -> bool:
        stamp, reader = int(self.read_stamp[granule]), int(self.reader[granule])
        block = reader // self.threads if reader >= 0 else MANY - reader
        own = thread // self.threads
        if self.foreign[granule]:
            return False
        if block != own:
            return self.ordered(own, block, reader % self.threads if reader >= 0 else None, stamp)
        local, place = divmod(thread - self.first, self.threads)
        if reader >= 0:
            return reader == thread or bool(order.known[local, place, reader % self.threads] >= stamp)
        return order.before_warps(local, place, int(self.read_warps[granule]), stamp)

    def _note_read(self, granules: Array, who: Array, blocks: Array, order: Order, line: int, strong: bool) -> None:
        stamps = self.read_stamp[granules]
        mine = order.stamp[who - self.first]
        warps = np.uint32(1) << ((who % self.threads) // 32).astype(np.uint32)
        fresh = stamps < 0
        if not fresh.all():
            own = self._reader_block(granules) == who // self.threads
            if not own.all():
                others = ~own & ~fresh
                self.foreign[granules[others]] = True
            fresh |= own & (stamps <= order.settled[blocks])
            fresh |= own & (self.reader[granules] == who)
            fresh |= ~own
        if fresh.all():
            self._replace(granules, who, mine, warps, line, strong)
            return
        self._replace(granules[fresh], who[fresh], mine[fresh], warps[fresh], line, strong)
        rest = ~fresh
        self._merge(granules[rest], who[rest], mine[rest], warps[rest], line, strong)

    def _replace(self, granules: Array, who: Array, stamps: Array, warps: Array, line: int, strong: bool) -> None:
        self.reader[granules] = who
        self.read_stamp[granules] = stamps
        self.read_line[granules] = line
        self.read_strong[granules] = strong
        self.read_warps[granules] = warps
        twice = self.reader[granules] != who
        if twice.any():
            self._merge(granules[twice], who[twice], stamps[twice], warps[twice], line, strong)

    def _merge(self, granules: Array, who: Array, stamps: Array, warps: Array, line: int, strong: bool) -> None:
        """More readers, unordered with the ones that are there."""
        last = self.reader[granules]
        last_block = np.where(last >= 0, last // self.threads, MANY - last)
        self.foreign[granules] |= last_block != who // self.threads
        block = MANY - who // self.threads
        self.reader[granules] = block
        self.foreign[granules] |= self.reader[granules] != block
        np.maximum.at(self.read_stamp, granules, stamps)
        np.bitwise_or.at(self.read_warps, granules, warps)
        self.read_line[granules] = line
        self.read_strong[granules] &= strong
