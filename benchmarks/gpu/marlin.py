"""SGLang's Marlin: GPTQ weights of 4 and 8 bits with f16 activations.

Of two packages that have it, whichever is installed: `sglang`, which compiles it where it runs, or `sgl-kernel` up to
0.3, which brings it compiled. The order of the weights is made by the package's own repacking of GPTQ's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.gpu.device import INSTALL, Device
from benchmarks.gpu.peers import Tensors
from benchmarks.gpu.problem import Tensor, Weights, group_scales, repeated
from benchmarks.matmul.contender import Contender, Missing, library

HOW = 'pip install sglang, or "sgl-kernel<0.4" (several hundred megabytes)'
GROUPS = (32, 64, 128)
BITS = {4: "u4", 8: "u8"}
ROW, COLUMNS = 64, 8


@dataclass(frozen=True)
class Package:
    """The functions of one of the packages: the product, the repacking, and the types of weights by their bits."""

    multiply: Callable[..., Tensor]
    repack: Callable[..., Tensor]
    types: dict[int, Any]


def package() -> Package:
    """Raises Missing."""
    try:
        kernel = library("sgl_kernel", HOW)
        types = library("sgl_kernel.scalar_type", HOW).scalar_types
    except ImportError as error:  # a shared library of it that does not load
        raise Missing(f"sgl_kernel does not load ({error}): {HOW}") from None
    known = {4: types.uint4b8, 8: types.uint8b128}
    if hasattr(kernel, "gptq_marlin_gemm") and hasattr(kernel, "gptq_marlin_repack"):
        return Package(kernel.gptq_marlin_gemm, kernel.gptq_marlin_repack, known)
    multiply = library("sglang.kernels.ops.gemm.gptq_marlin", HOW).gptq_marlin_gemm
    repack = library("sglang.kernels.ops.quantization.gptq_marlin_repack", HOW).gptq_marlin_repack
    return Package(multiply, repack, known)


def contenders(device: Device) -> list[Contender]:
    """Raises Missing."""
    found = package()
    return [contender(found, bits, type) for bits, type in BITS.items()]


def contender(found: Package, bits: int, type: str) -> Contender:
    return Contender(
        f"marlin {type}",
        "marlin",
        type,
        bits,
        "f16",
        lambda weights: store(found, weights, bits),
        lambda shape: shape.group in GROUPS and shape.k % 128 == 0 and shape.n % 64 == 0,
    )


def store(found: Package, weights: Weights, bits: int) -> Tensors:
    torch = library("torch", INSTALL)
    k, n, group = weights.shape.k, weights.shape.n, weights.shape.group
    zero = 1 << bits - 1
    scales = group_scales(weights.values, group, zero - 1)
    steps = repeated(scales, group, k)
    codes = (torch.round(weights.values / steps).clamp(-zero, zero - 1) + zero).to(torch.uint8)
    nothing = torch.empty(0, dtype=torch.int32, device=codes.device)
    packed = found.repack(gptq_words(codes, bits), nothing, k, n, bits)
    ordered = scales.reshape(-1, ROW)[:, scale_order(codes.device)].reshape(-1, n).contiguous()
    count = torch.cuda.get_device_properties(codes.device).multi_processor_count

    def dense() -> Tensor:
        return (codes.float() - zero) * repeated(scales, group, k)

    def prepare(x: Tensor, w: Tensor, s: Tensor) -> Callable[[], Tensor]:
        y = torch.empty(x.shape[0], n, dtype=torch.float16, device=x.device)
        space = torch.zeros(count, dtype=torch.int32, device=x.device)

        def multiply() -> Tensor:
            return found.multiply(
                x, y, w, s, None, None, None, None, space, found.types[bits], x.shape[0], n, k, use_fp32_reduce=True
            )

        return multiply

    return Tensors(
        (packed, ordered), torch.float16, prepare, lambda: (codes.float() - zero) * repeated(scales, group, k)
    )


def gptq_words(codes: Tensor, bits: int) -> Tensor:
    """int32[K * bits / 32, N]: codes of consecutive rows in one word, the first in the lowest bits."""
    torch = library("torch", INSTALL)
    each = 32 // bits
    rows = codes.to(torch.int64).reshape(codes.shape[0] // each, each, codes.shape[1])
    shifts = torch.arange(0, 32, bits, device=codes.device).reshape(1, each, 1)
    words = (rows << shifts).sum(dim=1)
    return torch.where(words >= 1 << 31, words - (1 << 32), words).to(torch.int32).contiguous()


def scale_order(device: Any) -> Tensor:
    """Where Marlin has the scales of 64 columns: those of columns 8 apart are neighbours."""
    torch = library("torch", INSTALL)
    return torch.arange(ROW, device=device).reshape(COLUMNS, COLUMNS).T.reshape(-1)
