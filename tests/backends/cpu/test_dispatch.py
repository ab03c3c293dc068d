"""Objects with code for several levels: which is executed, and that all compute the same."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from tests.backends.cpu.execution import Sketch, copies, launch, memory, zeros
from tests.backends.cpu.samples import sample
from tests.backends.cpu.test_executable import scaled_sum
from tests.generators.ir_arguments import differences, random_arguments
from tests.generators.ir_modules import generate
from vmc.backends import cpu, interp
from vmc.backends.cpu.dispatch import Choice
from vmc.backends.cpu.levels import LEVELS, PORTABLE, portable
from vmc.backends.cpu.target import missing
from vmc.ir.core import Kernel
from vmc.ir.types import dtype

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="not an x86-64 host")
EXECUTABLE = [name for name in PORTABLE if not missing(LEVELS[name])]


def choice_of(executable: cpu.Executable) -> Choice:
    assert executable.choice is not None
    return executable.choice


def assert_all_versions(kernel: Kernel, arguments: list[object], symbols: dict[str, int]) -> None:
    """Fails unless every level's code leaves the same memory as the reference VM."""
    expected = copies(arguments)
    interp.run(kernel, expected, symbols)
    executable = cpu.compile(kernel, portable())
    for name in EXECUTABLE:
        choice_of(executable).force(name)
        assert choice_of(executable).level == name
        found = copies(arguments)
        launch(executable, kernel, found, symbols)
        assert not differences(kernel, symbols, expected, found), name


def test_the_best_level_of_the_host_is_chosen_unless_one_is_forced() -> None:
    choice = choice_of(cpu.compile(scaled_sum(), portable(1)))
    assert choice.level == EXECUTABLE[-1]
    choice.force("x86-64")
    assert choice.level == "x86-64"
    choice.force(None)
    assert choice.level == EXECUTABLE[-1]
    with pytest.raises(ValueError, match="amx"):
        choice.force("amx")


def test_code_for_one_processor_has_no_choice() -> None:
    assert cpu.compile(scaled_sum(), cpu.Options(opt_level=1)).choice is None


def test_every_level_has_code_of_its_own_in_the_object() -> None:
    assembly = cpu.generated(scaled_sum(), portable()).assembly
    bodies = dict(re.findall(r'^"?vmc_scaled_sum\.([^\n"]+?)\.chunk"?:$(.*?)^\.Lfunc_end', assembly, re.M | re.S))
    widest = {name: max(re.findall(r"%([xyz]mm)\d", body)) for name, body in bodies.items()}
    assert widest == dict(zip(PORTABLE, ("xmm", "ymm", "zmm", "zmm", "zmm"), strict=True))


@pytest.mark.parametrize("kind", ["f16", "f32", "i5"])
def test_every_version_gives_the_same_bits(kind: str) -> None:
    sketch = Sketch()
    a, b = sketch.take(kind, (300,)), sketch.take(kind, (300,))
    for operation in ("add", "mul", "max", "floordiv" if dtype(kind).is_int else "div"):
        sketch.give(sketch.b(operation, a, b))
    for target in ("bf16", "f8e4m3", "u8"):
        sketch.give(sketch.b.cast(a, target))
    kernel = sketch.kernel()
    given = iter([sample(kind, 300, "a"), sample(kind, 300, "b")])
    writable = [param.tensor.access.writable for param in kernel.params]
    arguments: list[object] = [
        zeros(param) if written else memory(kind, next(given))
        for param, written in zip(kernel.params, writable, strict=True)
    ]
    assert_all_versions(kernel, arguments, {})


@pytest.mark.parametrize("seed", range(7000, 7006))
def test_every_version_agrees_on_generated_programs(seed: int) -> None:
    (kernel,) = generate(seed, 12).kernels
    arguments, symbols = random_arguments(kernel, seed)
    assert_all_versions(kernel, arguments, symbols)


def test_errors_of_the_program_are_reported_by_every_version() -> None:
    sketch = Sketch()
    a = sketch.take("i32", (8,))
    for limit in (100, 10):
        least = sketch.b("lt", a, sketch.b.like(a, limit))
        sketch.b.many("assert", least, message=f"below {limit}")
    kernel = sketch.kernel()
    executable = cpu.compile(kernel, portable(1))
    x = np.arange(8, dtype=np.int32) + 5
    for name in EXECUTABLE:
        choice_of(executable).force(name)
        with pytest.raises(cpu.ExecutionError, match="below 10"):
            executable.launch([x.ctypes.data])


def test_a_restored_object_chooses_anew(tmp_path: Path) -> None:
    executable = cpu.compile(scaled_sum(), portable(1))
    choice_of(executable).force("x86-64")
    (tmp_path / "code.o").write_bytes(executable.object)
    (tmp_path / "signature.json").write_text(executable.signature.to_json())
    script = """
        import sys
        from pathlib import Path
        import numpy as np
        from vmc.backends import cpu
        folder = Path(sys.argv[1])
        signature = cpu.Signature.from_json((folder / "signature.json").read_text())
        executable = cpu.load((folder / "code.o").read_bytes(), signature)
        print(executable.choice.level)
        for level in sys.argv[2:]:
            executable.choice.force(level)
            x, y = np.arange(5000, dtype=np.float32), np.ones(5000, np.float32)
            executable.launch([x.ctypes.data, y.ctypes.data], [3.0], {"N": 5000})
            assert (y == 3 * x + 1).all()
    """
    words = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path), *EXECUTABLE]
    ran = subprocess.run(words, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == EXECUTABLE[-1]


def test_a_signature_with_levels_survives_its_text() -> None:
    signature = cpu.generated(scaled_sum(), portable(0)).signature
    assert signature.levels == PORTABLE
    assert cpu.Signature.from_json(signature.to_json()) == signature
