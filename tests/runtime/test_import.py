"""What `import vmc` and the quick commands load."""

from __future__ import annotations

import subprocess
import sys

import pytest

import vmc

HEAVY = ("numpy", "lark", "llvmlite", "rich", "torch", "tvm", "ml_dtypes", "argparse", "safetensors", "scipy")


def loaded_after(statement: str) -> set[str]:
    script = f"import sys\n{statement}\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_importing_vmc_loads_nothing_heavy() -> None:
    loaded = loaded_after("import vmc")
    assert not loaded.intersection(HEAVY)
    assert [name for name in loaded if name.startswith("vmc.")] == []


@pytest.mark.parametrize(
    ("command", "absent"),
    [
        ("--version", HEAVY[:7]),
        ("check examples/matmul_wa16.vmc", ("llvmlite", "torch", "tvm", "scipy", "safetensors")),
        ("run examples/matmul_wa16.vmc", ("torch", "tvm", "scipy", "rich")),
    ],
)
def test_a_command_loads_only_what_it_needs(command: str, absent: tuple[str, ...]) -> None:
    loaded = loaded_after(f"from vmc.cli import main\nmain({command.split()!r})")
    assert not loaded.intersection(absent)


def test_the_public_names_are_all_there() -> None:
    for name in vmc.__all__:
        assert getattr(vmc, name) is not None
    assert set(vmc.__all__) <= set(dir(vmc))
    with pytest.raises(AttributeError, match="no attribute 'compil'"):
        vmc.compil  # noqa: B018


def test_compiling_for_a_processor_loads_no_passes_for_gpus() -> None:
    source = "kernel k(x: f32[4], y: out f32[4]):\n    y[:] = x[:] + 1.0\n"
    loaded = loaded_after(f"import vmc\nvmc.compile({source!r})")
    assert "vmc.ir.passes.canonicalize" in loaded
    assert not {name for name in loaded if name.startswith(("vmc.ir.passes.gpu", "vmc.ir.decode", "vmc.backends.cuda"))}
