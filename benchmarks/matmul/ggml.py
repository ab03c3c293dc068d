"""ggml's contenders, called through the shared library that llama-cpp-python brings: ggml_mul_mat of f32 activations.

A weight lives in a buffer of the CPU backend. Besides the plain one there are buffers that rearrange weights for the
processor when they are filled (`CPU_REPACK`, `AMX`), as llama.cpp does; each that can multiply a type is a contender of
its own. What the stored blocks mean is told by the gguf package, which decodes them with NumPy.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import CFUNCTYPE, POINTER, c_bool, c_char_p, c_int, c_int64, c_size_t, c_void_p
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.matmul.contender import Contender, Missing, Product, library
from benchmarks.matmul.problem import Array, Shape, Weights
from benchmarks.matmul.tiles import put_back
from benchmarks.matmul.timing import nothing

INSTALL = "pip install llama-cpp-python gguf (builds ggml for this processor; needs cmake and a C++ compiler)"
TYPES = {
    "Q4_0": ("u4", 4),
    "Q4_K": ("u4", 4),
    "Q2_K": ("u2", 2),
    "Q3_K": ("u3", 3),
    "Q5_K": ("u5", 5),
    "Q6_K": ("u6", 6),
    "Q8_0": ("i8", 8),
    "TQ2_0": ("ternary", 2),
    "MXFP4": ("f4e2m1", 4),
}
"""ggml's name of a type: the element type it is compared with, and the bits of a weight without scales."""
AMX = "AMX"
LARGEST_BLOCK = 256
CONTEXT_BYTES = 1 << 20


class InitParams(ctypes.Structure):
    """ggml_init_params"""

    _fields_ = (("mem_size", c_size_t), ("mem_buffer", c_void_p), ("no_alloc", c_bool))


LOG = CFUNCTYPE(None, c_int, c_char_p, c_void_p)
SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "ggml_log_set": (None, (LOG, c_void_p)),
    "ggml_init": (c_void_p, (InitParams,)),
    "ggml_free": (None, (c_void_p,)),
    "ggml_new_tensor_2d": (c_void_p, (c_void_p, c_int, c_int64, c_int64)),
    "ggml_mul_mat": (c_void_p, (c_void_p, c_void_p, c_void_p)),
    "ggml_new_graph": (c_void_p, (c_void_p,)),
    "ggml_build_forward_expand": (None, (c_void_p, c_void_p)),
    "ggml_quantize_chunk": (
        c_size_t,
        (c_int, c_void_p, c_void_p, c_int64, c_int64, c_int64, c_void_p),
    ),
    "ggml_row_size": (c_size_t, (c_int, c_int64)),
    "ggml_backend_cpu_init": (c_void_p, ()),
    "ggml_backend_cpu_set_n_threads": (None, (c_void_p, c_int)),
    "ggml_backend_cpu_reg": (c_void_p, ()),
    "ggml_backend_cpu_buffer_type": (c_void_p, ()),
    "ggml_backend_reg_dev_get": (c_void_p, (c_void_p, c_size_t)),
    "ggml_backend_reg_get_proc_address": (c_void_p, (c_void_p, c_char_p)),
    "ggml_backend_dev_supports_op": (c_bool, (c_void_p, c_void_p)),
    "ggml_backend_buft_name": (c_char_p, (c_void_p,)),
    "ggml_backend_alloc_ctx_tensors_from_buft": (c_void_p, (c_void_p, c_void_p)),
    "ggml_backend_buffer_free": (None, (c_void_p,)),
    "ggml_backend_tensor_set": (None, (c_void_p, c_void_p, c_size_t, c_size_t)),
    "ggml_backend_tensor_get": (None, (c_void_p, c_void_p, c_size_t, c_size_t)),
    "ggml_backend_graph_compute": (c_int, (c_void_p, c_void_p)),
}


class Ggml:
    """The functions of `SIGNATURES` as methods, from whichever of ggml's libraries has them."""

    def __init__(self, folder: Path, threads: int) -> None:
        parts = [
            ctypes.CDLL(str(folder / name), mode=ctypes.RTLD_GLOBAL)
            for name in ("libggml-base.so", "libggml-cpu.so", "libggml.so")
        ]
        for name, (result, arguments) in SIGNATURES.items():
            function = next(getattr(part, name) for part in parts if hasattr(part, name))
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)
        self.threads = threads
        self.quiet = LOG(lambda level, text, data: None)
        self.ggml_log_set(self.quiet, None)
        self.backend = self.ggml_backend_cpu_init()
        self.ggml_backend_cpu_set_n_threads(self.backend, threads)
        registry = self.ggml_backend_cpu_reg()
        self.device = self.ggml_backend_reg_dev_get(registry, 0)
        self.registry = registry

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)

    def buffer_types(self) -> dict[str, int]:
        """The plain buffer type, named "", and those that rearrange weights."""
        found = {"": self.ggml_backend_cpu_buffer_type()}
        address = self.ggml_backend_reg_get_proc_address(self.registry, b"ggml_backend_dev_get_extra_bufts")
        if address:
            extra = CFUNCTYPE(POINTER(c_void_p), c_void_p)(address)(self.device)
            place = 0
            while extra[place]:
                found[self.ggml_backend_buft_name(extra[place]).decode()] = extra[place]
                place += 1
        return found

    def prepare(self) -> None:
        """Has each thread ready for AMX."""
        put_back(self.threads)

    def context(self) -> int:
        """A context for a few tensors and a graph, whose data lie elsewhere."""
        made: int = self.ggml_init(InitParams(CONTEXT_BYTES, None, True))
        return made


