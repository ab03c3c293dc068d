"""Whether every kernel of a kit computes what it should on this device, on fresh random inputs.

Outputs begin as NaN between guard rows, so that what is not written, and what is written beside them, is seen. The
reference is NumPy's product in f64 of the very codes, and every element must be within the rounding that the kernel's
arithmetic allows. Each launch is made twice, and must leave the same bits: what moves is a race.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

import numpy as np

import vmc
from benchmarks.gpu.configurations import SOURCES, Source
from benchmarks.gpu.device import INSTALL, Device
from benchmarks.gpu.kit import Built, Kit
from benchmarks.gpu.problem import Tensor
from benchmarks.gpu.quantized import on_device
from benchmarks.matmul.contender import library
from benchmarks.matmul.vmc_kernels import code_values

SIZES = ((1, 512, 256), (17, 1000, 1003), (16, 4096, 128), (1023, 640, 264))
"""M, K and N: a row, sizes that are no multiple of any tile, many steps of few columns, many rows."""
QUICK_SIZES = ((1, 256, 64), (17, 200, 75))
GUARD = 3
F16_STEP = 2.0**-10
BF16_STEP = 2.0**-7

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Failure:
    """A kernel that was wrong: which, for what size, and how."""

    kernel: str
    size: tuple[int, int, int]
    reason: str

    def __str__(self) -> str:
        m, k, n = self.size
        return f"{self.kernel}: M={m} K={k} N={n}: {self.reason}"


class DeviceLost(Exception):
    """A kernel's fault, told by `failure`, after which the device takes nothing more from this process."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


@dataclass(frozen=True, eq=False)
class Inputs:
    """x f64[M, K], codes uint8[K, N], scales f16[ceil(K / G), N], and what the codes stand for, f64[K, N]."""

    x: Array
    codes: Array
    scale: Array
    weights: Array


def inputs(type: str, size: tuple[int, int, int], group: int, seed: int) -> Inputs:
    """Fresh ones: activations that f16 and bf16 hold, every code that stands for a finite number."""
    m, k, n = size
    random = np.random.default_rng([seed, m, k, n, vmc.dtype(type).width])
    bits = random.standard_normal((m, k), dtype=np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
    values = code_values(type)
    finite = np.flatnonzero(np.isfinite(values)).astype(np.uint8)
    codes = finite[random.integers(0, finite.size, (k, n))]
    largest = np.abs(values[finite]).max()
    scale = ((random.random((-(-k // group), n)) + 0.5) / largest).astype(np.float16)
    weights = values[codes] * np.repeat(scale.astype(np.float64), group, axis=0)[:k]
    x = bits.view(np.float32).astype(np.float16).astype(np.float64)
    return Inputs(x, codes, scale, weights)


def allowed(given: Inputs, expected: Array, source: Source) -> Array:
    """How far each element may be off: the rounding of factors and of the result; of 8-bit activations, theirs."""
    magnitude = np.abs(given.x) @ np.abs(given.weights)
    step = BF16_STEP if source.x == "bfloat16" else F16_STEP
    bound = 1.5 * F16_STEP * magnitude + step * np.abs(expected) + 1e-6
    if source.x == "bfloat16":
        bound += BF16_STEP * magnitude
    if source.compute == "int8":
        bound += np.abs(given.x).max(axis=1, keepdims=True) / 250 * np.abs(given.weights).sum(axis=0)
    return bound


@dataclass(frozen=True, eq=False)
class Memory:
    """An output's memory with `margin` elements before and behind it."""

    whole: Tensor
    margin: int

    def untouched(self) -> bool:
        """Whether the margins are still full of NaN."""
        torch = library("torch", INSTALL)
        ends = (self.whole[: self.margin], self.whole[-self.margin :])
        return all(bool(torch.isnan(end).all()) for end in ends)


def check(
    kit: Kit,
    device: Device,
    seed: int,
    sizes: Sequence[tuple[int, int, int]] = SIZES,
    only: Sequence[str] = ("*",),
) -> Iterator[Failure | str]:
    """Checks the kernels of a kit whose contenders' names match a pattern; yields the failures, and the name of each
    kernel that had none. Raises DeviceLost.
    """
    sources = {source.name: source for source in SOURCES}
    for name, type in kit.pairs():
        if not any(fnmatch(f"vmc {name} {type}", pattern) for pattern in only):
            continue
        source, kernels = sources[name], [b for b in kit.contents.kernels if (b.source, b.type) == (name, type)]
        wrong: dict[str, Failure] = {}
        for number, size in enumerate(sizes):
            given = inputs(type, size, kit.contents.group, seed + number)
            expected = given.x @ given.weights
            bound = allowed(given, expected, source)
            for built in kernels:
                if built.name not in wrong:
                    reason = complaint(kit, built, source, device, given, expected, bound)
                    if reason:
                        wrong[built.name] = Failure(built.name, size, reason)
                        if not answers(device):
                            raise DeviceLost(wrong[built.name])
        for built in kernels:
            yield wrong.get(built.name) or built.name


def answers(device: Device) -> bool:
    """Whether the device still does what this process asks for: no longer after a kernel has left its memory."""
    try:
        device.finish()
    except Exception:
        return False
    return True


def complaint(
    kit: Kit, built: Built, source: Source, device: Device, given: Inputs, expected: Array, bound: Array
) -> str | None:
    """What is wrong with a kernel for some inputs, None if nothing."""
    torch = library("torch", INSTALL)
    kernel = kit.kernel(built)
    x = torch.from_numpy(given.x).to(getattr(torch, source.x)).to(device.name)
    w, scale = on_device(kernel, given.codes, device.name), torch.from_numpy(given.scale).to(device.name)
    found = []
    try:
        for _ in range(2):
            memory, y = poisoned(expected.shape, x)
            kernel(x, w, scale, y)
            device.finish()
            if not memory.untouched():
                return "wrote beside its output"
            found.append(y.clone())
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    result = found[0].double().cpu().numpy()
    if not np.isfinite(result).all():
        return f"{int((~np.isfinite(result)).sum())} elements were not written or are not finite"
    if not torch.equal(found[0], found[1]):
        return "two launches differ: a race"
    excess = np.abs(result - expected) / bound
    if excess.max() > 1:
        place = tuple(map(int, np.unravel_index(excess.argmax(), excess.shape)))
        return f"{int((excess > 1).sum())} are wrong: y{list(place)} is {result[place]:.6g}, not {expected[place]:.6g}"
    return None


def poisoned(shape: tuple[int, int], x: Tensor) -> tuple[Memory, Tensor]:
    """Memory full of NaN, and an output in the middle of it that begins at a multiple of 16 bytes."""
    torch = library("torch", INSTALL)
    m, n = shape
    margin = -(-GUARD * n // 64) * 64
    whole = torch.full((m * n + 2 * margin,), float("nan"), dtype=x.dtype, device=x.device)
    return Memory(whole, margin), whole[margin : margin + m * n].view(m, n)
