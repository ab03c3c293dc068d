"""`vmc doctor`: what is installed, what each missing piece would enable, and how to get it."""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import platform
import shutil
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import vmc

OK, MISSING, BROKEN = "ok", "missing", "broken"
REQUIRED = {
    "numpy": "arrays and the reference machine",
    "lark": "the parser",
    "llvmlite": "native code for the CPU",
    "ml_dtypes": "arrays of bfloat16 and 8-bit floats",
    "platformdirs": "the place of the compile cache",
    "safetensors": "`vmc run --arg x=FILE.safetensors:NAME`",
}
OPTIONAL = {
    "torch": ("torch tensors as arguments", "pip install 'vmc[torch]'"),
    "apache-tvm-ffi": ("calling libraries of `vmc build` through TVM-FFI", "pip install 'vmc[ffi]'"),
    "apache-tvm": ("compiling for NVIDIA GPUs", "pip install 'vmc[cuda]'"),
    "cuda-bindings": ("NVRTC, and launches on an NVIDIA GPU", "pip install 'vmc[cuda]'"),
    "nvidia-cuda-nvdisasm": ("`vmc show --stage sass`", "pip install 'vmc[cuda]'"),
    "nvidia-cuda-cuobjdump": ("registers and spills of compiled kernels", "pip install 'vmc[cuda]'"),
}
FEATURES = (
    "sse4.2",
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512bw",
    "avx512vbmi",
    "avx512vnni",
    "avx512bf16",
    "amx-int8",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `get` says how to have what is missing, and `enables` what for."""

    name: str
    status: str
    detail: str
    enables: str = ""
    get: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Prints the findings. Returns 0, or 1 where something that vmc needs is missing or broken."""
    findings = [*interpreter(), *packages(), *processor(), linker(), *gpu(), cache()]
    if args.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        print("\n".join(lines(findings)))
    needed = [f for f in findings if f.status == BROKEN or (f.status == MISSING and f.name in REQUIRED)]
    return 1 if needed else 0


def lines(findings: list[Finding]) -> list[str]:
    width = max(len(finding.name) for finding in findings)
    shown = []
    for finding in findings:
        shown.append(f"{finding.status:<8} {finding.name:<{width}}  {finding.detail}")
        if finding.status != OK:
            about = [f"enables {finding.enables}"] if finding.enables else []
            about += [f"get it: {finding.get}"] if finding.get else []
            shown += [f"{'':<8} {'':<{width}}  {text}" for text in about]
    return shown


def interpreter() -> list[Finding]:
    system = f"{platform.system()} {platform.machine()}"
    return [
        Finding("vmc", OK, f"{vmc.__version__} in {Path(vmc.__file__).parent}"),
        Finding("python", OK, f"{platform.python_version()} on {system}, {sys.executable}"),
    ]


def version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def packages() -> list[Finding]:
    found = []
    for name, use in REQUIRED.items():
        number = version(name)
        status = OK if number else MISSING
        found.append(Finding(name, status, number or "not installed", use, f"pip install {name}"))
    for name, (use, get) in OPTIONAL.items():
        number = version(name)
        found.append(Finding(name, OK if number else MISSING, number or "not installed", use, get))
    return found


def processor() -> list[Finding]:
    """The processor as LLVM sees it, and the threads that launches may use."""
    if version("llvmlite") is None:
        return [Finding("cpu", MISSING, "not known without llvmlite", "native code", "pip install llvmlite")]
    try:
        import llvmlite.binding as llvm

        from vmc.backends.cpu import num_threads
        from vmc.backends.cpu.scheduler import has_team
        from vmc.backends.cpu.target import best

        features = llvm.get_host_cpu_features()
        vector = ", ".join(name for name in FEATURES if features.get(name)) or "no vector features that vmc names"
        native = ".".join(map(str, llvm.llvm_version_info))
        level = best()
        highest = f"cpu:{level.name} ({level.example})" if level else "none that vmc names"
        return [
            Finding("cpu", OK, f"{llvm.get_host_cpu_name()}: {vector} (LLVM {native})"),
            Finding("level", OK, f"{highest} is the highest that the processor can execute"),
            Finding(
                "threads",
                OK if has_team() else MISSING,
                f"{num_threads()} of {os.cpu_count()} cores; VMC_NUM_THREADS sets another number"
                if has_team()
                else "launches run on their caller's thread: helper threads are woken by futex(2)",
                "launches on several cores",
                "64-bit Linux on x86-64, aarch64 or riscv64",
            ),
        ]
    except (ImportError, OSError, RuntimeError) as error:
        return [Finding("cpu", BROKEN, f"llvmlite does not work: {error}", "native code", "reinstall llvmlite")]


def linker() -> Finding:
    """The C compiler, which links libraries."""
    from vmc.artifact.linking import GET, architecture, compiler
    from vmc.runtime.errors import BuildError

    enables = "`vmc build`, which links libraries"
    try:
        command = compiler()
        return Finding("cc", OK, f"{' '.join(command)} for {architecture(command)}")
    except BuildError as error:
        return Finding("cc", MISSING, error.message, enables, error.help or GET)


def gpu() -> list[Finding]:
    """What compiling for NVIDIA GPUs and running there would need."""
    nvrtc = find_spec("nvidia") is not None and version("nvidia-cuda-nvrtc")
    nvcc = shutil.which("nvcc")
    compiler = f"NVRTC {nvrtc}" if nvrtc else nvcc
    return [
        Finding(
            "nvrtc",
            OK if compiler else MISSING,
            compiler or "neither NVRTC nor nvcc",
            "PTX and cubin from CUDA source",
            "pip install nvidia-cuda-nvrtc, or the CUDA toolkit",
        ),
        Finding("gpu", *driver(), "running on an NVIDIA GPU", "a GPU and NVIDIA's driver"),
    ]


def driver() -> tuple[str, str]:
    """Whether the CUDA driver loads and sees a device (cuInit, cuDeviceGetCount)."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return MISSING, "no CUDA driver"
    count = ctypes.c_int(0)
    if library.cuInit(0) or library.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return MISSING, "the CUDA driver sees no device"
    return OK, f"{count.value} device{'s' * (count.value > 1)}"


def cache() -> Finding:
    """The compile cache: where it is, what it holds, whether it can be written."""
    from vmc.runtime.cache import SUFFIX, cache_directory

    enables = "starting without compiling again what was compiled before"
    directory = cache_directory()
    if directory is None:
        return Finding("cache", MISSING, "turned off by VMC_CACHE=0", enables, "unset VMC_CACHE")
    try:
        sizes = [path.stat().st_size for path in directory.iterdir() if path.suffix == SUFFIX]
        writable = os.access(directory, os.W_OK)
    except FileNotFoundError:
        sizes, writable = [], True
    except OSError:
        sizes, writable = [], False
    detail = f"{directory}: {len(sizes)} kernels, {sum(sizes) / 2**20:.1f} MiB"
    if not writable:
        return Finding(
            "cache", MISSING, f"{detail}; it cannot be written", enables, "set VMC_CACHE_DIR to a folder of yours"
        )
    return Finding("cache", OK, detail)