@lru_cache(maxsize=1)
def ggml(threads: int) -> Ggml:
    """ggml with that many threads. Raises Missing."""
    package = find_spec("llama_cpp")
    if package is None or not package.submodule_search_locations:
        raise Missing(f"llama_cpp is not installed: {INSTALL}")
    folder = Path(package.submodule_search_locations[0]) / "lib"
    if not (folder / "libggml-cpu.so").exists():
        raise Missing(f"{folder} has no libggml-cpu.so: {INSTALL}")
    return Ggml(folder, threads)


@dataclass(frozen=True, eq=False)
class Stored:
    """`blocks` uint8[N, bytes of a row of K weights] of the ggml type `number`; multiplied with AMX tiles or not."""

    found: Ggml
    number: int
    buffer_type: int
    shape: Shape
    blocks: Array
    tiles: bool

    @property
    def nbytes(self) -> int:
        return self.blocks.nbytes

    def values(self) -> Array:
        gguf = library("gguf", INSTALL)
        rows = gguf.quants.dequantize(self.blocks, gguf.GGMLQuantizationType(self.number))
        return np.asarray(rows).T

    def load(self, x: Array, copies: int) -> Sequence[Product]:
        return [Copy(self, x).product() for _ in range(copies)]


class Copy:
    """One copy of the weights and the graph of its product; freed with the object."""

    def __init__(self, stored: Stored, x: Array) -> None:
        lib, shape = stored.found, stored.shape
        self.library, self.m, self.n = lib, len(x), shape.n
        self.tiles = stored.tiles
        self.contexts = [lib.context(), lib.context()]
        w = lib.ggml_new_tensor_2d(self.contexts[0], stored.number, shape.k, shape.n)
        inputs = lib.ggml_new_tensor_2d(self.contexts[1], 0, shape.k, len(x))
        plain = lib.ggml_backend_cpu_buffer_type()
        self.buffers = [lib.ggml_backend_alloc_ctx_tensors_from_buft(self.contexts[0], stored.buffer_type)]
        self.y = lib.ggml_mul_mat(self.contexts[1], w, inputs)
        self.buffers.append(lib.ggml_backend_alloc_ctx_tensors_from_buft(self.contexts[1], plain))
        self.graph = lib.ggml_new_graph(self.contexts[1])
        lib.ggml_build_forward_expand(self.graph, self.y)
        lib.ggml_backend_tensor_set(w, stored.blocks.ctypes.data, 0, stored.blocks.nbytes)
        lib.ggml_backend_tensor_set(inputs, x.ctypes.data, 0, x.nbytes)

    def product(self) -> Product:
        return Product(self.run, self.result, self.library.prepare if self.tiles else nothing)

    def run(self) -> None:
        self.library.ggml_backend_graph_compute(self.library.backend, self.graph)

    def result(self) -> Array:
        y = np.empty((self.m, self.n), np.float32)
        self.library.ggml_backend_tensor_get(self.y, y.ctypes.data, 0, y.nbytes)
        return y

    def __del__(self) -> None:
        for buffer in self.buffers:
            self.library.ggml_backend_buffer_free(buffer)
        for context in self.contexts:
            self.library.ggml_free(context)


def contenders(threads: int) -> list[Contender]:
    """Each type in each buffer type that can multiply it. Raises Missing."""
    found = ggml(threads)
    library("gguf", INSTALL)
    return [
        contender(found, name, label, buffer_type)
        for name in TYPES
        for label, buffer_type in found.buffer_types().items()
        if not label or can_multiply(found, name, buffer_type)
    ]


def contender(found: Ggml, name: str, label: str, buffer_type: int) -> Contender:
    type, bits = TYPES[name]

    def store(weights: Weights) -> Stored:
        number = type_number(name)
        return Stored(found, number, buffer_type, weights.shape, quantized(found, number, weights), label == AMX)

    title = f"ggml {name.lower()}" + (f" {label.removeprefix('CPU_').lower()}" if label else "")
    return Contender(title, "ggml", type, bits, "int8", store, lambda shape: shape.k % LARGEST_BLOCK == 0)


def type_number(name: str) -> int:
    return int(library("gguf", INSTALL).GGMLQuantizationType[name])


def can_multiply(found: Ggml, name: str, buffer_type: int) -> bool:
    """Whether weights of a type in such a buffer can be multiplied, asked with a small matrix."""
    contexts = [found.context(), found.context()]
    w = found.ggml_new_tensor_2d(contexts[0], type_number(name), 512, 512)
    buffer = found.ggml_backend_alloc_ctx_tensors_from_buft(contexts[0], buffer_type)
    x = found.ggml_new_tensor_2d(contexts[1], 0, 512, 1)
    able = bool(buffer) and found.ggml_backend_dev_supports_op(found.device, found.ggml_mul_mat(contexts[1], w, x))
    if buffer:
        found.ggml_backend_buffer_free(buffer)
    for context in contexts:
        found.ggml_free(context)
    return bool(able)


def quantized(found: Ggml, number: int, weights: Weights) -> Array:
    """uint8[N, bytes of a row]: ggml's own quantization of each column of the weights."""
    k, n = weights.shape.k, weights.shape.n
    rows = np.ascontiguousarray(weights.values.T)
    blocks = np.empty((n, found.ggml_row_size(number, k)), np.uint8)
    found.ggml_quantize_chunk(number, rows.ctypes.data, blocks.ctypes.data, 0, n, k, None)
    return blocks
