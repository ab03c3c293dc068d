"""Damaged programs give diagnostics: no exception, no hang. Longer runs: `python -m tests.fuzz.campaign`."""

from __future__ import annotations

import pytest

from tests.fuzz.campaign import failure, full, parse_only

_BLOCK = 100


@pytest.mark.parametrize("first", range(0, 2000, _BLOCK))
def test_the_parser_answers_every_damaged_program_with_diagnostics(first: int) -> None:
    failures = [text for seed in range(first, first + _BLOCK) if (text := failure(seed, parse_only, seconds=5.0))]
    assert not failures, failures[0]


@pytest.mark.parametrize("first", range(0, 10_000, 500))
def test_the_checker_answers_every_damaged_program_with_diagnostics(first: int) -> None:
    failures = [text for seed in range(first, first + 500) if (text := failure(seed, full, seconds=60.0))]
    assert not failures, failures[0]
