"""Work that blocks share: `once` gives tensors that its region fills, and that an executor may keep for later blocks.

    q, s = once(keys i64...) {types}          region (one tensor for each result), yields nothing

What the region computes follows from the keys, symbols, constants and the kernel's inputs, so executing it again for
equal keys changes nothing. The tensors may have symbolic extents. The region writes them; outside, they are inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vmc.ir.core import Access, Op, Space, TensorType, Type, Value, walk
from vmc.ir.evaluate import Evaluator, Operand
from vmc.ir.opdef import Attrs, OpDef, require, schema
from vmc.ir.ops.control import expect, regions, scalar_index, types_of

STRUCTURE = ("for", "while", "if", "yield")
"""What has effects by what it holds alone."""
WRITES = ("store", "scatter", "atomic")


class Once(OpDef):
    """Tensors of the running thread's own, in shared memory, as the region fills them: `types`, with access `in`.

    The region gets them with access `inout`. It writes nothing else, reads nothing else but inputs, and uses values
    from outside only as far as the keys, symbols, constants and inputs determine them. An executor may therefore keep
    the results of an earlier execution with equal keys, in another block of the launch, instead of a new one.
    """

    name = "once"
    signature = "(key...)"
    pure = False
    attrs = schema(types=tuple)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        for type in types:
            scalar_index(type, "a key of once")
        require(len(attrs["types"]) >= 1, "once gives at least one tensor")
        for type in attrs["types"]:
            check_scratch(type)
        return tuple(attrs["types"])

    def verify(self, op: Op) -> None:
        (body,) = regions(op, 1)
        expect(types_of(body.args), [written(result.tensor) for result in op.results], "the arguments of once")
        expect(types_of(body.yielded), [], "values yielded by once")
        for inner in walk(body):
            check_inside(inner, body.args)

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        (body,) = op.regions
        tensors = tuple(map(run.allocate, body.args))
        run.region(body, tensors)
        return tensors


def check_scratch(type: Type) -> None:
    """Raises IRError unless once can give a tensor of the type."""
    require(isinstance(type, TensorType), "once gives tensors only")
    assert isinstance(type, TensorType)
    require(type.space is Space.SHARED, "once gives tensors in shared memory only")
    require(type.access is Access.IN, "once gives tensors that are read only")
    require(type.storage is None, "once gives dense tensors only")


def written(type: TensorType) -> TensorType:
    """The type under which the region gets a tensor."""
    return replace(type, access=Access.INOUT)


def check_inside(op: Op, own: Sequence[Value]) -> None:
    """Raises IRError for an operation that may not be executed less often, or accesses what it may not."""
    tensors = [value for value in op.operands if isinstance(value.type, TensorType)]
    if op.definition.writes_memory:
        require(op.name in WRITES and tensors[0] in own, f"once: {op.name} must write a tensor that once gives")
    elif not op.definition.pure:
        require(op.name in STRUCTURE, f"once: {op.name} has an effect that may happen less often")
    if op.definition.reads_memory:
        inputs = (value in own or value.tensor.access is Access.IN for value in tensors)
        require(all(inputs), f"once: {op.name} reads a tensor that may change")


DEFINITIONS: tuple[OpDef, ...] = (Once(),)
