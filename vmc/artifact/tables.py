"""The C tables of a library's kernels: what `native/runtime.h` declares, as C text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vmc.artifact.images import Image, Images
from vmc.artifact.manifest import Entry
from vmc.artifact.shipped import Version
from vmc.ir.core import Storage
from vmc.ir.dims import Dim, DimOp, Sym
from vmc.ir.passes.gpu.split import MULTIPROCESSORS
from vmc.ir.types import DType
from vmc.runtime.elements import accepted, shown
from vmc.runtime.errors import BuildError
from vmc.runtime.parameters import Parameter, plain

if TYPE_CHECKING:
    from vmc.backends.cpu.levels import Level

RANK, MOST, STACK, SHARED = 8, 64, 16, 16
"""Limits of `runtime.h`: of a tensor's rank; of tensors, scalars and symbols; of an extent's stack; and of grids, and
tensors of a workspace.
"""

OPERATIONS = {"+": 2, "-": 3, "*": 4, "//": 5, "%": 6, "cdiv": 7, "min": 8, "max": 9}
CONSTANT, SYMBOL = 0, 1

DLPACK = {
    **{f"i{width}": (0, width) for width in (8, 16, 32, 64)},
    **{f"u{width}": (1, width) for width in (8, 16, 32, 64)},
    **{f"f{width}": (2, width) for width in (16, 32, 64)},
    "bf16": (4, 16),
    "f8e4m3": (10, 8),
    "f8e5m2": (12, 8),
    "f8e8m0": (14, 8),
}
"""DLPack's code and bits of the types that it has (dlpack.h, DLDataTypeCode)."""


@dataclass(frozen=True)
class Built:
    """A kernel of a library with its code for the CPU and for GPUs, of which one may be missing."""

    entry: Entry
    versions: Sequence[Version]
    images: Images


def c_string(text: str) -> str:
    """A C string literal."""
    escaped = "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\?' else f"\\{byte:03o}" for byte in text.encode()
    )
    return f'"{escaped}"'


def braces(items: Iterable[object]) -> str:
    return "{" + ", ".join(str(item) for item in items) + "}"


def array(type: str, name: str, items: Sequence[object]) -> str:
    """A constant array; C has none without elements, so an empty one gets a zero."""
    return f"static const {type} {name}[] = {braces(items or ['0'])};"


def program(dim: Dim, symbols: Sequence[str]) -> tuple[list[int], int]:
    """An extent in postfix order, and the depth of stack that it takes."""
    match dim:
        case int():
            return [CONSTANT, dim], 1
        case Sym(name):
            return [SYMBOL, symbols.index(name)], 1
        case DimOp(operator, left, right):
            (one, deep), (other, deeper) = program(left, symbols), program(right, symbols)
            return [*one, *other, OPERATIONS[operator]], max(deep, deeper + 1)


def check(entry: Entry, images: Sequence[Image]) -> None:
    """Whether a kernel is within the limits of the tables. Raises BuildError."""
    for parameter in entry.tensors:
        dims = parameter.dims or ()
        if len(dims) > RANK or any(program(dim, entry.symbols)[1] > STACK for dim in dims):
            raise BuildError("E0921", f"`{entry.name}`: a library cannot be passed the tensor `{parameter}`")
    if max(len(entry.tensors), len(entry.scalars), len(entry.symbols)) > MOST:
        raise BuildError("E0921", f"`{entry.name}` has more than {MOST} tensors, scalars or symbols")
    for image in images:
        deep = any(program(size, (*entry.symbols, MULTIPROCESSORS))[1] > STACK for size in image.workspace)
        if deep or max(len(image.workspace), len(image.grids)) > SHARED:
            raise BuildError("E0921", f"`{entry.name}`: a library cannot have its launches for {image.arch}")


def kernels_text(built: Sequence[Built]) -> str:
    """The tables of all kernels."""
    lines = ['#include "runtime.h"', '#define EXPORTED __attribute__((visibility("default")))']
    rows = []
    for place, one in enumerate(built):
        lines += ["", f"/* {one.entry.name} */", *kernel_lines(f"k{place}", one)]
        rows.append(kernel_row(f"k{place}", one))
    lines += ["", f"const struct vmc_kernel vmc_kernels[] = {{{', '.join(rows)}}};"]
    lines += [f"const int32_t vmc_kernel_count = {len(built)};", ""]
    for place, one in enumerate(built):
        lines.append(
            f"EXPORTED int __tvm_ffi_{one.entry.name}(void *self, const void *arguments, int32_t count, void *result) "
            f"{{ (void)self; return vmc_call_packed(&vmc_kernels[{place}], arguments, count, result); }}"
        )
    return "\n".join(lines) + "\n"


