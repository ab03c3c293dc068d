"""Counts on the machine code of a kernel: for the whole and for every loop, by kind, with the widths of accesses.

found = report(parse(sass(cubin))[0], resources(cubin)["kernel"])
loop = found.main_loop
loop.arithmetic / weights_per_thread        # instructions for each decoded weight
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vmc.backends.cuda.sass.kinds import ARITHMETIC, Kind, access_bits, kind_of, loads, multiply_adds, stores
from vmc.backends.cuda.sass.resources import Resources
from vmc.backends.cuda.sass.text import Function, Instruction
from vmc.ir.flow_graph import loops


@dataclass(frozen=True, slots=True)
class Moved:
    """Accesses of one space of memory: how many instructions, by the bits that each thread moves."""

    loads: Mapping[int, int]
    stores: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class LoopReport:
    """A loop, inner loops included: counts of instructions in one pass over its code.

    `products` are the multiply-adds that a warp makes in matrix instructions.
    """

    label: str
    depth: int
    innermost: bool
    instructions: int
    kinds: Mapping[Kind, int]
    opcodes: Mapping[str, int]
    moved: Mapping[Kind, Moved]
    products: int

    @property
    def arithmetic(self) -> int:
        """Instructions other than memory, matrix, control and uniform ones."""
        return sum(count for kind, count in self.kinds.items() if kind in ARITHMETIC)

    @property
    def conversions(self) -> int:
        """Conversions of single numbers: I2F, F2F, F2I."""
        return self.kinds.get(Kind.CONVERT, 0)

    def per_weight(self, weights: float) -> float:
        """Arithmetic instructions for each of the weights that a thread decodes in one turn."""
        return self.arithmetic / weights


@dataclass(frozen=True, slots=True)
class CodeReport:
    """A kernel: registers of a thread, bytes of a block's shared memory, spills, and its loops."""

    name: str
    registers: int
    shared: int
    stack: int
    local: int
    spill_loads: int
    spill_stores: int
    instructions: int
    kinds: Mapping[Kind, int]
    loops: tuple[LoopReport, ...]

    @property
    def spills(self) -> int:
        """Instructions that access local memory."""
        return self.spill_loads + self.spill_stores

    @property
    def main_loop(self) -> LoopReport | None:
        """The loop with the most multiply-adds, of such the innermost, of those the shortest: where there is another
        for edges, that is the longer one. Without any multiply-adds, the longest innermost loop.
        """
        working = [loop for loop in self.loops if loop.products]
        if working:
            return max(working, key=lambda loop: (loop.products, loop.depth, -loop.instructions))
        inner = [loop for loop in self.loops if loop.innermost]
        return max(inner, key=lambda loop: (loop.depth, loop.instructions), default=None)

    def to_json(self) -> dict[str, Any]:
        """The counts as JSON's types."""
        return {
            "name": self.name,
            "registers": self.registers,
            "shared_bytes": self.shared,
            "stack_bytes": self.stack,
            "local_bytes": self.local,
            "spills": self.spills,
            "instructions": self.instructions,
            "kinds": named(self.kinds),
            "loops": [
                {
                    "label": loop.label,
                    "depth": loop.depth,
                    "innermost": loop.innermost,
                    "instructions": loop.instructions,
                    "arithmetic": loop.arithmetic,
                    "kinds": named(loop.kinds),
                    "products": loop.products,
                    "accesses": {
                        kind.value: {"loads": dict(moved.loads), "stores": dict(moved.stores)}
                        for kind, moved in loop.moved.items()
                    },
                }
                for loop in self.loops
            ],
        }


def named(kinds: Mapping[Kind, int]) -> dict[str, int]:
    return {kind.value: count for kind, count in kinds.items()}


def report(function: Function, used: Resources) -> CodeReport:
    """The counts of a function with the resources that it uses."""
    instructions = list(function.instructions)
    kinds = Counter(kind_of(instruction) for instruction in instructions)
    return CodeReport(
        function.name,
        used.registers or function.registers,
        used.shared,
        used.stack,
        used.local,
        sum(instruction.mnemonic == "LDL" for instruction in instructions),
        sum(instruction.mnemonic == "STL" for instruction in instructions),
        sum(instruction.mnemonic != "NOP" for instruction in instructions),
        ordered(kinds),
        tuple(
            loop_report(function, sorted(loop.blocks), function.blocks[loop.header].label, loop.depth, loop.innermost)
            for loop in loops(function)
            if not idle(function, loop.blocks)
        ),
    )


def idle(function: Function, blocks: Iterable[int]) -> bool:
    """Whether a loop is the branch to itself that stands behind the end of every kernel."""
    return all(i.mnemonic in ("BRA", "NOP") for number in blocks for i in function.blocks[number].instructions)


def loop_report(function: Function, blocks: Sequence[int], label: str, depth: int, innermost: bool) -> LoopReport:
    code = [instruction for number in blocks for instruction in function.blocks[number].instructions]
    spaces = (Kind.GLOBAL, Kind.SHARED, Kind.LOCAL)
    return LoopReport(
        label,
        depth,
        innermost,
        sum(instruction.mnemonic != "NOP" for instruction in code),
        ordered(Counter(kind_of(instruction) for instruction in code if instruction.mnemonic != "NOP")),
        dict(Counter(instruction.opcode for instruction in code).most_common()),
        {space: found for space in spaces if (found := moved(code, space)).loads or found.stores},
        sum(multiply_adds(instruction) for instruction in code),
    )


def moved(code: Sequence[Instruction], space: Kind) -> Moved:
    own = [instruction for instruction in code if kind_of(instruction) is space]
    return Moved(
        dict(Counter(access_bits(instruction) for instruction in own if loads(instruction))),
        dict(Counter(access_bits(instruction) for instruction in own if stores(instruction))),
    )


def ordered(kinds: Counter[Kind]) -> dict[Kind, int]:
    """The counts in the order of the kinds."""
    return {kind: kinds[kind] for kind in Kind if kinds[kind]}
