"""The C compiler: it compiles the functions that every library has, and links them with the kernels' object code.

`CC` names another one than `cc`, `gcc` or `clang`, with options if need be.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from vmc.runtime.errors import BuildError

NAMES = ("cc", "gcc", "clang")
FLAGS = (
    "-std=gnu11 -O2 -fPIC -fvisibility=hidden -fno-ident -ffp-contract=off -fno-asynchronous-unwind-tables -pthread "
    "-shared -Wl,--build-id=none -Wl,-z,defs -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--gc-sections -s"
).split()
LIBRARIES = ("-Wl,--as-needed", "-ldl", "-lm")
"""LLVM calls libm where a processor has no instruction: roundevenf and fmaf on the first level of x86-64."""

GET = "install gcc or clang (Debian: apt install gcc), or name one in CC"


def compiler() -> list[str]:
    """The command of the C compiler. Raises BuildError where there is none."""
    words = shlex.split(os.environ.get("CC", ""))
    for name in [words[0]] if words else NAMES:
        found = shutil.which(name)
        if found:
            return [found, *words[1:]]
    what = f"CC names `{words[0]}`, which is not there" if words else "there is no C compiler, which links a library"
    raise BuildError("E0914", what, GET)


def architecture(command: Sequence[str]) -> str:
    """The architecture that a compiler makes code for: `x86_64`, `aarch64`. Raises BuildError."""
    try:
        found = subprocess.run([*command, "-dumpmachine"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise BuildError("E0914", f"the C compiler {command[0]} does not work: {error}", GET) from None
    return found.stdout.partition("-")[0]


def link(command: Sequence[str], folder: Path, sources: Sequence[str], exports: Sequence[str]) -> bytes:
    """The shared object of C sources and object files in a folder, by their names there, which shows `exports` only.

    The folder's own name leaves no trace in it. Raises BuildError with what the compiler says.
    """
    script = "{ global: " + " ".join(f"{name};" for name in exports) + " local: *; };\n"
    (folder / "exports.map").write_text(script, "utf-8")
    words = [*command, *FLAGS, "-Wl,--version-script=exports.map", "-o", "library.so", *sources, *LIBRARIES]
    environment = {**os.environ, "LC_ALL": "C", "TMPDIR": str(folder)}
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise BuildError("E0921", f"the C compiler {command[0]} failed:\n{done.stderr.strip()}")
    return (folder / "library.so").read_bytes()
