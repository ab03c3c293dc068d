"""`vmc formats`: the table, and the certificates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.commands.conftest import Run
from tests.runtime import programs
from vmc.ir.types import ALL_DTYPES, dtype
from vmc.runtime import certificates


def test_every_number_type_is_listed(vmc: Run) -> None:
    outcome = vmc("formats")
    names = [line.split()[0] for line in outcome.out.splitlines()]
    assert outcome.code == 0
    assert set(names) >= {type.name for type in ALL_DTYPES}


def test_chosen_types_are_listed_in_the_order_given(vmc: Run) -> None:
    rows = json.loads(vmc("formats", "u3", "f6e3m2", "--json").out)
    assert [row["name"] for row in rows] == ["u3", "f6e3m2"]
    assert rows[0]["about"] == "0 to 7" and "largest 28" in rows[1]["about"]


def test_an_unknown_name_is_diagnosed(vmc: Run) -> None:
    outcome = vmc("formats", "u33")
    assert outcome.code == 1 and "did you mean `u" in outcome.err


def test_a_certificate_is_the_same_each_time_and_differs_between_types(vmc: Run) -> None:
    names = ["u2", "i3", "f4e2m1", "f8e4m3"]
    first, again = (json.loads(vmc("formats", *names, "--verify", "--json").out) for _ in range(2))
    found = [row["certificate"] for row in first]
    assert found == [row["certificate"] for row in again]
    assert len(set(found)) == 4 and all(len(certificate) == 16 for certificate in found)


def test_wide_types_have_too_many_codes_for_a_certificate(vmc: Run) -> None:
    (row,) = json.loads(vmc("formats", "f32", "--verify", "--json").out)
    assert row["certificate"] is None
    assert "too wide to enumerate" in vmc("formats", "f32", "--verify").out


def test_what_was_verified_is_said_with_its_certificate(vmc: Run) -> None:
    outcome = vmc("formats", "f6e3m2", "gguf.q4_0", "--verify")
    (first, second) = json.loads(vmc("formats", "f6e3m2", "gguf.q4_0", "--verify", "--json").out)
    assert f"64 of 64 codes equal on interp and cpu  [{first['certificate']}]" in outcome.out
    assert f"8192 of 8192 values of 256 blocks equal on interp and cpu  [{second['certificate']}]" in outcome.out


def test_a_block_format_is_listed_with_its_import(vmc: Run) -> None:
    assert "; from gguf import q4_0" in vmc("formats", "gguf.q4_0").out


@pytest.mark.parametrize(
    ("name", "help"),
    [("float16", "`f16`"), ("uint4", "`u4`"), ("q4_0", "`gguf.q4_0`"), ("mxfp4", "`gguf.mxfp4` or `mx.mxfp4`")],
)
def test_names_of_array_libraries_and_of_formats_alone_are_understood(vmc: Run, name: str, help: str) -> None:
    outcome = vmc("formats", name)
    assert outcome.code == 1 and f"did you mean {help}?" in outcome.err


def test_a_wrong_decoder_gets_no_certificate(vmc: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    original = certificates.canonical
    monkeypatch.setattr(certificates, "canonical", lambda values: original(values) + np.arange(len(values)))
    monkeypatch.setattr(certificates, "agree", wrong_once(certificates.agree))
    outcome = vmc("formats", "u2", "--verify")
    assert outcome.code == 1 and "error[E0913]" in outcome.err


def wrong_once(agree: Any) -> Any:
    def check(target: str, got: Any, expected: Any) -> None:
        agree(target, got + 1, expected)

    return check


def test_block_formats_of_the_library_are_certified(tmp_path: Path) -> None:
    path = tmp_path / "pair.vmc"
    path.write_text(programs.BLOCKS)
    format = certificates.Declared("pair", 4, 4, "", path)
    assert len(certificates.certify_format(format)) == 16


def test_every_format_of_the_library_is_certified_under_its_own_name(vmc: Run) -> None:
    outcome = vmc("formats", "gguf.q4_k", "gguf.mxfp4", "mx.mxfp4", "--verify", "--json")
    rows = json.loads(outcome.out)
    assert [(row["name"], row["bits"]) for row in rows] == [
        ("gguf.q4_k", 4.5),
        ("gguf.mxfp4", 4.25),
        ("mx.mxfp4", 4.25),
    ]
    assert len({row["certificate"] for row in rows}) == 3


def test_blocks_hold_every_value_of_every_byte() -> None:
    blocks = certificates.every_byte(18)
    for place in range(18):
        assert len(set(blocks[:, place].tolist())) == 256


def test_bits_are_compared_so_that_minus_zero_is_not_zero() -> None:
    with pytest.raises(certificates.DisagreementError, match=r"element 0 to -0\.0, expected 0\.0"):
        certificates.agree("cpu", np.array([-0.0]), np.array([0.0]))
    assert dtype("u2").width == 2
