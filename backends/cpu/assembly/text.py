"""Assembly text (x86, AT&T syntax, as LLVM writes it) read back into functions of basic blocks.

    for function in parse(executable.commented_assembly):
        for block in function.blocks:
            print(block.label, [instruction.mnemonic for instruction in block.instructions], block.successors)

It relies on labels, `.type NAME,@function` and branches, not on comments; those are kept, since LLVM marks in them what
the allocator of registers has spilled. What the instructions mean stands in `x86`; `vmc.ir.flow_graph` finds loops.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vmc.ir import flow_graph
from vmc.ir.flow_graph import Block

PREFIXES = frozenset({"lock", "rep", "repe", "repz", "repne", "repnz", "notrack", "data16", "xacquire", "xrelease"})
ENDS = frozenset({"retq", "ret", "retl", "ud2", "hlt", "int3"})
JUMP_TABLE = ".LJTI"


@dataclass(frozen=True, slots=True)
class Register:
    """A register by its name without the percent sign."""

    name: str


@dataclass(frozen=True, slots=True)
class Immediate:
    """A constant; `value` is None for one that names a symbol."""

    value: int | None


@dataclass(frozen=True, slots=True)
class Memory:
    """`displacement + symbol + base + scale * index`; `broadcast` is N of `{1toN}`, 0 for a plain operand."""

    displacement: int
    symbol: str = ""
    base: str = ""
    index: str = ""
    scale: int = 1
    broadcast: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """Where a branch or call goes: a label, or "" for one that is computed."""

    label: str


Operand = Register | Immediate | Memory | Target


@dataclass(frozen=True, eq=False, slots=True)
class Instruction:
    """One instruction. `mask` is the register that masks it, "" for none; `comment` what LLVM wrote beside it."""

    mnemonic: str
    operands: tuple[Operand, ...]
    mask: str = ""
    comment: str = ""

    @property
    def memory(self) -> Memory | None:
        """The operand in memory; there is at most one."""
        return next((operand for operand in self.operands if isinstance(operand, Memory)), None)

    @property
    def registers(self) -> tuple[str, ...]:
        """The names of the registers that it mentions as operands, those of addresses left out."""
        return tuple(operand.name for operand in self.operands if isinstance(operand, Register))

    @property
    def target(self) -> Target | None:
        """Where a branch or call goes."""
        return next((operand for operand in self.operands if isinstance(operand, Target)), None)

    @property
    def is_branch(self) -> bool:
        """Whether it may go on elsewhere in the function."""
        return self.mnemonic.startswith("j")

    @property
    def is_call(self) -> bool:
        return self.mnemonic.startswith("call")

    @property
    def falls_through(self) -> bool:
        """Whether the next instruction may follow."""
        return self.mnemonic not in ENDS and not self.mnemonic.startswith("jmp")


@dataclass(frozen=True, eq=False, slots=True)
class Function(flow_graph.Function[Instruction]):
    """A function. `commented`: the text has LLVM's comments."""

    commented: bool = False


def parse(text: str) -> tuple[Function, ...]:
    """The functions of an assembly text, in order. Raises ValueError for an operand that cannot be read."""
    lines = [split_comment(line) for line in text.splitlines()]
    names = {name for code, _ in lines for name in declared_function(code)}
    tables = jump_targets(lines)
    functions: list[Function] = []
    current: list[tuple[str, list[Instruction]]] | None = None
    commented = False
    for code, comment in lines:
        label = label_of(code)
        if label is not None and label in names:
            current, commented = [(label, [])], bool(comment)
        elif current is not None and label is not None:
            if label.startswith(".Lfunc_end"):
                functions.append(connect(current, tables, commented))
                current = None
            else:
                current.append((label, []))
        elif current is not None and code and not code.startswith("."):
            instruction = parse_instruction(code, comment)
            current[-1][1].append(instruction)
            if instruction.is_branch or not instruction.falls_through:
                current.append(("", []))
    return tuple(functions)


def split_comment(line: str) -> tuple[str, str]:
    """The code of a line and its comment, both stripped."""
    code, _, comment = line.partition("#")
    return code.strip(), comment.strip()


def declared_function(code: str) -> Iterator[str]:
    """NAME of `.type NAME,@function`."""
    if code.startswith(".type") and code.endswith("@function"):
        yield code.removeprefix(".type").rpartition(",")[0].strip().strip('"')


def label_of(code: str) -> str | None:
    """NAME of `NAME:`, None for another line."""
    return code[:-1].strip('"') if code.endswith(":") else None


def jump_targets(lines: Sequence[tuple[str, str]]) -> frozenset[str]:
    """The labels that jump tables hold."""
    found, inside = set(), False
    for code, _ in lines:
        label = label_of(code)
        if label is not None:
            inside = label.startswith(JUMP_TABLE)
        elif inside and code.startswith((".long", ".quad")):
            found.add(code.split(None, 1)[1].partition("-")[0].strip())
    return frozenset(found)


