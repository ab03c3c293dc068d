"""What a result was measured on: processor, caches, cores, load, versions and date."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("vmc", "llvmlite", "numpy", "torch", "onnxruntime", "onnx", "openvino", "llama-cpp-python", "gguf")
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def describe() -> dict[str, Any]:
    """All of it, as JSON takes it."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": processor(),
        "features": features(),
        "cores": cores(),
        "last_level_cache": last_level_cache(),
        "load": list(os.getloadavg()),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := installed(name))},
    }


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def cores() -> int:
    """The cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    return cpuinfo("model name") or platform.processor() or platform.machine()


def features() -> list[str]:
    """The vector instructions that matter here."""
    listed = cpuinfo("flags").split()
    return [name for name in listed if name.startswith(("avx", "amx", "fma", "f16c"))]


def cpuinfo(key: str) -> str:
    """The first entry of that name (Linux)."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    found = (line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key)
    return next(found, "")


def last_level_cache() -> int:
    """Bytes of the largest cache that the first core reports (Linux), 32 MiB where nothing is told."""
    sizes = [parse_size(path.read_text().strip()) for path in CACHES.glob("index*/size")]
    return max(sizes, default=32 << 20)


def parse_size(text: str) -> int:
    """`480M` or `32768K` in bytes."""
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    return int(text[:-1]) * units[text[-1]] if text[-1:] in units else int(text)
