"""Programs as data against Python's own arithmetic, exp2 in ten operations against mpmath, training and evolution."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))

from autonumerics import reproduce
from autonumerics.programs import CONSTANTS, LENGTH, Program, drawn, mutated
from autonumerics.search import Member, evolve, selected
from autonumerics.training import Strategy, Task, refined, trained

import vmc

EVOLVED = Path(reproduce.__file__).with_name("evolved.vmc")


def run(program: Program, x: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """The program's results, one operation after the other."""
    values = [x, *(np.full_like(x, c) for c in program.constants)]
    with np.errstate(all="ignore"):
        for operation, a, b in program.steps:
            values.append([np.add, np.subtract, np.multiply, np.divide][operation](values[a], values[b]))
    return values[-1]


def population(count: int, seed: int) -> list[Program]:
    rng = np.random.default_rng(seed)
    programs = [drawn(rng, int(rng.integers(1, LENGTH + 1))) for _ in range(count)]
    return [each for each in programs if each.steps]


@pytest.mark.parametrize("type", ["f64", "f32"])
@pytest.mark.parametrize("target", ["cpu", "interp"])
def test_the_evaluator_computes_what_the_operations_say(type: str, target: str) -> None:
    programs = population(40 if target == "cpu" else 8, 1)
    single = {"f64": np.float64, "f32": np.float32}[type]
    x = np.random.default_rng(2).uniform(0.5, 2, 301).astype(single)
    exact = np.random.default_rng(3).uniform(1, 2, 301)
    task = Task(x, exact, type, target)
    worst, square = task.errors(programs)
    for program, most, mean in zip(programs, worst, square, strict=True):
        rounded = replace(program, constants=tuple(float(single(c)) for c in program.constants))
        with np.errstate(all="ignore"):
            error = abs(run(rounded, x).astype(np.float64) - exact) / exact
        error = np.where(np.isnan(error), np.inf, error)
        assert most == error.max()
        np.testing.assert_allclose(mean, np.mean(error**2), rtol=1e-12)


def test_deviations_are_the_errors_with_their_signs() -> None:
    programs = population(20, 4)
    task = Task(np.linspace(0.5, 2, 77), np.linspace(1, 3, 77))
    with np.errstate(all="ignore"):
        for program, deviation in zip(programs, task.deviations(programs), strict=True):
            np.testing.assert_array_equal(deviation, (run(program, task.x) - task.exact) / task.exact)


def test_mutations_keep_programs_whole() -> None:
    rng = np.random.default_rng(5)
    program = population(1, 6)[0]
    lengths = set()
    for _ in range(2000):
        program = mutated(program, rng)
        lengths.add(len(program.steps))
        assert 1 <= len(program.steps) <= LENGTH
        assert program == program.shortened()
        for k, (operation, a, b) in enumerate(program.steps):
            assert 0 <= operation < 4 and min(a, b) >= 0 and max(a, b) <= CONSTANTS + k
    assert len(lengths) > 5


def test_the_strategy_finds_the_bottom_of_a_long_valley() -> None:
    rng = np.random.default_rng(7)
    strategy = Strategy(np.ones(4), 0.5, 16, rng)
    scales = np.array([1.0, 1e-2, 1e-4, 1e-6])
    for _ in range(400):
        points = strategy.ask()
        values = ((points @ np.linalg.qr(np.vander(np.arange(1.0, 5)))[0] * scales) ** 2).sum(axis=1)
        strategy.tell(np.argsort(values))
    assert values.min() < 1e-20


def test_training_lessens_the_error_of_a_linear_program() -> None:
    x = np.linspace(0, 1, 64)
    task = Task(x, np.exp2(x))
    line = Program(((2, 0, 1), (0, 5, 2)), (0.3, 0.5, 1.0, 1.0))
    for improve in (lambda: trained(task, line, np.random.default_rng(8)), lambda: refined(task, line)):
        _, error = improve()
        assert 0.0285 < error < 0.0305  # the minimax line's is .02952 on all of [0, 1]


def test_exp2_in_ten_operations_has_fourteen_figures() -> None:
    x = np.linspace(0, 1, 4001)
    y = np.empty_like(x)
    vmc.compile(EVOLVED, "evolved_exp2")(x, y)
    with mp.workdps(30):
        error = max(abs(mp.mpf(float(a)) / mp.mpf(2) ** mp.mpf(float(b)) - 1) for a, b in zip(y, x, strict=True))
    assert error < 6e-14


def test_exp2_of_all_sizes_and_its_error_in_units_of_the_last_place() -> None:
    x = np.concatenate([np.random.default_rng(9).uniform(-1020, 1023, 2000), [-5000.0, 5000.0, 0.0]])
    y = np.empty_like(x)
    vmc.compile(EVOLVED, "exp2_full")(x, y)
    np.testing.assert_allclose(y[:-3], np.exp2(x[:-3]), rtol=1e-13)
    assert y[-3:-1].tolist() == [0.0, np.inf] and abs(y[-1] - 1) < 1e-13
    single = np.exp2(x[:2000] / 20).astype(np.float32)
    worst = np.empty(2)
    vmc.compile(EVOLVED, "ulp_error", T="f32")(single, np.exp2(x[:2000] / 20), worst)
    assert 0.49 < worst.max() <= 0.5


def test_evolution_keeps_a_front_of_better_and_longer_programs() -> None:
    x = np.linspace(0, 1, 64)
    front = evolve(Task(x, np.exp2(x)), np.random.default_rng(0), rounds=3, generations=15)
    errors, lengths = [m.error for m in front], [m.length for m in front]
    assert errors == sorted(errors, reverse=True) and lengths == sorted(set(lengths))
    assert errors[-1] < 0.1


def test_selection_prefers_what_nothing_dominates() -> None:
    def of_length(count: int, error: float) -> Member:
        return Member(Program(tuple((0, 0, 1 + CONSTANTS + k if k else 1) for k in range(count)), (1.0,) * 4), error)

    short, better, worse = of_length(1, 0.1), of_length(3, 0.01), of_length(2, 0.5)
    assert set(selected([worse, short, better], 2)) == {short, better}


@pytest.mark.slow
def test_the_script_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert reproduce.main(["--quick", "--rounds", "1"]) == 0
    assert "   polynomial" in capsys.readouterr().out
