"""The table of levels, and code for each of them: what it consists of, and that it computes the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vmc
from tests.backends.cpu.execution import Sketch, assert_sketch
from tests.backends.cpu.samples import sample
from vmc.backends.cpu import features, levels
from vmc.backends.cpu.features import amx_features, enabled_features
from vmc.backends.cpu.levels import LEVELS, TABLE, Level
from vmc.backends.cpu.target import best, machine, missing
from vmc.ir.types import dtype
from vmc.runtime.compare import compare, tolerance
from vmc.runtime.compiling import elaborate
from vmc.runtime.targets import lowered

Array = np.ndarray[Any, Any]
ROOT = Path(__file__).parents[3]
EXECUTABLE = [level.name for level in TABLE if not missing(level)]
X86 = [level.name for level in TABLE if level.architecture == levels.X86]
ARM = [level.name for level in TABLE if level.architecture == levels.ARM]


@pytest.mark.parametrize("level", TABLE, ids=lambda level: level.name)
def test_a_level_has_what_llvm_says_that_it_has(level: Level) -> None:
    made = machine(level.options())
    probed = enabled_features(made.llvm_machine, made.triple, {}) | amx_features(made.cpu, made.flags)
    assert made.features == probed
    assert probed <= level.needs


def test_levels_of_the_psabi_include_each_other_and_the_others_come_after_what_they_extend() -> None:
    for less, more in zip(levels.PORTABLE, levels.PORTABLE[1:], strict=False):
        assert LEVELS[less].needs < LEVELS[more].needs
    assert LEVELS["x86-64-v3"].needs < LEVELS["avx2vnni"].needs
    assert LEVELS["avx512vbmi"].needs < LEVELS["avx512bf16"].needs < LEVELS["amx"].needs
    assert LEVELS["aarch64"].needs < LEVELS["aarch64-v8.6"].needs


def test_a_host_lacks_another_architecture_or_the_features_that_it_does_not_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    every = {name for level in TABLE for name in level.needs}
    present = {name: name in LEVELS["x86-64-v3"].needs for name in every}
    monkeypatch.setattr(features.llvm, "get_host_cpu_features", lambda: present)
    monkeypatch.setattr(features.llvm, "get_process_triple", lambda: "x86_64-unknown-linux-gnu")
    machine.cache_clear()
    try:
        assert missing(LEVELS["x86-64-v3"]) == ()
        assert missing(LEVELS["avx2vnni"]) == ("avxvnni",)
        assert missing(LEVELS["aarch64"]) == ("the architecture aarch64",)
        found = best()
        assert found is not None and found.name == "x86-64-v3"
    finally:
        machine.cache_clear()


# Assembly


@lru_cache(maxsize=32)
def assembly(level: str, file: str = "matmul_wa16", type: str = "u4") -> str:
    source = (ROOT / "examples" / f"{file}.vmc").read_text()
    return elaborate(source, file, None, f"cpu:{level}", {"T": type}).ir("asm")


WIDEST = {"x86-64": "xmm", "x86-64-v2": "xmm", "x86-64-v3": "ymm", "avx2vnni": "ymm"}


@pytest.mark.parametrize("level", X86)
def test_code_uses_the_widest_registers_of_its_level_and_none_wider(level: str) -> None:
    used = {size for size in ("xmm", "ymm", "zmm") if f"%{size}" in assembly(level)}
    widest = WIDEST.get(level, "zmm")
    assert max(used) == widest
    assert ("vfmadd" in assembly(level)) == (widest != "xmm")


@pytest.mark.parametrize("level", ARM)
def test_code_for_aarch64_multiplies_and_adds_vectors(level: str) -> None:
    assert re.search(r"fmla\s+v\d+\.4s", assembly(level))
    assert re.search(r"\bstr\s+q\d+|\bstp\s+q\d+", assembly(level))


# Execution


def launched(file: str, target: str, type: str, arrays: Mapping[str, Array]) -> tuple[vmc.Kernel, Array]:
    """A kernel of the examples, and what it writes to `y`."""
    kernel = vmc.compile(ROOT / "examples" / f"{file}.vmc", target=target, T=type)
    given = {name: kernel.pack("w", array) if name == "w" else array for name, array in arrays.items()}
    y = np.full_like(arrays["y"], np.nan)
    kernel(**{**given, "y": y})
    return kernel, y


def operands(file: str, type: str) -> dict[str, Array]:
    rng = np.random.default_rng(7)
    m, k, n = 5, 256, 72

    def codes(shape: tuple[int, ...]) -> Array:
        return rng.integers(0, 1 << dtype(type).width, shape, dtype=np.uint8)

    if file == "scale":
        return {"w": codes((1000,)), "s": np.array([0.37], np.float16), "y": np.zeros(1000, np.float16)}
    x, scale = rng.standard_normal((m, k)), rng.random((k // 128, n))
    arrays = {"x": x.astype(np.float16), "scale": scale.astype(np.float16)}
    return {**arrays, "w": codes((k, n)), "y": np.zeros((m, n), np.float16)}


@lru_cache(maxsize=32)
def reference(file: str, type: str) -> Array:
    return launched(file, "interp", type, operands(file, type))[1]


CASES = [("scale", "u4"), ("scale", "i3"), ("matmul_wa16", "u3"), ("matmul_wa16", "f4e2m1"), ("matmul_wa8", "u4")]


@pytest.mark.parametrize(("file", "type"), CASES)
@pytest.mark.parametrize("level", EXECUTABLE)
def test_examples_compute_at_every_level_what_the_reference_does(level: str, file: str, type: str) -> None:
    """Bit for bit, but for the order of sums in a `dot` of floats."""
    kernel, found = launched(file, f"cpu:{level}", type, operands(file, type))
    difference = compare(dtype("f16"), found, reference(file, type), tolerance(kernel))
    assert difference.message is None


@pytest.mark.parametrize("level", EXECUTABLE)
def test_the_activations_of_8_bits_give_the_same_bits_at_every_level(level: str) -> None:
    """Its products are sums of small integers, which no order of additions changes."""
    _, found = launched("matmul_wa8", f"cpu:{level}", "u4", operands("matmul_wa8", "u4"))
    np.testing.assert_array_equal(found, reference("matmul_wa8", "u4"))


def elementwise(kind: str) -> Sketch:
    """Arithmetic and conversions on 100 elements of a type, one output each."""
    sketch = Sketch()
    a, b = sketch.take(kind, (100,)), sketch.take(kind, (100,))
    for operation in ("add", "mul", "min", "le", "floordiv" if dtype(kind).is_int else "div"):
        sketch.give(sketch.b(operation, a, b))
    if kind in ("f32", "f64"):
        sketch.give(sketch.b("fma", a, b, a))
    for target in ("f16", "bf16", "i8", "f8e4m3", "f64", "u64"):
        sketch.give(sketch.b.cast(a, target))
    return sketch


@pytest.mark.parametrize("kind", ["f16", "bf16", "f32", "i5"])
@pytest.mark.parametrize("level", EXECUTABLE)
def test_elementwise_code_gives_the_same_bits_at_every_level(level: str, kind: str) -> None:
    options = LEVELS[level].options()
    inputs = [sample(kind, 100, "a"), sample(kind, 100, "b")]
    assert_sketch(elementwise(kind), inputs, cpu=options.cpu, features=options.features)


@pytest.mark.parametrize("file", ["matmul_wa16", "matmul_wa8"])
@pytest.mark.parametrize("type", ["u3", "u4", "i8", "f6e3m2"])
def test_the_storage_of_weights_does_not_depend_on_the_level(file: str, type: str) -> None:
    source = (ROOT / "examples" / f"{file}.vmc").read_text()
    tile = elaborate(source, "", None, "cpu", {"T": type})._tile
    options = [levels.portable(), *(level.options() for level in TABLE)]
    chosen = {lowered(tile, each).params[1].tensor.storage for each in options}
    assert len(chosen) == 1 and None not in chosen
