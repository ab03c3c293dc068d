"""Which memory each instruction of a compiled kernel touches: found by following the pointers through its assembly.

A forward analysis over the blocks of a function keeps for each register, and for each stack slot with a known place, a
`Value`. It begins with the function that executes blocks of the grid, where registers hold what `Abi` says, and goes on
to the functions that are called, with what their callers pass. The memories are the kernel's tensors by name, `arena`
(scratch of the thread), `stack`, and `constant` (tables).

Where ways join with different values the result is a new unknown, and its origin survives if both had the same; so a
pointer that a loop advances stays a pointer into its tensor, and the advance per turn is a difference of `Value`s. A
loop is first taken to change nothing; what it turns out to change becomes unknown at its head, until all agrees.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

from vmc.backends.cpu.assembly import x86
from vmc.backends.cpu.assembly.linear import Origin, Value, add, common, literal, scale, subtract, unknown
from vmc.backends.cpu.assembly.text import Function, Immediate, Instruction, Memory, Operand, Register
from vmc.ir.flow_graph import order, predecessors

STACK, CONSTANT, ARENA, ARGUMENTS = "stack", "constant", "arena", "arguments"
COPYING = {
    "memcpy": (("rsi", True), ("rdi", False)),
    "memmove": (("rsi", True), ("rdi", False)),
    "memset": (("rdi", False),),
}
"""Functions of C that loops become, with the registers by which they read (True) and write."""
PARAMETERS = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")
State = dict[Hashable, Value]
"""By registers and slots. A vector register is in it only while it may hold pointers."""
Where = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Abi:
    """The function that executes blocks, what its registers hold, and the tensors whose addresses the first words of
    `arguments` are.
    """

    entry: str
    registers: Mapping[str, str]
    tensors: Sequence[str]


@dataclass(frozen=True, slots=True)
class Facts:
    """What the tables of `x86` say of an instruction."""

    written: tuple[str, ...]
    is_vector: bool
    pointer_sized: bool
    overwrites: bool
    reads: bool
    writes: bool

    @staticmethod
    def of(instruction: Instruction) -> Facts:
        is_vector = x86.widest(instruction) > 0
        return Facts(
            x86.written(instruction),
            is_vector,
            not is_vector and instruction.mnemonic.endswith("q"),
            x86.overwrites(instruction),
            x86.reads_memory(instruction),
            x86.writes_memory(instruction),
        )


@dataclass(frozen=True, eq=False, slots=True)
class Touch:
    """An instruction that accesses memory. `pointer` names the memory: "" an address that is no known pointer's, None
    one that was not followed. `bits` None: not known.
    """

    instruction: Instruction
    block: int
    pointer: str | None
    address: Value
    bits: int | None
    reads: bool
    writes: bool


@dataclass(frozen=True, eq=False)
class Flow:
    """A function with what is known at the start and at the end of each block that is reached, and what it touches."""

    function: Function
    before: Mapping[int, State]
    after: Mapping[int, State]
    touches: tuple[Touch, ...]


def follow(functions: Sequence[Function], abi: Abi) -> dict[str, Flow]:
    """The flow of every function that is reached, by name."""
    known = {function.name: function for function in functions}
    entries: dict[str, State] = {abi.entry: {register: base(name) for register, name in abi.registers.items()}}
    flows: dict[str, Flow] = {}
    waiting = [abi.entry] if abi.entry in known else []
    while waiting:
        name = waiting.pop(0)
        walker = _Walker(known[name], entries[name], abi)
        flows[name] = walker.flow()
        for callee, passed in walker.calls:
            if callee in known and join_entry(entries.setdefault(callee, {}), passed):
                waiting.append(callee)
    return flows


def at_entry(register: str) -> Value:
    """What a register holds that was not written. One of vectors may have been, with numbers, at any time."""
    return unknown(("vector" if register[0] == "v" else "entry", register))


def base(pointer: str) -> Value:
    """The start of a memory."""
    return unknown((pointer,), ((pointer, 1),))


def join_entry(entry: State, passed: State) -> bool:
    """Adds a call to what a function may be called with; whether that changed anything."""
    changed = False
    for register in PARAMETERS:
        value = passed[register]
        new = value if value == base(ARGUMENTS) else unknown(("entry", register), value.origin)
        old = entry.get(register)
        if old is not None and old != new:
            new = unknown(("entry", register), common(old.origin, new.origin))
        if new != old:
            entry[register], changed = new, True
    return changed


@dataclass(eq=False)
class _Walker:
    """Follows one function, whose entry state is `entry`."""

    function: Function
    entry: State
    abi: Abi
    calls: list[tuple[str, State]] = field(default_factory=list)
    touches: list[Touch] = field(default_factory=list)
    state: State = field(default_factory=dict)
    where: Where = (0, 0)
    facts: dict[Instruction, Facts] = field(default_factory=dict)
    changing: dict[int, dict[Hashable, Origin]] = field(default_factory=dict)
    """Of each block that loops come back to, what they change, with the origin of what they bring."""

    def flow(self) -> Flow:
        before: dict[int, State] = {}
        after: dict[int, State] = {}
        blocks, ways = order(self.function), predecessors(self.function)
        place = {number: at for at, number in enumerate(blocks)}
        backward = [(latch, to) for to in blocks for latch in ways[to] if place.get(latch, -1) >= place[to]]
        changed = True
        while changed:
            before, after = {}, {}
            for number in blocks:
                before[number] = self.start(number, [after[other] for other in ways[number] if other in after])
                after[number] = self.run(number, before[number])
            news = [self.disagree(to, before[to], after[latch]) for latch, to in backward]
            changed = any(news)
        for number in blocks:
            self.run(number, before[number], record=True)
        return Flow(self.function, before, after, tuple(self.touches))

    def start(self, number: int, ways: Sequence[State]) -> State:
        """What is known where ways meet. The ways back of loops are taken to bring nothing new, but for `changing`."""
        if number == 0:
            ways = [{"rsp": base(STACK), **self.entry}, *ways]
        first, *others = ways
        state = dict(first)
        for key in dict.fromkeys(key for way in others for key in (*way, *first)):
            found = first.get(key)
            if found is None or any(way.get(key) != found for way in others):
                joined = meet([self.known(way, key) for way in ways], ("phi", number, key))
                if joined is None:
                    state.pop(key, None)
                else:
                    state[key] = joined
        for key, origin in self.changing.get(number, {}).items():
            old = self.known(state, key)
            if old is not None:
                state[key] = unknown(("phi", number, key), common(old.origin, origin))
        return state

    def disagree(self, number: int, start: State, end: State) -> bool:
        """Notes what a way back to a block changes; whether that is news."""
        changing = self.changing.setdefault(number, {})
        news = False
        for key in dict.fromkeys((*start, *(name for name in end if isinstance(name, str)))):
            old, new = self.known(start, key), self.known(end, key)
            if old is None or new is None or old == new:
                continue
            origin = common(changing.get(key, new.origin), new.origin)
            if key not in changing or changing[key] != origin:
                changing[key], news = origin, True
        return news

    def known(self, state: State, key: Hashable) -> Value | None:
        """What a register or slot holds; None for a slot that was not written."""
        found = state.get(key)
        if found is None and isinstance(key, str):
            return at_entry(key)
        return found

    def run(self, number: int, start: State, record: bool = False) -> State:
        """The state after a block."""
        self.state = dict(start)
        for place, instruction in enumerate(self.function.blocks[number].instructions):
            self.where = (number, place)
            if record:
                self.record(instruction)
            self.step(instruction)
        return self.state

    def fact(self, instruction: Instruction) -> Facts:
        found = self.facts.get(instruction)
        if found is None:
            found = self.facts[instruction] = Facts.of(instruction)
        return found

    def record(self, instruction: Instruction) -> None:
        if instruction.is_call and instruction.target is not None:
            self.calls.append((instruction.target.label, {name: self.register(name) for name in PARAMETERS}))
            for register, reads in COPYING.get(instruction.target.label, ()):
                address = self.register(register)
                touch = Touch(instruction, self.where[0], address.pointer, address, None, reads, not reads)
                self.touches.append(touch)
        memory, facts = instruction.memory, self.fact(instruction)
        if memory is not None and (facts.reads or facts.writes):
            address, bits = self.address(memory), x86.access_bits(instruction)
            touch = Touch(instruction, self.where[0], address.pointer, address, bits, facts.reads, facts.writes)
            self.touches.append(touch)

    # Values

    def register(self, name: str) -> Value:
        found = self.state.get(name)
        return at_entry(name) if found is None else found

    def address(self, memory: Memory) -> Value:
        """Where an operand in memory lies."""
        result = literal(memory.displacement)
        if memory.symbol:
            result = add(result, unknown(("symbol", memory.symbol), ((CONSTANT, 1),)))
        if memory.base and memory.base != "rip":
            result = add(result, self.register(x86.whole(memory.base)))
        if memory.index:
            result = add(result, scale(self.register(x86.whole(memory.index)), memory.scale))
        return result

    def operand(self, operand: Operand, pointer_sized: bool) -> Value:
        """What an instruction reads from an operand."""
        match operand:
            case Immediate(value):
                return literal(value) if value is not None else unknown(("def", *self.where), ((CONSTANT, 1),))
            case Register(name):
                return self.register(x86.whole(name))
            case Memory():
                return self.loaded(operand, pointer_sized)
        return unknown(("def", *self.where))

    def loaded(self, memory: Memory, pointer_sized: bool) -> Value:
        """What lies in memory: what was stored in a slot of the stack, words of the arguments, else a number."""
        address = self.address(memory)
        new: Hashable = ("def", *self.where)
        match address.pointer:
            case "stack":
                found = self.state.get(slot(address))
                return found if found is not None else unknown(new, None if pointer_sized else ())
            case "arguments" if address.terms == base(ARGUMENTS).terms and pointer_sized:
                return self.argument(address.const // 8)
            case None | "arguments":
                return unknown(new, None if pointer_sized else ())
        return unknown(new)

    def argument(self, word: int) -> Value:
        if 0 <= word < len(self.abi.tensors):
            return base(self.abi.tensors[word])
        return unknown(("word", word))

    # Instructions

    def step(self, instruction: Instruction) -> None:
        """Executes one instruction."""
        name = instruction.mnemonic
        if name.startswith("push"):
            value = self.operand(instruction.operands[0], True)
            self.state["rsp"] = add(self.register("rsp"), literal(-8))
            self.state[slot(self.register("rsp"))] = value
            return
        if name.startswith("pop") and len(instruction.operands) == 1 and not name.startswith("popcnt"):
            self.assign(instruction, self.loaded(Memory(0, base="rsp"), True))
            self.state["rsp"] = add(self.register("rsp"), literal(8))
            return
        exact = self.exact(instruction)
        self.assign(instruction, exact if exact is not None else unknown(("def", *self.where), self.mixed(instruction)))

    def assign(self, instruction: Instruction, value: Value) -> None:
        """Writes the result to the last operand; other registers that change are not known any more."""
        facts = self.fact(instruction)
        last = instruction.operands[-1] if instruction.operands else None
        target = x86.whole(last.name) if isinstance(last, Register) else None
        for register in facts.written:
            if register[0] == "v" and (value.origin == () or instruction.is_call):
                self.state.pop(register, None)
            elif register == target:
                self.state[register] = value
            else:
                origin = () if instruction.is_call else value.origin
                self.state[register] = unknown(("def", *self.where, register), origin)
        memory = instruction.memory
        if memory is not None and facts.writes:
            address = self.address(memory)
            if address.pointer == STACK:
                self.state[slot(address)] = value

    def exact(self, instruction: Instruction) -> Value | None:
        """The result of an instruction of 64-bit arithmetic that linear sums can express, or None."""
        name, operands = instruction.mnemonic, instruction.operands
        if not operands or self.fact(instruction).is_vector:
            return None
        if name in ("movl", "xorl", "xorq"):
            return self.constant(instruction)
        if name.startswith("cmov") and name.endswith("q"):
            a, b = (self.operand(operand, True) for operand in operands)
            return a if a == b else unknown(("def", *self.where), common(a.origin, b.origin))
        if name in ("andq", "andl") and isinstance(operands[0], Immediate):
            return self.rounded(instruction, operands[0])
        match name, operands:
            case "movq" | "movabsq", (source, _):
                return self.operand(source, True)
            case "leaq", (Memory() as memory, _):
                return self.address(memory)
            case "addq", (source, target):
                return add(self.operand(target, True), self.operand(source, True))
            case "subq", (source, target):
                return subtract(self.operand(target, True), self.operand(source, True))
            case "incq", (target,):
                return add(self.operand(target, True), literal(1))
            case "decq", (target,):
                return add(self.operand(target, True), literal(-1))
            case "negq", (target,):
                return scale(self.operand(target, True), -1)
            case "shlq" | "salq", (target,):
                return scale(self.operand(target, True), 2)
            case "shlq" | "salq", (Immediate(int(count)), target):
                return scale(self.operand(target, True), 1 << count)
            case "imulq", (Immediate(int(factor)), source, _):
                return scale(self.operand(source, True), factor)
        return None

    def constant(self, instruction: Instruction) -> Value | None:
        """The result of `movl $c, r` and of `xorl r, r`."""
        first, last = instruction.operands
        if instruction.mnemonic == "movl":
            return literal(first.value) if isinstance(first, Immediate) and first.value is not None else None
        return literal(0) if isinstance(first, Register) and first == last else None

    def rounded(self, instruction: Instruction, mask: Immediate) -> Value:
        """A pointer stays one when its low bits are cleared; its low bits alone are a number."""
        negative = mask.value is not None and mask.value < 0
        old = self.operand(instruction.operands[-1], True)
        return unknown(("def", *self.where), old.origin if negative else ())

    def mixed(self, instruction: Instruction) -> Origin:
        """The origin of a result that linear sums do not express: a number if it is made of numbers alone."""
        facts = self.fact(instruction)
        last = len(instruction.operands) - 1
        for place, operand in enumerate(instruction.operands):
            if place == last and (facts.overwrites or (isinstance(operand, Memory) and not facts.reads)):
                continue
            if isinstance(operand, Memory) and instruction.mnemonic.startswith("lea"):
                value = self.address(operand)
            else:
                value = self.operand(operand, facts.pointer_sized)
            if value.origin != ():
                return None
        return ()


def slot(address: Value) -> Hashable:
    """The key of a place on the stack."""
    return ("slot", address.terms, address.const)


def meet(values: Sequence[Value | None], name: Hashable) -> Value | None:
    """What a key holds where ways meet: their common value, else the unknown `name`. None where a way has no value."""
    present = [value for value in values if value is not None]
    if len(present) < len(values):
        return None
    if all(value == present[0] for value in present):
        return present[0]
    return unknown(name, reduce(common, (value.origin for value in present)))
