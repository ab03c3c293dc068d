"""Products of bytes, q[M, K] @ w[K, N] -> y[M, N] in i32, compiled for any processor, with w stored in any way.

NumPy's integers are the oracle: nothing of the compiler has a part in what is expected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tests.backends.cpu.execution import launch
from tests.generators.stored import stored
from tests.runtime.relayouts import giving
from vmc.backends import cpu
from vmc.ir.core import Kernel, Module, Storage
from vmc.ir.passes import pipeline, run
from vmc.ir.types import pack
from vmc.lang import compile_kernel

Array = np.ndarray[Any, Any]
Options = Callable[[Any], cpu.Options]

SOURCE = """
kernel product[T: type, BM = 16, BK = 64, BN = 32](q: i8[M, K], w: T[K, N], y: out i32[M, N]):
    for mi, ni in grid(cdiv(M, BM), cdiv(N, BN)):
        acc = zeros(i32[BM, BN])
        for k in range(0, K, BK):
            acc += q[mi*BM : +BM, k : +BK] @ u8(w[k : +BK, ni*BN : +BN])
        y[mi*BM : +BM, ni*BN : +BN] = acc
"""
COUNTED = {
    1: "acc += a @ u8(w[k : +BK, ni*BN : +BN])",
    2: "acc += (a @ u8(w[k : +BK, ni*BN : +BN])) * 3 + (b @ u8(w[k : +BK, ni*BN : +BN]))",
    3: "acc += (a @ u8(w[k : +BK, ni*BN : +BN])) * 3 + (b @ u8(w[k : +BK, ni*BN : +BN])) * 5"
    " + (c @ u8(w[k : +BK, ni*BN : +BN]))",
}
SEVERAL = """
kernel products[T: type, BM = 16, BK = 64, BN = 32](
    p: i8[M, K], q: i8[M, K], r: i8[M, K], w: T[K, N], y: out i32[M, N],
):
    for mi, ni in grid(cdiv(M, BM), cdiv(N, BN)):
        acc = zeros(i32[BM, BN])
        for k in range(0, K, BK):
            a = p[mi*BM : +BM, k : +BK]
            b = q[mi*BM : +BM, k : +BK]
            c = r[mi*BM : +BM, k : +BK]
            {sum}
        y[mi*BM : +BM, ni*BN : +BN] = acc
"""


class Product:
    """A kernel in native code; `storage` is w's instead of the one that `relayout` chooses."""

    def __init__(
        self, source: str, options: cpu.Options | None = None, storage: Storage | None = None, **parameters: Any
    ) -> None:
        self.kernel: Kernel = compile_kernel(source, "product.vmc", None, parameters).kernel
        kept = frozenset({"w"}) if storage else frozenset()
        passes = pipeline("cpu", kept)
        if storage:
            passes = (*passes, giving({"w": storage})())
        self.lowered = run(Module((self.kernel,)), passes, verify=True).kernels[0]
        self.executable = cpu.compile(self.lowered, options or cpu.Options())

    @property
    def storage(self) -> Storage | None:
        """How w lies in memory."""
        return next(param.tensor.storage for param in self.lowered.params if param.name == "w")

    def __call__(self, factors: Mapping[str, Array]) -> Array:
        """y for factors given as codes."""
        (k, n), m = factors["w"].shape, next(iter(factors.values())).shape[0]
        symbols, y = {"M": m, "K": k, "N": n}, np.full((m, n), -7, np.int32)
        given: list[Any] = [
            np.array(pack(factors[param.name].view(np.uint8), param.tensor.dtype))
            if param.name in factors
            else y.view(np.uint8).reshape(-1)
            for param in self.kernel.params
        ]
        launch(self.executable, self.lowered, stored(self.kernel, self.lowered, given, symbols), symbols)
        return y


def bytes_of(rng: np.random.Generator, m: int, k: int) -> Array:
    """Random i8, the extremes among them."""
    return rng.choice(np.array([-128, -127, -1, 0, 1, 127, *range(-128, 128, 7)], np.int8), (m, k))


def codes_of(rng: np.random.Generator, width: int, k: int, n: int) -> Array:
    return rng.integers(0, 1 << width, (k, n), dtype=np.uint8)


def exact(q: Array, w: Array) -> Array:
    """q @ w, w as unsigned integers."""
    return (q.astype(np.int64) @ w.astype(np.int64)).astype(np.int32)


def check(product: Product, width: int, m: int, k: int, n: int) -> None:
    """Fails unless random factors give their product."""
    rng = np.random.default_rng(1000 * m + 100 * k + n)
    q, w = bytes_of(rng, m, k), codes_of(rng, width, k, n)
    np.testing.assert_array_equal(product({"q": q, "w": w}), exact(q, w), f"M = {m}, K = {k}, N = {n}")
