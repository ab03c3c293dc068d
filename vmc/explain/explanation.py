"""What `explain` tells of a kernel, as data. `to_json` is the form that `vmc explain --json` prints.

A figure that cannot be derived is None, here, and "not derived" in print: nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from vmc.backends.cpu.limits import Limits
from vmc.ir.cost import Work


@dataclass(frozen=True)
class TensorReport:
    """A tensor parameter and how the code accesses it.

    `bytes` is its size, moved once, None where a symbol has no value (`formula` holds for all); `times_read` how often
    an element is read in a launch on average, padding of tiles included. `storage` is None for a dense tensor.
    `checked` are the dimensions whose ends cost checks or masks. `load_bits` and `store_bits` count instructions of all
    the code by the bits that they access, None: bits not known, as of a call of memcpy.
    """

    name: str
    type: str
    access: str
    storage: str | None
    bits_per_element: float
    bytes: int | None
    elements: int | None
    formula: str
    times_read: float | None
    checked: tuple[str, ...]
    indexed: bool
    load_bits: Mapping[int | None, int]
    store_bits: Mapping[int | None, int]


@dataclass(frozen=True)
class Reading:
    """A loop's reads of one tensor: new elements a turn (None: not derived), by the rule of docs/explain.md."""

    tensor: str
    load_bits: Mapping[int | None, int]
    store_bits: Mapping[int | None, int]
    elements: float | None


@dataclass(frozen=True, eq=False)
class LoopCost:
    """A loop of the assembly, without what loops inside of it do. `hot`: it adds up products, or is an innermost one
    that uses the widest registers of all. `turn_instructions` and `multiply_adds` are those of the way through its body
    that adds up most products.
    """

    function: str
    label: str
    depth: int
    innermost: bool
    hot: bool
    instructions: int
    turn_instructions: int
    classes: Mapping[str, int]
    vector_bits: int
    spills: int
    multiply_adds: int | None
    most_products: int
    tensors: tuple[Reading, ...]

    def reads(self, tensor: str) -> bool:
        """Whether the loop reads a tensor."""
        return any(reading.load_bits for reading in self.tensors if reading.tensor == tensor)

    def elements(self, tensor: str) -> float | None:
        """New elements of a tensor a turn; None where that is not derived, or nothing is read."""
        return next((reading.elements for reading in self.tensors if reading.tensor == tensor), None)

    def instructions_per_element(self, tensor: str) -> float | None:
        """Instructions of the loop for each new element of a tensor, whatever else they do."""
        count = self.elements(tensor)
        return self.instructions / count if count else None


@dataclass(frozen=True)
class Decision:
    """What a pass decided, why, and the source line that it is about ("" where there is none)."""

    step: str
    text: str
    file: str
    line: int
    source: str


@dataclass(frozen=True)
class Bound:
    """The least time that one resource needs for a launch; `seconds` None: not derived. `how` says from what."""

    name: str
    seconds: float | None
    how: str


@dataclass(frozen=True)
class Explanation:
    """All that is told of a kernel with some symbols bound; `work` and `bounds` need all of them.

    `unread` says why there are no loops where the assembly is of a kind that is not read.
    """

    kernel: str
    target: str
    processor: str
    bindings: Mapping[str, str]
    symbols: Mapping[str, int]
    unbound: tuple[str, ...]
    tensors: tuple[TensorReport, ...]
    work: Work | None
    decisions: tuple[Decision, ...]
    loops: tuple[LoopCost, ...]
    unread: str | None
    limits: Limits
    bounds: tuple[Bound, ...]

    @property
    def bytes(self) -> int | None:
        """The bytes of all tensors, each moved once."""
        sizes = [tensor.bytes for tensor in self.tensors]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    @property
    def holds(self) -> Bound | None:
        """The bound that is reached last; None where there is none."""
        known = [bound for bound in self.bounds if bound.seconds is not None]
        return max(known, key=lambda bound: bound.seconds or 0.0, default=None)

    def tensor(self, name: str) -> TensorReport:
        """The tensor of that name. Raises KeyError."""
        for tensor in self.tensors:
            if tensor.name == name:
                return tensor
        raise KeyError(name)

    def best_loop(self, tensor: str) -> LoopCost | None:
        """The loop that spends the fewest instructions on a new element of a tensor; None where that is not derived."""
        found = [loop for loop in self.loops if loop.instructions_per_element(tensor) is not None]
        return min(found, key=lambda loop: loop.instructions_per_element(tensor) or 0.0, default=None)

    def to_json(self) -> dict[str, Any]:
        """The explanation as JSON's types. Keys of counts by bits are texts, "?" for bits not known."""
        data = asdict(self)
        for tensor, entry in zip(self.tensors, data["tensors"], strict=True):
            loop = self.best_loop(tensor.name)
            entry |= bit_counts(tensor)
            entry["instructions_per_element"] = loop and loop.instructions_per_element(tensor.name)
        for loop, entry in zip(self.loops, data["loops"], strict=True):
            for reading, inner in zip(loop.tensors, entry["tensors"], strict=True):
                inner |= bit_counts(reading)
                inner["instructions_per_element"] = loop.instructions_per_element(reading.tensor)
        data["bytes"] = self.bytes
        data["bound"] = self.holds.name if self.holds is not None else None
        return data

    def __str__(self) -> str:
        from vmc.explain.table import table

        return table(self)


def bit_counts(report: TensorReport | Reading) -> dict[str, dict[str, int]]:
    """The counts by bits with keys that JSON can have."""
    return {
        name: {"?" if bits is None else str(bits): count for bits, count in getattr(report, name).items()}
        for name in ("load_bits", "store_bits")
    }
