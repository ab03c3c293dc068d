"""A kit: a folder with everything that a machine with a GPU needs, and that `gpu_kit.py` made elsewhere.

kit.json        what the library has: architectures, types, kernels with their parameters; versions, date
kernels.so      every kernel for every architecture, a library of `vmc build`
python/         vmc, and these benchmarks, as plain folders for PYTHONPATH
wheels/         packages that the other machine lacks, if any were asked for
run.sh          runs the checks and the timings
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import vmc
from benchmarks.gpu.configurations import SOURCES, Configuration, Source, kernel_name
from vmc.artifact.library import LoadedKernel

MANIFEST, LIBRARY, PYTHON, WHEELS, RUN = "kit.json", "kernels.so", "python", "wheels", "run.sh"


@dataclass(frozen=True)
class Built:
    """One kernel of a kit."""

    name: str
    source: str
    type: str
    configuration: Configuration

    def data(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def of(data: Mapping[str, Any]) -> Built:
        return Built(data["name"], data["source"], data["type"], Configuration(**data["configuration"]))


@dataclass(frozen=True)
class Contents:
    """What `kit.json` tells. `cpu` is the target of the code for processors, if any, which a dry run executes."""

    architectures: tuple[str, ...]
    cpu: str | None
    group: int
    kernels: tuple[Built, ...]
    made: Mapping[str, Any]

    def text(self) -> str:
        return json.dumps({**asdict(self), "kernels": [kernel.data() for kernel in self.kernels]}, indent=1) + "\n"

    @staticmethod
    def read(folder: Path) -> Contents:
        """Raises OSError where there is no kit."""
        data = json.loads((folder / MANIFEST).read_text("utf-8"))
        kernels = tuple(Built.of(kernel) for kernel in data["kernels"])
        return Contents(tuple(data["architectures"]), data["cpu"], data["group"], kernels, data["made"])


def kernels_of(types: tuple[str, ...], sources: tuple[str, ...]) -> list[tuple[Source, Built]]:
    """The kernels that a kit with some types and sources has."""
    return [
        (source, Built(kernel_name(source, type, configuration), source.name, type, configuration))
        for source in SOURCES
        if source.name in sources
        for type in types
        for configuration in source.configurations
    ]


class Kit:
    """A kit in a folder; `target` is "cuda", or "cpu" for a dry run. Raises OSError, vmc.LibraryError."""

    def __init__(self, folder: Path, target: str) -> None:
        self.folder, self.target = folder, target
        self.contents = Contents.read(folder)
        if target == "cpu" and self.contents.cpu is None:
            raise ValueError("a dry run needs a kit with code for the CPU: gpu_kit.py --cpu")

    @cached_property
    def library(self) -> vmc.Library:
        return vmc.load(self.folder / LIBRARY)

    def kernel(self, built: Built) -> LoadedKernel:
        """A kernel for the target."""
        return self.library.kernels[built.name].on(self.target)

    def candidates(self, source: str, type: str, m: int) -> list[Built]:
        """The kernels that are tried for M = m."""
        return [
            built
            for built in self.contents.kernels
            if (built.source, built.type) == (source, type) and built.configuration.takes(m)
        ]

    def pairs(self) -> list[tuple[str, str]]:
        """The sources and types of the kit, in the order of its kernels."""
        return list(dict.fromkeys((built.source, built.type) for built in self.contents.kernels))
