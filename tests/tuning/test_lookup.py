"""What `vmc.compile(..., tuned=...)` takes from tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vmc
from tests.tuning.entries import entry
from vmc.backends.cpu import num_threads
from vmc.tuning import files
from vmc.tuning.keys import kernel_key, machine_key
from vmc.tuning.lookup import choose
from vmc.tuning.table import Entry

SOURCE = """
kernel add[T: type = u4, BM = 8, BN = 16](x: T[M, N], y: out f32[M, N]):
    for m, n in grid(cdiv(M, BM), cdiv(N, BN)):
        y[m*BM : +BM, n*BN : +BN] = f32(x[m*BM : +BM, n*BN : +BN])
"""
STATICS = {"T": "u4", "BM": "8", "BN": "16"}


def tuned_at(m: int, n: int, bm: int, bn: int, **changes: Any) -> Entry:
    about = {"symbols": {"M": m, "N": n}, "parameters": {"BM": bm, "BN": bn}, "threads": num_threads()}
    return entry(kernel="add", **(about | changes))


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two shapes of `SOURCE` on this machine; nothing else is known."""
    monkeypatch.setattr(files, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setenv("VMC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("VMC_TUNING", str(tmp_path / "table.json"))
    about = {"machine": machine_key(), "hash": kernel_key(SOURCE, "<text>", "add")}
    files.update(tmp_path / "table.json", [tuned_at(1, 64, 1, 64, **about), tuned_at(64, 64, 32, 16, **about)])
    return tmp_path / "table.json"


def bindings(kernel: vmc.Kernel) -> dict[str, str]:
    return dict(kernel.bindings)


def test_open_parameters_are_those_of_the_shape(table: Path) -> None:
    kernel = vmc.compile(SOURCE, tuned={"M": 1, "N": 64})
    assert bindings(kernel) == {"T": "u4", "BM": "1", "BN": "64"} and kernel.symbols == ("M", "N")
    assert bindings(vmc.compile(SOURCE, tuned={"M": 64, "N": 64}, T="u4"))["BM"] == "32"
    codes, y = np.arange(70, dtype=np.uint8).reshape(2, 35) % 16, np.zeros((2, 35), np.float32)
    kernel(kernel.pack("x", codes), y)
    np.testing.assert_array_equal(y, codes)


def test_the_nearest_shape_within_reach_is_taken_else_the_defaults(table: Path) -> None:
    for m, n, bm in ((2, 64, "1"), (7, 64, "1"), (9, 64, "32"), (512, 64, "32"), (513, 64, "8"), (1, 1024, "8")):
        assert bindings(vmc.compile(SOURCE, tuned={"M": m, "N": n}))["BM"] == bm, (m, n)


def test_symbols_that_are_not_given_do_not_count_and_bound_ones_do(table: Path) -> None:
    assert bindings(vmc.compile(SOURCE, tuned={"M": 1}))["BM"] == "1"
    assert bindings(vmc.compile(SOURCE, tuned={"N": 64}, M=64))["BM"] == "32"


def test_other_bindings_programs_processors_and_targets_have_no_entry(table: Path) -> None:
    shape = {"M": 1, "N": 64}
    assert bindings(vmc.compile(SOURCE, tuned=shape, T="u3"))["BM"] == "8"
    assert bindings(vmc.compile(SOURCE.replace("f32(x", "-f32(x"), tuned=shape))["BM"] == "8"
    assert bindings(vmc.compile(SOURCE, tuned=shape, target="interp"))["BM"] == "8"
    assert bindings(vmc.compile(SOURCE, tuned=shape, target="cpu:x86-64"))["BM"] == "8"


def test_what_the_caller_binds_is_combined_with_nothing_that_was_not_timed(table: Path) -> None:
    assert bindings(vmc.compile(SOURCE, tuned={"M": 1, "N": 64}, BM=1))["BN"] == "64"
    assert bindings(vmc.compile(SOURCE, tuned={"M": 1, "N": 64}, BM=2)) == {"T": "u4", "BM": "2", "BN": "16"}


def test_names_and_values_that_are_no_symbols_are_refused(table: Path) -> None:
    with pytest.raises(vmc.CompileError, match="no compile-time parameter or symbol `MM`"):
        vmc.compile(SOURCE, tuned={"MM": 1})
    with pytest.raises(vmc.CompileError, match="takes an integer"):
        vmc.compile(SOURCE, tuned={"M": 1.5})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="`BM` is a compile-time parameter"):
        vmc.compile(SOURCE, tuned={"BM": 1})
    with pytest.raises(vmc.CompileError):
        vmc.compile("kernel k(\n", tuned={"M": 1})


def test_a_damaged_table_leaves_the_defaults(table: Path) -> None:
    table.write_text("{")
    with pytest.warns(files.TuningWarning):
        assert bindings(vmc.compile(SOURCE, tuned={"M": 1, "N": 64}))["BM"] == "8"


def test_of_equally_near_shapes_the_smaller_and_of_threads_the_nearest_is_chosen() -> None:
    small, large = tuned_at(2, 64, 1, 64), tuned_at(8, 64, 32, 16)
    assert choose([large, small], STATICS, set(), {"M": 4, "N": 64}) == {"BM": 1, "BN": 64}
    many = tuned_at(4, 64, 4, 4, threads=4 * num_threads())
    assert choose([many, small], STATICS, set(), {"M": 4, "N": 64})["BM"] == 1
    assert choose([many], STATICS, set(), {"M": 4, "N": 64})["BM"] == 4


def test_entries_with_other_symbols_or_parameters_do_not_count() -> None:
    assert choose([tuned_at(1, 64, 1, 1)], STATICS, set(), {"M": 1, "K": 2}) == {}
    assert choose([tuned_at(1, 64, 1, 1, parameters={"BM": 1})], STATICS, set(), {"M": 1}) == {}
