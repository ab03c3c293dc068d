"""`vmc.build`: kernels to one shared library, and its C header."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vmc
from vmc.artifact import header as c_header
from vmc.artifact import linking, manifest, sealing, tables
from vmc.artifact.images import NONE, Image, architectures_of, images
from vmc.artifact.programs import Instance, Program, instances
from vmc.artifact.shipped import levels_of, plain, versions
from vmc.ir.core import Storage
from vmc.ir.dims import Sym
from vmc.ir.text import print_kernel
from vmc.runtime.errors import BuildError
from vmc.runtime.parameters import Parameter

if TYPE_CHECKING:
    from vmc.backends.cpu.levels import Level

NATIVE = c_header.NATIVE
SOURCES = ("arguments.c", "launch.c", "driver.c", "calls.c")
EXPORTS = ("vmc_enter", "vmc_architecture", "vmc_manifest", "vmc_manifest_end")
PREFIX = "vmc"
MANIFEST = """__asm__(".section .rodata\\n.balign 8\\n.globl vmc_manifest\\n.globl vmc_manifest_end\\n"
        "vmc_manifest:\\n.incbin \\"manifest.json\\"\\nvmc_manifest_end:\\n.byte 0\\n.previous\\n");
"""


def build(
    programs: Iterable[Program] | Mapping[str, Program],
    output: str | Path,
    *,
    targets: Sequence[str] = ("cpu",),
    header: str | Path | None = None,
    prefix: str = PREFIX,
    **bindings: Any,
) -> manifest.Manifest:
    """Writes a shared library of kernels for targets, and a C header if asked for one; what the library has.

    `programs` are paths, `"FILE:KERNEL"`, texts of programs, or compiled kernels; those of a mapping have its keys as
    names. Without `:KERNEL` all kernels of a file are taken. `bindings` are their parameters; lists make a kernel for
    every combination of values. `targets` are `cpu` (several levels of x86-64 processors, of which the best is chosen
    where the library runs), `cpu:LEVEL`, and `cuda:sm_NUMBER` for GPUs, which needs the packages of `vmc[cuda]`, and no
    GPU. Functions of the header have names that begin with `prefix`.

    Raises CompileError for programs with mistakes, TargetError for targets, BuildError where there is no C compiler or
    for what a library cannot have, OSError for a file that cannot be written. A file is there whole or not at all.
    """
    command = linking.compiler()
    for path in (output, header or output):
        if not Path(path).parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(Path(path).parent))
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", prefix):
        raise BuildError("E0921", f"the prefix `{prefix}` is no name in C")
    found = instances(programs, bindings)
    levels = levels_of(target for target in targets if not target.startswith("cuda"))
    archs = architectures_of(target for target in targets if target.startswith("cuda"))
    host = levels[0] if levels else least_level(linking.architecture(command))
    if linking.architecture(command) != host.architecture:
        message = f"the C compiler {command[0]} makes code for {linking.architecture(command)}"
        raise BuildError("E0921", f"{message}, not for {host.architecture}", "name another one in CC")
    built = []
    for name, instance in found.items():
        made = versions(instance.kernel._tile, name, levels)
        on_gpu = images(instance.kernel._tile, name, archs, host) if archs else NONE
        storages = {"cpu": made[0].storages} if made else {}
        storages |= {f"cuda:{image.arch}": image.storages for image in on_gpu.images}
        one = entry(name, instance, storages, {f"cuda:{image.arch}": launches(image) for image in on_gpu.images})
        tables.check(one, on_gpu.images)
        built.append(tables.Built(one, made, on_gpu))
    check_names([one.entry for one in built], prefix)
    contents = manifest.Manifest(vmc.__version__, tuple(level.name for level in levels), tuple(b.entry for b in built))
    text = c_header.header_text([one.entry for one in built], prefix)
    with tempfile.TemporaryDirectory(prefix="vmc-build-") as folder:
        library = assemble(Path(folder), command, built, contents, host, text, prefix)
    write_whole(Path(output), library, executable=True)
    if header is not None:
        write_whole(Path(header), text.encode(), executable=False)
    return contents


def least_level(architecture: str) -> Level:
    """The level that all processors of an architecture have. Raises BuildError for one that is not known."""
    from vmc.backends.cpu.levels import TABLE

    found = next((level for level in TABLE if level.architecture == architecture), None)
    if found is None:
        raise BuildError(
            "E0921", f"libraries are for x86_64 and aarch64, and the C compiler's code is for {architecture}"
        )
    return found


def launches(image: Image) -> manifest.Launches:
    return manifest.Launches(tuple(grid.entry for grid in image.grids), tuple(map(str, image.workspace)))


def entry(
    name: str,
    instance: Instance,
    storages: Mapping[str, Mapping[str, Storage | None]],
    launches: Mapping[str, manifest.Launches],
) -> manifest.Entry:
    """What a library tells of a kernel."""
    kernel = instance.kernel
    return manifest.Entry(
        name,
        kernel.name,
        kernel.bindings,
        {symbol: int(value) for symbol, value in instance.fixed.items()},
        plain(kernel.file),
        hashlib.sha256(kernel.source.encode()).hexdigest(),
        hashlib.sha256(print_kernel(kernel._tile).encode()).hexdigest(),
        kernel.symbols,
        hidden_symbols(kernel.parameters, kernel.symbols, list(storages.values())),
        kernel.parameters,
        storages,
        launches,
    )


def hidden_symbols(
    parameters: Sequence[Parameter], symbols: Sequence[str], storages: Sequence[Mapping[str, Storage | None]]
) -> tuple[str, ...]:
    """The symbols that no array's shape shows, because only packed tensors or none have them as an extent."""
    shown: set[str] = set()
    for one in parameters:
        packed = one.format is None and (one.dtype.width < 8 or any(chosen.get(one.name) for chosen in storages))
        if not packed:
            shown.update(dim.name for dim in one.dims or () if isinstance(dim, Sym))
    return tuple(name for name in symbols if name not in shown)


