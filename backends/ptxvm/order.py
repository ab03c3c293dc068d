"""Which accesses of a block are ordered before which: vector clocks, one per thread.

Each block counts its synchronisations. A thread's `stamp` is the count when it last took part in one; an access carries
the stamp of its thread. `known[b, v, u]` is the latest stamp of thread u whose accesses are ordered before what thread
v does next, so an access of u is ordered before v's exactly if its stamp is at most that. A barrier joins what its
participants know. `settled[b]`: accesses with at most this stamp are ordered before everything that is still to come in
the block, because all of its threads have met; most checks end there.

Accesses of the async proxy (bulk copies, wgmma) see what threads wrote by themselves only behind a `fence.proxy.async`:
`fenced[b, v, u]` is the latest stamp of thread u whose writes such a fence, by whoever, has made known there to v. It
spreads like `known`, and is kept for programs that need it (`track_proxies`).
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
        self.fenced: Array | None = None

    def track_proxies(self) -> None:
        """Keep `fenced` from now on."""
        self.fenced = np.zeros_like(self.known)

    def fence_proxy(self, threads: Array) -> None:
        """Threads (numbered over all blocks) order what they know before what the async proxy does after them."""
        if self.fenced is None:
            return
        block, place = np.divmod(threads, self.threads)
        fenced = np.maximum(self.fenced[block, place], self.known[block, place])
        fenced[np.arange(len(threads)), place] = self.stamp[threads]
        self.fenced[block, place] = fenced
        self.now[np.unique(block)] += 1
        self.stamp[threads] = self.now[block]

    def barrier_all(self, blocks: Array) -> None:
        """All threads of these blocks meet."""
        stamps = self.stamp.reshape(self.blocks, self.threads)
        self.settled[blocks] = stamps[blocks].max(axis=1)
        self.known[blocks] = stamps[blocks][:, None, :]
        if self.fenced is not None:
            self.fenced[blocks] = self.fenced[blocks].max(axis=1, keepdims=True)
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
        if self.fenced is not None:
            self.fenced[block][waiting] = self.fenced[block][everybody].max(axis=0)
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

    def tell(self, block: int, threads: Array) -> Array:
        """As `depart`, with what the async proxy knows in a second row where that is kept: [1 or 2, threads]."""
        rows = [self.depart(block, threads)]
        if self.fenced is not None:
            rows.append(self.fenced[block][threads].max(axis=0))
        return np.stack(rows)

    def together(self, threads: Array) -> None:
        """Threads (numbered over all blocks) that told one after the other in one instruction go on at one time: of
        several readers no more than the latest time is kept."""
        self.stamp[threads] = self.now[threads // self.threads]

    def learn(self, block: int, threads: Array, told: Array) -> None:
        """`threads` come to know what an earlier `tell` told."""
        self.known[block][threads] = np.maximum(self.known[block][threads], told[0])
        if self.fenced is not None:
            self.fenced[block][threads] = np.maximum(self.fenced[block][threads], told[1])

    def warps(self, mask: Bools) -> None:
        """The threads in `mask` meet, each those of its own warp."""
        lanes = mask.reshape(-1, 32)
        stamps = self.stamp.reshape(-1, 32)
        per_block = self.threads // 32
        known = self.known.reshape(-1, 32, self.threads)
        for warp in np.flatnonzero(lanes.any(axis=1)):
            place = int(warp) % per_block
            taking = np.flatnonzero(lanes[warp])
            joined = known[warp][taking].max(axis=0)
            own = place * 32 + taking
            joined[own] = np.maximum(joined[own], stamps[warp][taking])
            known[warp][taking] = joined
            if self.fenced is not None:
                fenced = self.fenced.reshape(-1, 32, self.threads)[warp]
                fenced[taking] = fenced[taking].max(axis=0)
        met = np.flatnonzero(mask)
        self.now[np.unique(met // self.threads)] += 1
        self.together(met)

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
