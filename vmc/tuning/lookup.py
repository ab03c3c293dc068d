"""Which parameters a table has for a kernel and a shape: those of the nearest shape that was tuned, within reason.

An entry counts only if it was tuned for the same program and processor, and for the same value of every compile-time
parameter that it does not choose itself; what the caller binds of the parameters that it does choose, it must have
chosen alike, so that no combination comes out that nobody timed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from vmc.tuning.table import Entry

REACH = 3.0
"""Octaves: a symbol whose value in the table is further away, above or below, says nothing of this shape."""


def tuned_parameters(
    source: str, file: str, kernel: str | None, target: str, bindings: Mapping[str, Any], symbols: Mapping[str, Any]
) -> dict[str, int]:
    """The parameters that tables tell for a kernel with `bindings` at a shape; none where they tell nothing, or where
    the program has mistakes, which compiling will report.

    Raises CompileError for `symbols` that the kernel does not have, TypeError for one of its compile-time parameters.
    """
    from vmc.lang import CompileError
    from vmc.lang.queries import kernel_names, static_values
    from vmc.runtime.compiling import plain_bindings
    from vmc.tuning.files import known
    from vmc.tuning.keys import kernel_key, machine_key

    names = kernel_names(source, file)
    name = kernel or (names[0] if len(names) == 1 else None)
    if name is None or name not in names:
        return {}
    plain = plain_bindings(bindings)
    try:
        statics = static_values(source, file, name, plain)
    except CompileError:
        return {}
    shape = shape_of(name, source, file, statics, symbols)
    if target == "interp":
        return {}
    shape |= {symbol: value for symbol, value in plain.items() if symbol not in statics and isinstance(value, int)}
    machine, hash = machine_key(target), kernel_key(source, file, name)
    entries = [entry for entry in known().values() if (entry.machine, entry.hash) == (machine, hash)]
    return choose(entries, statics, set(bindings), shape)


def shape_of(
    kernel: str, source: str, file: str, statics: Mapping[str, str], symbols: Mapping[str, Any]
) -> dict[str, int]:
    """The symbols' values, checked."""
    from vmc.runtime.compiling import check_names, plain_bindings

    for name in symbols:
        if name in statics:
            raise TypeError(f"`tuned` takes symbols' values, and `{name}` is a compile-time parameter: bind it instead")
    plain = plain_bindings(symbols)
    check_names(kernel, source, file, plain, statics)
    return {name: int(value) for name, value in plain.items() if isinstance(value, int)}


def choose(
    entries: Iterable[Entry], statics: Mapping[str, str], bound: set[str], shape: Mapping[str, int]
) -> dict[str, int]:
    """The parameters that the caller leaves open, out of the nearest entry that fits."""
    from vmc.backends.cpu import num_threads

    threads = num_threads()
    near = [
        (apart, sum(entry.symbols.values()), sorted(entry.parameters.items()))
        for entry in entries
        if fits(entry, statics, bound) and (apart := distance(entry, shape, threads)) is not None
    ]
    if not near:
        return {}
    _, _, parameters = min(near)
    return {name: value for name, value in parameters if name not in bound}


def fits(entry: Entry, statics: Mapping[str, str], bound: set[str]) -> bool:
    """Whether an entry is about the kernel with these compile-time parameters, of which `bound` are the caller's."""
    if set(statics) != {*entry.bindings, *entry.parameters}:
        return False
    asked = {name: statics[name] for name in statics if name in entry.bindings or name in bound}
    chosen = {name: str(value) for name, value in entry.parameters.items()}
    return all({**entry.bindings, **chosen}[name] == value for name, value in asked.items())


def distance(entry: Entry, shape: Mapping[str, int], threads: int) -> float | None:
    """Octaves between an entry's shape and threads, and others; None where they are too far apart to compare.

    Symbols that are not given do not count.
    """
    if not set(shape) <= set(entry.symbols):
        return None
    apart = [octaves(entry.symbols[name], value) for name, value in shape.items()]
    if max(apart, default=0.0) > REACH:
        return None
    return sum(apart) + octaves(entry.threads, threads)


def octaves(one: int, other: int) -> float:
    return abs(math.log2(max(one, 1) / max(other, 1)))
