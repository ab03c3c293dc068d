"""Which kernels a library has, with which parameters, and what they are called in it.

matmul.vmc:wa16 with T=u4               wa16
matmul.vmc:wa16 with T=u4,u8 BM=16,32   wa16_u4_BM16, wa16_u4_BM32, wa16_u8_BM16, wa16_u8_BM32
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from vmc.runtime.compiling import check_names, elaborate, source_of
from vmc.runtime.errors import BuildError
from vmc.runtime.kernel import Kernel
from vmc.runtime.programs import split_program

Program = str | Path | Kernel


@dataclass(frozen=True)
class Instance:
    """A kernel with its parameters bound. `fixed` are symbols that were given values, `name` is its name if it has one
    of its own.
    """

    kernel: Kernel
    fixed: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""

    @property
    def parameters(self) -> dict[str, str]:
        """What was bound, parameters and symbols, as text."""
        return {**self.kernel.bindings, **{name: str(value) for name, value in self.fixed.items()}}


def instances(programs: Iterable[Program] | Mapping[str, Program], bindings: Mapping[str, Any]) -> dict[str, Instance]:
    """The kernels of a library by their names in it.

    A program is a path, `FILE:KERNEL`, the text of a program, or a compiled kernel; of a mapping, the keys are names.
    Values of `bindings` may be lists, of which every combination is a kernel; a binding applies to the kernels that
    have the parameter or symbol.

    Raises CompileError for a program with mistakes or a binding that no kernel has, BuildError where names collide.
    """
    found: list[Instance] = []
    elaborated: list[Kernel] = []
    taken: set[str] = set()
    named = programs.items() if isinstance(programs, Mapping) else [("", program) for program in programs]
    for name, program in named:
        if isinstance(program, Kernel):
            found.append(Instance(program, name=name))
            continue
        several = of_source(program, bindings, taken)
        if name and len(several) > 1:
            raise BuildError("E0921", f"`{name}` is one name, and the program has {len(several)} kernels")
        found += [Instance(one.kernel, one.fixed, name) for one in several]
        elaborated += [one.kernel for one in several]
    if not found:
        raise BuildError("E0921", "there is no kernel to build")
    check_taken(elaborated, {name: value for name, value in bindings.items() if name not in taken})
    return by_name(found)


def of_source(program: str | Path, bindings: Mapping[str, Any], taken: set[str]) -> list[Instance]:
    """The kernels of one program, for every combination of bindings. Adds to `taken` the bindings that it has."""
    from vmc.lang.queries import declaration, extent_names, kernel_names

    text = program if isinstance(program, str) and "\n" in program else None
    path, wanted = (program, None) if text or isinstance(program, Path) else split_program(program)
    source, file = source_of(path)
    names = [wanted] if wanted else list(kernel_names(source, file))
    if wanted and wanted not in kernel_names(source, file):
        elaborate(source, file, wanted, "cpu", {})
    found: list[Instance] = []
    for name in names:
        node = declaration(source, file, name)
        parameters = [param.name for param in node.static_params]
        symbols = [symbol for symbol in extent_names(node) if symbol not in parameters]
        own = {key: value for key, value in bindings.items() if key in (*parameters, *symbols)}
        taken.update(own)
        for case in combinations(own):
            kernel = elaborate(source, file, name, "cpu", case)
            found.append(Instance(kernel, {symbol: case[symbol] for symbol in symbols if symbol in case}))
    if not names:
        elaborate(source, file, None, "cpu", {})
    return found


def combinations(bindings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every choice of one value for each binding."""
    choices = [value if isinstance(value, list | tuple) else [value] for value in bindings.values()]
    return [dict(zip(bindings, values, strict=True)) for values in product(*choices)]


def check_taken(elaborated: Sequence[Kernel], others: Mapping[str, Any]) -> None:
    """Whether there is no binding that no kernel has. Raises CompileError, or BuildError where none can be bound."""
    if not others:
        return
    if not elaborated:
        raise BuildError("E0921", f"`{next(iter(others))}` cannot be bound: the kernels are compiled already")
    first = elaborated[0]
    check_names(first.name, first.source, first.file, others, first.bindings)


def by_name(found: Sequence[Instance]) -> dict[str, Instance]:
    """Kernels by their own names, or by the kernel's with the parameters in which those of one name differ."""
    groups: dict[str, list[Instance]] = {}
    for one in found:
        groups.setdefault(one.kernel.name, []).append(one)
    names = [one.name or "_".join([one.kernel.name, *distinction(one, groups[one.kernel.name])]) for one in found]
    for name, count in Counter(names).items():
        if count > 1:
            raise BuildError("E0921", f"{count} kernels would be called `{name}`; give names with {{name: program}}")
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise BuildError("E0921", f"`{name}` is no name in C")
    return dict(zip(names, found, strict=True))


def distinction(one: Instance, group: Sequence[Instance]) -> list[str]:
    """The parameters of a kernel that differ in its group: `u4` for a type, `BM32` for a number."""
    differing = [
        name for name in one.parameters if len({other.parameters.get(name) for other in group if not other.name}) > 1
    ]
    return [described(name, one.parameters[name]) for name in differing]


def described(name: str, value: str) -> str:
    plain = re.sub(r"\W", "_", value, flags=re.ASCII)
    return plain if re.match(r"[A-Za-z]", value) and value not in ("true", "false") else f"{name}{plain}"
