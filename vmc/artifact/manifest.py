"""What a library tells of itself, as JSON: enough to call its kernels and to pack for them without compiling anything.

    {"format": 1, "vmc": "0.1.0", "levels": ["x86-64", ...], "kernels": [
        {"name": "matmul_u4", "kernel": "matmul", "bindings": {"T": "u4"}, "fixed": {}, "file": "matmul.vmc",
         "source": SHA-256 of the file, "ir": SHA-256 of the kernel before passes,
         "symbols": ["M", "N"], "extras": [],
         "parameters": [{"name": "x", "type": "tensor<f16[M, N], in>"}, {"name": "s", "type": "f32"}, ...],
         "targets": {"cpu": {"storages": {"x": null, "w": "storage(...)", ...}},
                     "cuda:sm_80": {"storages": ..., "launches": ["matmul_once", ...], "workspace": ["(M * K)"]}}}]}

Types and storages are written as the IR's text writes them. `extras` are the symbols that no array's shape shows. On a
GPU a launch is one of each of these functions, in order, with a workspace of tensors that take so many bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vmc.ir.core import Access, IRError, Storage, TensorType, TileType
from vmc.ir.text import parse_storage, parse_type, storage_text, type_text
from vmc.runtime.parameters import Block, Parameter

FORMAT = 1


@dataclass(frozen=True)
class Launches:
    """What a launch on a GPU is: its functions in order, and the bytes of each tensor of its workspace, as text."""

    functions: tuple[str, ...]
    workspace: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """A kernel of a library. `storages` tells for each target how its code wants each tensor to lie, by name, and
    `launches`, for each GPU, what a launch is.
    """

    name: str
    kernel: str
    bindings: Mapping[str, str]
    fixed: Mapping[str, int]
    file: str
    source: str
    ir: str
    symbols: tuple[str, ...]
    extras: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    storages: Mapping[str, Mapping[str, Storage | None]]
    launches: Mapping[str, Launches]

    @property
    def tensors(self) -> tuple[Parameter, ...]:
        return tuple(parameter for parameter in self.parameters if not parameter.is_scalar)

    @property
    def scalars(self) -> tuple[Parameter, ...]:
        return tuple(parameter for parameter in self.parameters if parameter.is_scalar)


@dataclass(frozen=True)
class Manifest:
    """`version` is vmc's; `levels` are the processors that CPU code is for, from the least to the most."""

    version: str
    levels: tuple[str, ...]
    kernels: tuple[Entry, ...]
    text: str = field(default="", compare=False)


def write(manifest: Manifest) -> bytes:
    """The manifest as JSON: ASCII, one line, keys in the order above."""
    data = {
        "format": FORMAT,
        "vmc": manifest.version,
        "levels": list(manifest.levels),
        "kernels": [entry_data(entry) for entry in manifest.kernels],
    }
    return json.dumps(data, separators=(",", ":")).encode("ascii")


def entry_data(entry: Entry) -> dict[str, Any]:
    targets: dict[str, dict[str, Any]] = {
        target: {"storages": {name: storage_text(s) if s is not None else None for name, s in chosen.items()}}
        for target, chosen in entry.storages.items()
    }
    for target, made in entry.launches.items():
        targets[target] |= {"launches": list(made.functions), "workspace": list(made.workspace)}
    return {
        "name": entry.name,
        "kernel": entry.kernel,
        "bindings": dict(entry.bindings),
        "fixed": dict(entry.fixed),
        "file": entry.file,
        "source": entry.source,
        "ir": entry.ir,
        "symbols": list(entry.symbols),
        "extras": list(entry.extras),
        "parameters": [parameter_data(parameter) for parameter in entry.parameters],
        "targets": targets,
    }


def parameter_data(parameter: Parameter) -> dict[str, Any]:
    if parameter.dims is None:
        return {"name": parameter.name, "type": parameter.dtype.name}
    type = TensorType(parameter.dtype, parameter.dims, parameter.access, storage=parameter.storage)
    data: dict[str, Any] = {"name": parameter.name, "type": type_text(type)}
    if parameter.format is not None:
        block = parameter.format
        data["block"] = {"name": block.name, "elements": block.elements, "bytes": block.bytes}
    return data


def read(data: bytes) -> Manifest:
    """The inverse of `write`. Raises ValueError for anything else, and for a manifest of another format."""
    try:
        found = json.loads(data)
        if found["format"] != FORMAT:
            raise ValueError(f"its manifest has format {found['format']}, and this vmc reads format {FORMAT}")
        kernels = tuple(map(entry_from, found["kernels"]))
        return Manifest(found["vmc"], tuple(found["levels"]), kernels, data.decode("ascii"))
    except (KeyError, TypeError, AttributeError, IRError) as error:
        raise ValueError(f"its manifest cannot be read: {error}") from None


def entry_from(data: Mapping[str, Any]) -> Entry:
    storages = {
        target: {name: parse_storage(text) if text is not None else None for name, text in code["storages"].items()}
        for target, code in data["targets"].items()
    }
    launches = {
        target: Launches(tuple(code["launches"]), tuple(code["workspace"]))
        for target, code in data["targets"].items()
        if "launches" in code
    }
    return Entry(
        data["name"],
        data["kernel"],
        data["bindings"],
        data["fixed"],
        data["file"],
        data["source"],
        data["ir"],
        tuple(data["symbols"]),
        tuple(data["extras"]),
        tuple(map(parameter_from, data["parameters"])),
        storages,
        launches,
    )


def parameter_from(data: Mapping[str, Any]) -> Parameter:
    block = Block(**data["block"]) if "block" in data else None
    match parse_type(data["type"]):
        case TensorType(element, shape, access, _, storage):
            return Parameter(data["name"], access, element, shape, block, storage)
        case TileType(element):
            return Parameter(data["name"], Access.IN, element)
