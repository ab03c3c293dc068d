"""Makes a kit: a folder that checks and times vmc's matrix products on a machine that has a GPU and torch alone.

    python benchmarks/gpu_kit.py --output kit
    python benchmarks/gpu_kit.py --output kit --arch sm_90a --types u1 u4 f6e3m2 --sources wa16
    python benchmarks/gpu_kit.py --output kit --wheels 'humming-kernels[cu13]' --python 3.12

Compiles every kernel of benchmarks/gpu/configurations.py into one library, and puts vmc and the benchmarks beside it as
plain folders. It needs the packages of vmc[cuda] and a C compiler, and no GPU. On the other machine, `sh kit/run.sh`
does the rest, with Python 3.11 or later, torch, NumPy, ml_dtypes and rich. See docs/gpu.md.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import vmc
from benchmarks.gpu.configurations import GROUP, SOURCES, TYPES
from benchmarks.gpu.kit import LIBRARY, MANIFEST, PYTHON, RUN, WHEELS, Built, Contents, kernels_of
from benchmarks.matmul.machine import PACKAGES, installed
from vmc.runtime.compiling import elaborate
from vmc.runtime.kernel import Kernel

ROOT = Path(__file__).resolve().parents[1]
ARCHITECTURES = ("sm_80", "sm_90a", "sm_100a")
FOLDERS = {"vmc": "vmc", "ir": "vmc/ir", "backends": "vmc/backends", "benchmarks": "benchmarks"}
"""What goes into `python/`, and where: the packages as they are installed, without the links of the checkout."""

SCRIPT = """\
#!/bin/sh
# Checks every kernel of this kit on the GPU at hand, then times them. Options are those of gpu_matmul.py.
here=$(cd "$(dirname "$0")" && pwd)
site="$here/{python}/site"
export PYTHONPATH="$here/{python}:$site${{PYTHONPATH:+:$PYTHONPATH}}"
if [ -n "$(ls "$here/{wheels}" 2>/dev/null)" ] && [ ! -d "$site" ]; then
    "${{PYTHON:-python3}}" -m pip install -q --no-index --no-deps --target "$site" "$here/{wheels}"/*.whl || exit
fi
exec "${{PYTHON:-python3}}" "$here/{python}/benchmarks/gpu_matmul.py" --kit "$here" --output "$here/results" "$@"
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    options = parser().parse_args(arguments)
    folder: Path = options.output
    folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    kernels = build(folder, options)
    print(f"compiled {len(kernels)} kernels for {', '.join(options.arch)} in {time.perf_counter() - start:.0f} s")
    versions = {
        name: found for name in ("vmc", "apache-tvm", "nvidia-cuda-nvrtc", *PACKAGES) if (found := installed(name))
    }
    made = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "versions": versions}
    contents = Contents(tuple(options.arch), options.cpu, options.group, tuple(kernels), made)
    (folder / MANIFEST).write_text(contents.text(), encoding="utf-8")
    copy_python(folder / PYTHON)
    if options.wheels:
        download(folder / WHEELS, options.wheels, options.python)
    script = folder / RUN
    script.write_text(SCRIPT.format(python=PYTHON, wheels=WHEELS), encoding="utf-8")
    script.chmod(0o755)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: {size / 1e6:.1f} MB; on the machine with a GPU: sh {folder.name}/{RUN}")
    return 0


def parser() -> argparse.ArgumentParser:
    assert __doc__ is not None
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="gpu_kit.py"
    )
    add = made.add_argument
    add("--output", type=Path, required=True, help="the folder of the kit")
    add("--arch", nargs="+", default=list(ARCHITECTURES), help=f"architectures ({' '.join(ARCHITECTURES)})")
    add(
        "--types", nargs="+", default=list(TYPES), choices=TYPES, metavar="TYPE", help=f"of weights ({' '.join(TYPES)})"
    )
    names = [source.name for source in SOURCES]
    add("--sources", nargs="+", default=names, choices=names, help="kernels (all)")
    add("--group", type=int, default=GROUP, help=f"weights that share a scale ({GROUP})")
    add("--cpu", metavar="TARGET", help="also code for a processor, such as cpu:x86-64-v3, which a dry run executes")
    add(
        "--wheels",
        nargs="+",
        default=[],
        metavar="PACKAGE",
        help="packages to bring along as wheels, without their needs",
    )
    add("--python", default=f"{sys.version_info.major}.{sys.version_info.minor}", help="Python of the other machine")
    return made


def build(folder: Path, options: argparse.Namespace) -> list[Built]:
    """The library, and the kernels that it has."""
    wanted = kernels_of(tuple(options.types), tuple(options.sources))
    programs: dict[str, Kernel] = {}
    for source, built in wanted:
        path = ROOT / "examples" / source.file
        bindings = {"T": built.type, "G": options.group, **source.fixed, **built.configuration.parameters}
        programs[built.name] = elaborate(path.read_text("utf-8"), str(path), source.kernel, "cpu", bindings)
    targets = [f"cuda:{arch}" for arch in options.arch]
    vmc.build(programs, folder / LIBRARY, targets=[*targets, options.cpu] if options.cpu else targets)
    return [built for _, built in wanted]


def copy_python(target: Path) -> None:
    """vmc and the benchmarks as folders that can be imported."""
    shutil.rmtree(target, ignore_errors=True)
    for source, place in FOLDERS.items():
        shutil.copytree(ROOT / source, target / place, ignore=left_out, symlinks=True)


def left_out(folder: str, names: list[str]) -> list[str]:
    """What is not copied: bytecode, results, and the links of the checkout."""
    links = [name for name in names if (Path(folder) / name).is_symlink()]
    return [name for name in names if name in ("__pycache__", "results", "kit")] + links


def download(folder: Path, packages: Sequence[str], python: str) -> None:
    """Wheels of packages for the other machine's Python on x86-64. Ends the command where one cannot be had."""
    platforms = [f"manylinux_2_{minor}_x86_64" for minor in (39, 35, 34, 31, 28, 27, 24, 17)] + ["manylinux2014_x86_64"]
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", str(folder)]
    command += ["--implementation", "cp", "--python-version", python]
    command += [word for platform in platforms for word in ("--platform", platform)]
    subprocess.run([*command, *packages], check=True)


if __name__ == "__main__":
    sys.exit(main())
