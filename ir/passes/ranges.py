"""What is known of integer scalars: affine forms over symbols, block and loop indices, with bounds on each of these.

    i = low + step * t         0 <= t,  step * t <= high - 1 - low          (a loop's index)
    q = a // k                 k * q <= a,  k * q >= a - (k - 1)             (a quotient by a constant)
    m = min(a, b)              m <= a,  m <= b

Every integer is an `Affine`: a constant plus multiples of atoms. An atom is what is not an affine form of others; it
knows an interval of numbers, and bounds `k * atom <= affine` and `k * atom >= affine` over older atoms.
`is_nonnegative` proves an affine form nonnegative by replacing its youngest atom by one of its bounds until a number
remains (Fourier-Motzkin elimination, in the one order that the definitions give). A bound is divided by the common
divisor of its multiples, which is what divisibility needs: 32 t <= 32 N - 1 gives t <= N - 1.

Integers wrap, so a number whose interval leaves its dtype is an unknown number of that dtype. Symbols are taken to lie
between 0 and `LARGEST_EXTENT`, which no tensor that fits a machine exceeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import gcd

LARGEST_EXTENT = 1 << 48
MIN, MAX = -(1 << 63), (1 << 63) - 1
MAX_STEPS = 300
"""Replacements that one proof may try."""


@dataclass(frozen=True, slots=True)
class Affine:
    """constant + the sum of multiples of atoms: `terms` maps each atom's number to its factor, which is not 0."""

    constant: int
    terms: tuple[tuple[int, int], ...] = ()

    def plus(self, other: Affine, factor: int = 1) -> Affine:
        """self + factor * other."""
        terms = dict(self.terms)
        for atom, multiple in other.terms:
            terms[atom] = terms.get(atom, 0) + factor * multiple
        kept = tuple(sorted((atom, multiple) for atom, multiple in terms.items() if multiple))
        return Affine(self.constant + factor * other.constant, kept)

    def times(self, factor: int) -> Affine:
        return Affine(0).plus(self, factor)

    def without(self, atom: int) -> Affine:
        return Affine(self.constant, tuple(term for term in self.terms if term[0] != atom))

    @property
    def number(self) -> int | None:
        """The value, where it is one number."""
        return None if self.terms else self.constant


@dataclass(frozen=True, slots=True)
class Bound:
    """`factor * atom` is at most, or at least, `limit`; the factor is positive."""

    factor: int
    limit: Affine


@dataclass(slots=True)
class Atom:
    """A number that is not an affine form of older ones. It lies between `low` and `high`, and is one of `choices`."""

    low: int
    high: int
    lower: Sequence[Bound] = ()
    upper: Sequence[Bound] = ()
    choices: Sequence[Affine] = ()


