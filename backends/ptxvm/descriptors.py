"""Matrix descriptors of wgmma: 64 bits that say where a matrix lies in shared memory.

PTX ISA, wgmma, "Matrix Descriptor Format" and "Shared Memory Matrix Layout":

    bits  0-13   first address / 16
    bits 16-29   leading dimension byte offset / 16
    bits 32-45   stride dimension byte offset / 16
    bits 49-51   base offset, for patterns of swizzles that do not start at a multiple of their size
    bits 62-63   swizzle: 0 none, 1 of 128 bytes, 2 of 64, 3 of 32

Matrices are made of core matrices, 8 lines of 16 bytes. Without a swizzle the lines of one follow each other; with a
swizzle of w bytes lines are w bytes apart, with w / 16 core matrices side by side, and address bits 4.. are exchanged
by those from bit 7 on. Along K (K-major) or along M or N (MN-major) the 16 bytes run; `leading` and `stride` lead from
one core matrix, or group of them, to the next. For K-major: `stride` along M or N, `leading` along K, without a swizzle
only. For MN-major: `stride` along K and `leading` along M or N, and the other way round without a swizzle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vmc.backends.ptxvm.arrays import Array
from vmc.backends.ptxvm.errors import ExecutionError

LINES, LINE = 8, 16
WIDTHS = {0: 16, 1: 128, 2: 64, 3: 32}


@dataclass(frozen=True)
class Descriptor:
    """The fields in bytes; `width` is that of the swizzle, 16 for none."""

    start: int
    leading: int
    stride: int
    width: int

    @staticmethod
    def decode(code: int) -> Descriptor:
        """Raises ExecutionError for a base offset, which is not modelled."""
        if code >> 49 & 7:
            raise ExecutionError(
                f"matrix descriptor {code:#x} has a base offset; swizzled matrices start at a multiple"
            )
        start, leading, stride = (((code >> shift) & 0x3FFF) * LINE for shift in (0, 16, 32))
        return Descriptor(start, leading, stride, WIDTHS[code >> 62])

    def addresses(self, lines: int, depth: int, size: int, transposed: bool) -> Array:
        """The address of every element of `size` bytes of a matrix [lines, depth], depth along K."""
        across, along = np.arange(lines)[:, None], np.arange(depth)[None, :]
        run, other = (across, along) if transposed else (along, across)
        core, element = np.divmod(run, LINE // size)
        group, line = np.divmod(other, LINES)
        side = self.width // LINE
        if side == 1:
            steps = (self.stride, self.leading) if transposed else (self.leading, self.stride)
            offset = core * steps[0] + group * steps[1]
        else:
            further = self.leading if transposed else self.width
            offset = core % side * LINE + core // side * further + group * self.stride
        address: Array = self.start + offset + line * self.width + element * size
        address ^= (address >> 7 & (side - 1)) << 4
        return address
