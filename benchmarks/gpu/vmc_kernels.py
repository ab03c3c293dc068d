"""vmc's contenders: the kernels of a kit. Of several configurations for one M, the fastest is found first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import vmc
from benchmarks.gpu.configurations import SOURCES, Source
from benchmarks.gpu.device import INSTALL, Device
from benchmarks.gpu.kit import Built, Kit
from benchmarks.gpu.problem import Tensor, Weights
from benchmarks.gpu.quantized import Quantized, fresh, quantized
from benchmarks.matmul.contender import Contender, Product, library
from vmc.artifact.library import LoadedKernel

TRIALS = 5
"""Replays of which the least counts when configurations are compared."""


@dataclass(frozen=True, eq=False)
class Stored:
    """Weights that the kernels of one source multiply with. `chosen` tells which configuration was the fastest."""

    kit: Kit
    source: Source
    weights: Quantized
    device: Device
    chosen: dict[str, str]

    @property
    def nbytes(self) -> int:
        return self.weights.nbytes

    def values(self) -> Tensor:
        return self.weights.values()

    def load(self, x: Tensor, copies: int) -> Sequence[Product]:
        m, shape = x.shape[0], self.weights.shape
        candidates = self.kit.candidates(self.source.name, self.weights.element, m)
        place = f"{self.source.name} {self.weights.element} K={shape.k} N={shape.n} M={m}"
        if not candidates:
            raise ValueError(f"the kit has no kernel for {place}")
        known = self.chosen.get(place)
        best = next((built for built in candidates if built.configuration.name == known), None)
        if best is None:
            best = candidates[0] if len(candidates) == 1 else self.fastest(candidates, x, copies)
            self.chosen[place] = best.configuration.name
        return self.products(best, x, copies)

    def fastest(self, candidates: Sequence[Built], x: Tensor, copies: int) -> Built:
        def least(built: Built) -> float:
            lane, _ = self.device.lane([each.run for each in self.products(built, x, copies)], lambda: None)
            return min(lane.clock(lane.calls[0]) for _ in range(TRIALS))

        return min(candidates, key=least)

    def products(self, built: Built, x: Tensor, copies: int) -> list[Product]:
        torch = library("torch", INSTALL)
        kernel = self.kit.kernel(built)
        inputs = x.to(getattr(torch, self.source.x))
        y = torch.full((x.shape[0], self.weights.shape.n), float("nan"), dtype=inputs.dtype, device=x.device)
        packed = self.weights.packed(kernel)
        return [
            product(kernel, inputs, fresh(kernel, packed, self.weights.shape), self.weights.scales.clone(), y)
            for _ in range(copies)
        ]


def product(kernel: LoadedKernel, x: Tensor, w: Tensor, scale: Tensor, y: Tensor) -> Product:
    return Product(lambda: kernel(x, w, scale, y), lambda: y.float())


def contenders(kit: Kit, device: Device, chosen: dict[str, str]) -> list[Contender]:
    """Every source of a kit with every type that it has."""
    sources = {source.name: source for source in SOURCES}
    return [contender(kit, sources[name], type, device, chosen) for name, type in kit.pairs()]


def contender(kit: Kit, source: Source, type: str, device: Device, chosen: dict[str, str]) -> Contender:
    def store(weights: Weights) -> Stored:
        return Stored(kit, source, quantized(type, weights), device, chosen)

    bits, group = vmc.dtype(type).width, kit.contents.group
    return Contender(
        f"vmc {source.name} {type}", "vmc", type, bits, source.compute, store, lambda shape: shape.group == group
    )
