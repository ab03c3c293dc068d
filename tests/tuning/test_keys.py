"""Keys: equal for what is the same kernel and kind of machine, different for what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

import vmc
from tests.runtime import programs
from vmc.tuning import files
from vmc.tuning.keys import kernel_key, machine_key

EXAMPLES = Path(__file__).parents[2] / "examples"
IMPORTING = """
import near
kernel k[B = 4](x: f32[N], y: out f32[N]):
    for i in grid(cdiv(N, B)):
        y[i*B : +B] = near.twice(x[i*B : +B])
"""


def key(source: str, kernel: str = "copy", file: str = "copy.vmc") -> str:
    return kernel_key(source, file, kernel)


def test_comments_spaces_and_other_kernels_do_not_change_a_kernel_s_key() -> None:
    assert key(programs.COPY) == key("# words\n" + programs.COPY.replace(" = 16", "=16"))
    assert key(programs.COPY) == key(programs.COPY + programs.AXPY) != key(programs.COPY + programs.AXPY, "axpy")


def test_a_changed_body_default_or_function_changes_it() -> None:
    function = "def twice(x):\n    return x + x\n"
    sources = [
        programs.COPY,
        programs.COPY.replace("B = 16", "B = 8"),
        programs.COPY.replace("= x[", "= -x["),
        function + programs.COPY,
        function.replace("+", "*") + programs.COPY,
    ]
    assert len(set(map(key, sources))) == len(sources)


def test_a_changed_import_changes_it(tmp_path: Path) -> None:
    near, found = tmp_path / "near.vmc", []
    for body in ("x + x", "2.0 * x", "x + x"):
        near.write_text(f"def twice(x):\n    return {body}\n")
        found.append(key(IMPORTING, "k", str(tmp_path / "k.vmc")))
    assert found[0] == found[2] != found[1]


def test_the_machine_s_key_tells_architecture_processor_and_features() -> None:
    words = machine_key().split()
    assert len(words) >= 2 and machine_key() == machine_key("cpu")
    generic = machine_key("cpu:x86-64")
    assert generic == "x86_64 x86-64"
    with pytest.raises(vmc.TargetError, match="target cpu"):
        machine_key("interp")


def test_shipped_tables_are_sound_and_about_the_examples_as_they_are() -> None:
    """Where this fails an example changed: make its entries again, as docs/tuning.md tells."""
    shipped = sorted(files.SHIPPED.glob("*.json"))
    assert shipped
    for entry in (entry for path in shipped for entry in files.read(path).values()):
        example = EXAMPLES / f"{entry.kernel}.vmc"
        assert entry.hash == kernel_key(example.read_text("utf-8"), str(example), entry.kernel), entry.kernel