def kernel_lines(prefix: str, built: Built) -> list[str]:
    """The parts that the row of a kernel points to."""
    entry = built.entry
    lines = [
        array("uint8_t", f"{prefix}_is_scalar", [int(parameter.is_scalar) for parameter in entry.parameters]),
        array("char *const", f"{prefix}_symbols", [c_string(name) for name in entry.symbols]),
        array("int32_t", f"{prefix}_extras", [entry.symbols.index(name) for name in entry.extras]),
    ]
    for place, parameter in enumerate(entry.tensors):
        lines += program_lines(f"{prefix}_t{place}_extents", parameter.dims or (), entry.symbols)
    lines.append(
        array(
            "struct vmc_tensor",
            f"{prefix}_tensors",
            [tensor_row(f"{prefix}_t{place}", parameter) for place, parameter in enumerate(entry.tensors)],
        )
    )
    lines.append(array("struct vmc_scalar", f"{prefix}_scalars", [scalar_row(one) for one in entry.scalars]))
    if built.versions:
        lines += storage_lines(f"{prefix}_cpu", entry.tensors, entry.storages["cpu"])
        for place, version in enumerate(built.versions):
            lines += version_lines(f"{prefix}_v{place}", version)
        lines.append(
            array(
                "struct vmc_version",
                f"{prefix}_versions",
                [
                    braces(
                        [
                            f"{prefix}_v{place}_blocks",
                            f"{prefix}_v{place}_worker",
                            version.arena,
                            f"{prefix}_v{place}_sites",
                        ]
                    )
                    for place, version in enumerate(built.versions)
                ],
            )
        )
    return [*lines, *image_lines(prefix, entry, built.images.images)]


def kernel_row(prefix: str, built: Built) -> str:
    entry = built.entry
    counts = [len(entry.parameters), len(entry.tensors), len(entry.scalars), len(entry.symbols), len(entry.extras)]
    parts = [f"{prefix}_{part}" for part in ("is_scalar", "tensors", "scalars", "symbols", "extras")]
    cpu = [f"{prefix}_cpu_storages", f"{prefix}_versions"] if built.versions else ["0", "0"]
    serial = int(any(version.serial for version in built.versions))
    images = built.images.images
    return braces(
        [c_string(entry.name), *counts, *parts, *cpu, serial, f"{prefix}_images" if images else "0", len(images)]
    )


def image_lines(prefix: str, entry: Entry, images: Sequence[Image]) -> list[str]:
    """The images of a kernel, whose bytes are in files of these names."""
    lines: list[str] = []
    rows: list[str] = []
    for place, image in enumerate(images):
        name = f"{prefix}_i{place}"
        lines += storage_lines(name, entry.tensors, image.storages)
        lines.append(
            f'__asm__(".section .rodata\\n.balign 16\\n.globl {name}_data\\n{name}_data:\\n'
            f'.incbin \\"{name}.bin\\"\\n.byte 0\\n.previous\\n"); extern const char {name}_data[];'
        )
        lines += grid_lines(name, image)
        lines += program_lines(f"{name}_workspace", image.workspace, (*entry.symbols, MULTIPROCESSORS))
        facts = [*image.capability, int(image.exact), int(image.is_ptx)]
        grids = [f"{name}_grids", len(image.grids), f"{name}_workspace", len(image.workspace), int(image.counts)]
        rows.append(braces([c_string(image.arch), f"{name}_data", *facts, *grids, f"{name}_storages"]))
    return [*lines, array("struct vmc_image", f"{prefix}_images", rows)] if images else []


def grid_lines(prefix: str, image: Image) -> list[str]:
    """The grids of an image."""
    lines: list[str] = []
    rows: list[str] = []
    for place, grid in enumerate(image.grids):
        counting = f"{prefix}_blocks{place}"
        declared = f"int64_t {counting}(const void *, void *, int64_t *)"
        lines.append(f"extern {declared} __asm__({c_string(f'{grid.counting}.blocks')});")
        rows.append(braces([c_string(grid.entry), grid.threads, grid.shared, counting]))
    return [*lines, array("struct vmc_grid", f"{prefix}_grids", rows)]


