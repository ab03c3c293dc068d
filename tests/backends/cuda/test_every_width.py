"""Products of every type of weights: what their main loops must not have, counted in the machine code and by the PTX
machine: spills, local memory, conversions of single numbers, bank conflicts, sectors that nothing was wanted of.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tvm")
pytest.importorskip("cuda.bindings")

import vmc
from tests.backends.cuda.test_matmul import BYTES, FLOATS, INTEGERS, SOURCE, problem
from vmc.backends.cuda.disassembly import tool

QUICK = ("u4", "f8e4m3")
HOPPER, AMPERE = "sm_90a", "sm_80"
CASES = [
    (SOURCE, HOPPER, {}),
    (SOURCE, AMPERE, {"BM": 16, "BN": 128, "BK": 128}),
    (BYTES, HOPPER, {}),
    (BYTES, HOPPER, {"BM": 64}),
]
PROBLEM = (64, 512, 256)
"""M, K and N: whole tiles of all cases, and several turns."""


def cases() -> list[Any]:
    """Every type with every case; all but a few are slow."""
    return [
        pytest.param(*case, name, marks=() if name in QUICK else pytest.mark.slow, id=f"{case[0].stem}-{number}-{name}")
        for number, case in enumerate(CASES)
        for name in [*INTEGERS, *FLOATS]
    ]


@pytest.mark.parametrize(("source", "arch", "tile", "name"), cases())
def test_accesses_have_no_bank_conflicts_and_whole_sectors(
    source: Path, arch: str, tile: dict[str, int], name: str
) -> None:
    m, k, n = PROBLEM
    x, codes, scale, _, _ = problem(name, "f16", m, k, n)
    kernel = vmc.compile(source, target=f"ptx-vm:{arch}", T=name, **tile)
    kernel(x, kernel.pack("w", codes), scale, np.zeros((m, n), np.float16))
    for entry, report in kernel._launcher.reports.items():
        assert [(entry, each.text, each.excess) for each in report.traffic if each.excess] == []


@pytest.mark.skipif(tool("cuobjdump") is None, reason="cuobjdump is not installed")
@pytest.mark.parametrize(("source", "arch", "tile", "name"), cases())
def test_the_machine_code_has_neither_spills_nor_local_memory(
    source: Path, arch: str, tile: dict[str, int], name: str
) -> None:
    found = vmc.compile(source, target=f"cuda:{arch}", T=name, **tile).explain()
    for grid in found.grids:
        assert (grid.code.spills, grid.code.stack, grid.code.local) == (0, 0, 0)
    if source == SOURCE:
        assert found.main.main_loop is not None and found.main.main_loop.conversions == 0
