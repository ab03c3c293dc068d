"""`vmc.build` and `vmc build`: what they make is the same everywhere, whole or not there, and named as they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import vmc
from tests.artifact.conftest import EXAMPLES
from tests.artifact.programs import SMALL
from vmc.artifact.programs import instances
from vmc.artifact.sealing import manifest_of
from vmc.cli import main

SCALE = str(EXAMPLES / "scale.vmc")
TWO = "kernel one[T: type](x: T[N], y: out T[N]):\n    for i in grid(N):\n        y[i] = x[i]\n"


def test_names_tell_the_parameters_in_which_kernels_differ() -> None:
    assert list(instances([SCALE], {"T": "u3"})) == ["scale"]
    assert list(instances([SCALE], {"T": ["u3", "i5"]})) == ["scale_u3", "scale_i5"]
    both = instances([SCALE], {"T": ["u3", "u4"], "B": [32, 64]})
    assert list(both) == ["scale_u3_B32", "scale_u3_B64", "scale_u4_B32", "scale_u4_B64"]
    assert list(instances([SCALE], {"N": [1, 128]})) == ["scale_N1", "scale_N128"]
    assert list(instances({"mine": SCALE}, {})) == ["mine"]
    assert list(instances([SMALL], {}))[:2] == ["axpy", "shift"]


def test_a_binding_goes_to_the_kernels_that_have_it() -> None:
    made = instances([SCALE, SMALL], {"F": "gguf.q4_0", "B": 32})
    assert made["decode"].parameters["F"] == "q4_0" and "F" not in made["scale"].parameters
    assert made["scale"].parameters["B"] == made["axpy"].parameters["B"] == "32"
    with pytest.raises(vmc.CompileError, match="no compile-time parameter or symbol `Q`"):
        instances([SCALE], {"Q": 1})


def test_a_compiled_kernel_can_be_built_again(tmp_path: Path, target: str) -> None:
    kernel = vmc.compile(TWO, T="u8")
    made = vmc.build({"copy": kernel}, tmp_path / "lib.so", targets=[target])
    assert [(one.name, one.kernel) for one in made.kernels] == [("copy", "one")]
    with pytest.raises(vmc.BuildError, match="compiled already"):
        vmc.build([kernel], tmp_path / "lib.so", targets=[target], T="u4")


@pytest.mark.parametrize(
    ("programs", "message"),
    [
        ([SCALE, SCALE], "2 kernels would be called `scale`"),
        ({"a b": SCALE}, "no name in C"),
        ({"where": SCALE}, "`vmc_where`, of a function for `where`, is taken"),
        ({"two": SMALL}, "is one name, and the program has 6"),
        ([], "no kernel"),
        (
            ['kernel p(y: out i32[1]):\n    for i in grid(1):\n        print("i")\n        y[i] = 1\n'],
            "prints",
        ),
    ],
)
def test_what_a_library_cannot_have_is_said(programs: object, message: str, tmp_path: Path, target: str) -> None:
    with pytest.raises(vmc.BuildError, match=message):
        vmc.build(programs, tmp_path / "lib.so", targets=[target])  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_targets_that_a_library_cannot_have_are_said(tmp_path: Path) -> None:
    for target, message in [("interp", "cannot have code"), ("cpu:nope", "cpu:amx"), ("gpu", "unknown target")]:
        with pytest.raises(vmc.TargetError, match=message):
            vmc.build([SCALE], tmp_path / "lib.so", targets=[target])
    with pytest.raises(vmc.TargetError, match="one architecture"):
        vmc.build([SCALE], tmp_path / "lib.so", targets=["cpu:aarch64", "cpu:amx"])


def test_without_a_compiler_an_error_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler -O3")
    with pytest.raises(vmc.BuildError, match=r"CC names `no-such-compiler`.*install gcc or clang"):
        vmc.build([SCALE], tmp_path / "lib.so")
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(vmc.BuildError, match="there is no C compiler"):
        vmc.build([SCALE], tmp_path / "lib.so")


def test_a_failed_build_leaves_the_old_file_and_nothing_else(tmp_path: Path, target: str) -> None:
    (tmp_path / "lib.so").write_text("old")
    with pytest.raises(vmc.CompileError):
        vmc.build(["kernel broken(\n"], tmp_path / "lib.so", targets=[target])
    with pytest.raises(OSError):
        vmc.build([SCALE], tmp_path / "no folder" / "lib.so", targets=[target])
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("lib.so", "old")]


def test_two_builds_are_the_same_byte_for_byte(tmp_path: Path, target: str) -> None:
    """In other folders, from copies of the source elsewhere, with other hashes of text, without a cache."""
    made = []
    for number, name in enumerate(("one", "another place")):
        place = tmp_path / name
        place.mkdir()
        (place / "scale.vmc").write_text(Path(SCALE).read_text())
        environment = {**os.environ, "PYTHONHASHSEED": str(number), "VMC_CACHE": "0", "TMPDIR": str(place)}
        words = ["build", str(place / "scale.vmc"), "--set", "T=u3,u4", "--target", target, "-o", str(place / "lib.so")]
        command = [sys.executable, "-m", "vmc", *words, "--header", str(place / "lib.h"), "--json"]
        subprocess.run(command, check=True, env=environment, cwd=place if number else None, capture_output=True)
        assert {path.name for path in place.iterdir()} == {"scale.vmc", "lib.so", "lib.h"}
        made.append(((place / "lib.so").read_bytes(), (place / "lib.h").read_bytes()))
    assert made[0] == made[1]
    assert str(tmp_path).encode() not in made[0][0]


def test_the_command_prints_what_the_library_has(
    tmp_path: Path, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["build", SCALE, "--set", "T=u3", "--target", target, "-o", str(tmp_path / "lib.so")]
    assert main(words) == 0
    assert "scale(w: u3[N], s: f16[1], y: out f16[N])" in capsys.readouterr().out
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads(manifest_of((tmp_path / "lib.so").read_bytes()))
    assert told["kernels"][0]["bindings"] == {"T": "u3", "B": "64"} and told["kernels"][0]["file"] == "scale.vmc"
    assert (tmp_path / "lib.so").stat().st_mode & 0o111


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["build", "nothing.vmc", "-o", "lib.so"], "E0901"),
        (["build", SCALE, "-o", "no/lib.so"], "E0921"),
        (["build", SCALE, "-o", "lib.so", "--target", "interp"], "E0904"),
        (["build", SCALE, "-o", "lib.so", "--set", "Q=1"], "E0906"),
        (["build", SCALE, "-o", "lib.so", "--prefix", "1"], "E0921"),
        (["build", SCALE + ":nope", "-o", "lib.so"], "E09"),
    ],
)
def test_mistakes_end_with_a_diagnostic(
    words: list[str], code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    if "--target" not in words:
        words = [*words, "--target", "cpu:x86-64-v3"]
    assert main(words) == 1
    assert f"error[{code}" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
