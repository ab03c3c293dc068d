"""Storing, checking and timing of contenders on the device, shape by shape."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console

from benchmarks.gpu.bandwidth import copy_lane
from benchmarks.gpu.cublas import DENSE
from benchmarks.gpu.device import LEAST_LAUNCHES, Device
from benchmarks.gpu.problem import Tensor, Weights, make_activations, make_weights, product
from benchmarks.matmul.checking import Accuracy
from benchmarks.matmul.contender import Contender, Stored
from benchmarks.matmul.problem import Shape
from benchmarks.matmul.report import print_case
from benchmarks.matmul.results import Case, Entry, rows_of
from benchmarks.matmul.timing import Lane, Plan, measure

COPY = "copy"
CACHES = 4
"""How many times the last cache is read between two uses of one copy of cold weights."""


@dataclass(frozen=True)
class Settings:
    """What to measure: weights (K, N), M, "cold" or "hot", and how; `seed` of the random numbers."""

    weights: tuple[tuple[int, int], ...]
    group: int
    rows: tuple[int, ...]
    memories: tuple[str, ...]
    plan: Plan
    seed: int

    def shapes(self) -> list[Shape]:
        return [Shape(k, n, self.group) for k, n in self.weights]


@dataclass(frozen=True, eq=False)
class Ready:
    """A contender whose weights are stored, and how far they are from the original ones."""

    contender: Contender
    stored: Stored
    weight_error: float


class Bench:
    """Times contenders; `wrong` counts those that had to be left out."""

    def __init__(self, settings: Settings, contenders: Sequence[Contender], device: Device, console: Console) -> None:
        self.settings, self.contenders, self.device, self.console = settings, contenders, device, console
        self.copy, self.copied = copy_lane(device)
        self.wrong = 0

    def run(self, shape: Shape) -> Iterable[Case]:
        """The cases of one shape, each printed when it is done."""
        weights = make_weights(shape, self.device, self.settings.seed)
        taking = [contender for contender in self.contenders if contender.takes(shape)]
        ready = [found for contender in taking if (found := self.stored(contender, weights))]
        for m in self.settings.rows:
            x = make_activations(m, shape.k, self.device, self.settings.seed)
            for memory in self.settings.memories:
                case = self.time(ready, shape, x, m, memory)
                print_case(case, self.console)
                yield case

    def stored(self, contender: Contender, weights: Weights) -> Ready | None:
        """Weights in a contender's format; None where that fails."""
        try:
            stored = contender.store(weights)
            return Ready(contender, stored, relative(stored.values(), weights.values))
        except Exception as error:
            self.leave_out(contender, described(error))
            return None

    def time(self, ready: Sequence[Ready], shape: Shape, x: Tensor, m: int, memory: str) -> Case:
        """Checks each contender, and times those that are right, interleaved."""
        lanes: dict[str, Lane] = {}
        found: dict[str, tuple[Contender, int, Accuracy]] = {}
        for each in ready:
            contender = each.contender
            try:
                lane = self.lane(each, x, memory)  # first: a contender may find its fastest code in it
                accuracy = self.accuracy(each, x)
            except Exception as error:
                self.leave_out(contender, f"for M={m} {described(error)}")
                continue
            complaint = accuracy.complaint(contender)
            if complaint:
                self.leave_out(contender, f"wrong for M={m}: {complaint}")
                continue
            lanes[contender.name] = lane
            found[contender.name] = contender, each.stored.nbytes, accuracy
        timings = measure(lanes | {COPY: self.copy}, self.settings.plan)
        entries = [Entry(*about, timings[name]) for name, about in found.items()]
        bandwidth = self.copied / timings[COPY].median
        return Case(shape, m, memory, bandwidth, rows_of(entries, shape, m), COPY, DENSE)

    def accuracy(self, each: Ready, x: Tensor) -> Accuracy:
        """Runs the product once on fresh memory, and compares with f64 on the device."""
        one = each.stored.load(x, 1)[0]
        one.before()
        one.run()
        self.device.finish()
        return Accuracy(relative(one.result(), product(x, each.stored.values())), each.weight_error)

    def lane(self, each: Ready, x: Tensor, memory: str) -> Lane:
        """A lane over as many copies as keep weights out of the cache, or over launches with one copy."""
        nbytes = max(1, each.stored.nbytes)
        copies = 1 if memory == "hot" else max(2, -(-CACHES * self.device.cache() // nbytes))
        products = each.stored.load(x, copies)
        runs = [one.run for one in products] * -(-LEAST_LAUNCHES // len(products))
        lane, failure = self.device.lane(runs, products[0].before)
        if failure:
            text = f"{each.contender.name} is timed launch by launch: {failure}"
            self.console.print(text, highlight=False, markup=False)
        return lane

    def leave_out(self, contender: Contender, reason: str) -> None:
        self.wrong += 1
        self.console.print(f"{contender.name} left out, {reason}", style="red", highlight=False, markup=False)


def described(error: Exception) -> str:
    """The first line of an exception."""
    return f"failed: {type(error).__name__}: {str(error).partition(chr(10))[0]}"


def relative(found: Tensor, expected: Tensor) -> float:
    """The norm of the difference over that of what was expected; inf where something is not finite."""
    error = float((found.double() - expected).norm() / expected.double().norm())
    return error if error == error else float("inf")  # NaN
