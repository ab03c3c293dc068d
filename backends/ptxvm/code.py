"""A program compiled: for each basic block its steps, how it ends, and who has to be there before it starts."""

from __future__ import annotations

from dataclasses import dataclass

from vmc.backends.ptxvm import syntax
from vmc.backends.ptxvm.emitter import Emitter, Step
from vmc.backends.ptxvm.ops import compile_step
from vmc.backends.ptxvm.program import Program, ends_block, is_collective
from vmc.backends.ptxvm.syntax import Instruction

MEMBER_MASK = {"shfl": 4, "vote": 2, "match": 2, "redux": 2, "bar": 0, "elect": 1}


@dataclass(frozen=True)
class Fall:
    """Goes on with the next block."""


@dataclass(frozen=True)
class Branch:
    """To `targets[0]`, where a guard lets it; brx picks from `targets` by the register `index`."""

    targets: tuple[int, ...]
    guard: tuple[int, bool] | None
    number: int
    index: int | None = None


@dataclass(frozen=True)
class Exit:
    """The threads end. `trap`: with an error."""

    guard: tuple[int, bool] | None
    number: int
    trap: bool = False


@dataclass(frozen=True)
class Barrier:
    """bar or barrier: `name` and `count` are slots of the barrier's number and of how many threads take part.

    `kind`: sync, arrive, or red; a red has an operation, a predicate and a result.
    """

    kind: str
    name: int
    count: int | None
    guard: tuple[int, bool] | None
    number: int
    operation: str = ""
    predicate: tuple[int, bool] | None = None
    result: int | None = None


Ending = Fall | Branch | Exit | Barrier


@dataclass(frozen=True)
class Collective:
    """Lanes that must be there: those in the mask in `slot`, or all lanes that have not ended (None).

    `whole`: a matrix instruction, for which a lane that has ended, or never was, is missing. `warps`: as many warps
    side by side must be there, too.
    """

    slot: int | None
    whole: bool = False
    warps: int = 1


@dataclass(frozen=True)
class Code:
    """A basic block. `first`: number of its first instruction; the ending's instruction, if any, is the last."""

    steps: tuple[Step, ...]
    first: int
    count: int
    ending: Ending
    collective: Collective | None


def compile_blocks(program: Program) -> tuple[list[Code], list[Instruction]]:
    """All blocks, and all instructions by number. Raises UnsupportedError for an instruction that is not executed."""
    instructions: list[Instruction] = []
    codes = []
    for index, block in enumerate(program.blocks):
        first = len(instructions)
        steps = []
        ending: Ending = Fall()
        for instruction in block.instructions:
            emitter = Emitter(program, instruction, len(instructions))
            instructions.append(instruction)
            if ends_block(instruction):
                ending = _ending(emitter, program)
            elif instruction.opcode[:2] == ("bar", "warp"):
                steps.append(lambda m: m.order.warps(m.mask))
            else:
                steps.append(compile_step(emitter))
        if isinstance(ending, Fall) and index == len(program.blocks) - 1:
            ending = Exit(None, max(0, len(instructions) - 1))
        collective = _collective(program, block.instructions[0]) if block.instructions else None
        codes.append(Code(tuple(steps), first, len(block.instructions), ending, collective))
    return codes, instructions


def _collective(program: Program, instruction: Instruction) -> Collective | None:
    if not is_collective(instruction):
        return None
    root = instruction.opcode[0]
    named = root in MEMBER_MASK and (root != "bar" or "warp" in instruction.opcode)
    if not named:
        together = 4 if instruction.opcode[:2] == ("wgmma", "mma_async") else 1
        return Collective(None, root not in ("bar", "barrier"), together)
    emitter = Emitter(program, instruction, 0)
    return Collective(emitter.source(MEMBER_MASK[root], 32, "b32"))


def _guard(e: Emitter) -> tuple[int, bool] | None:
    guard = e.instruction.guard
    return None if guard is None else (e.source(syntax.Name(guard.register), 1), guard.negated)


def _ending(e: Emitter, program: Program) -> Ending:
    match e.root:
        case "bra":
            return Branch((_label(e, program, 0),), _guard(e), e.number)
        case "brx":
            table = e.operands[1]
            assert isinstance(table, syntax.Name)
            targets = tuple(program.labels[label] for label in program.tables[table.text])
            return Branch(targets, _guard(e), e.number, e.source(0, 32, "u32"))
        case "ret" | "exit":
            return Exit(_guard(e), e.number)
        case "trap":
            return Exit(_guard(e), e.number, trap=True)
        case _:
            return _barrier(e)


def _label(e: Emitter, program: Program, index: int) -> int:
    target = e.operands[index]
    assert isinstance(target, syntax.Name)
    return program.labels[target.text]


def _barrier(e: Emitter) -> Barrier:
    kind = next((m for m in ("sync", "arrive", "red") if m in e.modifiers), "")
    if not kind or e.has("cluster"):
        e.unsupported()
    operands = list(e.operands)
    result, predicate, operation = None, None, ""
    if kind == "red":
        result = e.result(operands.pop(0))
        predicate = e.predicate(operands.pop())
        operation = next(m for m in e.modifiers if m in ("popc", "and", "or"))
    name = e.source(operands[0], 32, "u32")
    count = e.source(operands[1], 32, "u32") if len(operands) > 1 else None
    return Barrier(kind, name, count, _guard(e), e.number, operation, predicate, result)
