"""`vmc bench`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import vmc as package
from tests.commands.conftest import Run
from tests.tuning.entries import entry
from vmc.backends.cpu import num_threads
from vmc.commands.bench import bytes_of, operations
from vmc.tuning import files
from vmc.tuning.keys import kernel_key, machine_key

MATMUL = """
kernel product[BM = 4, BN = 8](x: f32[M, K], w: u4[K, N], y: out f32[M, N]):
    for m, n in grid(cdiv(M, BM), cdiv(N, BN)):
        acc = zeros(f32[BM, BN])
        for k in range(0, K, 16):
            acc += x[m*BM : +BM, k : +16] @ f32(w[k : +16, n*BN : +BN])
        y[m*BM : +BM, n*BN : +BN] = acc
"""
QUICK = ("--seconds", "0.01", "--hot")


def rows(vmc: Run, *words: str) -> list[dict[str, Any]]:
    outcome = vmc("bench", *words, *QUICK, "--json")
    assert outcome.code == 0, outcome.err
    found: list[dict[str, Any]] = json.loads(outcome.out)["rows"]
    return found


def test_every_case_is_a_row_with_bytes_and_rates(vmc: Run, folder: Path) -> None:
    found = rows(vmc, "copy.vmc", "--set", "T=u4,u8", "--set", "N=64,1000")
    assert [(r["bindings"]["T"], r["symbols"]["N"], r["bytes"]) for r in found] == [
        ("u4", 64, 64),
        ("u4", 1000, 1000),
        ("u8", 64, 128),
        ("u8", 1000, 2000),
    ]
    for row in found:
        assert row["gb_per_second"] == pytest.approx(row["bytes"] / row["median"] / 1e9)
        assert row["least"] <= row["median"] and row["ratio"] == 1.0 and row["gop_per_second"] is None
        assert row["runs"] >= 15


def test_operations_are_those_of_products_inside_the_result(folder: Path) -> None:
    kernel = package.compile(MATMUL)
    assert operations(kernel, {"M": 8, "K": 32, "N": 16}) == 2 * 8 * 32 * 16
    assert operations(kernel, {"M": 1, "K": 32, "N": 16}) == 2 * 1 * 32 * 16
    assert operations(kernel, {"M": 1, "K": 32, "N": 3}) == 2 * 1 * 32 * 3
    assert operations(package.compile(folder / "copy.vmc", T="u4"), {"N": 8}) == 0
    dense = 4 * 8 * 32 + 32 * 16 // 2 + 4 * 8 * 16
    assert bytes_of(kernel, {"M": 8, "K": 32, "N": 16}) >= dense


def test_what_a_kernel_prints_is_not_shown(vmc: Run, folder: Path) -> None:
    text = 'kernel noisy(x: f32[N], y: out f32[N]):\n    y[0 : +4] = x[0 : +4]\n    print("flood", N)\n'
    (folder / "noisy.vmc").write_text(text, encoding="utf-8")
    for target in ("cpu", "interp"):
        outcome = vmc("bench", "noisy.vmc", "--set", "N=4", "--target", target, *QUICK)
        assert outcome.code == 0, outcome.err
        assert "flood" not in outcome.out
        assert "noisy" in outcome.out


def test_the_table_has_a_line_for_each_row(vmc: Run, folder: Path) -> None:
    outcome = vmc("bench", "axpy.vmc", "--set", "M=3", "--set", "N=5,50", "--seconds", "0.01")
    lines = outcome.out.splitlines()
    assert outcome.code == 0 and len(lines) == 3
    assert lines[0].split() == ["kernel", "case", "median", "us", "spread", "least", "us", "GB/s", "Gop/s", "ratio"]
    assert "M=3 N=50" in lines[2]


def test_block_formats_are_timed(vmc: Run, folder: Path) -> None:
    (row,) = rows(vmc, "blocks.vmc", "--set", "M=3", "--set", "N=8")
    assert row["bytes"] == 3 * 2 * 4 + 3 * 8 * 4


def test_another_kernel_is_timed_in_turn_with_the_settings_that_it_knows(vmc: Run, folder: Path) -> None:
    words = ["--set", "T=u4", "--set", "M=2", "--set", "N=64"]
    (folder / "product.vmc").write_text(MATMUL)
    first, second = rows(vmc, "product.vmc", "--set", "M=2", "--set", "K=32", "--set", "N=8", "--against", "axpy.vmc")
    assert (first["kernel"], second["kernel"]) == ("product", "axpy")
    assert second["ratio"] == pytest.approx(first["median"] / second["median"]) and second["symbols"]["N"] == 8
    for against, code in (("nothing", "E0903"), ("copy", "E0908"), ("none.vmc", "E0901")):
        outcome = vmc("bench", "copy.vmc", *words[:2], "--set", "N=64", "--against", against)
        assert outcome.code == 1 and f"error[{code}]" in outcome.err, outcome.err


def test_tuned_parameters_are_timed_beside_the_defaults(
    vmc: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VMC_TUNING", str(tmp_path / "table.json"))
    outcome = vmc("bench", "copy.vmc", "--set", "T=u4", "--set", "N=64", "--tuned", *QUICK)
    assert outcome.code == 0 and outcome.out.startswith("warning: no table has parameters")
    hash = kernel_key((folder / "copy.vmc").read_text(), "copy.vmc", "copy")
    about = {"machine": machine_key(), "threads": num_threads(), "hash": hash}
    files.update(tmp_path / "table.json", [entry(**about)])
    first, second = rows(vmc, "copy.vmc", "--set", "T=u4", "--set", "N=64", "--tuned")
    assert [row["bindings"]["B"] for row in (first, second)] == ["16", "32"] and second["kernel"] == "copy tuned"


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["copy.vmc", "--set", "T=u4"], "E0912", "symbol `N`"),
        (["copy.vmc", "--set", "N=4"], "E0706", "--set T="),
        (["copy.vmc", "--set", "T=u4", "--set", "NN=4"], "E0906", "NN"),
        (["both.vmc"], "E0903", "which kernel"),
        (["copy.vmc", "--set", "T=u4", "--set", "N=64", "--target", "cuda:sm_80"], "E0904", "in the CPU's memory"),
    ],
)
def test_mistakes_are_diagnosed(vmc: Run, folder: Path, words: list[str], code: str, text: str) -> None:
    outcome = vmc("bench", *words, *QUICK)
    assert outcome.code == 1 and f"error[{code}]" in outcome.err and text in outcome.err, outcome.err
