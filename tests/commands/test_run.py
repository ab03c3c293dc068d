"""`vmc run`: arguments from files and made, outputs, checks against the reference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

import vmc as package
from tests.commands.conftest import Run
from tests.generators.storages import vectors_of_atoms
from tests.runtime import programs, relayouts
from vmc.runtime import targets
from vmc.runtime.kernel import Kernel


@pytest.mark.parametrize("target", ["cpu", "interp"])
def test_a_kernel_runs_on_files_and_numbers(vmc: Run, folder: Path, target: str) -> None:
    x, y = np.arange(15, dtype=np.float32).reshape(3, 5), np.ones((3, 5), np.float32)
    np.save("x.npy", x)
    np.save("y.npy", y)
    words = ["--arg", "alpha=2", "--arg", "x=x.npy", "--arg", "y=y.npy", "--out", "y=z.npy"]
    outcome = vmc("run", "axpy.vmc", "--target", target, *words)
    assert outcome.code == 0, outcome.err
    assert "y: f32[3, 5]  from 1 to 29  -> z.npy" in outcome.out
    np.testing.assert_array_equal(np.load("z.npy"), 2 * x + y)
    np.testing.assert_array_equal(np.load("y.npy"), y)


@pytest.mark.parametrize("name", ["u3", "f6e3m2", "i5", "bf16", "f8e4m3", "u8", "f64", "u64"])
def test_files_hold_numbers_or_bit_patterns_in_the_tensor_s_shape(vmc: Run, folder: Path, name: str) -> None:
    type = package.dtype(name)
    codes = np.arange(37, dtype=type.code_dtype) % min(8, 1 << type.width)
    array = type.from_codes(codes) if (type.is_int and type.width >= 8) or type.is_native_float else codes
    np.save("x.npy", array)
    outcome = vmc("run", "copy.vmc", "--set", f"T={name}", "--arg", "x=x.npy", "--out", "y=y.npy", "--check")
    assert outcome.code == 0, outcome.err
    np.testing.assert_array_equal(np.load("y.npy"), array)


def test_packed_bytes_can_be_given_with_the_symbols(vmc: Run, folder: Path) -> None:
    codes = np.arange(24, dtype=np.uint8).reshape(4, 6) % 8
    np.save("w.npy", np.asarray(package.pack(codes, "u3")))
    np.save("s.npy", np.ones((2, 6), np.float16))
    words = ["--arg", "w=w.npy", "--arg", "s=s.npy", "--out", "y=y.npy", "--set", "K=4"]
    assert vmc("run", "scale.vmc", *words).code == 0
    np.testing.assert_array_equal(np.load("y.npy"), codes)


def test_arguments_are_packed_as_each_target_chose(
    vmc: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VMC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(targets, "_loaded", {})
    relayouts.install(monkeypatch, {"v": vectors_of_atoms(32, 16, (2, 1)), "w": vectors_of_atoms(8, 4, (8,))})
    (folder / "pair.vmc").write_text(programs.PAIR)
    seen: list[tuple[str, frozenset[str]]] = []
    original = Kernel._variant
    monkeypatch.setattr(Kernel, "_variant", lambda self, d: (seen.append((self.target, d)), original(self, d))[1])
    v, w = (np.random.default_rng(0).integers(0, top, (9, 17), np.uint8) for top in (8, 256))
    np.save("v.npy", v)
    np.save("w.npy", w)
    words = ["--set", "T=u8", "--out", "y=y.npy", "--check"]
    outcome = vmc("run", "pair.vmc", "--arg", "v=v.npy", "--arg", "w=w.npy", *words)
    assert outcome.code == 0 and "check: equal" in outcome.out, outcome.err
    np.testing.assert_array_equal(np.load("y.npy"), v + 100.0 * w)
    outcome = vmc(
        "run", "pair.vmc", "--arg", "v=random", "--arg", "w=3", "--set", "K=5", "--set", "N=70", "--time", *words
    )
    assert outcome.code == 0, outcome.err
    assert set(seen) == {("cpu", frozenset()), ("interp", frozenset())}
    np.save("v.npy", np.asarray(package.pack(v, "u3")))
    assert vmc("run", "pair.vmc", "--arg", "v=v.npy", "--arg", "w=w.npy", *words).code == 0
    np.testing.assert_array_equal(np.load("y.npy"), v + 100.0 * w)
    assert seen[-2:] == [("cpu", frozenset("v")), ("interp", frozenset())]


def test_tensors_come_from_safetensors_files(vmc: Run, folder: Path) -> None:
    x = np.arange(8, dtype=np.float32).astype(ml_dtypes.bfloat16)
    save_file({"layer.x": x, "other": np.zeros(3, np.float32)}, "model.safetensors")
    words = ["--set", "T=bf16", "--out", "y=y.npy"]
    outcome = vmc("run", "copy.vmc", *words, "--arg", "x=model.safetensors:layer.x")
    assert outcome.code == 0, outcome.err
    np.testing.assert_array_equal(np.load("y.npy"), x.view(np.uint16))
    for text, message in (
        ("x=model.safetensors:layer.y", "did you mean `layer.x`?"),
        ("x=model.safetensors", "name one"),
        ("x=none.safetensors:x", "there is no file none.safetensors"),
    ):
        outcome = vmc("run", "copy.vmc", *words, "--arg", text)
        assert outcome.code == 1 and message in outcome.err


@pytest.mark.parametrize("how", ["zeros", "ones", "random", "3"])
@pytest.mark.parametrize("name", ["u3", "f4e2m1", "i8", "f16", "f32", "i64"])
def test_arguments_are_made_of_every_type(vmc: Run, folder: Path, name: str, how: str) -> None:
    words = ["--set", f"T={name}", "--set", "N=50", "--arg", f"x={how}", "--out", "y=y.npy", "--check"]
    outcome = vmc("run", "copy.vmc", *words)
    assert outcome.code == 0, outcome.err
    type = package.dtype(name)
    stored = np.load("y.npy")
    values = type.decode(type.to_codes(stored) if stored.dtype == type.array_dtype else stored)
    assert values.shape == (50,)
    if how == "random":
        assert len(np.unique(values)) > 3
    else:
        assert (values == {"zeros": 0, "ones": 1, "3": 3}[how]).all()


def test_the_seed_chooses_the_random_numbers(vmc: Run, folder: Path) -> None:
    results = []
    for seed in (1, 1, 2):
        vmc(
            "run", "copy.vmc", "--set", "T=f32", "--set", "N=9", "--arg", "x=random", "--out", "y=y.npy", "--seed", seed
        )
        results.append(np.load("y.npy").tolist())
    assert results[0] == results[1] != results[2]


def test_blocks_of_a_format_are_made_with_sane_scales(vmc: Run, folder: Path) -> None:
    words = ["--set", "M=3", "--set", "N=40", "--arg", "w=random", "--out", "y=y.npy", "--check"]
    outcome = vmc("run", "blocks.vmc", *words)
    assert outcome.code == 0, outcome.err
    values = np.load("y.npy")
    assert np.isfinite(values).all() and 0 < values.max() < 4


@pytest.mark.parametrize("name", ["gguf.q4_0", "mx.mxfp4"])
def test_a_format_of_the_library_is_set_by_its_module_and_name(vmc: Run, folder: Path, name: str) -> None:
    (folder / "decode.vmc").write_text(
        "kernel decode[F: format](w: F[N], y: out f32[N]):\n    for i in grid(N // 32):\n"
        "        y[i*32 : +32] = w[i*32 : +32]\n"
    )
    outcome = vmc("run", "decode.vmc", "--set", f"F={name}", "--set", "N=64", "--arg", "w=random", "--check")
    assert outcome.code == 0, outcome.err


def test_a_check_tells_equal_bits_from_reordered_sums(vmc: Run, folder: Path) -> None:
    (folder / "total.vmc").write_text(
        "kernel total(x: f32[N], y: out f32[1]):\n    y[0 : +1] = sum(x[0 : +64], axis=0, keepdims=true)\n"
    )
    exact = vmc("run", "copy.vmc", "--set", "T=f32", "--set", "N=9", "--arg", "x=random", "--check")
    assert "equal to the reference machine, bit for bit" in exact.out
    summed = vmc("run", "total.vmc", "--set", "N=64", "--arg", "x=random", "--check")
    assert summed.code == 0, summed.err
    assert "but for the order of float sums" in summed.out


PARTIAL = """
kernel partial[T: type](x: T[N], y: out T[N]):
    for i in grid(N // 16):
        y[i*16 : +16] = x[i*16 : +16]
"""


@pytest.mark.parametrize("name", ["f32", "u3"])
def test_a_check_warns_of_elements_that_are_never_written(vmc: Run, folder: Path, name: str) -> None:
    (folder / "partial.vmc").write_text(PARTIAL)
    words = ["run", "partial.vmc", "--set", f"T={name}", "--arg", "x=ones", "--check"]
    outcome = vmc(*words, "--set", "N=100")
    assert outcome.code == 0, outcome.err
    assert "warning: y: 4 of 100 elements never written" in outcome.out
    assert "warning" not in vmc(*words, "--set", "N=96").out
    assert "never written" not in vmc(*words, "--set", "N=0").out


def test_elements_never_written_are_counted_in_a_pinned_layout(vmc: Run, folder: Path) -> None:
    (folder / "pinned.vmc").write_text(
        "kernel pinned(x: u3[M, N], y: out u3[M, N] layout col_major(8, 8)):\n"
        "    for i, j in grid(M // 8, cdiv(N, 8)):\n        y[i*8 : +8, j*8 : +8] = x[i*8 : +8, j*8 : +8]\n"
    )
    words = ["run", "pinned.vmc", "--set", "N=20", "--arg", "x=random", "--check"]
    assert "warning: y: 80 of 400 elements never written" in vmc(*words, "--set", "M=20").out
    assert "warning" not in vmc(*words, "--set", "M=16").out


def test_a_symbol_that_is_set_stays_a_symbol(vmc: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    original = Kernel.__call__
    monkeypatch.setattr(Kernel, "__call__", lambda self, **named: (seen.append(self), original(self, **named))[1])
    outcome = vmc("run", "copy.vmc", "--set", "T=f32", "--set", "N=300", "--arg", "x=random", "--check")
    assert outcome.code == 0, outcome.err
    assert [(kernel.target, kernel.symbols) for kernel in seen] == [("cpu", ("N",)), ("interp", ("N",))]


def test_a_kernel_that_needs_a_symbol_s_value_is_compiled_for_it_and_says_so(vmc: Run, folder: Path) -> None:
    (folder / "whole.vmc").write_text("kernel whole(x: f32[N], y: out f32[N]):\n    y[0 : +N] = x[0 : +N]\n")
    outcome = vmc("run", "whole.vmc", "--set", "N=8", "--arg", "x=ones", "--check")
    assert outcome.code == 0, outcome.err
    assert "warning: `whole` does not compile for every size; compiled for N=8 only" in outcome.out
    assert "y: f32[8]  from 1 to 1" in outcome.out


def test_a_result_that_differs_from_the_reference_fails_and_writes_nothing(
    vmc: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(self: Any, addresses: Any, sizes: Any, *more: Any) -> None:
        targets.memory(addresses[1], sizes[1])[5] ^= 1

    monkeypatch.setattr(targets.Native, "launch", wrong)
    outcome = vmc("run", "copy.vmc", "--set", "T=u8", "--set", "N=9", "--arg", "x=ones", "--out", "y=y.npy", "--check")
    assert outcome.code == 1
    assert "error[E0913]" in outcome.err and "8 of 9 elements; at [0] 0, and the reference has 1" in outcome.err
    assert not Path("y.npy").exists()


def test_a_failing_program_is_a_diagnostic_with_its_line_and_writes_nothing(vmc: Run, folder: Path) -> None:
    for target in ("cpu", "interp"):
        words = ["--target", target, "--set", "N=4", "--arg", "x=-1", "--out", "y=y.npy"]
        outcome = vmc("run", "checked.vmc", *words)
        assert outcome.code == 1
        assert "error[E0918]: negative input" in outcome.err and "checked.vmc:5" in outcome.err
        assert "assert all(a >= 0" in outcome.err
        assert not Path("y.npy").exists()


def test_times_are_printed(vmc: Run, folder: Path) -> None:
    outcome = vmc("run", "copy.vmc", "--set", "T=f32", "--set", "N=9", "--arg", "x=random", "--time")
    assert outcome.code == 0 and "us median" in outcome.out


def test_json_reports_everything_and_nothing_else(vmc: Run, folder: Path) -> None:
    (folder / "say.vmc").write_text(
        'kernel say(x: f32[4], y: out f32[4]):\n    print("x", x[0 : +4])\n    y[0 : +4] = x[0 : +4]\n'
    )
    outcome = vmc("run", "say.vmc", "--arg", "x=ones", "--json", "--check")
    report = json.loads(outcome.out)
    assert report["warnings"] == []
    assert report["check"] == {"equal": True, "tolerance": None, "worst": 0.0}
    assert report["outputs"] == [{"name": "y", "type": "f32", "shape": [4], "min": 1.0, "max": 1.0, "nonfinite": 0}]
    assert "x" in outcome.err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], "E0908", "`copy` misses x: f32[N]"),
        (["--arg", "z=ones"], "E0908", "no parameter or symbol `z`"),
        (["--arg", "x=ones"], "E0912", "give `--set N=...`"),
        (["--arg", "x=many", "--set", "N=4"], "E0908", "`many` is no argument for x: f32[N]"),
        (["--arg", "x=ones", "--arg", "x=zeros", "--set", "N=4"], "E0908", "given twice"),
        (["--arg", "x=none.npy"], "E0901", "there is no file none.npy"),
        (["--arg", "x=text.npy"], "E0916", "not a .npy file"),
        (["--arg", "x=cut.npy"], "E0916", "not a .npy file"),
        (["--arg", "x=pickle.npy"], "E0916", "not a .npy file"),
        (["--arg", "x=f64.npy"], "E0909", "expected float32 for x: f32[N], got float64[4]"),
        (["--arg", "x=matrix.npy"], "E0910", "expected rank 1"),
        (["--arg", "x=four.npy", "--set", "N=5"], "E0911", "symbol `N` is 5 by the call, but 4 by `x`"),
        (["--arg", "x=four.npy", "--arg", "y=five.npy"], "E0911", "symbol `N` is 4 by"),
        (["--arg", "x=ones", "--set", "N=-4"], "E0313", "must not be negative"),
        (["--arg", "x=ones", "--set", "N=4", "--out", "x=a.npy"], "E0908", "`x` is no output of `copy`"),
        (["--arg", "x=ones", "--set", "N=4", "--out", "y=a.txt"], "E0916", "written as .npy files"),
        (["--arg", "x=ones", "--set", "N=4", "--out", "y=no/a.npy"], "E0901", "there is no folder no"),
        (["--arg", "x=ones", "--set", "N=4", "--target", "cuda:sm_80"], "E0904", "ptx-vm"),
    ],
)
def test_what_does_not_fit_is_diagnosed_and_nothing_is_written(
    vmc: Run, folder: Path, words: list[str], code: str, message: str
) -> None:
    np.save("f64.npy", np.zeros(4))
    np.save("matrix.npy", np.zeros((2, 2), np.float32))
    np.save("four.npy", np.zeros(4, np.float32))
    np.save("five.npy", np.zeros(5, np.float32))
    np.save("pickle.npy", np.array([None]), allow_pickle=True)
    Path("text.npy").write_text("not numbers")
    Path("cut.npy").write_bytes(Path("f64.npy").read_bytes()[:140])
    before = sorted(folder.iterdir())
    outcome = vmc("run", "copy.vmc", "--set", "T=f32", *words)
    assert outcome.code == 1
    assert f"error[{code}]" in outcome.err and message in outcome.err
    assert sorted(folder.iterdir()) == before


def test_an_output_file_is_replaced_whole(vmc: Run, folder: Path) -> None:
    Path("y.npy").write_text("old")
    assert vmc("run", "copy.vmc", "--set", "T=f32", "--set", "N=9", "--arg", "x=ones", "--out", "y=y.npy").code == 0
    np.testing.assert_array_equal(np.load("y.npy"), np.ones(9, np.float32))
    assert not list(folder.glob(".writing-*"))