def check_names(entries: Sequence[manifest.Entry], prefix: str) -> None:
    """Whether the functions of the header have names of their own. Raises BuildError."""
    taken = set(re.findall(r"\bvmc_\w+", " ".join(path.read_text("utf-8") for path in sorted(NATIVE.iterdir()))))
    for one in entries:
        for name in [*c_header.names(one, prefix), f"{prefix}_{one.name}_arguments"]:
            if name in taken:
                help = "give the kernel another name with {name: program}, or the functions another prefix"
                raise BuildError("E0921", f"the name `{name}`, of a function for `{one.name}`, is taken", help)
            taken.add(name)


def assemble(
    folder: Path,
    command: Sequence[str],
    built: Sequence[tables.Built],
    contents: manifest.Manifest,
    host: Level,
    header: str,
    prefix: str,
) -> bytes:
    """Writes everything into a folder, compiles and links it there; the sealed library."""
    from vmc.backends.cpu import shipping
    from vmc.backends.cpu.levels import LEVELS

    entries = [one.entry for one in built]
    levels = [LEVELS[name] for name in contents.levels]
    data = manifest.write(contents)
    texts = {
        "library.h": header,
        "scheduler.h": "".join(f"#define {name} {value}\n" for name, value in shipping.record_constants().items()),
        "levels.c": tables.levels_text(levels, shipping.needs(levels), shipping.leaves(host.architecture)),
        "kernels.c": tables.kernels_text(built),
        "functions.c": c_header.functions_text(
            entries, [image.arch for image in built[0].images.images], prefix, "library.h"
        ),
        "manifest.c": MANIFEST,
    }
    texts |= {path.name: path.read_text("utf-8") for path in NATIVE.iterdir() if path.suffix in (".c", ".h")}
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    (folder / "manifest.json").write_bytes(data)
    objects = {"scheduler.o": shipping.scheduler_object(host)}
    for place, one in enumerate(built):
        objects |= {f"k{place}_{version.level}.o": version.object for version in one.versions}
        objects |= {f"k{place}_i{number}.o": code for number, code in enumerate(one.images.objects)}
        for number, image in enumerate(one.images.images):
            (folder / f"k{place}_i{number}.bin").write_bytes(image.data)
    for name, code in objects.items():
        (folder / name).write_bytes(code)
    exports = [*EXPORTS, *(f"__tvm_ffi_{one.name}" for one in entries)]
    exports += [name for one in entries for name in c_header.names(one, prefix)]
    sources = ["kernels.c", "functions.c", "levels.c", "manifest.c", *SOURCES, *objects]
    return sealing.sealed(linking.link(command, folder, sources, exports), data)


def write_whole(path: Path, data: bytes, executable: bool) -> None:
    """Writes a file under another name, then moves it into place."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod((0o777 if executable else 0o666) & ~mask)
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
