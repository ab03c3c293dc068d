"""The stages that a kernel goes through, by name, each as text.

"ast" is the syntax tree, "ir" the tile IR before any pass; then every pass of the target in order (the second run of a
pass is called `canonicalize.2`), "llvm" and "asm" for the CPU, and "tirx", "cuda", "ptx" and "sass" for NVIDIA GPUs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from vmc.ir.core import Kernel as TileKernel
from vmc.ir.core import Module
from vmc.ir.span import Span

if TYPE_CHECKING:
    from vmc.ir.passes import Pass
    from vmc.runtime.kernel import Kernel


class UnknownStageError(ValueError):
    """No stage of the target has this name; `stages` are those that it has."""

    def __init__(self, stage: str, stages: tuple[str, ...]) -> None:
        from vmc.diagnostics import suggest

        close = suggest(stage, stages)
        hint = f"did you mean `{close}`?" if close else f"there are {', '.join(stages)}"
        super().__init__(f"unknown stage `{stage}`; {hint}")
        self.stages = stages


def named_passes(target: str) -> list[tuple[str, Pass]]:
    """The target's passes with names that tell repeated ones apart."""
    from vmc.runtime.targets import passes_for

    seen: Counter[str] = Counter()
    named = []
    for step in passes_for(target):
        seen[step.name] += 1
        named.append((step.name if seen[step.name] == 1 else f"{step.name}.{seen[step.name]}", step))
    return named


def stage_names(target: str) -> tuple[str, ...]:
    """All stages of a target in order."""
    passes = tuple(name for name, _ in named_passes(target))
    return ("ast", "ir", *passes, *code_stages(target))


def code_stages(target: str) -> tuple[str, ...]:
    """The stages that are code of the target."""
    from vmc.runtime.ptx_machine import device_target
    from vmc.runtime.targets import is_cuda

    if is_cuda(device_target(target)):
        return ("tirx", "cuda", "ptx", "sass")
    return ("llvm", "asm") if target != "interp" else ()


def stage_text(kernel: Kernel, stage: str | None) -> str:
    """A kernel at a stage. Raises UnknownStageError."""
    from vmc.runtime.targets import generated

    names = stage_names(kernel.target)
    if stage is None:
        stage = [name for name in names if name not in code_stages(kernel.target)][-1]
    if stage not in names:
        raise UnknownStageError(stage, names)
    if stage in code_stages(kernel.target) and stage not in ("llvm", "asm"):
        from vmc.runtime import cuda
        from vmc.runtime.ptx_machine import device_target

        return cuda.stage_text(kernel._tile, device_target(kernel.target), stage)
    match stage:
        case "ast":
            return syntax_text(kernel)
        case "llvm":
            return generated(kernel._tile, kernel.target).llvm
        case "asm":
            return generated(kernel._tile, kernel.target).assembly
    return ir_text(kernel._tile, kernel.target, stage)


def ir_text(tile: TileKernel, target: str, stage: str) -> str:
    """The tile IR that a pass left, or "ir", what the passes begin with."""
    from vmc.ir.text import print_module

    module = Module((tile,))
    for name, step in named_passes(target) if stage != "ir" else ():
        module = step(module)
        if name == stage:
            break
    return print_module(module)


def syntax_text(kernel: Kernel) -> str:
    """The kernel's syntax tree, a node a line. Raises ValueError for one that was made from IR."""
    from vmc.lang.queries import declaration

    if not kernel.source:
        raise ValueError(f"{kernel.name} was built from IR and has no syntax tree")
    return "\n".join(tree_lines(declaration(kernel.source, kernel.file, kernel.name))) + "\n"


def tree_lines(node: Any, label: str = "", depth: int = 0) -> Iterator[str]:
    """A syntax tree, indented: `label: Node name='x' @line:column`, plain fields on the node's line."""
    plain: list[str] = []
    nested: list[tuple[str, Any]] = []
    place = ""
    for field in fields(node):
        value = getattr(node, field.name)
        if isinstance(value, Span):
            place = f" @{value.line}:{value.column}" if field.name == "span" else place
        elif is_dataclass(value):
            nested.append((field.name, value))
        elif isinstance(value, tuple) and any(map(contains_node, value)):
            nested += [(f"{field.name}[{number}]", item) for number, item in enumerate(value)]
        elif value is not None and value != ():
            plain.append(f"{field.name}={value!r}")
    head = f"{label}: " if label else ""
    yield f"{'  ' * depth}{head}{type(node).__name__}{''.join(f' {text}' for text in plain)}{place}"
    for name, value in nested:
        yield from nested_lines(value, name, depth + 1)


def nested_lines(value: Any, label: str, depth: int) -> Iterator[str]:
    if is_dataclass(value):
        yield from tree_lines(value, label, depth)
    elif isinstance(value, tuple):
        yield f"{'  ' * depth}{label}"
        for place, item in enumerate(value):
            yield from nested_lines(item, f"[{place}]", depth + 1)
    else:
        yield f"{'  ' * depth}{label}: {value!r}"


def contains_node(value: Any) -> bool:
    return is_dataclass(value) or isinstance(value, tuple)
