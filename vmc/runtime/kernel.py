"""`Kernel`: a compiled kernel that is called with arrays.

kernel = vmc.compile("matmul_wa16.vmc", T="u3")
packed = kernel.pack("w", codes)
kernel(x, packed, scale, y)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

from vmc.ir.core import Kernel as TileKernel
from vmc.ir.core import Storage
from vmc.runtime.launchable import Launchable
from vmc.runtime.parameters import Parameter, parameters_of, parameters_of_ir
from vmc.runtime.recognition import Recognizer
from vmc.runtime.targets import Launcher, prepare

if TYPE_CHECKING:
    from vmc.explain import Explanation
    from vmc.explain.gpu import GpuExplanation
    from vmc.lang.elaborate.kernels import Elaborated


class Kernel(Launchable):
    """A kernel compiled for one target, with its compile-time parameters bound. `Launchable` tells how it is called."""

    def __init__(self, tile: TileKernel, parameters: Sequence[Parameter], target: str, source: str, file: str) -> None:
        super().__init__(tile.name, target, parameters, tile.symbols, dict(tile.bindings))
        self.source = source
        self.file = file
        self._tile = tile
        self._variants: dict[frozenset[str], Launcher] = {}
        self._compiling = Lock()
        if target.partition(":")[0] in ("cpu", "cuda"):
            written = [place for place in self._tensors if self.parameters[place].access.writable]
            self._recognizer = Recognizer(self._tensors, written, len(self.parameters))

    @classmethod
    def of(cls, elaborated: Elaborated, target: str = "cpu", source: str = "", file: str = "<text>") -> Kernel:
        """The kernel of an elaborated one, not yet compiled."""
        return cls(elaborated.kernel, parameters_of(elaborated), target, source, file)

    @classmethod
    def of_ir(cls, tile: TileKernel, target: str = "cpu") -> Kernel:
        """The kernel of tile IR that was built by hand, not yet compiled."""
        return cls(tile, parameters_of_ir(tile), target, "", "<ir>")

    @cached_property
    def _launcher(self) -> Launcher:
        """The code for tensors in the storages that the target chose."""
        return prepare(self._tile, self.target)

    def _chosen(self) -> Mapping[str, Storage | None]:
        return self._launcher.storages

    def _variant(self, dense: frozenset[str]) -> Launcher:
        """The code for some tensors as they were declared, compiled when it is first wanted."""
        if not dense:
            return self._launcher
        with self._compiling:
            if dense not in self._variants:
                self._variants[dense] = prepare(self._tile, self.target, dense)
            return self._variants[dense]

    def prepare(self) -> Kernel:
        """Compiles now what would be compiled at the first call. Raises TargetError."""
        self._launcher  # noqa: B018 - made by looking
        return self

    # What was compiled

    def ir(self, stage: str | None = None) -> str:
        """The kernel at a stage, as text: "ir" for the tile IR before passes, a pass's name for what it left, "ast",
        "llvm" or "asm"; without one, the IR that the target gets. Raises ValueError for another stage.
        """
        from vmc.runtime.stages import stage_text

        return stage_text(self, stage)

    def explain(self, *, measure: bool = False, **symbols: int) -> Explanation | GpuExplanation:
        """What the kernel costs and why: bytes, operations, what passes decided, what the loops of its code do, and the
        least time of a launch. Symbols that are not given leave totals out. `measure` measures the machine's limits,
        in about a second, instead of assuming them.

        For NVIDIA GPUs, which need not be there, the code is a cubin's and the limits are a data sheet's.

        Raises ArgumentError for symbols that do not fit, TargetError for a target whose code is not read.
        """
        from vmc.explain import explain

        for name in symbols:
            if name not in self.symbols:
                raise self._checker.unknown(name)
        values = {name: self._checker.symbol_value(name, value) for name, value in symbols.items()}
        if all(name in values for name in self.symbols):
            for parameter in self.parameters:
                self._checker.extents(parameter, values)
        if self.target.partition(":")[0] in ("cuda", "ptx-vm"):
            from vmc.explain.gpu import explain_gpu

            return explain_gpu(self, values)
        return explain(self, values, measure)
