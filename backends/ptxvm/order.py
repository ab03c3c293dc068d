"""Which accesses of a block are ordered before which: vector clocks, one per thread.

Each block counts its synchronisations. A thread's `stamp` is the count when it last took part in one; an access carries
the stamp of its thread. `known[b, v, u]` is the latest stamp of thread u whose accesses are ordered before what thread
v does next, so an access of u is ordered before v's exactly if its stamp is at most that. A barrier joins what its
participants know. `settled[b]`: accesses with at most this stamp are ordered before everything that is still to come in
the block, because all of its threads have met; most checks end there.
"""

from __future__ import annotations

import numpy as np

from vmc.backends.ptxvm.arrays import Array, Bools


class Order:
    """The clocks of `blocks` blocks of `threads` threads each, of which `real` exist (`real` has `threads` entries)."""

    def __init__(self, blocks: int, threads: int, real: Bools) -> None:
        self.blocks, self.threads = blocks, threads
        self.real = real
        self.stamp = np.ones(blocks * threads, np.int32)
        self.now = np.ones(blocks, np.int32)
        self.settled = np.zeros(blocks, np.int32)
        self.known = np.zeros((blocks, threads, threads), np.int32)

    def barrier_all(self, blocks: Array) -> None:
        """All threads of these blocks meet."""
        stamps = self.stamp.reshape(self.blocks, self.threads)
        self.settled[blocks] = stamps[blocks].max(axis=1)
        self.known[blocks] = stamps[blocks][:, None, :]
        self.now[blocks] += 1
        stamps[blocks] = self.now[blocks][:, None]

    def barrier(self, block: int, waiting: Array, arriving: Array) -> None:
        """Threads of one block meet; `arriving` ones (bar.arrive) tell what they know and learn nothing."""
        stamps = self.stamp.reshape(self.blocks, self.threads)[block]
        everybody = np.concatenate([waiting, arriving])
        known = self.known[block]
        joined = known[everybody].max(axis=0)
        joined[everybody] = np.maximum(joined[everybody], stamps[everybody])
        known[waiting] = joined
        self.now[block] += 1
        stamps[waiting] = self.now[block]

    def depart(self, block: int, threads: Array) -> Array:
        """What `threads` know when they arrive at a barrier that they do not wait for; what they do next is later."""
        stamps = self.stamp.reshape(self.blocks, self.threads)[block]
        known: Array = self.known[block][threads].max(axis=0)
        known[threads] = np.maximum(known[threads], stamps[threads])
        self.now[block] += 1
        stamps[threads] = self.now[block]
        return known

    def learn(self, block: int, threads: Array, known: Array) -> None:
        """`threads` come to know what an earlier `depart` told."""
        self.known[block][threads] = np.maximum(self.known[block][threads], known)

    def warps(self, mask: Bools) -> None:
        """The threads in `mask` meet, each those of its own warp."""
        lanes = mask.reshape(-1, 32)
        stamps = self.stamp.reshape(-1, 32)
        per_block = self.threads // 32
        known = self.known.reshape(-1, 32, self.threads)
        for warp in np.flatnonzero(lanes.any(axis=1)):
            block, place = divmod(int(warp), per_block)
            taking = np.flatnonzero(lanes[warp])
            joined = known[warp][taking].max(axis=0)
            own = place * 32 + taking
            joined[own] = np.maximum(joined[own], stamps[warp][taking])
            known[warp][taking] = joined
            self.now[block] += 1
            stamps[warp][taking] = self.now[block]

    def before(self, block: Array, reader: Array, writer: Array, stamp: Array) -> Bools:
        """Whether accesses of threads `writer` with these stamps come before what threads `reader` do now."""
        result: Bools = (reader == writer) | (self.known[block, reader, writer] >= stamp)
        return result

    def before_warps(self, block: int, reader: int, warps: int, stamp: int) -> bool:
        """Whether all accesses up to a stamp of the warps in a set come before what thread `reader` does now."""
        known = self.known[block, reader] >= stamp
        known[reader] = True
        lanes = (known | ~self.real).reshape(-1, 32).all(axis=1)
        return all(lanes[warp] for warp in range(self.threads // 32) if warps >> warp & 1)
