"""Certificates: that every executor decodes every code of a type or block format to the same value, and a hash of all.

The values of a type are those of its decode table, which the exhaustive tests compare with exact arithmetic and with
ml_dtypes. Here the reference machine and native code, through the same kernel, are compared with it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vmc.ir.types import DType, dtype
from vmc.runtime.compiling import elaborate
from vmc.runtime.packed import pack

Array = npt.NDArray[Any]
TARGETS = ("interp", "cpu")
BLOCKS = 256
"""Blocks of a format that are decoded: in them every byte takes every value."""

TYPE_SOURCE = """
kernel decode[T: type](x: T[256], y: out f64[256]):
    y[0 : +256] = f64(x[0 : +256])
"""

FORMAT_SOURCE = """
kernel decode_every_byte[F: format = {name}](w: F[N], y: out f32[N]):
    for i in grid(cdiv(N, {elements})):
        y[i*{elements} : +{elements}] = f32(w[i*{elements} : +{elements}])
"""


class DisagreementError(Exception):
    """Two executors decode a code to different values."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A block format that a library file declares, named `file.format`. `fields` is its declaration in one line."""

    name: str
    elements: int
    bytes: int
    fields: str
    path: Path


@cache
def library_formats() -> tuple[Declared, ...]:
    """The block formats that come with vmc, in the order of files and declarations."""
    from vmc.lang import syntax
    from vmc.lang.elaborate.library import LIBRARY
    from vmc.lang.elaborate.modules import load_module
    from vmc.lang.elaborate.values import FormatRef

    found = []
    for path in sorted(LIBRARY.rglob("*.vmc")):
        text = path.read_text(encoding="utf-8")
        if "format " not in text:
            continue
        module = load_module(text, str(path))
        for node in module.tree.decls:
            thing = module.scope.names.get(node.name)
            if isinstance(node, syntax.FormatDecl) and isinstance(thing, FormatRef):
                form = thing.format
                fields = ", ".join(f"{f.name}: {f.dtype.name}{f'[{f.count}]' if f.count else ''}" for f in form.fields)
                found.append(Declared(f"{path.stem}.{form.name}", form.block, form.bytes, fields, path))
    return tuple(found)


def certify_type(type: DType) -> str:
    """The certificate of a type of at most 16 bits. Raises DisagreementError."""
    codes = type.codes()
    padded = np.resize(codes, -(-codes.size // 256) * 256).reshape(-1, 256)
    expected = type.decode(padded).astype(np.float64)
    for target in TARGETS:
        kernel = elaborate(TYPE_SOURCE, "<certificate>", None, target, {"T": type})
        for row, values in zip(padded, expected, strict=True):
            result = np.zeros(256)
            kernel(pack(row, type), result)
            agree(target, canonical(result), canonical(values))
    return digest(canonical(type.decode(codes).astype(np.float64)))


def certify_format(format: Declared) -> str:
    """The certificate of a block format. Raises DisagreementError."""
    text = format.path.read_text(encoding="utf-8")
    source = text + FORMAT_SOURCE.format(name=format.name.rpartition(".")[2], elements=format.elements)
    blocks = every_byte(format.bytes)
    results = {}
    for target in TARGETS:
        kernel = elaborate(source, str(format.path), "decode_every_byte", target, {})
        values = np.zeros(blocks.shape[0] * format.elements, np.float32)
        kernel(blocks, values)
        results[target] = canonical(values)
        agree(target, results[target], results["interp"])
    return digest(results["interp"])


def every_byte(size: int) -> Array:
    """uint8[256, size]: blocks in which every byte takes every value once, in another order than its neighbours."""
    numbers, places = np.arange(BLOCKS)[:, None], np.arange(size)[None, :]
    return np.ascontiguousarray((numbers * (2 * places + 1) + 37 * places) % 256, np.uint8)


def canonical(values: Array) -> Array:
    """Values with one NaN for all."""
    return np.where(np.isnan(values), values.dtype.type(np.nan), values)


def agree(target: str, got: Array, expected: Array) -> None:
    """Compares bits, so that -0 is not 0. Raises DisagreementError."""
    bits = dtype("u64" if got.dtype.itemsize == 8 else "u32").code_dtype
    different = got.view(bits) != expected.view(bits)
    if different.any():
        place = int(np.argmax(different))
        raise DisagreementError(f"{target} decodes element {place} to {got[place]!s}, expected {expected[place]!s}")


def digest(values: Array) -> str:
    return hashlib.blake2b(np.ascontiguousarray(values).tobytes(), digest_size=8).hexdigest()
