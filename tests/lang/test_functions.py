"""Calls of functions in programs with mistakes."""

from __future__ import annotations

from vmc.lang import check_source


def test_a_function_whose_return_fails_is_not_reported_again_where_its_results_are_named() -> None:
    source = """
def parts(v):
    return bitcast(v, i64), v

def both(v):
    return parts(v)

def use(v):
    code, same = both(v)
    return f64(code) + same

kernel k(v: f64[4], y: out f64[4]):
    y[:] = use(v[:])
"""
    assert [str(d) for d in check_source(source, "parts.vmc")] == []


def test_the_mistake_itself_is_reported_once() -> None:
    source = """
def parts(v):
    return bitcast(v, i64), v

kernel k(v: f32[4], y: out f64[4]):
    code, same = parts(v[:])
    y[:] = f64(code) + f64(same)
"""
    assert [d.code for d in check_source(source, "parts.vmc")] == ["E0215"]
