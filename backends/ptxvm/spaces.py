"""The state spaces of PTX: which addresses exist, and where in a `Memory` they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vmc.backends.ptxvm.addresses import OFFSET_MASK, REGION_BITS, SHARED_START, buffer_address
from vmc.backends.ptxvm.arrays import Array
from vmc.backends.ptxvm.errors import AlignmentError, BoundsError
from vmc.backends.ptxvm.memory import Memory
from vmc.backends.ptxvm.tracking import Tracker

PADDING = 256


@dataclass(frozen=True)
class Buffer:
    """Bytes with an address of their own in a launch. `unset`: never written yet, but for the bits that are not in
    `left`, where there is one; `constant`: must not be written.
    """

    name: str
    data: Array
    unset: bool = False
    constant: bool = False
    left: Array | None = None


def check_alignment(addresses: Array, nbytes: int, threads: Array, per_block: int, first: int) -> None:
    """Raises AlignmentError unless all addresses are multiples of the access's size."""
    if 1 < nbytes <= 16:
        off = addresses & type(addresses[0])(nbytes - 1)
        if off.any():
            row = int(np.flatnonzero(off)[0])
            raise AlignmentError(
                f"address {int(addresses[row]):#x} is no multiple of {nbytes}, the size of the access",
                threads=(divmod(int(threads[row]) + first, per_block),),
            )


