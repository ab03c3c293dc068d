"""Relayout of weights for matrix instructions: every thread finds the codes that it decodes in words side by side.

The storage of a weight is the composition of three orders: which codes a thread multiplies, from the fragment of the
instruction; which bits of them stand in one word, from the decoder; and where the words of 32 threads lie, so that each
thread reads 16 bytes at once and a warp 512 bytes in a row. A block is what one warp reads of one step of K: it has as
few rows as make 16 bytes, or several times that, for every thread, if the slices have so many.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from math import gcd

from vmc.ir.core import Kernel, Module, Note, Op, Storage, Value, walk
from vmc.ir.decode import Decoder
from vmc.ir.layout import BIT, LANE, Digit, Layout, Shuffle, local, mma_fragment
from vmc.ir.multiples import Multiples
from vmc.ir.passes.gpu.decoding import decoder_of
from vmc.ir.passes.gpu.matrix import Product, product_of, threads_for
from vmc.ir.passes.gpu.spread import WARP_SIZE
from vmc.ir.passes.manager import Pass
from vmc.ir.passes.relayout import may_be_laid_out, users_of, with_storages
from vmc.ir.passes.rewrite import each_kernel

WORD, WIDEST = 32, 4
"""Bits of a word, and the words of the widest access."""


@dataclass(frozen=True, slots=True)
class Consumer:
    """A load of a weight, the product that takes it, and the decoder between them."""

    load: Op
    product: Product
    decoder: Decoder


def weights(keep: frozenset[str] = frozenset()) -> Pass:
    """The pass `weights` that leaves the tensors named in `keep` as they are."""

    def lay_out_weights(module: Module) -> Module:
        """Needs: decodes before products. Guarantees: a tensor of two dimensions that is only read, and only to be
        decoded for products of matrix instructions, has the storage of those, where the slices taken of it are whole
        blocks, and no other kernel of the module reads it. Kernels with such products have their number of threads.
        Idempotent. Keeps: the operations; tensors that have a storage.
        """
        readers = Counter(name for kernel in module.kernels for name in accessed(kernel))
        shared = keep.union(name for name, kernels in readers.items() if kernels > 1)
        return each_kernel(module, lambda kernel: stored(kernel, shared))

    return Pass("weights", lay_out_weights)


def accessed(kernel: Kernel) -> set[str]:
    """The names of the parameters that a kernel uses."""
    used = {value for op in walk(kernel.body) for value in op.operands}
    return {param.name for param in kernel.params if param in used}


def stored(kernel: Kernel, keep: frozenset[str]) -> Kernel:
    threads = kernel.threads or threads_for(kernel)
    kernel = kernel if threads == kernel.threads else replace(kernel, threads=threads)
    chosen = (
        {}
        if not threads
        else {
            param: storage
            for param in kernel.params
            if param.name not in keep and (storage := storage_for(kernel, param)) is not None
        }
    )
    if not chosen:
        return kernel
    notes = [Note("weights", told(param, storage), kernel.span) for param, storage in chosen.items()]
    return with_storages(kernel, chosen).noted(*notes)


def told(param: Value, storage: Storage) -> str:
    rows, columns = storage.block
    own = rows * columns * param.tensor.dtype.width // WARP_SIZE
    return (
        f"`{param.name}`: blocks of {rows} x {columns} codes, of which each of {WARP_SIZE} threads holds {own // WORD} "
        f"words in the order that it decodes; a thread reads {vector_words(own // WORD) * 4} bytes at once"
    )


def storage_for(kernel: Kernel, param: Value) -> Storage | None:
    """The storage of a parameter; None where it is no such weight."""
    if not may_be_laid_out(param):
        return None
    consumers = consumers_of(kernel, param)
    if not consumers:
        return None
    first = consumers[0]
    if any((c.product, c.decoder) != (first.product, first.decoder) for c in consumers):
        return None
    multiples = Multiples(kernel.body)
    rows, columns = (gcd(*parts) for parts in zip(*(multiples.granularity(c.load) for c in consumers), strict=True))
    block = block_of(first.product, first.decoder)
    if block is None or rows % block[0] or columns % block[1]:
        return None
    return storage_of(first.product, first.decoder, block)


def consumers_of(kernel: Kernel, param: Value) -> list[Consumer]:
    """The loads of a parameter, if each leads to a product by a decode and to nothing else; else none."""
    users = users_of(kernel)
    found = []
    for load in users.get(param, []):
        decodes = users.get(load.result, []) if load.name == "load" else []
        if not decodes or load.attrs["fill"] or any(op.name != "decode" for op in decodes):
            return []
        for decode in decodes:
            dots = users.get(decode.result, [])
            if not dots or any(not takes(dot, decode.result) for dot in dots):
                return []
            made = decoder_of(decode)
            for dot in dots:
                product = product_of(dot, kernel.threads)
                if made is None or product is None:
                    return []
                found.append(Consumer(load, product, made))
    return found


def takes(op: Op, value: Value) -> bool:
    """Whether an operation is a product with the value as its second factor only."""
    return product_of(op) is not None and op.operands[1] is value and value not in (op.operands[0], op.operands[2])


def block_of(product: Product, decoder: Decoder) -> tuple[int, int] | None:
    """The rows and columns of a block; None where a warp's part of a step is not made of whole units. For warpgroups it
    has all rows of a step, for others the fewest that are read by the widest accesses.
    """
    columns = product.n // product.warps[1]
    step = product.instruction.k
    fitting = [
        rows
        for rows in range(step, product.k + 1, step)
        if product.k % rows == 0 and rows * columns % (WARP_SIZE * decoder.codes) == 0
    ]
    if not fitting:
        return None
    words = {rows: rows * columns * decoder.width // WARP_SIZE // WORD for rows in fitting}
    if product.instruction.warpgroup:
        return product.k, columns
    return min(fitting, key=lambda rows: (-vector_words(words[rows]), rows)), columns


def vector_words(words: int) -> int:
    """The words that a thread reads at once."""
    return gcd(words, WIDEST)


def storage_of(product: Product, decoder: Decoder, block: tuple[int, int]) -> Storage:
    """Blocks along K, then along N; for warpgroups along N first, so that a step is one run of bytes, which one
    instruction copies."""
    rows, columns = block
    codes = rows * columns // WARP_SIZE
    words = codes * decoder.width // WORD
    vector = vector_words(words)
    inner = code_numbers(product, block, decoder.width)
    bits = tuple(decoder.order[code][bit] for code in range(decoder.codes) for bit in range(decoder.width))
    outer = Layout.of(
        (WARP_SIZE * words * WORD,),
        [
            Digit(WARP_SIZE, vector * WORD, BIT),
            Digit(words // vector, WARP_SIZE * vector * WORD, BIT),
            Digit(vector * WORD, 1, BIT),
        ],
    )
    order = () if product.instruction.warpgroup else (1, 0)
    return Storage(block, inner, rows * columns * decoder.width, order, Shuffle(bits, outer))


def code_numbers(product: Product, block: tuple[int, int], width: int) -> Layout:
    """The bits of a block in the order of threads, and of each thread's codes: along K first, as products take them."""
    rows, columns = block
    instruction = product.instruction
    fragment = mma_fragment(instruction.name, "b", instruction.bits)
    whole = local(rows // instruction.k, columns // 8) * fragment
    codes = rows * columns // WARP_SIZE
    scale = {LANE: codes * width, BIT: width}
    digits = [Digit(d.extent, d.stride * scale[d.axis], BIT) for d in whole.digits]
    return Layout.of(block, [*digits, Digit(width, 1, BIT)], bits=width)
