"""Libraries that several tests use, built once, for the highest level that this machine can execute."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import vmc
from tests.artifact.programs import SMALL
from vmc.backends.cpu.target import best

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

os.environ["TVM_FFI_DISABLE_TORCH_C_DLPACK"] = "1"  # which would compile an extension when tvm_ffi is imported


@pytest.fixture(scope="session")
def target() -> str:
    level = best()
    assert level is not None
    return f"cpu:{level.name}"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, target: str, own_cache: None) -> Path:
    """A folder with `small.so` and `matmul.so` and their headers."""
    path = tmp_path_factory.mktemp("libraries")
    vmc.build([SMALL], path / "small.so", targets=[target], header=path / "small.h")
    matmul = f"{EXAMPLES / 'matmul_wa16.vmc'}:matmul_wa16"
    vmc.build([matmul], path / "matmul.so", targets=[target], header=path / "matmul.h", T=["u4", "u3"], BM=16, BN=32)
    return path


@pytest.fixture(scope="session")
def small(folder: Path) -> vmc.Library:
    return vmc.load(folder / "small.so")


@pytest.fixture(scope="session")
def matmul(folder: Path) -> vmc.Library:
    return vmc.load(folder / "matmul.so")
