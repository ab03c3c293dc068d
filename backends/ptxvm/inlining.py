"""Calls of device functions that take and give nothing, such as what reports a failed assertion: bodies in their place.

NVRTC leaves a call where a function is marked `__noinline__`. A body becomes a scope of its own, and its `ret` a branch
to the end of that scope.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from vmc.backends.ptxvm import syntax
from vmc.backends.ptxvm.errors import UnsupportedError
from vmc.backends.ptxvm.syntax import Arguments, Guard, Instruction, Label, Name, Scope, Statement

Bodies = Mapping[str, Sequence[Statement]]
AFTER = "$after_call"


def bodies_of(functions: Sequence[syntax.Function]) -> Bodies:
    """The bodies of the device functions without parameters, by name."""
    return {f.name: f.body for f in functions if f.body is not None and not f.entry and not f.parameters}


def inlined(body: Sequence[Statement], bodies: Bodies, within: tuple[str, ...] = ()) -> tuple[Statement, ...]:
    """A body without calls of `bodies`. Raises UnsupportedError for functions that call themselves."""
    statements: list[Statement] = []
    for statement in body:
        match statement:
            case Scope(inner):
                statements.append(Scope(inlined(inner, bodies, within)))
            case Instruction() if (name := callee(statement)) in bodies:
                if name in within:
                    raise UnsupportedError(f"{statement.location}: `{name}` calls itself")
                called = inlined(bodies[name], bodies, (*within, name))
                statements.append(in_place(statement, called))
            case _:
                statements.append(statement)
    return tuple(statements)


def callee(instruction: Instruction) -> str:
    """The function that an instruction calls without arguments; else nothing."""
    if instruction.opcode[0] != "call":
        return ""
    if any(isinstance(o, Arguments) and o.operands for o in instruction.operands):
        return ""
    return next((o.text for o in instruction.operands if isinstance(o, Name)), "")


def in_place(call: Instruction, body: Sequence[Statement]) -> Scope:
    """A called body as a scope, around which threads branch that the call's guard leaves out."""
    end = replace(call, opcode=("bra",), operands=(Name(AFTER),), guard=None)
    around = [replace(end, guard=Guard(g.register, not g.negated))] if (g := call.guard) else []
    return Scope((*around, *(returning(statement, end) for statement in body), Label(AFTER)))


def returning(statement: Statement, end: Instruction) -> Statement:
    """With a branch to the end for each `ret`."""
    match statement:
        case Scope(inner):
            return Scope(tuple(returning(each, end) for each in inner))
        case Instruction(opcode=("ret", *_)):
            return replace(end, guard=statement.guard, location=statement.location)
        case _:
            return statement
