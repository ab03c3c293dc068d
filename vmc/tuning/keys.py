"""What a table calls a processor, and a kernel: keys that say the same on every machine of a kind, and for every
spelling of a program.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from vmc.lang import syntax

FEATURES = (
    "avx2",
    "avxvnni",
    "avx512f",
    "avx512vnni",
    "avx512vbmi",
    "avx512bf16",
    "avx512fp16",
    "amx-int8",
    "amx-bf16",
    "dotprod",
    "i8mm",
)
"""What tells kinds of code apart. A longer list would make old tables foreign."""


def machine_key(target: str = "cpu") -> str:
    """The processor that a target compiles for: architecture, LLVM's name of it, and the vector features that matter.

        "x86_64 sapphirerapids avx2 avxvnni avx512f avx512vnni ..."

    Virtual machines hide features and rename models, so the name alone would not do. Raises TargetError for a target
    that is no processor, or one that this is not.
    """
    from vmc.backends.cpu.features import architecture
    from vmc.backends.cpu.target import machine
    from vmc.runtime.errors import TargetError
    from vmc.runtime.targets import options_of

    if target.partition(":")[0] != "cpu":
        raise TargetError("E0904", f"parameters are tuned for the target cpu, and this is {target}")
    host = machine(options_of(target))
    return " ".join([architecture(host.triple), host.cpu, *(name for name in FEATURES if name in host.features)])


def kernel_key(source: str, file: str, kernel: str) -> str:
    """A hash of a kernel's program: its declaration, all of its file but the other kernels, and what that imports.

    Comments, spaces and the order of imports' files do not matter. The file must have the kernel.
    """
    from vmc.lang.parser import parse

    tree, _ = parse(source, file)
    texts: dict[str, str] = {}
    collect(tree, file, texts)
    decls = tuple(d for d in tree.decls if not isinstance(d, syntax.Kernel) or d.name == kernel)
    texts[""] = text_of(replace(tree, decls=decls))
    digest = hashlib.blake2b(digest_size=16)
    for module, text in sorted(texts.items()):
        digest.update(f"{module}\0{text}\0".encode())
    return digest.hexdigest()


def collect(tree: syntax.File, file: str, texts: dict[str, str]) -> None:
    """Adds the texts of the modules that a file imports, directly or through others, by their names."""
    from vmc.lang.elaborate.modules import module_path
    from vmc.lang.parser import parse

    for node in tree.imports:
        path = module_path(node.module, file)
        if path is None or node.module in texts:
            continue
        imported, _ = parse(Path(path).read_text("utf-8"), str(path))
        texts[node.module] = text_of(imported)
        collect(imported, str(path), texts)


def text_of(tree: syntax.File) -> str:
    from vmc.lang.printer import file_text

    return file_text(tree)
