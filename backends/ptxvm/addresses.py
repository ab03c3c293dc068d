"""The address space of the machine.

Every global buffer has a 64 GiB region of its own, so that an index that runs out of one buffer never reaches another:
buffer k starts at k * 2**36. Buffer 0 does not exist; module variables come first, then the arguments of a launch.
Shared and local memory have windows in the generic space. Local addresses begin at 0, those of shared memory behind
1 KiB that belongs to the system, as on recent GPUs: a program's first byte is not at address 0, nor at a multiple of
more than 1024.
"""

REGION_BITS = 36
REGION = 1 << REGION_BITS
OFFSET_MASK = REGION - 1
LOCAL_WINDOW = 0x7E00 << 32
SHARED_WINDOW = 0x7F00 << 32
WINDOW_SIZE = 1 << 32
SHARED_START = 1024


def buffer_address(index: int) -> int:
    """Where buffer `index` (from 1) starts."""
    return index << REGION_BITS
