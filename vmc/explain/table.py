"""An explanation as text for a terminal: plain tables, no colours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vmc.explain.explanation import Explanation, LoopCost, Reading, TensorReport

NOT_DERIVED = "not derived"
REGISTERS = {0: "-", 128: "xmm", 256: "ymm", 512: "zmm", 8192: "tmm"}


def table(explanation: Explanation) -> str:
    """The whole explanation, with a line end."""
    parts = [
        head(explanation),
        section("tensors", tensors(explanation)),
        section("operations of a launch, tiles counted whole", operations(explanation)),
        section("decisions of the passes", decisions(explanation)),
        section("hot loops", loops(explanation)),
        section("predicted time of a launch, at least, with all tiles full", times(explanation)),
    ]
    return "\n\n".join(parts) + "\n"


def section(title: str, lines: Iterator[str]) -> str:
    return "\n".join([title, *(f"  {line}".rstrip() for line in lines)])


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows of cells as columns two blanks apart."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))


def head(explanation: Explanation) -> str:
    bound = ", ".join(f"{name}={value}" for name, value in explanation.bindings.items())
    sizes = ", ".join(f"{name}={value}" for name, value in explanation.symbols.items())
    kernel = f"{explanation.kernel}[{bound}]" if bound else explanation.kernel
    return f"{kernel} for {explanation.target} ({explanation.processor})" + (f", {sizes}" if sizes else "")


# Tensors


def tensors(explanation: Explanation) -> Iterator[str]:
    titles = ("name", "type", "access", "bytes", "read", "instructions load", "store", "checks")
    yield from aligned([titles, *map(tensor_row, explanation.tensors)])
    if explanation.bytes is not None:
        yield f"all together {explanation.bytes:,} bytes"
    for tensor in explanation.tensors:
        if tensor.storage is not None:
            yield f"{tensor.name} is packed as {tensor.storage}"


def tensor_row(tensor: TensorReport) -> tuple[str, ...]:
    size = tensor.formula if tensor.bytes is None else f"{tensor.bytes:,}"
    times = "-" if not tensor.times_read else f"{tensor.times_read:.4g} x"
    checks = ", ".join(tensor.checked) or "none"
    return (
        *(tensor.name, tensor.type, tensor.access, size, times, bit_text(tensor.load_bits)),
        *(bit_text(tensor.store_bits), checks + (", indexed" if tensor.indexed else "")),
    )


def bit_text(counts: Mapping[int | None, int]) -> str:
    """`8 x 512, 2 x 32 bits`: instructions by the bits that they access, wide ones first."""
    if not counts:
        return "-"
    ordered = sorted(counts.items(), key=lambda item: -(item[0] or 0))
    return ", ".join(f"{count} x {bits or '?'}" for bits, count in ordered) + " bits"


def operations(explanation: Explanation) -> Iterator[str]:
    work = explanation.work
    if work is None:
        yield f"{NOT_DERIVED}: {' and '.join(explanation.unbound)} not set"
        return
    rows = [
        ("blocks", f"{work.blocks:,}"),
        ("multiply-adds of dot", f"{work.multiply_adds:,}"),
        ("elementwise", f"{work.elementwise:,}"),
        ("along an axis", f"{work.along_axis:,}"),
    ]
    yield from aligned(rows)
    yield from (f"assumed: {text}" for text in work.assumed)


def decisions(explanation: Explanation) -> Iterator[str]:
    if not explanation.decisions:
        yield "none noted"
    for found in explanation.decisions:
        place = f"{found.file}:{found.line}: " if found.line else ""
        yield f"{found.step}: {found.text}"
        if place:
            yield f"    {place}{found.source}"


# Loops


def loops(explanation: Explanation) -> Iterator[str]:
    if explanation.unread is not None:
        yield f"{NOT_DERIVED}: {explanation.unread}"
        return
    hot = [loop for loop in explanation.loops if loop.hot]
    for loop in hot:
        yield loop_line(loop)
        yield "    " + ", ".join(f"{count} {name}" for name, count in loop.classes.items())
        for reading in loop.tensors:
            yield "    " + reading_line(loop, reading)
    rest = len(explanation.loops) - len(hot)
    if rest:
        yield f"and {rest} that only hold loops or use narrower registers (remainders, edges): --json lists them"
    for tensor in explanation.tensors:
        if any(loop.reads(tensor.name) for loop in explanation.loops):
            yield per_element(explanation, tensor)


def loop_line(loop: LoopCost) -> str:
    products = NOT_DERIVED if loop.multiply_adds is None else str(loop.multiply_adds)
    register = REGISTERS.get(loop.vector_bits, str(loop.vector_bits))
    place = f"depth {loop.depth}" if loop.innermost else f"depth {loop.depth}, around other loops"
    facts = [place, f"{loop.instructions} instructions", register]
    if loop.multiply_adds != 0:
        way = f" in {loop.turn_instructions} of them" if loop.turn_instructions < loop.instructions else ""
        facts.append(f"{products} multiply-adds{way}")
    return f"{loop.function} {loop.label}: {', '.join([*facts, f'{loop.spills} spills'])}"


def reading_line(loop: LoopCost, reading: Reading) -> str:
    parts = []
    if reading.load_bits:
        new = NOT_DERIVED if reading.elements is None else f"{reading.elements:.4g}"
        parts.append(f"loads {bit_text(reading.load_bits)}, new elements a turn: {new}")
    if reading.store_bits:
        parts.append(f"stores {bit_text(reading.store_bits)}")
    return f"{reading.tensor}: {'; '.join(parts)}"


def per_element(explanation: Explanation, tensor: TensorReport) -> str:
    loop = explanation.best_loop(tensor.name)
    if loop is None:
        return f"instructions for an element of {tensor.name}: {NOT_DERIVED}"
    each = loop.instructions_per_element(tensor.name)
    return f"instructions for an element of {tensor.name}: {each:.3g}, in {loop.label}"


# Bounds


def times(explanation: Explanation) -> Iterator[str]:
    if not explanation.bounds:
        yield f"{NOT_DERIVED}: {' and '.join(explanation.unbound)} not set"
        return
    rows = [
        (bound.name, NOT_DERIVED if bound.seconds is None else duration(bound.seconds), bound.how)
        for bound in explanation.bounds
    ]
    yield from aligned(rows)
    holds = explanation.holds
    if holds is not None:
        yield f"bound by {holds.name}"
    yield "what tiles hold past the edge counts, too, but is mostly not computed"
    limits = explanation.limits
    kind = "measured" if limits.is_measured else "assumed"
    yield (
        f"{limits.cores} cores; {kind} of each: {limits.bandwidth / 1e9:.1f} GB/s, "
        f"{limits.multiplications:.3g} vector multiplications a cycle; "
        f"assumed: {limits.clock / 1e9:.1f} GHz, {limits.instructions:.3g} instructions a cycle, "
        f"a multiplication of tiles in {1 / limits.tiles:.3g}"
    )


def duration(seconds: float) -> str:
    return f"{1e6 * seconds:,.1f} us"
