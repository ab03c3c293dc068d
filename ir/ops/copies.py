"""Asynchronous copies from a tensor to shared memory.

    copy_async(target, source, source start..., target start...) {sizes, steps, fill, inbounds, target_sizes}
    commit_group()
    wait_group() {pending}

A copy reads a slice of the source as `load` does (what lies outside reads as `fill`) and writes it to a slice of the
shared target, which must lie inside; both slices have one shape. It joins the block's open group; `commit_group` closes
the group; `wait_group` waits until at most `pending` closed groups are still under way. The target's elements may be
neither read nor written until then.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vmc.ir.core import Op, Space, TensorType, Type
from vmc.ir.evaluate import Evaluator, Operand
from vmc.ir.opdef import Attrs, OpDef, operands, require, schema, tensor
from vmc.ir.ops.memory import check_code, check_slice, slice_index, slice_shape


def target_slice(target: TensorType, attrs: Attrs) -> dict[str, object]:
    """The slice of the target, described as `load` describes one."""
    ones, claimed = (1,) * target.rank, (True,) * target.rank
    return {"sizes": attrs["target_sizes"], "steps": ones, "inbounds": claimed}


class CopyAsync(OpDef):
    """Starts to copy a slice of `source` to a slice of the shared `target`."""

    name = "copy_async"
    signature = "(target, source, source start..., target start...)"
    pure = False
    reads_memory = True
    writes_memory = True
    attrs = schema(sizes=tuple, steps=tuple, fill=int, inbounds=tuple, target_sizes=tuple)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        require(len(types) >= 2, "copy_async takes a target and a source")
        target, source = tensor(types[0], "the target of copy_async"), tensor(types[1], "the source of copy_async")
        require(target.space is Space.SHARED, "copy_async writes shared memory only")
        require(target.dtype == source.dtype, f"copy_async of {source.dtype.name} to {target.dtype.name}")
        check_slice(source, types[2 : 2 + source.rank], attrs, self.name)
        check_slice(target, types[2 + source.rank :], target_slice(target, attrs), self.name)
        check_code(attrs["fill"], source.dtype, "the fill")
        taken, given = slice_shape(attrs["sizes"]), slice_shape(attrs["target_sizes"])
        require(taken == given, f"copy_async copies {list(taken)} elements to a slice of {list(given)}")
        return ()

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        target, source, *starts = operands
        type, rank = op.operands[1].tensor, op.operands[1].tensor.rank
        index, mask = slice_index(source, starts[:rank], op.attrs)
        fill = type.dtype.from_codes(np.asarray(op.attrs["fill"], type.dtype.code_dtype))
        values = np.where(mask, source.read(index, mask), fill)
        place, _ = slice_index(target, starts[rank:], target_slice(op.operands[0].tensor, op.attrs))
        run.copy_async(op, values, target, place)
        return ()


class CommitGroup(OpDef):
    """Closes the group of the copies started since the last one was closed."""

    name = "commit_group"
    pure = False

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        operands(types, 0, self.name)
        return ()

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        run.commit_group()
        return ()


class WaitGroup(OpDef):
    """Waits until at most `pending` of the closed groups, the latest ones, are still under way."""

    name = "wait_group"
    pure = False
    attrs = schema(pending=int)

    def infer(self, types: Sequence[Type], attrs: Attrs) -> tuple[Type, ...]:
        operands(types, 0, self.name)
        require(attrs["pending"] >= 0, "wait_group cannot leave a negative number of groups pending")
        return ()

    def evaluate(self, run: Evaluator, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        run.wait_group(op.attrs["pending"])
        return ()


DEFINITIONS: tuple[OpDef, ...] = (CopyAsync(), CommitGroup(), WaitGroup())
