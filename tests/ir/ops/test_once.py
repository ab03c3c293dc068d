"""`once`: its meaning on the reference VM, its text, and every rule that it is verified by."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from vmc.backends.interp import ExecutionError
from vmc.backends.interp import run as execute
from vmc.ir.core import IRError, Kernel
from vmc.ir.text import parse_module, print_module, structurally_equal
from vmc.ir.verifier import verify

TYPE = "tensor<f32[cdiv(K, 2), 2], in, shared>"
INSIDE = """
      %a = load %x, %i, %zero {fill = 0, inbounds = [false, false], sizes = [none, 2], steps = [1, 1]} : f32[2]
      %b = neg %a : f32[2]
      store %t, %b, %zero, %zero {inbounds = [true, true], sizes = [none, 2], steps = [1, 1]}
      yield
"""
NOTHING = "\n      yield\n"
AFTER = "%e = load %s, %zero, %zero {fill = 0, inbounds = [true, true], sizes = [none, 2], steps = [1, 1]} : f32[2]"


def text(
    keys: str = "%i", type: str = TYPE, arg: str = TYPE.replace("in,", "inout,"), inside: str = INSIDE, after: str = ""
) -> str:
    """A kernel whose block makes a tensor from row i of x and writes it to y."""
    return f"""
kernel k(%x: tensor<f32[M, K], in>, %y: tensor<f32[M, N, 2], inout>, %f: f32) symbols(M, K, N) {{
  %m = symbol {{name = "M"}} : i64
  %n = symbol {{name = "N"}} : i64
  grid %m, %n (%i: i64, %j: i64) {{
    %zero = constant {{code = 0, type = i64[]}} : i64
    %twice = add %j, %j : i64
    %row = add %i, %n : i64
    %s = once {keys} {{types = [{type}]}} : {type} (%t: {arg}) {{{inside}    }}
    {AFTER}
    {after}
    store %y, %e, %i, %j, %zero {{inbounds = [true, true, true], sizes = [none, none, 2], steps = [1, 1, 1]}}
    yield
  }}
  yield
}}
"""


def kernel(**parts: str) -> Kernel:
    module = parse_module(text(**parts))
    verify(module)
    return module.kernels[0]


def test_a_block_reads_what_the_region_wrote() -> None:
    x, y = np.arange(12, dtype=np.float32).reshape(3, 4), np.zeros((3, 2, 2), np.float32)
    execute(kernel(), [x.view(np.uint8).ravel(), y.view(np.uint8).ravel(), 0.0], {"M": 3, "K": 4, "N": 2})
    assert (y == -x[:, None, :2]).all()


def test_what_the_region_did_not_write_may_not_be_read() -> None:
    memory = [np.zeros(48, np.uint8), np.zeros(48, np.uint8), 0.0]
    with pytest.raises(ExecutionError, match=r"t\[0, 0\] is read and was never written"):
        execute(kernel(inside=NOTHING), memory, {"M": 3, "K": 4, "N": 2})


def test_a_tensor_has_the_extents_that_the_symbols_give() -> None:
    memory = [np.zeros(48, np.uint8), np.zeros(48, np.uint8), 0.0]
    with pytest.raises(ExecutionError, match=r"t\[0, 0\] outside the extents \[0, 2\]"):
        execute(kernel(), memory, {"M": 3, "K": 0, "N": 2})


def test_the_text_comes_back() -> None:
    module = parse_module(text())
    assert structurally_equal(parse_module(print_module(module)), module)


def inside(*lines: str) -> str:
    """The region with more lines in front of its yield."""
    return INSIDE.replace("      yield", "\n".join(f"      {line}" for line in (*lines, "yield")))


ROW = "{inbounds = [false, false], sizes = [none, none], steps = [1, 1]}"
ONE = "{fill = 0, " + ROW[1:]
THREE = "{inbounds = [true, true, true], sizes = [none, none, none], steps = [1, 1, 1]}"

REFUSED: dict[str, tuple[Callable[[], Kernel], str]] = {
    "keys are indices": (lambda: kernel(keys="%f"), "a key of once must be an i64 scalar"),
    "results lie in shared memory": (lambda: kernel(type=TYPE.replace(", shared", "")), "shared memory only"),
    "results are read only": (lambda: kernel(type=TYPE.replace("in,", "inout,")), "read only"),
    "results are tensors": (lambda: kernel(type="f32[2]", after=""), "once gives tensors only"),
    "results are dense": (
        lambda: kernel(type=TYPE[:-1] + ', storage([1, 1], layout "row_major(1, 1, bits=32)", 32)>'),
        "dense tensors only",
    ),
    "the region writes what once gives": (lambda: kernel(arg=TYPE, inside=NOTHING), "the arguments of once"),
    "the region gets every tensor": (lambda: kernel(arg="i64", inside=NOTHING), "the arguments of once"),
    "extents are of declared symbols": (
        lambda: kernel(type=TYPE.replace("K", "Z"), arg=TYPE.replace("in,", "inout,").replace("K", "Z")),
        "undeclared symbol Z",
    ),
    "the region yields nothing": (
        lambda: kernel(inside=INSIDE.replace("yield", "yield %a")),
        "values yielded by once",
    ),
    "the region writes nothing else": (
        lambda: kernel(inside=inside(f"store %y, %f, %zero, %zero, %zero {THREE}")),
        "store must write a tensor that once gives",
    ),
    "the region reads nothing that may change": (
        lambda: kernel(inside=inside(f"%c = load %y, %i, %zero, %zero {{fill = 0, {THREE[1:]} : f32")),
        "load reads a tensor that may change",
    ),
    "the region has no other effect": (
        lambda: kernel(inside=inside('print %a {text = ""}')),
        "print has an effect that may happen less often",
    ),
    "nobody writes the results": (
        lambda: kernel(after=f"store %s, %f, %zero, %zero {ROW}"),
        "store to a tensor that is an input",
    ),
    "a block's index is a key": (
        lambda: kernel(inside=inside(f"%c = load %x, %j, %zero {ONE} : f32")),
        "uses j, which its keys do not determine",
    ),
    "so is what follows from one": (
        lambda: kernel(inside=inside(f"%c = load %x, %twice, %zero {ONE} : f32")),
        "uses j, which its keys do not determine",
    ),
    "without keys there are symbols only": (lambda: kernel(keys=""), "uses i, which its keys do not determine"),
}


@pytest.mark.parametrize("rule", REFUSED)
def test_a_kernel_that_breaks_a_rule_is_refused(rule: str) -> None:
    make, message = REFUSED[rule]
    with pytest.raises(IRError, match=message):
        make()


def test_what_keys_symbols_and_scalars_determine_may_be_used() -> None:
    kernel(inside=inside(f"%c = load %x, %row, %n {ONE} : f32", "%d = add %c, %f : f32"))


def test_a_loop_may_use_its_index_only_as_a_key() -> None:
    looped = text().replace("%s = once", "for %zero, %n, %n {stages = 1, unroll = 1} (%c: i64) {\n    %s = once")
    looped = looped.replace("%x, %i, %zero", "%x, %c, %zero").replace("    store %y", "    yield\n    }\n    store %y")
    looped = looped.replace("%y, %e,", "%y, %pair,").replace(
        "%twice =", "%pair = broadcast %f {shape = [2]} : f32[2]\n"
    )
    looped = looped.replace(": f32[2]\n add %j, %j : i64", ": f32[2]")
    with pytest.raises(IRError, match="uses c, which its keys do not determine"):
        verify(parse_module(looped))
    verify(parse_module(looped.replace("once %i", "once %c")))
