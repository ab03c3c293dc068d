"""What is known of every element of a tensor: written or not, which blocks touched it, a copy on its way to it.

Elements are called slots here. A slot is an element of a dense tensor, or a single bit where a tensor is also seen
through fields. Blocks have positive numbers; `MANY` stands for more than one block.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

NOBODY, MANY = 0, -1


class Conflict(Exception):
    """The slot at position `where` of an access is at fault. `other` is a block's number where one is involved."""

    def __init__(self, where: int, message: str, other: int = NOBODY) -> None:
        super().__init__(message)
        self.where, self.message, self.other = where, message, other


class Tracker:
    """The state of `size` slots. `written`: whether they start as written; `shared`: whether one block owns them."""

    def __init__(self, size: int, written: bool, shared: bool) -> None:
        self.refined = False
        self.shared = shared
        self.written = np.full(size, written)
        self.pending = np.zeros(size if shared else 0, bool)
        blocks = 0 if shared else size
        self.writer, self.reader, self.updater = (np.zeros(blocks, np.int32) for _ in range(3))

    def refine(self, width: int) -> None:
        """Makes every slot `width` slots, one a bit."""
        if not self.refined:
            for name in ("written", "pending", "writer", "reader", "updater"):
                setattr(self, name, np.repeat(getattr(self, name), width))
        self.refined = True

    def read(self, slots: Array, block: int) -> None:
        """Notes a read. Raises Conflict."""
        self._arrived(slots)
        self._refuse(~self.written[slots], "{element} is read and was never written")
        if not self.shared:
            self._others(self.writer, slots, block, "{self} reads {element}, which {other} writes")
            self._others(self.updater, slots, block, "{self} reads {element}, which {other} updates")
            self._note(self.reader, slots, block)

    def write(self, slots: Array, block: int) -> None:
        """Notes a write. Raises Conflict."""
        self._arrived(slots)
        if not self.shared:
            self._others(self.writer, slots, block, "{self} writes {element}, which {other} writes, too")
            self._others(self.reader, slots, block, "{self} writes {element}, which {other} reads")
            self._others(self.updater, slots, block, "{self} writes {element}, which {other} updates")
            self.writer[slots] = block
        self.written[slots] = True

    def update(self, slots: Array, block: int) -> None:
        """Notes an atomic update. Raises Conflict."""
        self._arrived(slots)
        self._refuse(~self.written[slots], "{element} is updated and was never written")
        if not self.shared:
            self._others(self.writer, slots, block, "{self} updates {element}, which {other} writes")
            self._others(self.reader, slots, block, "{self} updates {element}, which {other} reads")
            self._note(self.updater, slots, block)

    def start_copy(self, slots: Array) -> None:
        """Notes that a copy is on its way. Raises Conflict."""
        self._arrived(slots)
        self.pending[slots] = True

    def finish_copy(self, slots: Array) -> None:
        self.pending[slots] = False
        self.written[slots] = True

    def _arrived(self, slots: Array) -> None:
        if self.shared:
            self._refuse(self.pending[slots], "{element} is the target of a copy that was not waited for")

    def _refuse(self, bad: Array, message: str, others: Array | None = None) -> None:
        if bad.any():
            where = int(np.argmax(bad))
            raise Conflict(where, message, NOBODY if others is None else int(others[where]))

    def _others(self, owners: Array, slots: Array, block: int, message: str) -> None:
        found = owners[slots]
        self._refuse((found != NOBODY) & (found != block), message, found)

    def _note(self, owners: Array, slots: Array, block: int) -> None:
        found = owners[slots]
        owners[slots] = np.where((found == NOBODY) | (found == block), block, MANY)
