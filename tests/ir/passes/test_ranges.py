"""Ranges never claim what is not so: compared with the numbers themselves, for random expressions of random kernels."""

from __future__ import annotations

import random

import pytest

from tests.generators.ir_arguments import random_arguments
from tests.generators.ir_modules import generate
from vmc.backends.interp import ExecutionError
from vmc.backends.interp import run as execute
from vmc.ir.core import walk
from vmc.ir.passes import bounds, canonicalize, cse, run
from vmc.ir.passes.ranges import LARGEST_EXTENT, Affine, Ranges

OPERATIONS = (
    "add",
    "subtract",
    "multiply",
    "quotient",
    "remainder",
    "minimum",
    "maximum",
    "one_of",
    "index",
    "ceiling",
)


class World:
    """Random numbers, built in step with what is known of them: `values[i]` is the number behind `forms[i]`."""

    def __init__(self, rng: random.Random) -> None:
        self.rng, self.ranges = rng, Ranges()
        self.forms: list[Affine] = []
        self.values: list[int] = []
        for name in ("M", "N"):
            self.note(self.ranges.symbol(name), rng.choice((0, 1, 2, 7, 64, 1000)))
        for _ in range(3):
            number = rng.randint(-4, 9)
            self.note(Affine(number), number)
        low = rng.randint(-5, 5)
        self.note(self.ranges.unknown(low, low + 3), low + rng.randint(0, 3))

    def note(self, form: Affine, value: int) -> None:
        self.forms.append(form)
        self.values.append(value)

    def grow(self) -> None:
        """Adds one operation on two numbers there are."""
        i, j = self.rng.randrange(len(self.forms)), self.rng.randrange(len(self.forms))
        (a, b), (x, y) = (self.forms[i], self.forms[j]), (self.values[i], self.values[j])
        name = self.rng.choice(OPERATIONS)
        value = self.value(name, x, y)
        if value is None or abs(value) > 1 << 40:
            return
        if name == "index":
            step = self.rng.choice((1, 2, 5))
            self.note(self.ranges.index(a, b, step), self.rng.choice(range(x, y, step)))
        else:
            self.note(getattr(self.ranges, name)(a, b), value)

    def value(self, name: str, x: int, y: int) -> int | None:
        """What the operation gives; None where it is not defined, or for an index where the loop has no iterations."""
        match name:
            case "add":
                return x + y
            case "subtract":
                return x - y
            case "multiply":
                return x * y
            case "quotient":
                return x // y if y else 0
            case "remainder":
                return x % y if y else x
            case "minimum":
                return min(x, y)
            case "maximum":
                return max(x, y)
            case "one_of":
                return self.rng.choice((x, y))
            case "ceiling":
                return -(-x // y) if y else None
        return x if x < y < x + 1000 else None


@pytest.mark.parametrize("seed", range(300))
def test_an_interval_holds_the_number_and_no_proof_is_wrong(seed: int) -> None:
    world = World(random.Random(seed))
    for _ in range(25):
        world.grow()
    for form, value in zip(world.forms, world.values, strict=True):
        low, high = world.ranges.interval(form)
        assert low <= value <= high
    for _ in range(40):
        i, j = (world.rng.randrange(len(world.forms)) for _ in range(2))
        shift = world.rng.randint(-3, 3)
        difference = world.forms[i].plus(world.forms[j], -1).plus(Affine(shift))
        if world.ranges.is_nonnegative(difference):
            assert world.values[i] - world.values[j] + shift >= 0


def test_a_proof_needs_no_luck() -> None:
    ranges = Ranges()
    m, n = ranges.symbol("M"), ranges.symbol("N")
    block = ranges.index(Affine(0), ranges.quotient(m, Affine(16)), 1)
    assert ranges.is_nonnegative(m.plus(block, -16).plus(Affine(-16)))
    assert not ranges.is_nonnegative(m.plus(block, -16).plus(Affine(-17)))
    step = ranges.index(Affine(0), n.times(32), 32)
    assert ranges.is_nonnegative(n.times(32).plus(step, -1).plus(Affine(-32)))
    assert not ranges.is_nonnegative(n.times(32).plus(step, -1).plus(Affine(-33)))
    rest = ranges.remainder(ranges.unknown(), n.plus(Affine(1)))
    assert ranges.is_nonnegative(rest)
    assert ranges.is_nonnegative(n.plus(rest, -1))
    assert not ranges.is_nonnegative(n.plus(rest, -1).plus(Affine(-1)))
    assert not ranges.is_nonnegative(n.plus(m, -1))


def test_a_number_that_may_wrap_is_unknown() -> None:
    ranges = Ranges()
    big = ranges.multiply(ranges.symbol("M"), Affine(LARGEST_EXTENT))
    low, high = ranges.interval(ranges.fitted(big, -(1 << 63), (1 << 63) - 1))
    assert (low, high) == (-(1 << 63), (1 << 63) - 1)


@pytest.mark.parametrize("seed", range(80))
def test_a_slice_claimed_inside_is_inside(seed: int) -> None:
    """The reference VM fails on an access outside that is claimed inside."""
    module = run(generate(seed, size=30), (canonicalize, cse, bounds))
    kernel = module.kernels[0]
    for launch in range(2):
        arguments, symbols = random_arguments(kernel, 100 * seed + launch)
        try:
            execute(kernel, arguments, symbols)
        except ExecutionError as error:
            pytest.fail(f"{error} with {symbols}")


def test_claims_are_made_at_all() -> None:
    """On random kernels a good part of all dimensions is proved inside."""
    claims = [
        claim
        for seed in range(20)
        for op in walk(run(generate(seed, size=30), (canonicalize, bounds)).kernels[0].body)
        if op.name == "store"
        for claim in op.attrs["inbounds"]
    ]
    assert sum(map(bool, claims)) > len(claims) // 2
