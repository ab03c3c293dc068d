"""An entry ready to be compiled to closures: registers and constants are slots, labels blocks, variables addresses.

A slot is an index into the machine's lists of values; constants and special registers have slots like registers. A
basic block ends at a branch, an exit or a barrier, and starts at a label or at an instruction that a whole warp must
reach together (`.sync`), so that the scheduler can hold threads back before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from vmc.backends.ptxvm import syntax
from vmc.backends.ptxvm.addresses import SHARED_START, buffer_address
from vmc.backends.ptxvm.errors import Location, PtxError, UnsupportedError
from vmc.backends.ptxvm.inlining import bodies_of, inlined
from vmc.backends.ptxvm.parser import WIDTHS, Tree
from vmc.backends.ptxvm.syntax import Instruction, Name, Variable

SPECIAL = {f"%{name}.{axis}" for name in ("tid", "ntid", "ctaid", "nctaid") for axis in "xyzw"} | {
    "%laneid", "%warpid", "%nwarpid", "%smid", "%nsmid", "%gridid", "%lanemask_eq", "%lanemask_le", "%lanemask_lt",
    "%lanemask_ge", "%lanemask_gt", "%clock", "%clock_hi", "%clock64", "%globaltimer", "%globaltimer_lo",
    "%globaltimer_hi", "%dynamic_smem_size", "%total_smem_size", "%is_explicit_cluster", "%cluster_ctarank",
    "%cluster_nctarank",
} | {
    f"%{name}.{axis}" for name in ("clusterid", "nclusterid", "cluster_ctaid", "cluster_nctaid") for axis in "xyzw"
}  # fmt: skip
TIMERS = {"%clock", "%clock_hi", "%clock64", "%globaltimer", "%globaltimer_lo", "%globaltimer_hi"}

TERMINATORS = {"bra", "brx", "ret", "exit", "bar", "barrier", "trap"}
NO_RESULT = TERMINATORS | {
    "st", "red", "cp", "prefetch", "prefetchu", "membar", "fence", "stmatrix", "call", "nanosleep", "pmevent", "brkpt",
    "discard", "applypriority", "griddepcontrol", "setmaxnreg", "nop",
}  # fmt: skip
COLLECTIVE = {"shfl", "vote", "match", "redux", "ldmatrix", "stmatrix", "mma", "elect", "movmatrix", "wgmma"}


@dataclass(frozen=True)
class Parameter:
    """A parameter of an entry: `offset` in the parameter space, `size` in bytes."""

    name: str
    kind: str
    offset: int
    size: int


@dataclass
class Block:
    """A basic block."""

    instructions: list[Instruction] = field(default_factory=list)


@dataclass
class Program:
    """See above. `widths[slot]` in bits (1: predicate). `unset`: registers that may be read before they are written.
    `watched`: those of D and A of wgmma instructions, numbered."""

    name: str
    target: str
    widths: list[int]
    names: list[str]
    registers: int
    constants: dict[int, int]
    specials: dict[str, int]
    blocks: list[Block]
    labels: dict[str, int]
    tables: dict[str, tuple[str, ...]]
    symbols: dict[str, tuple[str, int]]
    parameters: tuple[Parameter, ...]
    shared_size: int
    dynamic: bool
    local_size: int
    limits: dict[str, tuple[int, ...]]
    unset: tuple[int, ...] = ()
    watched: dict[int, int] = field(default_factory=dict)
    _constants: dict[tuple[int, int], int] = field(default_factory=dict)
    _slots: dict[str, int] = field(default_factory=dict)

    def add(self, width: int, name: str) -> int:
        """A new slot."""
        self.widths.append(width)
        self.names.append(name)
        return len(self.widths) - 1

    def constant(self, bits: int, width: int) -> int:
        """The slot of a constant, of which the low `width` bits count."""
        key = (bits & ((1 << width) - 1), width)
        if key not in self._constants:
            slot = self.add(width, hex(key[0]))
            self._constants[key] = slot
            self.constants[slot] = key[0]
        return self._constants[key]

    def special(self, name: str) -> int:
        """The slot of a special register, 32 bits wide but for the 64-bit timers."""
        if name not in self.specials:
            wide = name in ("%clock64", "%globaltimer", "%gridid")
            self.specials[name] = self.add(64 if wide else 32, name)
        return self.specials[name]

    def register(self, name: str) -> int | None:
        """The slot of a register, None if there is none of the name."""
        return self._slots.get(name)


def variables_of(tree: Tree) -> tuple[Variable, ...]:
    """The module's variables that live in buffers, in order of their buffers from 1."""
    return tuple(v for v in tree.variables if v.space in ("global", "const") and v.size is not None)


