"""Products by matrix instructions of warpgroups (wgmma): which are, by cost, and how their first factor lies.

    dot %a, %b, %c         -->     dot_warpgroup %a, %b, %c
    dot_fp8 %a, %b, %c     -->     add (dot_warpgroup %a, %b, 0), %c       in `fast` kernels

The cost of a step is that of the busiest part of the machine: tensor cores, shared memory, decoding; device memory has
the same work either way. Per clock, a multiprocessor of an H100 makes 2048 multiply-adds of f16, or 4096 of 8 bits,
reads 128 bytes of shared memory, and makes 64 logic operations (NVIDIA H100 white paper: 989 and 1979 TFLOPS of 132
multiprocessors at 1.83 GHz; CUDA C++ Programming Guide, "Arithmetic Instructions"). mma.sync reaches 62 % of the
multiply-adds (Luo et al., Benchmarking and Dissecting the Nvidia Hopper GPU Architecture, 2024) and reads the first
factor once a warp; wgmma reads it once a warpgroup, and takes as long for fewer than 64 rows of the result as for 64.
The cycles of the wait at the end of a step are a guess; none were measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, prod

from vmc.ir.core import Kernel, Module, Note, Op, Storage, TileType, Value, walk
from vmc.ir.decode import Decoder
from vmc.ir.layout import BIT, Digit, Layout
from vmc.ir.ops.linear import PAIRS
from vmc.ir.passes.gpu.decoding import decoder_of
from vmc.ir.passes.gpu.fp8 import RUN
from vmc.ir.passes.gpu.matrix import WARPS, Product, product_of, warpgroup_product
from vmc.ir.passes.gpu.weights import block_of
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.rewrite import Rewriter, each_kernel

MULTIPLY_ADDS, SHARED_BYTES, LOGIC = {16: 2048, 8: 4096}, 128, 64
BY_WARPS = 0.62
ROWS_IN_USE = 64
DRAIN = {True: 100, False: 32}
"""Cycles at the end of a step in which its results are waited for: of wgmma, of mma.sync."""
LINE = 128
"""Bits that matrix instructions read at once, and that stay together."""
LINES, WIDEST = 8, 8
"""Lines of a group that swizzles repeat with, and chunks of the widest line."""
LINE_BITS = (256, 512, 1024)
"""The lines that swizzles are for."""
BYTE_ROWS = 16
"""Products of bytes have a multiple of so many rows."""
CONVERSION = 0.5
"""Operations that make an f16 of an 8-bit float, two at once."""

# ---- the choice ------------------------------------------------------------------------------------------------------


def choose_warpgroups(module: Module) -> Module:
    """Needs: decodes before products, no order of weights chosen. Guarantees: a product of f16, bf16 or bytes, in
    `fast` kernels also of 8-bit floats, that warpgroups compute in fewer cycles than warps is a `dot_warpgroup`, in
    kernels without pinned layouts, unless weights could then not lie as they are decoded. Idempotent. Keeps: everything
    else; the bound of `dot`, for 8-bit floats that of `dot_fp8`.
    """
    return each_kernel(module, chosen)


def chosen(kernel: Kernel) -> Kernel:
    tiles = (value.type for op in walk(kernel.body) for value in op.results)
    if any(isinstance(type, TileType) and type.layout is not None for type in tiles):
        return kernel
    makers = {op.result: op for op in walk(kernel.body) if len(op.results) == 1}
    notes: list[Note] = []

    def rule(op: Op, rewriter: Rewriter) -> Sequence[Value] | None:
        if not is_candidate(op, kernel.fast) or (pair := both_ways(op, kernel.threads)) is None:
            return None
        decoder = decoder_behind(op.operands[1], makers)
        decoding = decoder.operations_per_code if decoder is not None else 0
        by_group = cycles(pair[0], decoding)
        by_warp = cycles(pair[1], decoding, as_halves=op.name == "dot_fp8")
        taken = by_group < by_warp and not (decoder is not None and loses_order(*pair, decoder))
        note = Note("warpgroups", told(pair[0], by_group, by_warp, taken, op.name == "dot_fp8"), op.span)
        if note not in notes:
            notes.append(note)
        return computed(op, rewriter) if taken else None

    changed = Rewriter(rule).kernel(kernel)
    return changed.noted(*notes) if notes else kernel


def is_candidate(op: Op, fast: bool) -> bool:
    """Whether warpgroups may compute a product. Their sums of 8-bit floats have 13 bits behind the point
    (`machines.py`), so they may only where those are welcome, and one product ends no run of them.
    """
    if op.name == "dot_fp8":
        return fast and not op.attrs["native"] and op.operands[0].tile.shape[1] <= RUN
    return op.name == "dot"


def computed(op: Op, rewriter: Rewriter) -> Sequence[Value]:
    """A product by warpgroups. Sums of few bits begin at zero, and are then added to the others."""
    a, b, start = op.operands
    if op.name != "dot_fp8":
        return (rewriter.emit("dot_warpgroup", a, b, start, run=0),)
    maker = rewriter.producer(start)
    if maker is not None and maker.name == "constant" and maker.attrs["code"] == 0:
        return (rewriter.emit("dot_warpgroup", a, b, start, run=RUN),)
    zero = rewriter.emit("constant", type=start.tile, code=0)
    return (rewriter.emit("add", rewriter.emit("dot_warpgroup", a, b, zero, run=RUN), start),)


def both_ways(op: Op, threads: int) -> tuple[Product, Product] | None:
    """How warpgroups and how warps compute a product; None where one of them does not."""
    by_warp, a = product_of(op, threads), op.operands[0].tile.dtype
    if by_warp is None or not any({a.name, op.operands[1].tile.dtype.name} <= pair for pair in PAIRS):
        return None
    by_group = warpgroup_product(by_warp.m, by_warp.n, by_warp.k, threads, a.width)
    fits = panel(by_warp.k, a.width) is not None and (a.is_float or by_warp.m % BYTE_ROWS == 0)
    return (by_group, by_warp) if by_group is not None and fits else None


def decoder_behind(value: Value, makers: dict[Value, Op]) -> Decoder | None:
    """What decodes a second factor."""
    op = makers.get(value)
    return decoder_of(op) if op is not None and op.name == "decode" else None


def loses_order(by_group: Product, by_warp: Product, decoder: Decoder) -> bool:
    """Whether weights can lie in the order in which warps decode them, but not in that of warpgroups."""
    return block_of(by_group, decoder) is None and block_of(by_warp, decoder) is not None


def cycles(product: Product, decoding: float, as_halves: bool = False) -> int:
    """The cycles of a step on one multiprocessor, of `decoding` operations for an element of B; `as_halves`: of 8-bit
    floats that are converted.
    """
    m, n, k = product.m, product.n, product.k
    rows, columns, _ = product.warps
    grouped, bits = product.instruction.warpgroup, product.instruction.bits
    rate = MULTIPLY_ADDS[16 if as_halves else bits] * (1 if grouped else BY_WARPS)
    readers = n // 64 if grouped else columns
    converted = CONVERSION * (rows * n * k + columns * m * k) if as_halves else 0
    parts = (
        (max(m, ROWS_IN_USE) if grouped else m) * n * k / rate,
        readers * m * k * bits / 8 / SHARED_BYTES,
        (rows * n * k * decoding + converted) / LOGIC,
    )
    return ceil(max(parts)) + DRAIN[grouped]


def told(product: Product, by_group: int, by_warp: int, taken: bool, short: bool) -> str:
    m, n, k = product.m, product.n, product.k
    groups = prod(product.warps) // WARPS
    one = f"wgmma m64n{m}k{product.instruction.k}, {groups} warpgroup{'s' if groups > 1 else ''}, {by_group} cycles"
    other = f"mma.sync, {by_warp} cycles"
    if not taken:
        why = ", but weights could not lie as they are decoded" if by_group < by_warp else ""
        return f"a step of {m} x {n} x {k} is computed by {other} by the model; {one}{why}"
    bound = (
        f"; sums of {k} products keep 13 bits behind the point (`fast`), and are added in f32: off by at most "
        f"{k + k // 16} * 2^-13 of |a| @ |b|, or of the largest product"
    )
    return f"a step of {m} x {n} x {k} is computed by {one} by the model; {other}{bound if short else ''}"


choosing = Pass("warpgroups", choose_warpgroups)

# ---- how the first factor lies ---------------------------------------------------------------------------------------


def panel(depth: int, bits: int = 16) -> int | None:
    """The columns of a factor's panels: what a line of at most 128 bytes holds; None where there is no such line."""
    columns = min(depth, WIDEST * LINE // bits)
    return columns if columns * bits in LINE_BITS and depth % columns == 0 else None


def panels(factor: tuple[int, ...], bits: int = 16, stages: bool = False) -> Storage:
    """A `factor` [rows, depth] of so many bits as matrix instructions read it: panels of lines, their chunks of 16
    bytes exchanged by the line's address (PTX ISA, wgmma, "Swizzling Modes"); with `stages`, behind a dimension of
    those.
    """
    rows, depth = factor
    columns = panel(depth, bits)
    assert columns is not None
    line = bits * columns
    digits = [
        Digit(rows, line, BIT),
        Digit(depth // columns, rows * line, BIT),
        Digit(columns, bits, BIT),
        Digit(bits, 1, BIT),
    ]
    shape = (*((1,) if stages else ()), rows, depth)
    layout = Layout.of(shape, digits, bits=bits)
    exchanged = (line // LINE).bit_length() - 1
    layout = layout.swizzled(LINE.bit_length() - 1, exchanged, LINES.bit_length() - 1)
    return Storage(shape, layout, rows * depth * bits)