class GlobalSpace:
    """All buffers of a launch, in one memory, each in a region of addresses of its own."""

    def __init__(self, buffers: Sequence[Buffer], granule: int, per_block: int, check: bool = True) -> None:
        self.buffers = buffers
        self.per_block = per_block
        self.first = 0
        starts, lengths, end = [0], [0], PADDING
        for buffer in buffers:
            starts.append(end)
            lengths.append(buffer.data.size)
            end += -(-buffer.data.size // PADDING) * PADDING + PADDING
        self.starts = np.array(starts, np.int64)
        self.lengths = np.array(lengths, np.int64)
        data = np.zeros(end, np.uint8)
        unset = np.zeros(end, np.uint8) if any(b.unset for b in buffers) else None
        for start, buffer in zip(starts[1:], buffers, strict=True):
            data[start : start + buffer.data.size] = buffer.data
            if buffer.unset and unset is not None:
                unset[start : start + buffer.data.size] = 0xFF if buffer.left is None else buffer.left
        tracker = Tracker(end // granule, per_block) if check else None
        self.memory = _GlobalMemory("global", data, granule, tracker, unset)
        self.memory.space = self

    def unwritten(self) -> dict[str, int]:
        """How many bytes of each unset buffer have bits that nobody wrote."""
        result = {}
        for start, buffer in zip(self.starts[1:], self.buffers, strict=True):
            if buffer.unset and not buffer.constant and self.memory.unset is not None:
                count = int(np.count_nonzero(self.memory.unset[start : start + buffer.data.size]))
                if count:
                    result[buffer.name] = count
        return result

    def write_back(self) -> None:
        """Copy what the launch wrote to the buffers' arrays."""
        for start, buffer in zip(self.starts[1:], self.buffers, strict=True):
            if buffer.constant or not buffer.data.flags.writeable:
                continue
            buffer.data[:] = self.memory.data[start : start + buffer.data.size]
            if buffer.left is not None and self.memory.unset is not None:
                buffer.left[:] = self.memory.unset[start : start + buffer.data.size]

    def locate(self, addresses: Array, nbytes: int, threads: Array, write: bool = False) -> Array:
        """Indices of addresses [n] (uint64). Raises BoundsError, AlignmentError."""
        check_alignment(addresses, nbytes, threads, self.per_block, self.first)
        numbers = (addresses >> np.uint64(REGION_BITS)).astype(np.int64)
        offsets = (addresses & np.uint64(OFFSET_MASK)).astype(np.int64)
        first = int(numbers[0])
        if 0 < first < len(self.starts) and (numbers == first).all():
            length = self.lengths[first]
            start = self.starts[first]
            if int(offsets.max()) + nbytes <= length and not (write and self.buffers[first - 1].constant):
                result: Array = offsets + start
                return result
        known = (numbers > 0) & (numbers < len(self.starts))
        index = np.where(known, numbers, 0)
        bad = offsets + nbytes > self.lengths[index]
        if write:
            constant = np.array([False, *[b.constant for b in self.buffers]])
            bad |= constant[index]
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            where = (divmod(int(threads[row]) + self.first, self.per_block),)
            raise BoundsError(self._explain(int(addresses[row]), nbytes, write), threads=where)
        result = offsets + self.starts[index]
        return result

    def _explain(self, address: int, nbytes: int, write: bool) -> str:
        number, offset = address >> REGION_BITS, address & OFFSET_MASK
        verb = "write" if write else "read"
        if 0 < number < len(self.starts):
            buffer = self.buffers[number - 1]
            if write and buffer.constant and offset + nbytes <= buffer.data.size:
                return f"{verb} to `{buffer.name}`, which is constant"
            return f"{verb} of {nbytes} bytes at offset {offset} of `{buffer.name}`, which has {buffer.data.size} bytes"
        below = number + 1
        if 0 < below < len(self.starts) and offset > OFFSET_MASK // 2:
            name = self.buffers[below - 1].name
            return f"{verb} of {nbytes} bytes at offset {address - buffer_address(below)} of `{name}`, before its start"
        return f"{verb} of {nbytes} bytes at address {address:#x}, which belongs to no buffer"


class _GlobalMemory(Memory):
    space: GlobalSpace

    def describe(self, index: int) -> str:
        number = int(np.searchsorted(self.space.starts, index, side="right")) - 1
        return f"{index - int(self.space.starts[number])} of `{self.space.buffers[number - 1].name}`"


class SharedSpace:
    """The shared memory of all blocks that execute at a time, one after the other."""

    def __init__(self, size: int, blocks: int, granule: int, per_block: int, check: bool = True) -> None:
        self.size = size
        self.stride = max(16, -(-size // 16) * 16)
        self.per_block = per_block
        self.first = 0
        total = self.stride * blocks
        tracker = Tracker(total // granule, per_block) if check else None
        unset = np.full(total, 0xFF, np.uint8)
        pending = np.zeros(total // granule, np.int32)
        self.memory = _SharedMemory("shared", np.zeros(total, np.uint8), granule, tracker, unset, pending)
        self.memory.stride = self.stride

    def locate(self, addresses: Array, nbytes: int, threads: Array, write: bool = False) -> Array:
        """Indices of addresses [n] of shared memory. Raises BoundsError, AlignmentError."""
        check_alignment(addresses, nbytes, threads, self.per_block, self.first)
        offsets = addresses.astype(np.int64) - SHARED_START
        bad = offsets + nbytes > self.size
        if bad.any() or int(offsets.min()) < 0:
            row = int(np.flatnonzero(bad | (offsets < 0))[0])
            raise BoundsError(
                f"{'write' if write else 'read'} of {nbytes} bytes at {int(offsets[row])} of shared memory, of which "
                f"the block has {self.size} bytes",
                threads=(divmod(int(threads[row]) + self.first, self.per_block),),
            )
        result: Array = offsets + (threads // self.per_block) * self.stride
        return result


class _SharedMemory(Memory):
    stride: int

    def describe(self, index: int) -> str:
        return str(index % self.stride)


class LocalSpace:
    """Every thread's own memory."""

    def __init__(self, size: int, threads: int, per_block: int) -> None:
        self.size = size
        self.stride = max(16, -(-size // 16) * 16)
        self.per_block = per_block
        self.first = 0
        total = self.stride * threads
        self.memory = Memory("local", np.zeros(total, np.uint8), 1, None, np.full(total, 0xFF, np.uint8))

    def locate(self, addresses: Array, nbytes: int, threads: Array, write: bool = False) -> Array:
        """Indices of addresses [n] of local memory. Raises BoundsError, AlignmentError."""
        check_alignment(addresses, nbytes, threads, self.per_block, self.first)
        offsets = addresses.astype(np.int64)
        bad = (offsets < 0) | (offsets + nbytes > self.size)
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise BoundsError(
                f"{'write' if write else 'read'} of {nbytes} bytes at {int(offsets[row])} of local memory, of which a "
                f"thread has {self.size} bytes",
                threads=(divmod(int(threads[row]) + self.first, self.per_block),),
            )
        result: Array = offsets + threads * self.stride
        return result


Space = GlobalSpace | SharedSpace | LocalSpace