def assemble(tree: Tree, name: str) -> Program:
    """The program of an entry. Raises PtxError for an unknown entry, name or label."""
    entry = next((f for f in tree.functions if f.entry and f.name == name), None)
    if entry is None or entry.body is None:
        known = ", ".join(f.name for f in tree.functions if f.entry) or "none"
        raise PtxError(f"the module has no entry `{name}`; it has {known}")
    return _Assembler(tree, entry).program()


class _Assembler:
    """One walk over the body of an entry."""

    def __init__(self, tree: Tree, entry: syntax.Function) -> None:
        self.entry = entry
        self.tree = tree
        self.widths: list[int] = []
        self.names: list[str] = []
        self.slots: dict[str, int] = {}
        self.instructions: list[Instruction] = []
        self.marks: dict[int, list[str]] = {}
        self.tables: dict[str, tuple[str, ...]] = {}
        self.symbols: dict[str, tuple[str, int]] = {}
        self.shared: list[Variable] = [v for v in tree.variables if v.space == "shared"]
        self.local: list[Variable] = []
        self.scopes = 0
        for index, variable in enumerate(variables_of(tree)):
            self.symbols[variable.name] = ("global", buffer_address(index + 1))

    def program(self) -> Program:
        assert self.entry.body is not None
        self._walk(inlined(self.entry.body, bodies_of(self.tree.functions)), {})
        shared_size, dynamic = self._place_shared()
        local_size = self._place(self.local, "local")
        blocks, labels = self._blocks()
        for table in self.tables.values():
            _check_labels(table, labels, Location(0))
        program = Program(
            self.entry.name, self.tree.target, self.widths, self.names, len(self.widths), {}, {}, blocks, labels,
            self.tables, self.symbols, _parameters(self.entry), shared_size, dynamic, local_size, self.entry.limits,
        )  # fmt: skip
        program._slots = self.slots
        program.unset = tuple(_maybe_unset(program))
        program.watched = {slot: number for number, slot in enumerate(_handed_over(program))}
        return program

    def _walk(self, body: Sequence[syntax.Statement], scope: dict[str, str]) -> None:
        pending: list[str] = []
        for statement in body:
            match statement:
                case syntax.Registers(kind, names):
                    for name, count in names:
                        for each in [name] if count is None else [f"{name}{i}" for i in range(count)]:
                            self._declare(each, WIDTHS[kind], scope)
                case syntax.Variable():
                    self._variable(statement, scope)
                case syntax.Label(name):
                    pending.append(name)
                    self.marks.setdefault(len(self.instructions), []).append(scope.get(":" + name, name))
                case syntax.Targets(labels):
                    self.tables[pending[-1]] = tuple(scope.get(":" + label, label) for label in labels)
                case syntax.Scope(inner):
                    self.scopes += 1
                    nested = dict(scope)
                    labels_inside = [s.name for s in inner if isinstance(s, syntax.Label)]
                    nested |= {":" + label: f"{label}@{self.scopes}" for label in labels_inside}
                    self._walk(inner, nested)
                case syntax.Instruction():
                    self.instructions.append(_renamed(statement, scope) if scope else statement)

    def _declare(self, name: str, width: int, scope: dict[str, str]) -> None:
        unique = name
        if name in self.slots:
            unique = f"{name}@{self.scopes}"
            scope[name] = unique
        elif name in scope:
            scope[name] = name
        self.slots[unique] = len(self.widths)
        self.widths.append(width)
        self.names.append(name)

    def _variable(self, variable: Variable, scope: dict[str, str]) -> None:
        match variable.space:
            case "shared":
                self.shared.append(variable)
            case "local":
                self.local.append(variable)
            case "param":
                pass
            case _:
                raise UnsupportedError(f"variable `{variable.name}` in space .{variable.space} inside a function")

    def _place(self, variables: Sequence[Variable], space: str) -> int:
        size = 0
        for variable in variables:
            if variable.size is None:
                continue
            size = -(-size // variable.align) * variable.align
            self.symbols[variable.name] = (space, size + (SHARED_START if space == "shared" else 0))
            size += variable.size
        return size

    def _place_shared(self) -> tuple[int, bool]:
        """Static variables one after the other; what has its size from the launch starts where they end."""
        size = self._place(self.shared, "shared")
        open_ended = [v for v in self.shared if v.size is None]
        if open_ended:
            align = max(v.align for v in open_ended)
            size = -(-size // align) * align
            self.symbols.update({v.name: ("shared", SHARED_START + size) for v in open_ended})
        return size, bool(open_ended)

    def _blocks(self) -> tuple[list[Block], dict[str, int]]:
        blocks = [Block()]
        labels: dict[str, int] = {}
        for position, instruction in enumerate(self.instructions):
            starts = position in self.marks or is_collective(instruction)
            if blocks[-1].instructions and starts:
                blocks.append(Block())
            for name in self.marks.get(position, []):
                labels[name] = len(blocks) - 1
            blocks[-1].instructions.append(instruction)
            if ends_block(instruction):
                blocks.append(Block())
        for name in self.marks.get(len(self.instructions), []):
            if blocks[-1].instructions:
                blocks.append(Block())
            labels[name] = len(blocks) - 1
        for block in blocks:
            for instruction in block.instructions:
                if instruction.opcode[0] == "bra":
                    target = instruction.operands[0]
                    assert isinstance(target, Name)
                    _check_labels([target.text], labels, instruction.location)
        return blocks, labels


def is_collective(instruction: Instruction) -> bool:
    """Whether threads of a warp must reach it together."""
    root, *modifiers = instruction.opcode
    if root == "bar":
        return "arrive" not in modifiers or "warp" in modifiers
    return ("sync" in modifiers and root in COLLECTIVE) or (root == "barrier" and "aligned" in modifiers)


def ends_block(instruction: Instruction) -> bool:
    """Whether it is the scheduler's, and the last of its block."""
    return instruction.opcode[0] in TERMINATORS and "warp" not in instruction.opcode


def _check_labels(names: Sequence[str], labels: dict[str, int], location: Location) -> None:
    for name in names:
        if name not in labels:
            raise PtxError(f"{location}: no label `{name}`")


def _parameters(entry: syntax.Function) -> tuple[Parameter, ...]:
    result = []
    offset = 0
    for variable in entry.parameters:
        assert variable.size is not None
        offset = -(-offset // variable.align) * variable.align
        result.append(Parameter(variable.name, variable.kind, offset, variable.size))
        offset += variable.size
    return tuple(result)


def _renamed(instruction: Instruction, scope: dict[str, str]) -> Instruction:
    """With the registers and labels of an inner scope under their unique names."""
    root = instruction.opcode[0]

    def rename(operand: syntax.Operand) -> syntax.Operand:
        match operand:
            case Name(text):
                key = ":" + text if root == "bra" else text
                return Name(scope.get(key, text))
            case syntax.Vector(elements):
                return syntax.Vector(tuple(map(rename, elements)))
            case syntax.Address(base, offset, more):
                inner = scope.get(base, base) if base else base
                return syntax.Address(inner, offset, tuple(map(rename, more)))
            case syntax.Pair(first, second):
                return syntax.Pair(rename(first), rename(second))
            case syntax.Not(name):
                return syntax.Not(Name(scope.get(name.text, name.text)))
            case syntax.Offset(symbol, offset):
                return syntax.Offset(scope.get(symbol, symbol), offset)
            case syntax.Arguments(operands):
                return syntax.Arguments(tuple(map(rename, operands)))
            case _:
                return operand

    guard = instruction.guard
    if guard is not None:
        guard = syntax.Guard(scope.get(guard.register, guard.register), guard.negated)
    return Instruction(instruction.opcode, tuple(map(rename, instruction.operands)), guard, instruction.location)


def registers_in(operand: syntax.Operand) -> Iterator[str]:
    """The names an operand mentions."""
    match operand:
        case Name(text):
            yield text
        case syntax.Vector(elements):
            for element in elements:
                yield from registers_in(element)
        case syntax.Address(base, _, more):
            if base:
                yield base
            for element in more:
                yield from registers_in(element)
        case syntax.Pair(first, second):
            yield from registers_in(first)
            yield from registers_in(second)
        case syntax.Not(name):
            yield name.text
        case syntax.Arguments(operands):
            for element in operands:
                yield from registers_in(element)
        case _:
            return


def split(instruction: Instruction) -> tuple[tuple[syntax.Operand, ...], tuple[syntax.Operand, ...]]:
    """Results and sources of an instruction."""
    root, *modifiers = instruction.opcode
    if root == "wgmma":
        return (instruction.operands[:1], instruction.operands) if modifiers[0] == "mma_async" else ((), ())
    without = root in NO_RESULT and "red" not in modifiers
    without |= root == "mbarrier" and modifiers[0] in ("init", "inval", "expect_tx")
    if without or not instruction.operands:
        return (), instruction.operands
    return instruction.operands[:1], instruction.operands[1:]


def uses_async_proxy(program: Program) -> bool:
    """Whether instructions access shared memory in the async proxy."""
    return any(
        i.opcode[0] == "wgmma" or i.opcode[:3] == ("cp", "async", "bulk")
        for block in program.blocks
        for i in block.instructions
    )


def _handed_over(program: Program) -> list[int]:
    """The registers of D and A of asynchronous matrix instructions."""
    vectors = [
        operand
        for block in program.blocks
        for i in block.instructions
        if i.opcode[:2] == ("wgmma", "mma_async")
        for operand in i.operands[:2]
        if isinstance(operand, syntax.Vector)
    ]
    slots = {program.register(name) for vector in vectors for name in registers_in(vector)}
    return sorted(slot for slot in slots if slot is not None)


def _maybe_unset(program: Program) -> set[int]:
    """Registers that some path reads before any path has surely written them (a forward must-analysis)."""
    everything = (1 << program.registers) - 1
    count = len(program.blocks)
    entering = [everything] * count
    entering[0] = 0
    unset: set[int] = set()
    changed = True
    while changed:
        changed = False
        for index, block in enumerate(program.blocks):
            leaving = _transfer(program, block, entering[index], None)
            for successor in _successors(program, index):
                met = entering[successor] & leaving
                if met != entering[successor]:
                    entering[successor] = met
                    changed = True
    for index, block in enumerate(program.blocks):
        _transfer(program, block, entering[index], unset)
    return unset


def _transfer(program: Program, block: Block, defined: int, unset: set[int] | None) -> int:
    for instruction in block.instructions:
        results, sources = split(instruction)
        if unset is not None:
            names = [n for o in sources for n in registers_in(o)]
            if instruction.guard:
                names.append(instruction.guard.register)
            for name in names:
                slot = program.register(name)
                if slot is not None and not defined >> slot & 1:
                    unset.add(slot)
        if instruction.guard is None:
            for name in [n for o in results for n in registers_in(o)]:
                slot = program.register(name)
                if slot is not None:
                    defined |= 1 << slot
    return defined


def _successors(program: Program, index: int) -> list[int]:
    block = program.blocks[index]
    last = block.instructions[-1] if block.instructions else None
    following = [index + 1] if index + 1 < len(program.blocks) else []
    if last is None:
        return following
    match last.opcode[0]:
        case "bra":
            target = last.operands[0]
            assert isinstance(target, Name)
            return [program.labels[target.text]] + (following if last.guard else [])
        case "brx":
            table = last.operands[1]
            assert isinstance(table, Name)
            return [program.labels[label] for label in program.tables[table.text]] + (following if last.guard else [])
        case "ret" | "exit" | "trap":
            return following if last.guard else []
    return following
