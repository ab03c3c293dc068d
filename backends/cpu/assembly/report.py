"""What the loops of a compiled kernel do: instructions by class, spills, products, and elements per turn.

**Elements per turn**, the rule. The addresses in a tensor that every turn reads (blocks that a turn may skip do not
count) are sums of registers that are set before the loop, of registers that the loop advances, and of constants. Reads
that differ in the constant alone form a stream; the streams are taken for different places. A stream gives the bytes
that its reads cover, but no more than it advances: what one turn reads again of the turn before is not new, and a
stream that does not advance gives nothing. An advance by a number that only a launch knows is taken for one past what
was read. Where an address depends on anything else that is computed inside the loop, where a width is not known, or
where any read of the loop has an address that was not followed, nothing is derived, and the figure is None.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vmc.backends.cpu.assembly import x86
from vmc.backends.cpu.assembly.linear import Terms, Value, subtract
from vmc.backends.cpu.assembly.pointers import ARENA, ARGUMENTS, CONSTANT, STACK, Abi, Flow, Touch, follow
from vmc.backends.cpu.assembly.text import Function, Instruction, constants, parse
from vmc.backends.cpu.assembly.x86 import Kind
from vmc.ir.flow_graph import Loop, dominators, loops, order


@dataclass(frozen=True, slots=True)
class Access:
    """How instructions access one memory: how many load and store, by bits (None: not known). `bytes` are the new bytes
    that a turn of the loop reads, None where that is not derived.
    """

    loads: Mapping[int | None, int]
    stores: Mapping[int | None, int]
    bytes: int | None = None

    @property
    def widest(self) -> int | None:
        """Bits of the widest access, None where there is none with known bits."""
        return max((bits for bits in (*self.loads, *self.stores) if bits), default=None)


@dataclass(frozen=True, slots=True)
class LoopReport:
    """A loop, without what loops inside of it do.

    A *turn* is the way through the body that adds up most products, with the fewest instructions where several do;
    `multiply_adds` are its products, None where instructions do not tell. `most_products` is the most that one
    instruction adds. `vector_bits`: the widest register. `memories` are the tensors by name, `arena` and `stack`, and
    "?" for addresses that were not followed.
    """

    function: str
    label: str
    depth: int
    innermost: bool
    kinds: Mapping[Kind, int]
    turn_instructions: int
    vector_bits: int
    spills: int
    multiply_adds: int | None
    most_products: int
    memories: Mapping[str, Access]

    @property
    def instructions(self) -> int:
        return sum(self.kinds.values())


@dataclass(frozen=True, slots=True)
class CodeReport:
    """The loops of a kernel, and the accesses of all its code to each memory."""

    loops: tuple[LoopReport, ...]
    memories: Mapping[str, Access]


def report(text: str, entry: str, tensors: Sequence[str]) -> CodeReport:
    """The report on a kernel's assembly. `entry` is the signature's, and `tensors` are the names there, in order."""
    functions = parse(text)
    flows, tiles = follow(functions, abi(entry, tensors)), configured_tiles(functions, constants(text))
    found = [loop_report(flow, loop, tiles) for flow in flows.values() for loop in loops(flow.function)]
    touches = [touch for flow in flows.values() for touch in flow.touches]
    return CodeReport(tuple(found), {name: access(group) for name, group in by_memory(touches).items()})


def abi(entry: str, tensors: Sequence[str]) -> Abi:
    """Where the function of a kernel that executes blocks finds tensors and scratch memory."""
    return Abi(f"{entry}.chunk", {"rdi": ARGUMENTS, "rsi": ARENA}, tensors)


def configured_tiles(functions: Sequence[Function], data: Mapping[str, bytes]) -> tuple[x86.TileShape, ...]:
    """The shapes of tile registers, where one table of constants sets them all."""
    loaded = [ins.memory for function in functions for ins in function.instructions if ins.mnemonic == "ldtilecfg"]
    tables = {data.get(memory.symbol) if memory is not None and not memory.index else None for memory in loaded}
    (table,) = tables if len(tables) == 1 else (None,)
    return x86.tile_shapes(table) if table is not None and len(table) >= 64 else ()


def loop_report(flow: Flow, loop: Loop, tiles: Sequence[x86.TileShape]) -> LoopReport:
    blocks = flow.function.blocks
    inside = [instruction for number in sorted(loop.own) for instruction in blocks[number].instructions]
    kinds = Counter(map(x86.kind, inside))
    products = {instruction: x86.multiply_adds(instruction, tiles) for instruction in inside}
    certain = [count for count in products.values() if count is not None]
    weights = {
        number: (sum(products[ins] or 0 for ins in blocks[number].instructions), -len(blocks[number].instructions))
        for number in loop.own
    }
    most, fewest = best_turn(flow.function, loop, weights)
    return LoopReport(
        flow.function.name,
        blocks[loop.header].label,
        loop.depth,
        loop.innermost,
        {kind: kinds[kind] for kind in Kind if kinds[kind]},
        -fewest,
        max(map(x86.widest, inside), default=0),
        spills(flow.function, inside),
        most if len(certain) == len(products) else None,
        max(certain, default=0),
        memories(flow, loop, [touch for touch in flow.touches if touch.block in loop.own]),
    )


def best_turn(function: Function, loop: Loop, weights: Mapping[int, tuple[int, int]]) -> tuple[int, int]:
    """The largest sum of weights, in lexicographic order, of a way from the header to a block that goes back to it.
    Loops inside are gone through once, and weigh nothing.
    """
    place = {number: at for at, number in enumerate(order(function)) if number in loop.blocks}
    best = {loop.header: weights[loop.header]}
    for number in sorted(place, key=place.__getitem__):
        for following in function.blocks[number].successors:
            if number in best and place.get(following, -1) > place[number]:
                a, b = weights.get(following, (0, 0))
                found = best[number][0] + a, best[number][1] + b
                best[following] = max(best.get(following, found), found)
    return max(best[latch] for latch in loop.latches if latch in best)


def spills(function: Function, inside: Sequence[Instruction]) -> int:
    """Accesses to the stack that only a lack of registers explains. LLVM marks them, in assembly with comments; without
    any, all accesses at fixed places of the frame count.
    """
    if function.commented:
        return sum(("Spill" in ins.comment) + ("Reload" in ins.comment) for ins in inside)
    return sum(is_fixed_in_frame(instruction) for instruction in inside)


def is_fixed_in_frame(instruction: Instruction) -> bool:
    memory = instruction.memory
    touched = memory is not None and (x86.reads_memory(instruction) or x86.writes_memory(instruction))
    return touched and memory is not None and memory.base in ("rsp", "rbp") and not memory.index


# Memories


def by_memory(touches: Sequence[Touch]) -> dict[str, list[Touch]]:
    """The accesses by what they access; constants and numbers as addresses left out."""
    groups: dict[str, list[Touch]] = {}
    for touch in touches:
        name = "?" if touch.pointer is None else touch.pointer
        if name not in ("", CONSTANT, ARGUMENTS):
            groups.setdefault(name, []).append(touch)
    return groups


def access(touches: Sequence[Touch], bytes: int | None = None) -> Access:
    loads = Counter(touch.bits for touch in touches if touch.reads)
    stores = Counter(touch.bits for touch in touches if touch.writes)
    return Access(dict(loads), dict(stores), bytes)


def memories(flow: Flow, loop: Loop, touches: Sequence[Touch]) -> dict[str, Access]:
    """What a loop does to each memory."""
    groups = by_memory(touches)
    steps = Steps(flow, loop)
    followed = not any(touch.reads for touch in groups.get("?", ()))
    return {
        name: access(group, steps.new_bytes(group) if followed and name != STACK else None)
        for name, group in groups.items()
    }


class Steps:
    """How far the addresses of a loop advance from turn to turn."""

    def __init__(self, flow: Flow, loop: Loop) -> None:
        self.flow, self.loop = flow, loop
        above = dominators(flow.function)
        self.always = {number for number in loop.blocks if all(number in above[latch] for latch in loop.latches)}

    def new_bytes(self, touches: Sequence[Touch]) -> int | None:
        """The bytes that a turn reads and the turn before did not; None where that is not derived."""
        streams: dict[Terms, list[tuple[int, int]]] = {}
        for touch in touches:
            if touch.reads:
                if touch.bits is None or touch.bits % 8 or touch.block not in self.always or touch.instruction.mask:
                    return None
                start = touch.address.const
                streams.setdefault(touch.address.terms, []).append((start, start + touch.bits // 8))
        total = 0
        for terms, ranges in streams.items():
            advance = self.advance(terms)
            if advance is None:
                return None
            total += covered(ranges) if advance.terms else min(covered(ranges), abs(advance.const))
        return total

    def advance(self, terms: Terms) -> Value | None:
        """What a turn adds to a sum; None where it depends on what the loop computes."""
        total = Value()
        for name, count in terms:
            step = self.step(name)
            if step is None:
                return None
            total = Value((*total.terms, *step.terms), total.const + count * step.const)
        return total

    def step(self, name: object) -> Value | None:
        """What a turn adds to an unknown."""
        if not self.is_inside(name):
            return Value()
        match name:
            case ("phi", self.loop.header, key):
                ends = [self.flow.after[latch].get(key) for latch in self.loop.latches]
                steps = {subtract(end, Value(((name, 1),))) for end in ends if end is not None}
                if len(steps) == 1 and None not in ends:
                    (step,) = steps
                    return None if any(self.is_inside(part) for part, _ in step.terms) else step
        return None

    def is_inside(self, name: object) -> bool:
        """Whether an unknown gets its value in the loop."""
        match name:
            case ("phi" | "def", block, *_):
                return block in self.loop.blocks
            case ("vector", _):
                return True
        return False


def covered(ranges: Sequence[tuple[int, int]]) -> int:
    """The size of a union of ranges."""
    total, reached = 0, None
    for low, high in sorted(ranges):
        begin = low if reached is None else max(low, reached)
        total += max(0, high - begin)
        reached = high if reached is None else max(high, reached)
    return total
