"""What nvdisasm prints read back into functions of basic blocks.

    for function in parse(sass(cubin)):
        for block in function.blocks:
            print(block.label, [instruction.opcode for instruction in block.instructions], block.successors)

Blocks end at labels and after branches. A branch to an address in a register has no successors that are known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vmc.ir import flow_graph
from vmc.ir.flow_graph import Block

LINE = re.compile(r"/\*([0-9a-f]+)\*/\s+(?:@(!?U?P[T\d]+)\s+)?([A-Z][\w.]*)\s*([^;]*);")
LABEL = re.compile(r"^(\.L_[\w.$]+):")
SECTION = re.compile(r"^\.text\.([\w$]+):")
REGISTERS = re.compile(r"SHI_REGISTERS=(\d+)")
TARGET = re.compile(r"`\((\.L_[\w.$]+)\)")
JUMPS = frozenset({"BRA", "JMP", "BRX", "JMX"})
ENDS = frozenset({"EXIT", "RET", "KILL", "BPT"})


@dataclass(frozen=True, slots=True)
class Instruction:
    """`opcode` has the modifiers, `LDG.E.128`; `predicate` is "" or a register with ! where it is negated."""

    address: int
    opcode: str
    operands: str
    predicate: str = ""

    @property
    def mnemonic(self) -> str:
        """The opcode without modifiers."""
        return self.opcode.partition(".")[0]

    @property
    def modifiers(self) -> tuple[str, ...]:
        return tuple(self.opcode.split(".")[1:])

    @property
    def conditional(self) -> bool:
        return self.predicate not in ("", "PT", "UPT")


@dataclass(frozen=True, eq=False, slots=True)
class Function(flow_graph.Function[Instruction]):
    """A kernel or a function that it calls; `registers` are those of a thread."""

    registers: int


def parse(text: str) -> tuple[Function, ...]:
    """The functions of a disassembly, in order."""
    functions: list[Function] = []
    name, registers = "", 0
    parts: list[tuple[str, list[Instruction]]] = []

    def finish() -> None:
        if name and any(instructions for _, instructions in parts):
            functions.append(Function(name, linked(parts), registers))

    for line in text.splitlines():
        if found := REGISTERS.search(line):
            finish()
            name, parts, registers = "", [], int(found[1])
        elif found := SECTION.match(line):
            finish()
            name, parts = found[1], [("", [])]
        elif found := LABEL.match(line):
            parts.append((found[1], []))
        elif (found := LINE.search(line)) and parts:
            address, predicate, opcode, operands = found.groups()
            parts[-1][1].append(Instruction(int(address, 16), opcode, operands.strip(), predicate or ""))
    finish()
    return tuple(functions)


def linked(parts: Sequence[tuple[str, Sequence[Instruction]]]) -> tuple[Block[Instruction], ...]:
    """Blocks of labelled runs of instructions; padding after the code, and labels of nothing there, are dropped."""
    pieces = [piece for label, instructions in parts for piece in cut(label, instructions)]
    while pieces and all(instruction.mnemonic == "NOP" for instruction in pieces[-1][1]):
        pieces.pop()
    place = {label: number for number, (label, _) in reversed(list(enumerate(pieces))) if label}
    blocks = []
    for number, (label, instructions) in enumerate(pieces):
        last = instructions[-1] if instructions else None
        following = [number + 1] if number + 1 < len(pieces) else []
        if last is not None and last.mnemonic in JUMPS:
            found = TARGET.search(last.operands)
            taken = [place[found[1]]] if found and found[1] in place else []
            following = taken + (following if falls_through(last) else [])
        elif last is not None and last.mnemonic in ENDS and not last.conditional:
            following = []
        blocks.append(Block(label, tuple(instructions), tuple(dict.fromkeys(following))))
    return tuple(blocks)


def falls_through(jump: Instruction) -> bool:
    """Whether a jump may not be taken; some have their condition among the operands (`BRA.DIV UR4, ...`, `BRA P0,`)."""
    return jump.conditional or bool(re.match(r"!?U?(P\d|R\d)", jump.operands))


def cut(label: str, instructions: Sequence[Instruction]) -> Iterator[tuple[str, list[Instruction]]]:
    """A labelled run cut behind its jumps."""
    piece: list[Instruction] = []
    for instruction in instructions:
        piece.append(instruction)
        if instruction.mnemonic in JUMPS or (instruction.mnemonic in ENDS and not instruction.conditional):
            yield label, piece
            label, piece = "", []
    if piece or label:
        yield label, piece
