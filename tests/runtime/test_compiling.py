"""`vmc.compile`: sources, kernels, bindings, targets, stages."""

from __future__ import annotations

import pickle
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import vmc
from tests.runtime import programs


def test_a_program_is_text_or_a_path(tmp_path: Path) -> None:
    path = tmp_path / "copy.vmc"
    path.write_text(programs.COPY)
    for source in (programs.COPY, path, str(path)):
        assert vmc.compile(source, T="f32").name == "copy"
    with pytest.raises(FileNotFoundError):
        vmc.compile(tmp_path / "missing.vmc")


def test_a_program_of_one_line_is_text() -> None:
    kernel = vmc.compile("fast kernel twice(x: f32[4], y: out f32[4]): y[:] = x[:] * 2.0")
    y = np.zeros(4, np.float32)
    kernel(np.ones(4, np.float32), y)
    assert (y == 2).all()
    with pytest.raises(vmc.CompileError, match="nope"):
        vmc.compile("kernel k[N = 4](y: out f32[N]): y[:] = nope")


def test_a_binding_is_a_type_or_its_name_or_any_integer() -> None:
    for binding in ("u3", vmc.dtype("u3")):
        assert vmc.compile(programs.COPY, T=binding, B=np.int64(8)).bindings == {"T": "u3", "B": "8"}


def test_mistakes_come_with_their_diagnostics() -> None:
    for source, bindings, code in (
        (programs.COPY, {}, "E0706"),
        (programs.COPY, {"T": "u33"}, "E0211"),
        (programs.COPY, {"T": "f32", "BB": 3}, "E0906"),
        (programs.COPY + programs.AXPY, {}, "E0903"),
        ("kernel k(:\n", {}, "E0"),
    ):
        with pytest.raises(vmc.CompileError) as caught:
            vmc.compile(source, **bindings)
        assert caught.value.diagnostics[0].code.startswith(code)
        assert "<text>" in str(caught.value)
    with pytest.raises(TypeError, match="`T` is a number, a boolean or a type, not list"):
        vmc.compile(programs.COPY, T=[1])


def test_types_of_the_array_libraries_are_understood() -> None:
    for binding, name in (
        (np.float32, "f32"),
        (np.dtype(np.int8), "i8"),
        ("float16", "f16"),
        (ml_dtypes.bfloat16, "bf16"),
        (ml_dtypes.uint4, "u4"),
        ("float8_e4m3fn", "f8e4m3"),
    ):
        assert vmc.compile(programs.COPY, T=binding).bindings["T"] == name
    torch = pytest.importorskip("torch")
    assert vmc.compile(programs.COPY, T=torch.bfloat16).bindings["T"] == "bf16"


def test_bindings_that_only_look_right_are_named() -> None:
    for bindings, message in (
        ({"T": "f32", "B": "16"}, "`B` is given the text '16'; for a number write B=16"),
        ({"T": float}, "`T` is a number, a boolean or a type, not the type float"),
        ({"T": np.dtype("complex64")}, "`T` is a number, a boolean or a type, not the type complex64"),
    ):
        with pytest.raises(TypeError, match=message):
            vmc.compile(programs.COPY, **bindings)
    for name in ("tile", "BB"):
        with pytest.raises(vmc.CompileError, match=r"help: .*it has `T`, `B`, `N`"):
            vmc.compile(programs.COPY, T="f32", **{name: 3})


def test_an_error_reads_as_on_the_command_line() -> None:
    with pytest.raises(vmc.CompileError) as caught:
        vmc.compile("kernel k(x: f32[N], y: out f32[N]):\n    y[0 : +4] = xx[0 : +4]\n")
    text = str(caught.value)
    assert text.startswith("error[E0101]") and "--> <text>:2:17" in text
    assert " 2 |     y[0 : +4] = xx[0 : +4]" in text and "^^ not found" in text
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == text and again.diagnostics == caught.value.diagnostics


def test_an_error_in_an_imported_file_shows_that_file(tmp_path: Path) -> None:
    (tmp_path / "other.vmc").write_text("def twice(a):\n    return a * b\n")
    main = tmp_path / "main.vmc"
    main.write_text("import other\nkernel k(x: f32[N], y: out f32[N]):\n    y[0 : +4] = other.twice(x[0 : +4])\n")
    with pytest.raises(vmc.CompileError) as caught:
        vmc.compile(main)
    assert "return a * b" in str(caught.value) and "other.twice(x[0 : +4])" in str(caught.value)


def test_a_misspelt_kernel_is_told_which_there_are() -> None:
    with pytest.raises(vmc.CompileError, match="the file's kernels: `copy`, `axpy`"):
        vmc.compile(programs.COPY + programs.AXPY, kernel="typo")


def test_one_of_several_kernels_is_named() -> None:
    both = programs.COPY + programs.AXPY
    assert vmc.compile(both, kernel="axpy").name == "axpy"
    with pytest.raises(vmc.CompileError, match="no kernel `axpi`"):
        vmc.compile(both, kernel="axpi")


def test_an_unknown_target_is_named() -> None:
    with pytest.raises(vmc.TargetError, match="unknown target `cpuu`; did you mean `cpu`"):
        vmc.compile(programs.AXPY, target="cpuu")
    with pytest.raises(vmc.TargetError, match=r"unknown target `cuda:sm_81`"):
        vmc.compile(programs.AXPY, target="cuda:sm_81")
    with pytest.raises(vmc.TargetError, match="unknown target `cpu:z80`"):
        vmc.compile(programs.AXPY, target="cpu:z80")


@pytest.mark.parametrize("level", ["x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4"])
def test_code_for_a_lesser_processor_gives_the_same_bits(level: str) -> None:
    try:
        kernel = vmc.compile(programs.AXPY, target=f"cpu:{level}")
    except vmc.TargetError as error:
        pytest.skip(str(error))
    rng = np.random.default_rng(1)
    x, y = rng.random((3, 19), np.float32), rng.random((3, 19), np.float32)
    expected = y.copy()
    vmc.compile(programs.AXPY, target="interp")(0.3, x, expected)
    kernel(0.3, x, y)
    np.testing.assert_array_equal(y, expected)


def test_every_stage_of_a_kernel_can_be_read() -> None:
    from vmc.runtime.stages import stage_names

    kernel = vmc.compile(programs.COPY, T="u4")
    texts = {stage: kernel.ir(stage) for stage in stage_names("cpu")}
    assert texts["ast"].startswith("Kernel name='copy'")
    assert texts["ir"].startswith("kernel copy<T = u4")
    assert "define" in texts["llvm"] and ".text" in texts["asm"]
    assert kernel.ir() == texts[list(texts)[-3]]
    with pytest.raises(ValueError, match="unknown stage `asmm`; did you mean `asm`"):
        kernel.ir("asmm")


def test_ir_of_a_pass_parses_back() -> None:
    from vmc.ir.text import parse_module, structurally_equal
    from vmc.runtime.stages import named_passes

    kernel = vmc.compile(programs.SCALE)
    for name, _ in named_passes("cpu"):
        text = kernel.ir(name)
        module = parse_module(text)
        assert structurally_equal(module, parse_module(text))
