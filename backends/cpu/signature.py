"""What a launch must know of compiled code, apart from the code: parameters, scratch memory, and what it may report.

It serializes to JSON, so that a cache on disk can hold it beside the object code.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from vmc.ir.span import UNKNOWN, Span


@dataclass(frozen=True)
class Site:
    """An `assert`, a loop whose step may be bad, or a `print`, whose operands' dtypes and shapes are `shown`."""

    text: str
    span: Span = UNKNOWN
    shown: tuple[tuple[str, tuple[int, ...]], ...] = ()


@dataclass(frozen=True)
class Signature:
    """`entry` prefixes the names of the functions in the object. `tensors` are the names of the tensor parameters,
    `storages` how each lies in memory, as the IR's text writes it (None: densely), `scalars` name and dtype of the
    other parameters, in order. `arena` is the constant part of a thread's scratch memory, in bytes; `serial` forbids
    several threads. `levels` names those that the object has code for, where it has code for several.
    """

    entry: str
    tensors: tuple[str, ...]
    storages: tuple[str | None, ...]
    scalars: tuple[tuple[str, str], ...]
    symbols: tuple[str, ...]
    arena: int
    serial: bool
    sites: tuple[Site, ...]
    levels: tuple[str, ...] = ()

    def to_json(self) -> str:
        """The signature as text, for `from_json`."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Signature:
        """The inverse of `to_json`. Raises ValueError, KeyError or TypeError for anything else."""
        data = json.loads(text)
        sites = tuple(
            Site(site["text"], Span(**site["span"]), tuple((name, tuple(shape)) for name, shape in site["shown"]))
            for site in data.pop("sites")
        )
        scalars = tuple((name, dtype) for name, dtype in data.pop("scalars"))
        return Signature(
            data["entry"],
            tuple(data["tensors"]),
            tuple(data["storages"]),
            scalars,
            tuple(data["symbols"]),
            data["arena"],
            data["serial"],
            sites,
            tuple(data["levels"]),
        )
