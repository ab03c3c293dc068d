"""Products by matrix instructions of warpgroups (wgmma): which are, by cost, and how their first factor lies.

    dot %a, %b, %c     -->     dot_warpgroup %a, %b, %c

The cost of a step is that of the busiest part of the machine: tensor cores, shared memory, decoding; device memory has
the same work either way. Per clock, a multiprocessor of an H100 makes 4096 multiply-adds of f16, reads 128 bytes of
shared memory, and makes 64 logic operations (NVIDIA H100 white paper; CUDA C++ Programming Guide, "Arithmetic
Instructions"). mma.sync reaches 62 % of the multiply-adds (Luo et al., Benchmarking and Dissecting the Nvidia Hopper
GPU Architecture, 2024) and reads the first factor once a warp; wgmma reads it once a warpgroup, and takes as long for
fewer than 64 rows of the result as for 64. The cycles of the wait at the end of a step are a guess; none were measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, prod

from vmc.ir.core import Kernel, Module, Note, Op, Storage, TileType, Value, walk
from vmc.ir.layout import BIT, Digit, Layout
from vmc.ir.passes.gpu.decoding import decoder_of
from vmc.ir.passes.gpu.matrix import WARPS, Product, product_of, warpgroup_product
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.rewrite import Rewriter, each_kernel

MULTIPLY_ADDS, SHARED_BYTES, LOGIC = 4096, 128, 64
BY_WARPS = 0.62
ROWS_IN_USE = 64
DRAIN = {True: 100, False: 32}
"""Cycles at the end of a step in which its results are waited for: of wgmma, of mma.sync."""
LINE = 128
"""Bits that matrix instructions read at once, and that stay together."""
LINES, WIDEST = 8, 8
"""Lines of a group that swizzles repeat with, and chunks of the widest line."""

# ---- the choice ------------------------------------------------------------------------------------------------------


def choose_warpgroups(module: Module) -> Module:
    """Needs: decodes before products, no order of weights chosen. Guarantees: a product of f16 or bf16 that warpgroups
    compute in fewer cycles than warps is a `dot_warpgroup`, in kernels without pinned layouts. Idempotent. Keeps:
    everything else.
    """
    return each_kernel(module, chosen)


def chosen(kernel: Kernel) -> Kernel:
    tiles = (value.type for op in walk(kernel.body) for value in op.results)
    if any(isinstance(type, TileType) and type.layout is not None for type in tiles):
        return kernel
    makers = {op.result: op for op in walk(kernel.body) if len(op.results) == 1}
    notes: list[Note] = []

    def rule(op: Op, rewriter: Rewriter) -> Sequence[Value] | None:
        if op.name != "dot" or (pair := both_ways(op, kernel.threads)) is None:
            return None
        decoding = operations_of(op.operands[1], makers)
        by_group, by_warp = (cycles(product, decoding) for product in pair)
        note = Note("warpgroups", told(pair[0], by_group, by_warp), op.span)
        if note not in notes:
            notes.append(note)
        return [rewriter.emit("dot_warpgroup", *op.operands)] if by_group < by_warp else None

    changed = Rewriter(rule).kernel(kernel)
    return changed.noted(*notes) if notes else kernel


def both_ways(op: Op, threads: int) -> tuple[Product, Product] | None:
    """How warpgroups and how warps compute a product; None where one of them does not."""
    by_warp = product_of(op, threads)
    if by_warp is None or op.operands[0].tile.dtype.name not in ("f16", "bf16"):
        return None
    by_group = warpgroup_product(by_warp.m, by_warp.n, by_warp.k, threads)
    fits = panel(by_warp.k) is not None
    return (by_group, by_warp) if by_group is not None and fits else None


def operations_of(value: Value, makers: dict[Value, Op]) -> float:
    """The operations that decode an element of a second factor."""
    op = makers.get(value)
    if op is None or op.name != "decode":
        return 0
    decoder = decoder_of(op)
    return decoder.operations_per_code if decoder is not None else 0


def cycles(product: Product, decoding: float) -> int:
    """The cycles of a step on one multiprocessor, of `decoding` operations for an element of B."""
    m, n, k = product.m, product.n, product.k
    rows, columns, _ = product.warps
    grouped = product.instruction.warpgroup
    rate = MULTIPLY_ADDS if grouped else MULTIPLY_ADDS * BY_WARPS
    readers = n // 64 if grouped else columns
    parts = (
        (max(m, ROWS_IN_USE) if grouped else m) * n * k / rate,
        readers * m * k * 2 / SHARED_BYTES,
        rows * n * k * decoding / LOGIC,
    )
    return ceil(max(parts)) + DRAIN[grouped]


def told(product: Product, by_group: int, by_warp: int) -> str:
    m, n, k = product.m, product.n, product.k
    groups = prod(product.warps) // WARPS
    one = f"wgmma m64n{m}k16, {groups} warpgroup{'s' if groups > 1 else ''}, {by_group} cycles"
    other = f"mma.sync, {by_warp} cycles"
    taken, left = (one, other) if by_group < by_warp else (other, one)
    return f"a step of {m} x {n} x {k} is computed by {taken} by the model; {left}"


choosing = Pass("warpgroups", choose_warpgroups)

# ---- how the first factor lies ---------------------------------------------------------------------------------------


def panel(depth: int) -> int | None:
    """The columns of a factor's panels: what a line of at most 128 bytes holds; None where there is no such line."""
    columns = min(depth, WIDEST * LINE // 16)
    return columns if columns in (16, 32, 64) and depth % columns == 0 else None


def panels(factor: tuple[int, ...], stages: bool = False) -> Storage:
    """A `factor` [rows, depth] of 16 bits as matrix instructions read it: panels of lines, their chunks of 16 bytes
    exchanged by the line's address (PTX ISA, wgmma, "Swizzling Modes"); with `stages`, behind a dimension of those.
    """
    rows, depth = factor
    columns = panel(depth)
    assert columns is not None
    line = 16 * columns
    digits = [
        Digit(rows, line, BIT),
        Digit(depth // columns, rows * line, BIT),
        Digit(columns, 16, BIT),
        Digit(16, 1, BIT),
    ]
    shape = (*((1,) if stages else ()), rows, depth)
    layout = Layout.of(shape, digits, bits=16)
    exchanged = (line // LINE).bit_length() - 1
    layout = layout.swizzled(LINE.bit_length() - 1, exchanged, LINES.bit_length() - 1)
    return Storage(shape, layout, rows * depth * 16)
