"""Operations that move elements, on every type, against NumPy's indexing of the bit patterns."""

from __future__ import annotations

import numpy as np
import pytest

from vmc.backends.interp import ExecutionError
from vmc.ir.core import IRError, Table, TileType
from vmc.ir.types import ALL_DTYPES, dtype

every_type = pytest.mark.parametrize("type", ALL_DTYPES, ids=lambda type: type.name)


@pytest.fixture
def cube(samples):
    return lambda type: samples(type, 60).reshape(3, 4, 5)


@every_type
def test_a_constant_has_one_code_everywhere(type, evaluate):
    (result,) = evaluate("constant", type=TileType(type, (2, 3)), code=1)
    assert np.array_equal(result, np.ones((2, 3)))


@every_type
def test_a_table_has_its_codes(type, evaluate, cube):
    codes = cube(type)
    (result,) = evaluate("table", table=Table.of(type, codes))
    assert np.array_equal(result, codes)


def test_iota_counts(evaluate):
    assert evaluate("iota", n=5)[0].tolist() == [0, 1, 2, 3, 4]


@every_type
def test_broadcast_repeats_along_new_and_unit_axes(type, evaluate, samples):
    codes = samples(type, 3).reshape(3, 1)
    (result,) = evaluate("broadcast", (type, codes), shape=(2, 3, 4))
    assert all(result[i, j, k] == codes[j, 0] for i in range(2) for j in range(3) for k in range(4))


@every_type
def test_transpose_permutes_axes(type, evaluate, cube):
    codes = cube(type)
    (result,) = evaluate("transpose", (type, codes), permutation=(2, 0, 1))
    assert result.shape == (5, 3, 4)
    assert all(result[k, i, j] == codes[i, j, k] for i in range(3) for j in range(4) for k in range(5))


@every_type
def test_reshape_keeps_the_row_major_order(type, evaluate, cube):
    codes = cube(type)
    (result,) = evaluate("reshape", (type, codes), shape=(6, 10))
    assert result.tolist() == codes.flatten().reshape(6, 10).tolist()


@every_type
def test_slice_takes_every_step_th_element(type, evaluate, cube):
    codes = cube(type)
    (result,) = evaluate("slice", (type, codes), starts=(1, 0, 1), sizes=(2, 2, 2), steps=(1, 3, 2))
    assert result.tolist() == codes[1:3, [0, 3]][:, :, [1, 3]].tolist()


@every_type
def test_concat_puts_tiles_one_after_the_other(type, evaluate, cube):
    codes = cube(type)
    (result,) = evaluate("concat", (type, codes), (type, codes[:, :1]), (type, codes[:, 2:]), axis=1)
    assert result.tolist() == [[*row, row[0], *row[2:]] for row in codes.tolist()]


@every_type
def test_flip_reverses_one_axis(type, evaluate, cube):
    codes = cube(type)
    (result,) = evaluate("flip", (type, codes), axis=2)
    assert result.tolist() == [[line[::-1] for line in plane] for plane in codes.tolist()]


@every_type
def test_take_looks_up_slices(type, evaluate, cube):
    codes, index = cube(type), np.array([[3, 0], [1, 1]])
    (result,) = evaluate("take", (type, codes), ("i64", index), axis=1)
    assert result.shape == (3, 2, 2, 5)
    assert all(
        result[i, a, b].tolist() == codes[i, index[a, b]].tolist() for i in range(3) for a in range(2) for b in range(2)
    )


@pytest.mark.parametrize("type", [type for type in ALL_DTYPES if type.is_int], ids=lambda type: type.name)
def test_take_accepts_an_index_of_any_integer_type(type, evaluate):
    index = np.array([0, 1, 0], type.code_dtype) if type.name != "i2" else np.array([0, 1, 1])
    (result,) = evaluate("take", ("u8", [7, 9]), (type, index), axis=0)
    assert result.tolist() == [[7, 9][i] for i in index]


@pytest.mark.parametrize("index", [-1, 4])
def test_take_outside_the_axis_is_an_error_of_the_program(index, evaluate):
    with pytest.raises(ExecutionError, match=f"take of element {index} along an axis of 4"):
        evaluate("take", ("u8", [1, 2, 3, 4]), ("i32", [index & 0xFFFFFFFF]), axis=0)


@every_type
def test_select_takes_the_first_where_the_condition_holds(type, evaluate, samples):
    condition, a, b = samples("u1", 50), samples(type, 50, "a"), samples(type, 50, "b")
    (result,) = evaluate("select", ("u1", condition), (type, a), (type, b))
    assert result.tolist() == [x if c else y for c, x, y in zip(condition, a, b, strict=True)]


def stream(codes, width):
    """The bits of a row of codes as one Python integer."""
    return sum(int(code) << (place * width) for place, code in enumerate(codes))


@every_type
def test_view_reads_the_bits_of_the_last_axis_anew(type, evaluate, samples):
    for other in ALL_DTYPES:
        if other.unused_bits:
            continue
        count = int(np.lcm(type.width, other.width)) // type.width
        codes = samples(type, 2 * count).reshape(2, count)
        shape = (2, count * type.width // other.width)
        (result,) = evaluate("view", (type, codes), dtype=other, shape=shape, layout=None)
        for row, again in zip(codes, result, strict=True):
            assert stream(row, type.width) == stream(again, other.width)


def test_view_packs_nibbles_low_first(evaluate):
    assert evaluate("view", ("u4", [1, 2, 15, 0]), dtype=dtype("u8"), shape=(2,), layout=None)[0].tolist() == [33, 15]


@pytest.mark.parametrize(
    ("name", "tiles", "attrs", "message"),
    [
        ("slice", [("u8", [1, 2])], {"starts": (1,), "sizes": (2,), "steps": (1,)}, "elements 1 to 2 of an axis of 2"),
        ("slice", [("u8", [1, 2])], {"starts": (), "sizes": (2,), "steps": (1,)}, "starts has 0 entries for 1 axes"),
        ("concat", [("u8", [1]), ("u4", [1])], {"axis": 0}, "concat along axis 0"),
        ("concat", [("u8", [[1]]), ("u8", [[1, 2]])], {"axis": 0}, "concat along axis 0"),
        ("flip", [("u8", [1])], {"axis": 1}, "has no axis 1"),
        ("take", [("u8", [1]), ("f32", [0])], {"axis": 0}, "index of take must be of an integer type"),
        ("view", [("u4", [1, 2, 3])], {"dtype": dtype("u8"), "shape": (1,), "layout": None}, "12 bits are not 8 bits"),
        ("reshape", [("u4", [1, 2, 3])], {"shape": (2, 2)}, "3 elements"),
        ("transpose", [("u4", [1, 2, 3])], {"permutation": (1,)}, "does not permute"),
        ("broadcast", [("u4", [1, 2, 3])], {"shape": (3, 2)}, "does not broadcast"),
        ("iota", [], {"n": 0}, "at least 1"),
        ("constant", [], {"type": TileType(dtype("u2")), "code": 4}, "4 is not one of u2"),
    ],
)
def test_what_does_not_fit_is_refused(name, tiles, attrs, message, evaluate):
    with pytest.raises(IRError, match=message):
        evaluate(name, *tiles, **attrs)
