"""Every kernel of examples/, compiled for CUDA and executed on the PTX machine, beside the reference machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tvm")
pytest.importorskip("cuda.bindings")

import vmc
from tests.examples.kernel_cases import CASES, Case
from vmc.commands import arrays
from vmc.commands.program import literal
from vmc.ir.core import Access
from vmc.ir.dims import evaluate
from vmc.lang.queries import declaration, kernel_names
from vmc.runtime.compare import compare, tolerance
from vmc.runtime.packed import pack_stored
from vmc.runtime.parameters import Parameter

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TARGET = "ptx-vm:sm_80"


def marked() -> list[Any]:
    """The cases with names that tell them apart; what is not quick is slow."""
    names = [str(case) for case in CASES]
    return [
        pytest.param(case, id=f"{case}-{names[:at].count(str(case))}", marks=() if case.quick else pytest.mark.slow)
        for at, case in enumerate(CASES)
    ]


@pytest.mark.parametrize("case", marked())
def test_the_ptx_of_every_kernel_computes_what_the_reference_machine_does(case: Case) -> None:
    reference, kernel = (compiled(case, target) for target in ("interp", TARGET))
    symbols = {name: value for name, value in settings(case).items() if name in kernel.symbols}
    expected, found = (arguments(each, case, symbols) for each in (reference, kernel))
    reference(**expected, **symbols)
    kernel(**found, **symbols)
    for name in (parameter.name for parameter in kernel.parameters if parameter.access is not Access.IN):
        got = arrays.logical(kernel.parameter(name), found[name], symbols)
        want = arrays.logical(reference.parameter(name), expected[name], symbols)
        assert compare(kernel.parameter(name).dtype, got, want, tolerance(kernel)).message is None, name


def test_no_kernel_of_the_examples_is_left_out() -> None:
    programs = [str(file.relative_to(EXAMPLES).with_suffix("")) for file in EXAMPLES.glob("*/*.vmc")]
    there = {f"{program}:{name}" for program in programs for name in kernel_names(*source(program))}
    assert there == {str(case) for case in CASES}
    assert {case.program.split("/")[0] for case in CASES if case.quick} == {name.split("/")[0] for name in there}


def source(program: str) -> tuple[str, str]:
    """The text of a program and its file."""
    path = EXAMPLES / f"{program}.vmc"
    return path.read_text(), str(path)


def settings(case: Case) -> dict[str, Any]:
    words = (word.partition("=") for word in case.settings.split())
    return {name: literal(text) for name, _, text in words}


def compiled(case: Case, target: str) -> vmc.Kernel:
    """The kernel with its compile-time parameters bound; symbols stay symbols."""
    text, path = source(case.program)
    static = declaration(text, path, case.kernel).static_params
    names = {parameter.name for parameter in static}
    return vmc.compile(path, case.kernel, target, **{k: v for k, v in settings(case).items() if k in names})


def arguments(kernel: vmc.Kernel, case: Case, symbols: dict[str, int]) -> dict[str, Any]:
    """The same numbers for every target, as this one takes them."""
    rng = np.random.default_rng(0)
    return {parameter.name: argument(parameter, case, symbols, rng) for parameter in kernel.stored}


def argument(parameter: Parameter, case: Case, symbols: dict[str, int], rng: np.random.Generator) -> Any:
    given = case.given.get(parameter.name)
    if parameter.dims is None:
        assert not callable(given) and given is not None, f"no number for {parameter}"
        return given
    shape = tuple(evaluate(dim, symbols) for dim in parameter.dims)
    if given is None:
        return arrays.made(parameter, "random", shape, rng)
    assert callable(given), f"no array for {parameter}"
    codes = parameter.dtype.encode(given(rng, shape), saturate=True)
    return pack_stored(codes, parameter.memory, shape) if parameter.is_packed else parameter.dtype.from_codes(codes)
