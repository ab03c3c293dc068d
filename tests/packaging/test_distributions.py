"""The wheel and the source distribution, built from the tracked files."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = "import sys, setuptools.build_meta as b; out = sys.argv[1]; b.build_wheel(out); b.build_sdist(out)"


def tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the wheel and the sdist, built in a copy so that the checkout stays as it is."""
    copy, built = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("dist")
    for name in tracked():
        source, target = ROOT / name, copy / name
        if source.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(source.readlink())
        elif source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    done = subprocess.run([sys.executable, "-c", BUILD, str(built)], cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    yield built


def as_installed(name: str) -> str:
    """Where a tracked file of the packages lies in the wheel."""
    return name if name.startswith("vmc/") else f"vmc/{name}"


def test_the_wheel_holds_every_tracked_file_of_the_packages_and_only_vmc(distributions: Path) -> None:
    (wheel,) = distributions.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"vmc"}
    links = {"vmc/ir", "vmc/backends"}
    wanted = {as_installed(name) for name in tracked() if name.startswith(("vmc/", "ir/", "backends/"))} - links
    assert wanted - names == set()
    assert {"vmc/py.typed", "vmc/lang/grammar.lark", "vmc/library/linalg.vmc"} <= names


def test_the_sdist_holds_what_the_wheel_is_built_from(distributions: Path) -> None:
    (sdist,) = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "ir/core.py", "backends/interp/machine.py"} <= names
    assert {"vmc/lang/grammar.lark", "vmc/library/linalg.vmc"} <= names
