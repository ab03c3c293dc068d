"""What pyproject.toml and the constraints say, against the tree."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import vmc

ROOT = Path(__file__).resolve().parents[2]
HOMES = {"vmc": "vmc", "vmc.ir": "ir", "vmc.backends": "backends"}


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def packages_in_the_tree() -> set[str]:
    """Every folder with Python files, as a package; the links vmc/ir and vmc/backends are seen as what they lead to."""
    found = set()
    for name, home in HOMES.items():
        for path in (ROOT / home).rglob("*.py"):
            parts = path.parent.relative_to(ROOT / home).parts
            linked = name == "vmc" and parts[:1] in (("ir",), ("backends",))
            if not linked and "__pycache__" not in parts:
                found.add(".".join([name, *parts]))
    return found


def test_the_list_of_packages_names_every_package() -> None:
    setuptools = project()["tool"]["setuptools"]
    assert setuptools["packages"] == sorted(packages_in_the_tree())
    assert setuptools["package-dir"] == HOMES


def test_every_package_can_be_told_from_a_folder() -> None:
    for package in packages_in_the_tree():
        name = max((home for home in HOMES if package == home or package.startswith(home + ".")), key=len)
        folder = ROOT / HOMES[name] / Path(*package.removeprefix(name).strip(".").split("."))
        assert (folder / "__init__.py").is_file(), f"{package} has no __init__.py"


def test_the_links_lead_to_the_folders() -> None:
    for name in ("ir", "backends"):
        assert (ROOT / "vmc" / name).is_symlink()
        assert (ROOT / "vmc" / name).resolve() == ROOT / name


def test_the_version_is_one() -> None:
    assert project()["project"]["version"] == vmc.__version__


def test_everything_that_is_installed_is_constrained() -> None:
    """Every dependency has one version in constraints.txt, which its range admits."""
    from packaging.requirements import Requirement

    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    pins = {re.sub("[-_.]+", "-", name).lower(): version for name, version in pins.items()}
    table = project()["project"]
    wanted = [*table["dependencies"], *(item for extra in table["optional-dependencies"].values() for item in extra)]
    for text in wanted:
        requirement = Requirement(text)
        version = pins[re.sub("[-_.]+", "-", requirement.name).lower()]
        assert requirement.specifier.contains(version), f"{text} does not admit {version}"


def test_the_readme_has_its_two_commands_each_on_one_line() -> None:
    lines = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("python3 -m venv")]
    assert len(lines) == 2
    assert lines[0].endswith("examples/minilm/run.py")
    assert "pytest" in lines[1]


def test_the_tree_does_not_name_a_machine_of_its_makers() -> None:
    words = re.compile("/" + "work/|/" + "root/")
    for pattern in ("*.md", "*.toml", "*.txt", ".ci/*", "docs/*.md", ".github/workflows/*"):
        for path in ROOT.glob(pattern):
            assert not words.search(path.read_text(encoding="utf-8")), path
