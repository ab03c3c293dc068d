"""Code for aarch64, executed by an emulator: QEMU's `qemu-aarch64`, with a cross compiler for the program around it.

apt install qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.backends.cpu.execution import copies, memory, zeros
from tests.backends.cpu.samples import sample
from tests.backends.cpu.test_levels import ARM, elementwise
from tests.generators.ir_arguments import differences, random_arguments
from tests.generators.ir_modules import generate
from vmc.backends import cpu, interp
from vmc.backends.cpu.executable import packer
from vmc.backends.cpu.levels import LEVELS
from vmc.ir.core import Kernel, TensorType
from vmc.ir.dims import evaluate
from vmc.ir.storage import storage_bytes
from vmc.ir.types import DType, dtype, pack, unpack
from vmc.runtime.compare import compare, tolerance_of
from vmc.runtime.compiling import elaborate
from vmc.runtime.targets import lowered

COMPILER, EMULATOR = shutil.which("aarch64-linux-gnu-gcc"), shutil.which("qemu-aarch64")
ROOT = Path(__file__).parents[3]
HARNESS = Path(__file__).with_name("launch.c")
Array = np.ndarray[Any, Any]

pytestmark = pytest.mark.skipif(not (COMPILER and EMULATOR), reason="no cross compiler or no emulator for aarch64")


def emulated(
    kernel: Kernel, level: str, arguments: Sequence[Any], symbols: Mapping[str, int], folder: Path
) -> list[Any]:
    """The arguments, in the reference VM's form, as the code for a level leaves them."""
    made = cpu.generated(kernel, LEVELS[level].options())
    (folder / "kernel.o").write_bytes(made.object_code())
    program = folder / "launch"
    build = [COMPILER, "-O1", "-static", f'-DENTRY="{made.signature.entry}"', HARNESS, folder / "kernel.o", "-lm"]
    subprocess.run([*map(str, build), "-o", str(program)], check=True)
    tensors = [value for value in arguments if isinstance(value, np.ndarray)]
    numbers = [value for value in arguments if not isinstance(value, np.ndarray)]
    words = [packer(type)(value) for (_, type), value in zip(made.signature.scalars, numbers, strict=True)]
    words += [symbols[name] % (1 << 64) for name in made.signature.symbols] + [0]
    head = [len(tensors), *(array.nbytes for array in tensors), len(words), *words]
    call = folder / "call"
    call.write_bytes(struct.pack(f"<{len(head)}Q", *head) + b"".join(array.tobytes() for array in tensors))
    subprocess.run([str(EMULATOR), "-cpu", "max", str(program), str(call), str(int(made.signature.serial))], check=True)
    after = np.frombuffer(call.read_bytes(), np.uint8)
    ends = np.cumsum([array.nbytes for array in tensors])
    parts = iter(np.split(after, ends[:-1]))
    return [next(parts) if isinstance(value, np.ndarray) else value for value in arguments]


@pytest.mark.parametrize("kind", ["f16", "bf16", "f32", "i5"])
@pytest.mark.parametrize("level", ARM)
def test_elementwise_code_gives_the_same_bits(level: str, kind: str, tmp_path: Path) -> None:
    kernel = elementwise(kind).kernel()
    given = iter([sample(kind, 100, "a"), sample(kind, 100, "b")])
    arguments = [zeros(param) if param.tensor.access.writable else memory(kind, next(given)) for param in kernel.params]
    expected = copies(arguments)
    interp.run(kernel, expected, {})
    assert not differences(kernel, {}, expected, emulated(kernel, level, arguments, {}, tmp_path))


@pytest.mark.parametrize("seed", range(8000, 8006))
def test_generated_programs_leave_the_same_bits(seed: int, tmp_path: Path) -> None:
    (kernel,) = generate(seed, 14).kernels
    arguments, symbols = random_arguments(kernel, seed)
    expected = copies(arguments)
    interp.run(kernel, expected, symbols)
    assert not differences(kernel, symbols, expected, emulated(kernel, ARM[0], arguments, symbols, tmp_path))


def random_tensor(type: TensorType, symbols: Mapping[str, int], rng: np.random.Generator) -> Array:
    """Bytes of a tensor: ordinary floats, any code of a narrow type; in a storage, any bytes."""
    shape = tuple(evaluate(dim, symbols) for dim in type.shape)
    if type.storage is not None or type.dtype.width < 16:
        return rng.integers(0, 256, storage_bytes(type, shape), dtype=np.uint8)
    return np.array(pack(type.dtype.encode(rng.standard_normal(shape)), type.dtype), np.uint8)


def result(kernel: Kernel, arguments: Sequence[Any], symbols: Mapping[str, int]) -> tuple[DType, Array]:
    """The codes of the last parameter."""
    type = kernel.params[-1].tensor
    return type.dtype, unpack(arguments[-1], type.dtype, tuple(evaluate(dim, symbols) for dim in type.shape))


@pytest.mark.parametrize(
    ("file", "type"),
    [("scale", "u4"), ("matmul_wa16", "u3"), ("matmul_wa16", "f4e2m1"), ("matmul_wa8", "u4"), ("matmul_wa8", "i6")],
)
@pytest.mark.parametrize("level", ARM)
def test_examples_compute_what_the_reference_does(level: str, file: str, type: str, tmp_path: Path) -> None:
    """Bit for bit, but for the order of sums in a `dot` of floats; weights lie in the storage that a pass chose."""
    source = (ROOT / "examples" / f"{file}.vmc").read_text()
    declared = elaborate(source, "", None, f"cpu:{level}", {"T": type})._tile
    kernel = lowered(declared, LEVELS[level].options())
    symbols = {"M": 5, "K": 256, "N": 72 if file != "scale" else 1000}
    symbols = {name: symbols[name] for name in kernel.symbols}
    rng = np.random.default_rng(11)
    arguments = [random_tensor(param.tensor, symbols, rng) for param in kernel.params]
    expected = copies(arguments)
    interp.run(kernel, expected, symbols)
    found = emulated(kernel, level, arguments, symbols, tmp_path)
    kind, wanted = result(kernel, expected, symbols)
    difference = compare(dtype(kind.name), result(kernel, found, symbols)[1], wanted, tolerance_of(declared))
    assert difference.message is None
