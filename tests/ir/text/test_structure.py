"""Structural equality sees everything but names."""

from __future__ import annotations

import pytest

from tests.generators.ir_modules import generate
from vmc.ir.text import parse_module, structurally_equal
from vmc.ir.text.structure import attrs_equal

TEXT = """
kernel k(%x: tensor<f32[M], in>, %s: f32) symbols(M) {
  %i = constant {code = 0, type = i64[]} : i64
  %a = load %x, %i {fill = 0, inbounds = [false], sizes = [4], steps = [1]} : f32[4]
  %b = broadcast %s {shape = [4]} : f32[4]
  %c = sub %a, %b : f32[4]
  yield %c
}
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("kernel k", "kernel l"),
        ("f32[M], in>", "f32[4], in>"),
        ("code = 0", "code = 1"),
        ("fill = 0", "fill = 5"),
        ("inbounds = [false]", "inbounds = [true]"),
        ("sub %a, %b", "sub %b, %a"),
        ("sub %a, %b", "sub %a, %a"),
        ("sub %a, %b", "add %a, %b"),
        ("yield %c", "yield %a"),
        ("symbols(M) {", "symbols(M) fast {"),
        ("symbols(M) {", "symbols(M) level(access) {"),
        ("kernel k", "kernel k<T = u4>"),
    ],
)
def test_a_change_of_anything_but_names_is_seen(old: str, new: str) -> None:
    assert TEXT.count(old) == 1
    assert not structurally_equal(parse_module(TEXT), parse_module(TEXT.replace(old, new)))


def test_names_do_not_count() -> None:
    assert structurally_equal(parse_module(TEXT), parse_module(TEXT.replace("%a", "%zzz").replace("%x", "%y")))


def test_spans_count_only_where_asked() -> None:
    a, b = parse_module(TEXT), parse_module("\n" + TEXT)
    assert structurally_equal(a, b)
    assert not structurally_equal(a, b, spans=True)


def test_different_modules_differ() -> None:
    assert structurally_equal(generate(3), generate(3))
    assert not structurally_equal(generate(3), generate(4))
    assert not structurally_equal(generate(3), generate(3).kernels[0])


def test_attributes_that_python_calls_equal_are_told_apart() -> None:
    assert not attrs_equal(1, True)
    assert not attrs_equal(1, 1.0)
    assert not attrs_equal(0.0, -0.0)
    assert not attrs_equal((1,), (1, 1))
    assert attrs_equal(float("nan"), float("nan"))
