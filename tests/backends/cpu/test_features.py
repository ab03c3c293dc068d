"""What processors have: the host, and those that LLVM knows by name."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import pytest

from vmc.backends.cpu import Options, features
from vmc.backends.cpu.target import machine

CPUINFO = Path("/proc/cpuinfo")
IN_CPUINFO = {"avx512vbmi": "avx512vbmi", "avx512vnni": "avx512_vnni", "avxvnni": "avx_vnni", "amx-int8": "amx_int8"}
IN_CPUINFO |= {"avx512bf16": "avx512_bf16", "avx512fp16": "avx512_fp16", "amx-tile": "amx_tile", "amx-bf16": "amx_bf16"}
V3 = {"ssse3", "avx", "f16c", "avx2", "fma"}
V4 = V3 | {"avx512f", "avx512bw", "avx512vl"}
ICE_LAKE = V4 | {"avx512vnni", "avx512vbmi", "gfni"}
SAPPHIRE_RAPIDS = ICE_LAKE | {"avxvnni", "avx512bf16", "avx512fp16", *features.AMX}
PROCESSORS = {
    "x86-64": set(),
    "nehalem": {"ssse3"},
    "sandybridge": {"ssse3", "avx"},
    "ivybridge": {"ssse3", "avx", "f16c"},
    "haswell": V3,
    "knl": V3 | {"avx512f"},
    "alderlake": V3 | {"avxvnni", "gfni"},
    "skylake-avx512": V4,
    "cascadelake": V4 | {"avx512vnni"},
    "icelake-server": ICE_LAKE,
    "znver4": ICE_LAKE | {"avx512bf16"},
    "sapphirerapids": SAPPHIRE_RAPIDS,
}
X86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="not an x86-64 host")


@X86
@pytest.mark.skipif(not CPUINFO.exists(), reason="no /proc/cpuinfo")
def test_the_host_has_what_the_kernel_lists() -> None:
    flags = set(next(line for line in CPUINFO.read_text().splitlines() if line.startswith("flags")).split())
    asked = [*features.X86_PROBES, *(features.AMX if features.amx_allowed() else ())]
    expected = {name for name in asked if IN_CPUINFO.get(name, name) in flags}
    assert machine(Options()).features == expected


@X86
@pytest.mark.parametrize("cpu", PROCESSORS)
def test_a_named_processor_has_what_its_manual_lists(cpu: str) -> None:
    assert machine(Options(cpu=cpu)).features == PROCESSORS[cpu]


@X86
def test_a_list_adds_and_takes_away_with_what_depends_on_it() -> None:
    assert machine(Options(cpu="x86-64", features="+avxvnni")).features == {"ssse3", "avx", "avx2", "avxvnni"}
    assert machine(Options(cpu="sapphirerapids", features="-avx512f")).features == V3 | {
        "avxvnni",
        "gfni",
        *features.AMX,
    }
    assert not {*features.AMX} & machine(Options(cpu="sapphirerapids", features="-amx-tile")).features
    assert "avx512vnni" not in machine(Options(features="-avx512f")).features


@X86
def test_where_the_kernel_refuses_tiles_the_host_has_no_amx(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = dict.fromkeys([*features.X86_PROBES, *features.AMX], True)
    monkeypatch.setattr(llvm, "get_host_cpu_features", lambda: everything)
    monkeypatch.setattr(features, "amx_allowed", lambda: False)
    assert features.host_features() == everything | dict.fromkeys(features.AMX, False)


@X86
@pytest.mark.skipif(not features.amx_allowed(), reason="no permission for AMX tiles")
def test_permission_for_tiles_suffices_to_execute_tile_instructions() -> None:
    script = """
        import ctypes
        import llvmlite.binding as llvm
        from vmc.backends.cpu import Options
        from vmc.backends.cpu.target import machine
        text = 'declare void @llvm.x86.tilerelease() define void @f() "target-features"="+amx-tile" '
        module = llvm.parse_assembly(text + "{ call void @llvm.x86.tilerelease() ret void }")
        engine = llvm.create_mcjit_compiler(module, machine(Options()).llvm_machine)
        engine.finalize_object()
        ctypes.CFUNCTYPE(None)(engine.get_function_address("f"))()
    """
    lines = "\n".join(line.strip() for line in script.splitlines())
    subprocess.run([sys.executable, "-c", lines], check=True, timeout=60)
