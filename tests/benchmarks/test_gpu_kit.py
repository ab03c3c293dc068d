"""The kit for machines with a GPU, made and run dry: on the CPU, everything but the launches."""

from __future__ import annotations

import gc
import json
import os
import re
import subprocess
import sys
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("tvm")
pytest.importorskip("cuda.bindings")

from benchmarks import gpu_kit, gpu_matmul
from benchmarks.gpu import checks, marlin, peers
from benchmarks.gpu.configurations import SOURCES, TYPES
from benchmarks.gpu.device import Dry, Gpu
from benchmarks.gpu.kit import Built, Kit, kernels_of
from benchmarks.gpu.problem import make_activations, make_weights
from benchmarks.gpu.quantized import quantized
from benchmarks.matmul.contender import ERROR_BOUNDS, Missing
from benchmarks.matmul.problem import Shape

SIZE = (17, 200, 75)


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> Path:
    folder = tmp_path_factory.mktemp("kit")
    command = ["--arch", "sm_80", "--types", "u3", "--sources", "wa16 bf16", "--cpu", "cpu:x86-64"]
    assert gpu_kit.main(["--output", str(folder), *command]) == 0
    return folder


def test_a_kit_runs_dry_from_its_own_folder(kit: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": "", "COLUMNS": "200"}
    command = ["sh", str(kit / "run.sh"), "--dry-run", "--quick", "--output", str(tmp_path), "--rounds", "1"]
    command += ["--only", "vmc *", "cuBLAS f16"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert not done.returncode, done.stdout + done.stderr
    for text in ("2 kernels are right, 0 wrong", "no figure means anything", "vmc wa16 bf16 u3", "cuBLAS f16"):
        assert text in done.stdout
    skipped = [line for line in done.stdout.splitlines() if line.startswith(("skipped: ", "not launched"))]
    assert len(skipped) == 4
    (path,) = tmp_path.glob("gpu_matmul-dry-run-*.json")
    written = json.loads(path.read_text())
    assert written["machine"]["dry_run"] is True and written["machine"]["gpu"] is None
    assert [(case["m"], case["memory"], case["access"]) for case in written["cases"]] == [
        (1, "cold", "copy"),
        (17, "cold", "copy"),
    ]
    assert [*tmp_path.glob("*.md")] and [*tmp_path.glob("*.png")]


def test_a_kit_packs_for_the_gpu_what_it_packs_for_the_cpu(kit: Path) -> None:
    made = Kit(kit, "cpu")
    codes = np.random.default_rng(1).integers(0, 8, (300, 80), dtype=np.uint8)
    for built in made.contents.kernels:
        on_gpu = made.library.kernels[built.name].on("cuda:sm_80")
        for kernel in (made.kernel(built), on_gpu):
            np.testing.assert_array_equal(kernel.unpack("w", kernel.pack("w", codes)), codes)


def test_every_type_and_number_of_rows_has_a_kernel() -> None:
    names = [built.name for _, built in kernels_of(TYPES, tuple(source.name for source in SOURCES))]
    assert len(set(names)) == len(names)
    for m in gpu_matmul.ROWS:
        assert any(one.takes(m) for one in next(s for s in SOURCES if s.name == "wa16").configurations)


@dataclass
class Spoiled:
    """A kit whose kernels leave their output spoiled: told the output, and the number of the launch."""

    kit: Kit
    spoil: Callable[[Any, int], None]
    launches: int = 0

    def kernel(self, built: Built) -> Any:
        kernel, outer = self.kit.kernel(built), self

        class Kernel:
            parameter, storages, pack = kernel.parameter, kernel.storages, kernel.pack

            def __call__(self, x: Any, w: Any, scale: Any, y: Any) -> None:
                kernel(x, w, scale, y)
                outer.launches += 1
                outer.spoil(y, outer.launches)

        return Kernel()


def forget(y: Any, launch: int) -> None:
    y[-1, -1] = float("nan")


def shift(y: Any, launch: int) -> None:
    y[3, 5] *= 1.5


def race(y: Any, launch: int) -> None:
    if launch == 2:
        y[0, 0] = torch.nextafter(y[0, 0], y[0, 0] + 1)


def overrun(y: Any, launch: int) -> None:
    torch.as_strided(y, (y.numel() + 1,), (1,))[-1] = 0


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (forget, "1 elements were not written or are not finite"),
        (shift, r"1 are wrong: y\[3, 5\] is"),
        (race, "two launches differ: a race"),
        (overrun, "wrote beside its output"),
    ],
)
def test_a_kernel_that_is_wrong_is_found(kit: Path, spoil: Callable[[Any, int], None], complaint: str) -> None:
    made = Kit(kit, "cpu")
    built = made.contents.kernels[0]
    source = next(source for source in SOURCES if source.name == built.source)
    given = checks.inputs(built.type, SIZE, made.contents.group, 7)
    expected = given.x @ given.weights
    bound = checks.allowed(given, expected, source)
    assert checks.complaint(made, built, source, Dry(), given, expected, bound) is None
    found = checks.complaint(Spoiled(made, spoil), built, source, Dry(), given, expected, bound)  # type: ignore[arg-type]
    assert found is not None and re.match(complaint, found), found


