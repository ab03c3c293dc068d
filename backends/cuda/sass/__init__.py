"""Reads the machine code of a cubin back: its registers and spills, its loops, and what their instructions do.

`text` parses what nvdisasm prints, `resources` what cuobjdump does, `kinds` knows the instructions, `report` counts by
loop, and `occupancy` tells how many blocks share a multiprocessor.
"""

from vmc.backends.cuda.sass.kinds import Kind, kind_of
from vmc.backends.cuda.sass.occupancy import Occupancy, occupancy
from vmc.backends.cuda.sass.report import CodeReport, LoopReport, Moved, report
from vmc.backends.cuda.sass.resources import Resources, resources
from vmc.backends.cuda.sass.text import Function, Instruction, parse

__all__ = [
    "CodeReport",
    "Function",
    "Instruction",
    "Kind",
    "LoopReport",
    "Moved",
    "Occupancy",
    "Resources",
    "kind_of",
    "occupancy",
    "parse",
    "report",
    "resources",
]
