"""The least time that a launch needs, by memory, by products, and by instructions: bounds that code may not reach.

Memory: every tensor once, at the bandwidth of all cores. Products: the multiply-adds of `dot`, in the instructions that
the code has for them, at the rate of the vector units. Instructions: what the best loops execute for the products and
for the elements read, at the rate at which a core issues; loops that only prepare data are not in it.
"""

from __future__ import annotations

from collections.abc import Sequence

from vmc.backends.cpu.assembly.x86 import TILE_BITS
from vmc.backends.cpu.limits import Limits
from vmc.explain.explanation import Bound, LoopCost, TensorReport
from vmc.ir.cost import Work


def bounds(tensors: Sequence[TensorReport], work: Work, loops: Sequence[LoopCost], limits: Limits) -> tuple[Bound, ...]:
    """The bounds of a launch on as many of the cores as there are blocks for."""
    used = limits.with_cores(max(1, min(limits.cores, work.blocks)))
    found = [memory(tensors, used)]
    if work.multiply_adds:
        found.append(products(work, loops, used))
    return (*found, instructions(tensors, work, loops, used))


def memory(tensors: Sequence[TensorReport], limits: Limits) -> Bound:
    total = sum(tensor.bytes or 0 for tensor in tensors)
    rate = limits.bandwidth * limits.cores
    return Bound("memory", total / rate, f"{total:,} bytes at {rate / 1e9:.1f} GB/s")


def products(work: Work, loops: Sequence[LoopCost], limits: Limits) -> Bound:
    rates = [(loop.most_products * started(loop, limits), loop.most_products) for loop in loops if loop.most_products]
    if not rates:
        return Bound("products", None, "no loop has instructions that are known to add up products")
    a_cycle, most = max(rates)
    rate = a_cycle * limits.clock * limits.cores
    how = f"{work.multiply_adds:,} multiply-adds, {most} an instruction, at {rate / 1e9:,.0f} G/s"
    return Bound("products", work.multiply_adds / rate, how)


def started(loop: LoopCost, limits: Limits) -> float:
    """Multiplications of the loop's registers that a cycle starts."""
    return limits.tiles if loop.vector_bits == TILE_BITS else limits.multiplications


def instructions(tensors: Sequence[TensorReport], work: Work, loops: Sequence[LoopCost], limits: Limits) -> Bound:
    """Each of the best loops counts once, for what it has to do most turns for."""
    turns: dict[LoopCost, float] = {}
    missing: list[str] = []
    best = best_for_products(loops)
    if work.multiply_adds and best is not None and best.multiply_adds:
        turns[best] = work.multiply_adds / best.multiply_adds
    elif work.multiply_adds:
        missing.append("products")
    for tensor in tensors:
        loop = best_for_elements(loops, tensor.name)
        if loop is not None:
            turns[loop] = max(turns.get(loop, 0.0), least_reads(tensor, work) / (loop.elements(tensor.name) or 1.0))
        elif any(loop.reads(tensor.name) for loop in loops):
            missing.append(f"`{tensor.name}`")
    if not turns:
        return Bound("instructions", None, f"elements a turn are not derived: {', '.join(missing) or 'no loop'}")
    total = sum(times * loop.turn_instructions for loop, times in turns.items())
    rate = limits.instructions * limits.clock * limits.cores
    how = f"{total:,.0f} instructions in {', '.join(loop.label for loop in turns)}, at {rate / 1e9:.1f} G/s"
    return Bound("instructions", total / rate, how + (f"; without {', '.join(missing)}" if missing else ""))


def least_reads(tensor: TensorReport, work: Work) -> int:
    """Elements of a tensor that are read; where slices may reach past the end, what lies there is not."""
    count = work.read.get(tensor.name, 0)
    return min(count, tensor.elements or 0) if tensor.checked else count


def best_for_products(loops: Sequence[LoopCost]) -> LoopCost | None:
    """The loop with the fewest instructions for a product."""
    found = [loop for loop in loops if loop.multiply_adds]
    return min(found, key=lambda loop: loop.turn_instructions / (loop.multiply_adds or 1), default=None)


def best_for_elements(loops: Sequence[LoopCost], tensor: str) -> LoopCost | None:
    """The loop with the fewest instructions for an element of a tensor."""
    found = [loop for loop in loops if loop.elements(tensor)]
    return min(found, key=lambda loop: loop.turn_instructions / (loop.elements(tensor) or 1.0), default=None)