class Faulty(Dry):
    """A device that a kernel has left its memory on."""

    lost = False

    def finish(self) -> None:
        if self.lost:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")


def test_after_a_fault_that_loses_the_device_no_other_kernel_is_blamed(kit: Path) -> None:
    device = Faulty()

    def leave(y: Any, launch: int) -> None:
        device.lost = True

    spoiled = Spoiled(Kit(kit, "cpu"), leave)
    spoiled.pairs, spoiled.contents = spoiled.kit.pairs, spoiled.kit.contents  # type: ignore[attr-defined]
    with pytest.raises(checks.DeviceLost, match="an illegal memory access") as raised:
        list(checks.check(spoiled, device, 1, (SIZE,)))  # type: ignore[arg-type]
    assert raised.value.failure.kernel == spoiled.kit.contents.kernels[0].name
    assert spoiled.launches == 1


def test_a_kit_without_code_for_the_cpu_cannot_be_run_dry(kit: Path, tmp_path: Path) -> None:
    data = json.loads((kit / "kit.json").read_text()) | {"cpu": None}
    (tmp_path / "kit.json").write_text(json.dumps(data))
    with pytest.raises(ValueError, match="needs a kit with code for the CPU"):
        Kit(tmp_path, "cpu")


def test_weights_are_rounded_to_the_nearest_code() -> None:
    weights = make_weights(Shape(256, 32, 128), Dry(), 1)
    found = quantized("f4e2m1", weights)
    steps = found.scales.float().repeat_interleave(128, dim=0)
    levels = torch.tensor(sorted({-6.0, -4, -3, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3, 4, 6}))
    nearest = (weights.values / steps)[..., None].sub(levels).abs().amin(dim=-1)
    np.testing.assert_allclose(((found.values() - weights.values) / steps).abs().numpy(), nearest.numpy(), atol=1e-5)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_gptq_s_words_hold_consecutive_rows(bits: int) -> None:
    codes = torch.from_numpy(np.random.default_rng(bits).integers(0, 1 << bits, (64, 5)).astype(np.int32))
    words = marlin.gptq_words(codes, bits).numpy().view(np.uint32)
    shifts = np.arange(0, 32, bits)[None, :, None]
    unpacked = (words[:, None, :] >> shifts & (1 << bits) - 1).reshape(64, 5)
    np.testing.assert_array_equal(unpacked, codes.numpy())


def test_a_graph_keeps_alive_what_it_reads() -> None:
    class Graph:
        replays = 0

        def replay(self) -> None:
            Graph.replays += 1

    class Run:
        def __call__(self) -> None: ...

    gpu = object.__new__(Gpu)
    cuda = SimpleNamespace(CUDAGraph=Graph, graph=lambda graph: nullcontext(), synchronize=lambda: None)
    gpu.torch = SimpleNamespace(cuda=cuda)
    runs = [Run()]
    alive = weakref.ref(runs[0])
    replay = gpu.captured(runs)
    del runs
    gc.collect()
    replay()
    assert alive() is not None and Graph.replays == 1


def test_a_peer_s_products_use_copies_of_their_own() -> None:
    x = make_activations(3, 8, Dry(), 1)
    w = torch.eye(8)
    stored = peers.Tensors((w,), torch.float32, lambda x, w: lambda: x @ w, lambda: w)
    products = stored.load(x, 2)
    w.zero_()
    for each in products:
        each.run()
        assert torch.equal(each.result(), x)


@pytest.mark.parametrize("library", gpu_matmul.PEERS, ids=lambda found: found.__module__.rpartition(".")[2])
def test_a_peer_is_there_or_says_how_to_install_it(library: Callable[[Any], list[Any]]) -> None:
    try:
        found = library(Dry())
    except Missing as missing:
        assert "pip install" in str(missing) or "TILUS_EXAMPLES" in str(missing)
        return
    assert all(contender.compute in ERROR_BOUNDS for contender in found)
