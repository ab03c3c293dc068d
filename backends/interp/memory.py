"""Tensors as the executing block sees them: bit-packed bytes, and what is known of every element.

A `Buffer` is the bytes of one tensor parameter or allocation; a `View` reads and writes it as a tensor of some type.
Several views of one buffer (fields) share what is known of its elements.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from vmc.backends.interp.bits import Array, read_bits, read_runs, write_bits, write_runs
from vmc.backends.interp.errors import Fault
from vmc.backends.interp.tracking import Conflict, Tracker
from vmc.ir.core import TensorType
from vmc.ir.ops.indexed import combine
from vmc.ir.storage import block_counts, block_numbers, block_positions
from vmc.ir.types import DType


@dataclass
class Presence:
    """The block that executes now: its number, and how to name a block."""

    block: int = 1
    name: Callable[[int], str] = str


@dataclass(frozen=True)
class Buffer:
    """The bytes of a tensor, with a name for messages. `tracker` is None where nothing can go wrong: inputs."""

    name: str
    data: Array
    tracker: Tracker | None
    presence: Presence


class View:
    """A tensor over a buffer. Raises Fault where an access is not allowed. Implements `vmc.ir.evaluate.Memory`."""

    def __init__(self, buffer: Buffer, type: TensorType, shape: tuple[int, ...], bit_offset: int = 0) -> None:
        self.buffer, self.type, self.shape, self.bit_offset = buffer, type, shape, bit_offset
        self.dtype: DType = type.dtype
        self._table = None if type.storage is None else block_positions(type.storage, type.dtype.width)
        if self._end() > 8 * buffer.data.size:
            raise Fault(f"{buffer.name} has {buffer.data.size} bytes, and {(self._end() + 7) // 8} are needed")
        self._runs = self._table is None or bool(
            np.all(self._table == self._table[:, :1] + np.arange(type.dtype.width, dtype=np.int64))
        )
        self._native = self._native_array()

    def _end(self) -> int:
        """Where the last bit of the last element ends."""
        if self.type.storage is None or self._table is None:
            return self.bit_offset + prod(self.shape) * self.dtype.width
        blocks = prod(block_counts(self.type.storage, self.shape))
        last = (blocks - 1) * self.type.storage.pitch + int(self._table.max()) + 1
        return self.bit_offset + last if blocks else 0

    def _native_array(self) -> Array | None:
        """The elements as a NumPy array, where they lie as NumPy would have them."""
        size = self.dtype.array_dtype.itemsize
        if self._table is not None or self.bit_offset % 8 or self.dtype.width != 8 * size:
            return None
        start = self.bit_offset // 8
        return self.buffer.data[start : start + prod(self.shape) * size].view(self.dtype.array_dtype)

    # Memory

    def read(self, index: Sequence[Array], mask: Array) -> Array:
        """See `Memory.read`."""
        result = np.zeros(mask.shape, self.dtype.array_dtype)
        places = self._places(index, mask, "read")
        if places.size == 0:
            return result
        tracker = self.buffer.tracker
        if tracker is not None:
            self._track(tracker.read, tracker, places, index, mask)
        values = self._get(places)
        if values.size == mask.size:
            return values.reshape(mask.shape)
        result[mask] = values
        return result

    def write(self, index: Sequence[Array], mask: Array, values: Array) -> None:
        """See `Memory.write`."""
        places = self._places(index, mask, "write")
        if places.size == 0:
            return
        tracker = self.buffer.tracker
        assert tracker is not None
        self._track(tracker.write, tracker, places, index, mask)
        self._put(places, values[mask])

    def atomic(self, kind: str, index: Sequence[Array], mask: Array, values: Array) -> Array:
        """See `Memory.atomic`."""
        result = np.zeros(mask.shape, self.dtype.array_dtype)
        places = self._places(index, mask, "update")
        if places.size == 0:
            return result
        tracker = self.buffer.tracker
        assert tracker is not None
        self._track(tracker.update, tracker, places, index, mask)
        operands, old = values[mask], np.empty(places.size, self.dtype.array_dtype)
        for turn in turns(places):
            old[turn] = self._get(places[turn])
            self._put(places[turn], combine(kind, self.dtype, old[turn], operands[turn]))
        result[mask] = old
        return result

    # Asynchronous copies

    def start_copy(self, index: Sequence[Array]) -> Array:
        """Marks the elements as under way; what `finish_copy` wants."""
        mask = np.ones(index[0].shape if index else (), bool)
        places = self._places(index, mask, "copy to")
        tracker = self.buffer.tracker
        assert tracker is not None
        self._track(lambda slots, block: tracker.start_copy(slots), tracker, places, index, mask)
        return places

    def finish_copy(self, places: Array, values: Array) -> None:
        """The values arrive."""
        tracker = self.buffer.tracker
        assert tracker is not None
        tracker.finish_copy(self._slots(tracker, places))
        self._put(places, values.reshape(-1))

    # Elements by number, row-major

    def _places(self, index: Sequence[Array], mask: Array, verb: str) -> Array:
        """The numbers of the elements that the mask leaves, in order. Raises Fault where one does not exist."""
        place = np.zeros(mask.shape, np.int64)
        outside = np.zeros(mask.shape, bool)
        for line, extent in zip(index, self.shape, strict=True):
            outside |= (line < 0) | (line >= extent)
            place = place * extent + line
        outside &= mask
        if outside.any():
            element = self._element([line[outside][0] for line in index])
            raise Fault(f"{verb} of {element} outside the extents {list(self.shape)}")
        return place[mask]

    def count_unwritten(self) -> int:
        """The number of elements of which a bit was never written."""
        tracker = self.buffer.tracker
        if tracker is None:
            return 0
        slots = self._slots(tracker, np.arange(prod(self.shape)))
        written = tracker.written[slots].reshape(prod(self.shape), -1) if slots.size else np.ones((0, 1), bool)
        return int((~written).any(axis=1).sum())

    def _element(self, index: Sequence[int]) -> str:
        return f"{self.buffer.name}[{', '.join(str(int(i)) for i in index)}]"

    def _track(
        self, note: Callable[[Array, int], None], tracker: Tracker, places: Array, index: Sequence[Array], mask: Array
    ) -> None:
        """Tells the tracker of an access to these elements. Raises Fault where it objects."""
        try:
            note(self._slots(tracker, places), self.buffer.presence.block)
        except Conflict as conflict:
            number = conflict.where // (self.dtype.width if tracker.refined else 1)
            element = self._element([np.broadcast_to(line, mask.shape)[mask][number] for line in index])
            presence = self.buffer.presence
            names = {"self": presence.name(presence.block), "other": presence.name(conflict.other)}
            raise Fault(conflict.message.format(element=element, **names)) from None

    def _slots(self, tracker: Tracker, places: Array) -> Array:
        return self._bits(places).reshape(-1) if tracker.refined else places

    def _offsets(self, places: Array) -> tuple[Array, Array]:
        """Where the blocks of these elements start, in bits, and which element of its block each one is."""
        storage = self.type.storage
        assert storage is not None
        counts = block_counts(storage, self.shape)
        index = np.unravel_index(places, self.shape)
        blocks = block_numbers(storage, tuple(i // b for i, b in zip(index, storage.block, strict=True)), counts)
        inner = np.ravel_multi_index([i % b for i, b in zip(index, storage.block, strict=True)], storage.block)
        return self.bit_offset + blocks * storage.pitch, inner

    def _starts(self, places: Array) -> Array:
        """The bit offset of each element's first bit; its other bits follow where `_runs`."""
        if self._table is None:
            return self.bit_offset + places * self.dtype.width
        base, inner = self._offsets(places)
        return np.asarray(base + self._table[inner, 0])

    def _bits(self, places: Array) -> Array:
        """The bit offset of each element's bits: int64[n, width]."""
        if self._table is None:
            return self._starts(places)[:, None] + np.arange(self.dtype.width, dtype=np.int64)
        base, inner = self._offsets(places)
        return np.asarray(base[:, None] + self._table[inner])

    def _get(self, places: Array) -> Array:
        if self._native is not None:
            return self._native[places]
        data, width = self.buffer.data, self.dtype.width
        codes = read_runs(data, self._starts(places), width) if self._runs else read_bits(data, self._bits(places))
        return self.dtype.from_codes(codes.astype(self.dtype.code_dtype))

    def _put(self, places: Array, values: Array) -> None:
        if self._native is not None:
            self._native[places] = values
            return
        codes = self.dtype.to_codes(values).astype(np.uint64)
        if self._runs:
            write_runs(self.buffer.data, self._starts(places), self.dtype.width, codes)
        else:
            bits = (codes[:, None] >> np.arange(self.dtype.width, dtype=np.uint64)) & np.uint64(1)
            write_bits(self.buffer.data, self._bits(places), bits)


def turns(places: Array) -> list[Array]:
    """Positions grouped so that no group has a place twice, and the positions of one place come in order."""
    order = np.argsort(places, kind="stable")
    ordered = places[order]
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    starts = np.maximum.accumulate(np.where(first, np.arange(places.size), 0))
    turn = np.arange(places.size) - starts
    return [order[turn == number] for number in range(int(turn.max()) + 1)]
