"""`vmc show`."""

from __future__ import annotations

import json
from pathlib import Path

import llvmlite.binding as llvm
import pytest

from tests.commands.conftest import Run


def test_every_listed_stage_can_be_shown(vmc: Run, folder: Path) -> None:
    stages = vmc("show", "copy.vmc", "--list").out.split()
    assert stages[:2] == ["ast", "ir"] and stages[-2:] == ["llvm", "asm"]
    for stage in stages:
        outcome = vmc("show", "copy.vmc", "--set", "T=u4", "--stage", stage)
        assert outcome.code == 0 and len(outcome.out) > 100


def test_without_a_stage_the_ir_that_the_target_gets_is_shown(vmc: Run, folder: Path) -> None:
    last = vmc("show", "copy.vmc", "--list").out.split()[-3]
    assert vmc("show", "copy.vmc", "--set", "T=u4").out == vmc("show", "copy.vmc", "--set", "T=u4", "--stage", last).out


def test_a_kernel_of_several_is_named_after_the_file(vmc: Run, folder: Path) -> None:
    assert "kernel axpy" in vmc("show", "both.vmc:axpy", "--stage", "ir").out
    outcome = vmc("show", "both.vmc")
    assert outcome.code == 1 and "error[E0903]" in outcome.err and "`copy`, `axpy`" in outcome.err


def test_stages_targets_and_settings_that_do_not_exist_are_diagnosed(vmc: Run, folder: Path) -> None:
    for words, code, text in (
        (["--stage", "ams"], "E0917", "did you mean `asm`?"),
        (["--stage", "asm", "--target", "interp"], "E0917", "unknown stage `asm`"),
        (["--stage", "ptx"], "E0917", "`--target cuda:sm_90a --stage ptx`"),
        (["--stage", "llvm", "--target", "cuda:sm_80"], "E0917", "`--target cpu --stage llvm`"),
        (["--target", "gpu"], "E0904", "unknown target `gpu`"),
        (["--target", "cpu:foo"], "E0904", "besides `cpu` there are cpu:x86-64,"),
        (["--target", "cpu:foo", "--stage", "asm"], "E0904", "unknown target `cpu:foo`"),
        (["--target", "cpu:foo", "--list"], "E0904", "unknown target `cpu:foo`"),
        (["--target", "cpu:", "--list"], "E0904", "unknown target `cpu:`"),
        (["--target", "cuda:sm_90"], "E0904", "did you mean `cuda:sm_90a`?"),
        (["--set", "TT=u4", "--set", "T=u4"], "E0906", "no compile-time parameter or symbol `TT`"),
        (["--set", "T=u44"], "E0211", "did you mean"),
        (["--set", "T=u4", "--set", "N=1.5"], "E0907", "the symbol `N` takes an integer, and got 1.5"),
        (["--set", "T=u4", "--set", "N=u4"], "E0907", "the symbol `N` takes an integer, and got u4"),
        (
            ["--set", "T=u4", "--set", "B=word"],
            "E0705",
            "`B` takes an integer, as its default is, and got the word `word`",
        ),
        (["--set", "T=u4", "--set", "N=word"], "E0907", "the symbol `N` takes an integer, and got the word `word`"),
        (["--set", "T=u4", "--set", "TT=word"], "E0906", "no compile-time parameter or symbol `TT`"),
        ([], "E0706", "--set T="),
    ):
        outcome = vmc("show", "copy.vmc", *words)
        assert outcome.code == 1
        assert f"error[{code}]" in outcome.err and text in outcome.err


def test_code_that_the_host_cannot_execute_is_shown(vmc: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llvm, "get_host_cpu_features", dict)
    for target, sign in (
        ("cpu:x86-64-v4", "%zmm"),
        ("cpu:aarch64", "fmul\tv"),
        ("cpu:portable", "vmc_axpy.x86-64-v3."),
    ):
        outcome = vmc("show", "axpy.vmc", "--target", target, "--stage", "asm", "--set", "B=64")
        assert outcome.code == 0 and sign in outcome.out


def test_json_holds_the_text(vmc: Run, folder: Path) -> None:
    report = json.loads(vmc("show", "axpy.vmc", "--stage", "ir", "--json").out)
    assert report["kernel"] == "axpy" and report["text"].startswith("kernel axpy")
    contracts = json.loads(vmc("show", "axpy.vmc", "--list", "--json").out)
    assert contracts["cse"]