def tightened(factor: int, limit: Affine, upper: bool) -> Bound:
    """The bound divided by the common divisor of its multiples; the rest is rounded, since both sides are integers."""
    divisor = gcd(factor, *(multiple for _, multiple in limit.terms))
    constant = limit.constant // divisor if upper else -(-limit.constant // divisor)
    return Bound(factor // divisor, Affine(constant, tuple((a, m // divisor) for a, m in limit.terms)))


class Ranges:
    """The atoms of one kernel, and arithmetic on affine forms of them."""

    def __init__(self) -> None:
        self.atoms: list[Atom] = []
        self.symbols: dict[str, Affine] = {}
        self.quotients: dict[tuple[Affine, int], Affine] = {}

    # Making numbers

    def atom(
        self,
        low: int,
        high: int,
        lower: Sequence[Bound] = (),
        upper: Sequence[Bound] = (),
        choices: Sequence[Affine] = (),
    ) -> Affine:
        self.atoms.append(Atom(low, high, lower, upper, choices))
        return Affine(0, ((len(self.atoms) - 1, 1),))

    def unknown(self, low: int = MIN, high: int = MAX) -> Affine:
        """A number of which only an interval is known."""
        return Affine(low) if low == high else self.atom(low, high)

    def symbol(self, name: str) -> Affine:
        if name not in self.symbols:
            self.symbols[name] = self.atom(0, LARGEST_EXTENT)
        return self.symbols[name]

    def one_of(self, a: Affine, b: Affine) -> Affine:
        """A number that is one of two."""
        (a_low, a_high), (b_low, b_high) = self.interval(a), self.interval(b)
        return self.atom(min(a_low, b_low), max(a_high, b_high), choices=(a, b))

    def assume_positive(self, value: Affine) -> None:
        """From here on, a value of one atom is known to be at least 1."""
        if len(value.terms) == 1 and value.terms[0][1] > 0:
            number, multiple = value.terms[0]
            atom = self.atoms[number]
            atom.low = min(max(atom.low, -((value.constant - 1) // multiple)), atom.high)

    def index(self, low: Affine, high: Affine, step: int) -> Affine:
        """The index of a loop from `low` up to, not including, `high`; also of a block, with step 1."""
        distance = high.plus(low, -1).plus(Affine(-1))
        most = max(self.interval(distance)[1], 0) // step
        turn = self.atom(0, most, [Bound(1, Affine(0))], [tightened(step, distance, True)])
        return self.fitted(low.plus(turn, step), MIN, MAX)

    # Arithmetic on integers that do not wrap

    def fitted(self, value: Affine, low: int, high: int) -> Affine:
        """The value, if it cannot leave a dtype's range; else an unknown number of that range, since it may wrap."""
        least, most = self.interval(value)
        return value if least >= low and most <= high else self.unknown(low, high)

    def add(self, a: Affine, b: Affine) -> Affine:
        return a.plus(b)

    def subtract(self, a: Affine, b: Affine) -> Affine:
        return a.plus(b, -1)

    def multiply(self, a: Affine, b: Affine) -> Affine:
        if a.number is not None:
            a, b = b, a
        if b.number is not None:
            return a.times(b.number)
        corners = [x * y for x in self.interval(a) for y in self.interval(b)]
        return self.unknown(min(corners), max(corners))

    def quotient(self, a: Affine, b: Affine) -> Affine:
        """a // b, rounded down, and 0 for b = 0."""
        k = b.number
        if k is None or k < 1:
            return self.unbounded_quotient(a, b)
        if all(multiple % k == 0 for _, multiple in a.terms):
            return Affine(a.constant // k, tuple((atom, multiple // k) for atom, multiple in a.terms))
        if (a, k) not in self.quotients:
            low, high = self.interval(a)
            lower, upper = tightened(k, a.plus(Affine(1 - k)), False), tightened(k, a, True)
            self.quotients[a, k] = self.atom(low // k, high // k, [lower], [upper])
        return self.quotients[a, k]

    def unbounded_quotient(self, a: Affine, b: Affine) -> Affine:
        """By a divisor that is not a positive constant."""
        (low, high), (least, most) = self.interval(a), self.interval(b)
        if least < 0:
            return self.unknown(-max(abs(low), abs(high)) - 1, max(abs(low), abs(high)) + 1)
        divisors = [divisor for divisor in (max(least, 1), most) if divisor > 0]
        results = [end // divisor for end in (low, high) for divisor in divisors] + ([0] if least == 0 else [])
        return self.unknown(min(results), max(results))

    def remainder(self, a: Affine, b: Affine) -> Affine:
        """a - (a // b) * b, and a for b = 0: between 0 and b, b excluded."""
        k = b.number
        if k is None or k < 1:
            least, most = self.interval(b)
            if least < 1:
                return self.unknown(min(self.interval(a)[0], least, 0), max(self.interval(a)[1], most, 0))
            return self.atom(0, most - 1, [Bound(1, Affine(0))], [Bound(1, b.plus(Affine(-1)))])
        value = a.plus(self.quotient(a, b), -k)
        if value.number is not None:
            return value
        low, high = self.interval(a)
        if low >= 0 and high < k:
            return a
        return self.atom(0, k - 1, [Bound(1, Affine(0)), Bound(1, value)], [Bound(1, Affine(k - 1)), Bound(1, value)])

    def ceiling(self, a: Affine, b: Affine) -> Affine:
        """a / b rounded up, of extents."""
        k = b.number
        return self.quotient(a.plus(Affine(k - 1)), b) if k is not None and k > 0 else self.unknown()

    def minimum(self, a: Affine, b: Affine) -> Affine:
        (a_low, a_high), (b_low, b_high) = self.interval(a), self.interval(b)
        if self.is_nonnegative(b.plus(a, -1)):
            return a
        if self.is_nonnegative(a.plus(b, -1)):
            return b
        return self.atom(min(a_low, b_low), min(a_high, b_high), (), [Bound(1, a), Bound(1, b)], (a, b))

    def maximum(self, a: Affine, b: Affine) -> Affine:
        (a_low, a_high), (b_low, b_high) = self.interval(a), self.interval(b)
        if self.is_nonnegative(a.plus(b, -1)):
            return a
        if self.is_nonnegative(b.plus(a, -1)):
            return b
        return self.atom(max(a_low, b_low), max(a_high, b_high), [Bound(1, a), Bound(1, b)], (), (a, b))

    # Questions

    def interval(self, value: Affine) -> tuple[int, int]:
        """Numbers that the value lies between."""
        low = high = value.constant
        for number, multiple in value.terms:
            ends = (self.atoms[number].low * multiple, self.atoms[number].high * multiple)
            low, high = low + min(ends), high + max(ends)
        return low, high

    def is_nonnegative(self, value: Affine) -> bool:
        """Whether a proof is found that the value is never below 0."""
        left = MAX_STEPS

        @cache
        def proved(value: Affine) -> bool:
            nonlocal left
            left -= 1
            if self.interval(value)[0] >= 0:
                return True
            if left < 0 or not value.terms:
                return False
            choices = self.choices(value)
            return any(map(proved, self.replacements(value))) or (bool(choices) and all(map(proved, choices)))

        return proved(value)

    def replacements(self, value: Affine) -> list[Affine]:
        """Forms without the value's youngest atom, each by one of its bounds: is one never below 0, nor is the value.

        A bound on k * atom replaces the atom in k * value + k - 1, which is below 0 exactly if the value is.
        """
        number, multiple = value.terms[-1]
        atom, rest = self.atoms[number], value.without(number)
        results = [rest.plus(Affine(atom.low if multiple > 0 else atom.high), multiple)]
        for bound in atom.lower if multiple > 0 else atom.upper:
            scale = bound.factor // gcd(bound.factor, multiple)
            scaled = rest.times(scale).plus(Affine(scale - 1))
            results.append(scaled.plus(bound.limit, multiple * scale // bound.factor))
        return results

    def choices(self, value: Affine) -> list[Affine]:
        """The value with each of the numbers that its youngest atom may be; none where that is not known."""
        number, multiple = value.terms[-1]
        return [value.without(number).plus(choice, multiple) for choice in self.atoms[number].choices]
