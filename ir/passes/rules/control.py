"""Branches and loops whose course is known: a constant condition, no or one iteration, a value carried in vain."""

from __future__ import annotations

from vmc.ir.core import Op, Value
from vmc.ir.passes.rewrite import Rewriter
from vmc.ir.passes.rules.pattern import Transformation


def known_integer(value: Value, rewriter: Rewriter) -> int | None:
    """The value of a constant integer scalar."""
    producer = rewriter.producer(value)
    if producer is None or producer.name != "constant":
        return None
    return int(value.tile.dtype.decode(producer.attrs["code"])[()])


def known_bounds(op: Op, rewriter: Rewriter) -> range | None:
    """The iterations of a loop whose bounds are constants and whose step is legal."""
    low, high, step = (known_integer(bound, rewriter) for bound in op.operands[:3])
    if low is None or high is None or step is None or step < 1:
        return None
    return range(low, high, step)


def decided_if(op: Op, rewriter: Rewriter) -> tuple[Value, ...] | None:
    condition = known_integer(op.operands[0], rewriter)
    return None if condition is None else rewriter.inline(op.regions[0 if condition else 1], ())


def loop_without_iterations(op: Op, rewriter: Rewriter) -> tuple[Value, ...] | None:
    bounds = known_bounds(op, rewriter)
    return op.operands[3:] if bounds is not None and len(bounds) == 0 else None


def loop_of_one_iteration(op: Op, rewriter: Rewriter) -> tuple[Value, ...] | None:
    bounds = known_bounds(op, rewriter)
    if bounds is None or len(bounds) != 1:
        return None
    return rewriter.inline(op.regions[0], (op.operands[0], *op.operands[3:]))


def while_that_never_runs(op: Op, rewriter: Rewriter) -> tuple[Value, ...] | None:
    condition = op.regions[0]
    last = next((inner for inner in condition.ops if condition.yielded[0] in inner.results), None)
    never = last is not None and last.name == "constant" and last.attrs["code"] == 0
    return op.operands if never and all(inner.definition.pure for inner in condition.ops[:-1]) else None


def carried_in_vain(op: Op, rewriter: Rewriter) -> tuple[Value, ...] | None:
    body, starts = op.regions[0], op.operands[3:]
    slots = list(zip(body.args[1:], starts, body.yielded, op.results, strict=True))
    vain = [value is arg or rewriter.value(value) is start for arg, start, value, _ in slots]
    if not any(same and is_read(*slot, rewriter) for same, slot in zip(vain, slots, strict=True)):
        return None
    rewriter.values.update((slot[0], slot[1]) for same, slot in zip(vain, slots, strict=True) if same)
    rewriter.keep(op)
    pairs = zip(vain, slots, strict=True)
    return tuple(start if same else rewriter.value(result) for same, (_, start, _, result) in pairs)


def is_read(arg: Value, start: Value, value: Value, result: Value, rewriter: Rewriter) -> bool:
    """Whether anything but the yield that hands an argument on uses it, or the result."""
    return rewriter.uses[arg] > (value is arg) or rewriter.uses[result] > 0


def branches_that_agree(op: Op, rewriter: Rewriter) -> tuple[Value, ...] | None:
    pairs = list(zip(*(region.yielded for region in op.regions), strict=True))
    if not any(a is b and rewriter.uses[result] for (a, b), result in zip(pairs, op.results, strict=True)):
        return None
    rewriter.keep(op)
    return tuple(rewriter.value(a if a is b else result) for (a, b), result in zip(pairs, op.results, strict=True))


RULES = (
    Transformation("an if whose condition is constant -> the branch", "if", decided_if),
    Transformation("a loop without iterations -> what it starts from", "for", loop_without_iterations),
    Transformation("a loop of one iteration -> its body", "for", loop_of_one_iteration),
    Transformation("a value that a loop carries without change -> where it starts", "for", carried_in_vain),
    Transformation("a value that both branches of an if yield -> that value", "if", branches_that_agree),
    Transformation("a while whose condition is false at once -> what it starts from", "while", while_that_never_runs),
)