def program_lines(name: str, dims: Sequence[Dim], symbols: Sequence[str]) -> list[str]:
    """An array of extents, and their programs."""
    lines, rows = [], []
    for place, dim in enumerate(dims):
        code, _ = program(dim, symbols)
        lines.append(array("int64_t", f"{name}_p{place}", code))
        symbol = symbols.index(dim.name) if isinstance(dim, Sym) else -1
        rows.append(braces([c_string(plain(dim)), f"{name}_p{place}", len(code), symbol]))
    return [*lines, array("struct vmc_extent", name, rows or ["{0}"])]


def tensor_row(prefix: str, parameter: Parameter) -> str:
    block = parameter.format
    codes = elements_of(parameter.dtype) if parameter.dtype.width >= 8 else [(1, 8)]
    packed = f"blocks of {block.name}, {block.bytes} bytes each" if block else f"packed {parameter.dtype.name}"
    words = shown(parameter.dtype) if parameter.dtype.width >= 8 else packed
    return braces(
        [
            c_string(parameter.name),
            c_string(str(parameter)),
            c_string(words),
            c_string(packed),
            braces(braces(code) for code in (codes * 2)[:2]),
            f"{prefix}_extents",
            len(parameter.dims or ()),
            parameter.dtype.width,
            int(parameter.access.writable),
            block.elements if block else 0,
            block.bytes if block else 0,
        ]
    )


def elements_of(type: DType) -> list[tuple[int, int]]:
    """How DLPack names the elements that an array for a dense tensor may have."""
    return [DLPACK[name] for name in accepted(type) if name in DLPACK]


def scalar_row(parameter: Parameter) -> str:
    type = parameter.dtype
    kind = "VMC_FLOAT" if type.is_float else "VMC_SIGNED" if type.min < 0 else "VMC_UNSIGNED"
    least, most, exponent = (type.min, type.max, type.exponent_bits) if type.is_float else (0, 0, 0)
    numbers = [float(number).hex() for number in (least, most)]
    return braces([c_string(parameter.name), c_string(str(parameter)), kind, type.width, exponent, *numbers])


def storage_lines(prefix: str, tensors: Sequence[Parameter], storages: Mapping[str, Storage | None]) -> list[str]:
    lines, rows = [], []
    for place, parameter in enumerate(tensors):
        storage = storages[parameter.name]
        if storage is None:
            rows.append("{0, 0}")
            continue
        lines.append(array("int64_t", f"{prefix}_b{place}", storage.block))
        rows.append(braces([f"{prefix}_b{place}", storage.pitch]))
    return [*lines, array("struct vmc_storage", f"{prefix}_storages", rows or ["{0, 0}"])]


def version_lines(prefix: str, version: Version) -> list[str]:
    blocks, worker = (c_string(f"{version.entry}.{part}") for part in ("blocks", "worker"))
    return [
        f"extern int64_t {prefix}_blocks(const void *, void *, int64_t *) __asm__({blocks});",
        f"extern void {prefix}_worker(void *, int64_t) __asm__({worker});",
        array("char *const", f"{prefix}_sites", [c_string(site) for site in version.sites]),
    ]


def levels_text(levels: Sequence[Level], needs: Sequence[Sequence[int]], leaves: Sequence[tuple[int, int]]) -> str:
    """The table of levels: their names, and the bits that each needs of the words that tell of the processor."""
    pairs = [braces(f"{word:#x}u" for word in leaf) for leaf in leaves or [(0, 0)]]
    words = len(needs[0]) if needs else 1
    return "\n".join(
        [
            '#include "runtime.h"',
            f"const char *const vmc_levels[] = {braces([c_string(level.name) for level in levels] or [0])};",
            f"const int32_t vmc_level_count = {len(levels)};",
            f"const int32_t vmc_word_count = {words};",
            f"const uint32_t vmc_needs[] = {braces([f'{word:#x}u' for row in needs for word in row] or [0])};",
            f"const uint32_t vmc_leaves[][2] = {braces(pairs)};",
            "",
        ]
    )
