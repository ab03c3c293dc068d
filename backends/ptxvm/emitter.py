"""What the compilers of single instructions share: modifiers, operands as slots, closures for operations on registers.

A compiled instruction is a `Step`, a function of the cohort. A guard wraps it: the step then sees only the threads
whose predicate holds.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import NoReturn

from vmc.backends.ptxvm import syntax
from vmc.backends.ptxvm.addresses import LOCAL_WINDOW, SHARED_WINDOW
from vmc.backends.ptxvm.arrays import UINT, Array
from vmc.backends.ptxvm.errors import PtxError, UnsupportedError
from vmc.backends.ptxvm.parser import WIDTHS
from vmc.backends.ptxvm.program import SPECIAL, Program, registers_in
from vmc.backends.ptxvm.state import Cohort, Rule
from vmc.backends.ptxvm.syntax import Instruction

Step = Callable[[Cohort], None]
LOOSE = {"cvt", "st", "ld", "cvta", "atom", "red"}
"""Instructions whose registers may be wider than their types."""


class Emitter:
    """One instruction on its way to a step. `number`: its position in the program, by which errors name it."""

    def __init__(self, program: Program, instruction: Instruction, number: int) -> None:
        self.program = program
        self.instruction = instruction
        self.number = number
        self.root = instruction.opcode[0]
        self.modifiers = instruction.opcode[1:]
        self.operands = instruction.operands
        self.types = [m for m in self.modifiers if m in WIDTHS]

    @property
    def type(self) -> str:
        """The last type among the modifiers."""
        if not self.types:
            self.unsupported("without a type")
        return self.types[-1]

    @property
    def width(self) -> int:
        """The width of `type`."""
        return WIDTHS[self.type]

    @property
    def rounding(self) -> str:
        """The rounding mode, rn by default."""
        return next((m for m in ("rn", "rz", "rm", "rp", "rna") if m in self.modifiers), "rn")

    def has(self, modifier: str) -> bool:
        """Whether the opcode has a modifier."""
        return modifier in self.modifiers

    def unsupported(self, why: str = "") -> NoReturn:
        """Raises UnsupportedError for this instruction."""
        raise UnsupportedError(f"{self.instruction.location}: not executed{': ' + why if why else ''}: {self}")

    def __str__(self) -> str:
        return str(self.instruction)

    def mistake(self, why: str) -> NoReturn:
        """Raises PtxError for a malformed instruction."""
        raise PtxError(f"{self.instruction.location}: {why}\n  in: {self}")

    # Operands.

    def source(self, operand: syntax.Operand | int, width: int | None = None, kind: str | None = None) -> int:
        """The slot of a source operand (or of operand number `operand`); literals become constants of the width."""
        if isinstance(operand, int):
            if operand >= len(self.operands):
                self.mistake(f"operand {operand + 1} is missing")
            operand = self.operands[operand]
        kind = kind or (self.types[-1] if self.types else f"b{width}")
        width = width or WIDTHS[kind]
        match operand:
            case syntax.Name(text):
                return self._named(text, width)
            case syntax.Integer(value):
                return self.program.constant(value, width)
            case syntax.Float():
                return self.program.constant(float_bits(operand, width), width)
            case syntax.Offset(symbol, offset):
                return self.program.constant(self.address_of(symbol) + offset, width)
            case _:
                self.mistake(f"{syntax.show(operand)} is no operand for this place")

    def _named(self, text: str, width: int) -> int:
        slot = self.program.register(text)
        if slot is not None:
            have = self.program.widths[slot]
            if have != width and (have < width or width == 1 or self.root not in LOOSE):
                self.mistake(f"{text} has {have} bits and the instruction wants {width}")
            return slot
        if text in SPECIAL:
            return self.program.special(text)
        if text == "WARP_SZ":
            return self.program.constant(32, width)
        return self.program.constant(self.address_of(text), width)

    def address_of(self, symbol: str) -> int:
        """The address of a variable, in its own space."""
        found = self.program.symbols.get(symbol)
        if found is None:
            self.mistake(f"unknown name `{symbol}`")
        return found[1]

    def result(self, operand: syntax.Operand | int = 0) -> int:
        """The slot of a register to be written; `_` gets a slot that nobody reads."""
        if isinstance(operand, int):
            operand = self.operands[operand]
        if not isinstance(operand, syntax.Name):
            self.mistake(f"{syntax.show(operand)} cannot be written")
        if operand.text == "_":
            return self.program.add(64, "_")
        slot = self.program.register(operand.text)
        if slot is None:
            self.mistake(f"unknown register `{operand.text}`")
        return slot

    def predicate(self, operand: syntax.Operand) -> tuple[int, bool]:
        """Slot and negation of a predicate source."""
        if isinstance(operand, syntax.Not):
            return self.source(operand.operand, 1), True
        return self.source(operand, 1), False

    def vector(self, operand: syntax.Operand | int) -> tuple[syntax.Operand, ...]:
        """The elements of a vector operand, or the operand alone."""
        if isinstance(operand, int):
            operand = self.operands[operand]
        return operand.elements if isinstance(operand, syntax.Vector) else (operand,)

    # Steps.

    def compute(self, destination: int, sources: Sequence[int], apply: Callable[..., Array], rule: Rule) -> Step:
        """destination = apply(*sources), in every thread by itself."""
        match sources:
            case [a]:

                def unary(m: Cohort) -> None:
                    value = apply(m.values[a])
                    m.settle(destination, sources, value, rule)

                return unary
            case [a, b]:

                def binary(m: Cohort) -> None:
                    value = apply(m.values[a], m.values[b])
                    m.settle(destination, sources, value, rule)

                return binary
            case [a, b, c]:

                def ternary(m: Cohort) -> None:
                    value = apply(m.values[a], m.values[b], m.values[c])
                    m.settle(destination, sources, value, rule)

                return ternary

        def general(m: Cohort) -> None:
            value = apply(*[m.values[s] for s in sources])
            m.settle(destination, sources, value, rule)

        return general

    def watched(self, step: Step) -> Step:
        """The step, which before it executes reports the registers that it has in common with wgmma instructions."""
        program = self.program
        if not program.watched or self.root == "wgmma":
            return step
        slots = {program.register(name) for operand in self.operands for name in registers_in(operand)}
        rows = sorted(program.watched[slot] for slot in slots if slot is not None and slot in program.watched)
        if not rows:
            return step

        def run(m: Cohort) -> None:
            assert m.warpgroups is not None
            m.warpgroups.touch(m, rows)
            step(m)

        return run

    def guarded(self, step: Step) -> Step:
        """The step for the threads that the instruction's guard lets through."""
        guard = self.instruction.guard
        if guard is None:
            return step
        slot, negated = self.source(syntax.Name(guard.register), 1), guard.negated

        def run(m: Cohort) -> None:
            if m.taint:
                m.require(slot, "the predicate of an instruction")
            holds = m.values[slot]
            if negated:
                holds = ~holds
            if len(holds) == 1:
                if holds[0]:
                    step(m)
                return
            mask, full = m.mask, m.full
            chosen = holds if full else holds & mask
            if not chosen.any():
                return
            m.focus(chosen)
            try:
                step(m)
            finally:
                m.focus(mask)

        return run


def float_bits(literal: syntax.Float, width: int) -> int:
    """The bits of a floating-point literal in a type of 32 or 64 bits."""
    if literal.bits is not None and literal.width == width:
        return literal.bits
    layout = {16: ("<e", "<H"), 32: ("<f", "<I"), 64: ("<d", "<Q")}[width]
    return int(struct.unpack(layout[1], struct.pack(layout[0], literal.value))[0])


def fit(value: Array, width: int) -> Array:
    """The low bits of a register for an operand of a narrower type."""
    unsigned = UINT[width]
    return value if value.dtype == unsigned else value.astype(unsigned)


WINDOWS = {"shared": SHARED_WINDOW, "local": LOCAL_WINDOW, "global": 0, "const": 0, "param": 0}
"""Where a space's addresses start among generic ones."""


def in_turn(steps: list[Step]) -> Step:
    """The steps one after the other, each from the state before."""
    if len(steps) == 1:
        return steps[0]

    def run(m: Cohort) -> None:
        for step in steps:
            step(m)

    return run
