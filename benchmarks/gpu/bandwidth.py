"""How fast the device copies memory: the limit that products with few rows are held against."""

from __future__ import annotations

from benchmarks.gpu.device import INSTALL, Device
from benchmarks.matmul.contender import library
from benchmarks.matmul.timing import Lane

MOST = 4 << 30
"""Bytes that are copied at once, at most."""


def copy_lane(device: Device) -> tuple[Lane, int]:
    """A lane that copies memory, and the bytes that are read and written by one copy."""
    torch = library("torch", INSTALL)
    size = max(1 << 20, min(MOST, device.memory() // 8))
    source = torch.ones(size // 4, dtype=torch.float32, device=device.name)
    copy = torch.empty_like(source)
    lane, _ = device.lane([lambda: copy.copy_(source)], lambda: None)
    return lane, 2 * size // 4 * 4