def connect(parts: Sequence[tuple[str, list[Instruction]]], tables: frozenset[str], commented: bool) -> Function:
    """The function of labelled runs of instructions; empty runs without a label are dropped."""
    kept = [(label, run) for place, (label, run) in enumerate(parts) if run or label or place == 0]
    numbers = {label: number for number, (label, _) in enumerate(kept) if label}
    indirect = [number for label, number in numbers.items() if label in tables]
    blocks = []
    for number, (label, run) in enumerate(kept):
        successors: list[int] = []
        last = run[-1] if run else None
        if last is not None and last.is_branch:
            target = last.target
            if target is None or target.label == "":
                successors += indirect
            elif target.label in numbers:
                successors.append(numbers[target.label])
        if (last is None or last.falls_through) and number + 1 < len(kept):
            successors.append(number + 1)
        blocks.append(Block(label, tuple(run), tuple(dict.fromkeys(successors))))
    return Function(parts[0][0], tuple(blocks), commented)


# Instructions


def parse_instruction(code: str, comment: str = "") -> Instruction:
    """One instruction. Raises ValueError for an operand that cannot be read."""
    words = code.replace(";", " ").split()
    place = 0
    while place < len(words) - 1 and (words[place] in PREFIXES or words[place].startswith("{")):
        place += 1
    mnemonic = words[place]
    texts = split_operands(" ".join(words[place + 1 :]))
    is_jump = mnemonic.startswith(("j", "call"))
    operands = [parse_operand(text, is_jump) for text in texts]
    mask = next((text.partition("{%k")[2][0] for text in texts if "{%k" in text), "")
    return Instruction(mnemonic, tuple(op for op in operands if op is not None), mask and f"k{mask}", comment)


def split_operands(text: str) -> list[str]:
    """The operands of an instruction: text cut at commas outside of parentheses."""
    parts, depth, current = [], 0, ""
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append(current.strip())
            current = ""
        else:
            current += character
    return [part for part in [*parts, current.strip()] if part]


def parse_operand(text: str, is_jump: bool) -> Operand | None:
    """One operand; None for a mode of rounding, which is none. Raises ValueError."""
    plain, brace, rest = text.partition("{")
    plain = plain.strip()
    if not plain:
        return None
    if plain.startswith("$"):
        return Immediate(number(plain[1:]))
    if is_jump:
        return Target("") if plain.startswith("*") else Target(plain.removesuffix("@PLT").strip('"'))
    if plain.startswith("%") and "(" not in plain and ":" not in plain:
        return Register(plain[1:])
    if plain.startswith("%st("):
        return Register("st")
    return parse_memory(plain, int(rest[3:].partition("}")[0]) if brace and rest.startswith("1to") else 0)


def parse_memory(text: str, broadcast: int) -> Memory:
    """`segment:displacement(base, index, scale)`. Raises ValueError."""
    _, _, text = text.rpartition(":")
    outside, parenthesis, inside = text.partition("(")
    symbol, displacement = split_displacement(outside.strip())
    if not parenthesis:
        return Memory(displacement, symbol, broadcast=broadcast)
    parts = [part.strip() for part in inside.rstrip(") ").split(",")]
    base, index, scale = (*parts, "", "")[:3]
    return Memory(displacement, symbol, base.lstrip("%"), index.lstrip("%"), int(scale or 1), broadcast)


def split_displacement(text: str) -> tuple[str, int]:
    """The symbol and the number of `8`, `-8`, `NAME` or `NAME+8`. Raises ValueError."""
    if not text:
        return "", 0
    value = number(text)
    if value is not None:
        return "", value
    for sign in "+-":
        symbol, found, offset = text.rpartition(sign)
        value = number(offset) if found and symbol else None
        if value is not None:
            return symbol, value if sign == "+" else -value
    return text, 0


def number(text: str) -> int | None:
    """The value of a literal; None for a symbol."""
    try:
        return int(text, 0)
    except ValueError:
        return None


# Data


def constants(text: str) -> dict[str, bytes]:
    """The bytes of labelled data, as far as directives of bytes and texts give them."""
    found: dict[str, bytes] = {}
    label: str | None = None
    for line in text.splitlines():
        code = line.strip() if '"' in line else split_comment(line)[0]
        name = label_of(code)
        if name is not None:
            label = name
        elif label is not None:
            data = directive_bytes(code)
            if data is None:
                label = None
            else:
                found[label] = found.get(label, b"") + data
    return found


def directive_bytes(code: str) -> bytes | None:
    """The bytes that a directive writes; None for one that ends data, or that is none of bytes."""
    name, _, rest = code.partition("\t")
    match name:
        case ".byte":
            return bytes(int(value, 0) & 255 for value in rest.split(","))
        case ".zero":
            count, _, value = rest.partition(",")
            return bytes([int(value or "0", 0) & 255]) * int(count, 0)
        case ".ascii" | ".asciz":
            return unescaped(rest[rest.index('"') + 1 : rest.rindex('"')]) + b"\0" * (name == ".asciz")
    return None


ESCAPES = {"n": 10, "t": 9, "r": 13, "b": 8, "f": 12}


def unescaped(text: str) -> bytes:
    """The bytes of a text with octal and C's short escapes."""
    found, place = bytearray(), 0
    while place < len(text):
        if text[place] != "\\":
            found.append(ord(text[place]))
            place += 1
            continue
        digits = text[place + 1 : place + 4]
        if digits[0] in "01234567":
            found.append(int(digits, 8))
            place += 4
        else:
            found.append(ESCAPES.get(digits[0], ord(digits[0])))
            place += 2
    return bytes(found)
