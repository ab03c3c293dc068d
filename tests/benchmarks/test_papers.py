"""The command of the papers' benchmarks, with contests whose results are known."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

import pytest

from benchmarks import papers
from benchmarks.paper.contest import Contest


def contest(name: str, error: float) -> Contest:
    return Contest(name, "nobody", lambda: None, lambda: None, lambda: error, tolerance=1e-9)


def test_a_wrong_result_is_named_and_ends_the_command_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def contests(paper: str, quick: bool) -> Iterator[Contest]:
        yield from (contest("right", 1e-10), contest("off", 0.5), contest("undefined", float("nan")))

    monkeypatch.setattr(papers, "contests_of", contests)
    assert papers.main(["--quick", "--papers", papers.PAPERS[0]]) == 1
    shown = capsys.readouterr().out
    assert "right" in shown and "off: error 0.5" in shown and "undefined: error nan" in shown


@pytest.mark.parametrize("paper", papers.PAPERS)
def test_every_paper_has_contests(paper: str) -> None:
    assert callable(import_module(f"benchmarks.paper.{paper}").contests)
