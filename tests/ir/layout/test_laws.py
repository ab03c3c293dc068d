"""The laws of the algebra, on generated layouts, against functions written out index by index."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.generators import layouts as gen
from vmc.ir.layout import (
    BIT,
    Digit,
    Layout,
    LayoutError,
    Plane,
    Swizzle,
    collision,
    compose,
    concat,
    divide,
    gather_bits,
    inverse,
    inverse_table,
    is_bijective,
    is_injective,
    left_divide,
    pack_map,
    pack_table,
    parse,
    permute,
    planes,
    reduce,
    row_major,
    slice_layout,
    strided,
)

checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.large_base_example]
laws = settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=checks)


def test_reduce_closes_up_over_replicas_in_a_lane_too():
    doubled = Layout.of((2, 2), [Digit(2, 8, BIT), Digit(2, 4, BIT)], replicas=[Digit(2, 1, BIT)])
    assert reduce(doubled, (1,)) == Layout.of((2,), [Digit(2, 2, BIT)], replicas=[Digit(2, 1, BIT)])


def test_places_before_zero_are_refused_or_named():
    with pytest.raises(LayoutError, match="before 0"):
        row_major(4).shifted(bit=-1)
    early = parse("layout((2, 2): (2, 0, bit) (2, 1, bit) at (bit, -2))")
    with pytest.raises(LayoutError, match="before 0"):
        inverse_table(early)


def places(layout, index):
    return {axis: at for axis, at in layout.apply(*index).items() if at}


def indices(layout):
    return np.ndindex(*layout.domain)


# ---- the function ----------------------------------------------------------------------------------------------------


@laws
@given(gen.raw())
def test_canonical_form_keeps_the_function_that_the_digits_define(fields):
    layout = gen.build(fields)
    assert gen.function(layout) == [gen.meaning(fields, n) for n in range(prod(layout.domain))]
    assert layout.canonicalize() == layout


@laws
@given(gen.layouts() | gen.planar())
def test_apply_agrees_with_apply_all_and_apply_flat(layout):
    table = layout.apply_all()
    flat = layout.apply_flat(np.arange(prod(layout.domain)).reshape(layout.domain))
    for axis in layout.axes:
        assert np.array_equal(table[axis], flat[axis])
    for index in indices(layout):
        assert layout.apply(*index) == {axis: table[axis][index] for axis in layout.axes}


@laws
@given(st.integers(0, 6), st.integers(1, 4), st.integers(0, 3), st.data())
def test_cosize_of_a_swizzled_layout_needs_no_enumeration(base, bits, extra, data):
    fields = data.draw(gen.raw(axes=(BIT,), swizzled=False))
    layout = gen.build(fields | {"swizzle": Swizzle(base, bits, bits + extra)})
    assert layout.cosize(BIT) == 1 + max(int(copy[BIT].max()) for copy in layout.copies())
    huge = row_major(1 << 20, 1 << 20).swizzled(base, bits, bits + extra)
    assert huge.cosize(BIT) == 1 << 40


@laws
@given(gen.layouts() | gen.planar())
def test_cosize_is_one_more_than_the_largest_coordinate(layout):
    for axis in layout.axes:
        assert layout.cosize(axis) == 1 + max(int(copy[axis].max()) for copy in layout.copies())


@laws
@given(st.data())
def test_equality_is_equality_of_functions(data):
    shape, bits = (4, 3), data.draw(st.sampled_from([0, 2]))
    domain = (*shape, bits) if bits else shape
    make = st.tuples(
        gen.digits_of(domain, ("bit", "lane"), st.sampled_from([0, 1, 2, 3, 6])),
        gen.replica_lists(("bit", "lane")),
        st.none() | gen.swizzles,
    )
    one, two = (Layout.of(shape, d, bits=bits, replicas=r, swizzle=s) for d, r, s in (data.draw(make), data.draw(make)))
    same = gen.function(one) == gen.function(two)
    assert (one == two) == same
    assert not same or hash(one) == hash(two)


@laws
@given(st.permutations([(3, 4, "lane"), (2, 2, "lane"), (2, 1, "lane"), (1, 7, "bit")]))
def test_replicas_are_a_set_without_order(order):
    replicas = [Digit(*each) for each in order]
    assert Layout.of((2,), [Digit(2, 1, BIT)], replicas=replicas) == Layout.of(
        (2,), [Digit(2, 1, BIT)], replicas=[Digit(12, 1, "lane")]
    )


@laws
@given(gen.planar(), st.data())
def test_planes_are_one_function_however_the_bits_are_cut(layout, data):
    bits = [(elements, place) for plane in layout.planes for elements, where in [plane.places()] for place in where]
    assert Layout(layout.shape, tuple(Plane(1, elements, place) for elements, place in bits)) == layout


# ---- text ------------------------------------------------------------------------------------------------------------


@laws
@given(gen.layouts() | gen.planar() | gen.kronecker())
def test_text_parses_back_to_an_equal_layout(layout):
    assert parse(layout.text()) == layout
    assert parse(str(layout)).text() == layout.text()


# ---- product and quotients -------------------------------------------------------------------------------------------

wild = gen.layouts(bits=gen.NO_BITS, swizzled=False).filter(lambda f: len(f.shape) == 2 and f.size < 40)
parts = gen.kronecker(most=2) | wild


@laws
@given(parts, parts)
def test_product_places_parts_by_the_outer_and_elements_by_the_inner_layout(f, g):
    h = f * g
    assert h.shape == tuple(a * b for a, b in zip(f.shape, g.shape, strict=True))
    for index in indices(h):
        part = tuple(i // n for i, n in zip(index, g.shape, strict=True))
        inside = tuple(i % n for i, n in zip(index, g.shape, strict=True))
        outer, inner = f.apply(*part), g.apply(*inside)
        wanted = {axis: outer.get(axis, 0) * g.cosize(axis) + inner.get(axis, 0) for axis in {*outer, *inner}}
        assert places(h, index) == {axis: at for axis, at in wanted.items() if at}


@laws
@given(parts, parts, parts)
def test_product_is_associative(f, g, h):
    assume(f.size * g.size * h.size <= gen.SMALL)
    assert (f * g) * h == f * (g * h)


@laws
@given(parts, parts, st.sampled_from([0, 1, 3]))
def test_product_divided_by_a_factor_is_the_other(f, g, bits):
    inner = g.with_bits(bits) if bits else g
    whole = f * inner
    assert divide(whole, inner) == f
    assert left_divide(whole, f) == inner


@laws
@given(gen.kronecker(rank=1), gen.kronecker(rank=2, most=2))
def test_concat_lays_the_dimensions_side_by_side(f, g):
    h = concat(f, g)
    assert h.shape == (*f.shape, *g.shape)
    for index in indices(h):
        outer, inner = f.apply(*index[:1]), g.apply(*index[1:])
        for axis in h.axes:
            assert h.apply(*index).get(axis) == outer.get(axis, 0) * g.cosize(axis) + inner.get(axis, 0)


# ---- inverse and composition -----------------------------------------------------------------------------------------


@laws
@given(gen.gapped(), st.integers(0, 3))
def test_inverse_undoes_apply(layout, blocks):
    top = max((d.stride for d in layout.digits if d.axis == BIT), default=1)
    for f in (layout, layout.shifted(bit=blocks * top)):
        back = inverse(f)
        for n, index in enumerate(indices(f)):
            coordinates = f.apply(*index)
            assert back.apply(*(coordinates[axis] for axis in f.axes)).get("index", 0) == n
        numbered = compose(back, f)
        for n, index in enumerate(indices(f)):
            assert numbered.apply(*index).get("index", 0) == n


@laws
@given(gen.kronecker(bits=st.sampled_from([0, 3])), st.data())
def test_compose_takes_several_axes_as_the_dimensions_of_the_outer_domain(g, data):
    extents = [g.cosize(axis) + data.draw(st.integers(0, 1)) for axis in g.axes]
    order = data.draw(st.permutations(range(len(extents))))
    f = permute(row_major(*(extents[d] for d in order)), [order.index(d) for d in range(len(order))])
    h = compose(f, g)
    for index in indices(g):
        assert h.apply(*index) == f.apply(*g.apply(*index).values())


@laws
@given(gen.layouts(replicated=True) | gen.planar())
def test_injectivity_is_decided_by_what_every_place_holds(layout):
    held = {}
    for n, where in enumerate(gen.function(layout)):
        for place in where:
            held.setdefault(place, set()).add(n)
    injective = all(len(elements) == 1 for elements in held.values())
    assert is_injective(layout) == injective
    box = prod(layout.cosize(axis) for axis in layout.axes)
    assert is_bijective(layout) == (injective and len(held) == box)
    if injective:
        table = inverse_table(layout)
        assert (table >= 0).sum() == len(held)
    else:
        one, two, place = collision(layout)
        assert one != two
        shared = frozenset((axis, at) for axis, at in place.items() if at)
        table = gen.function(layout)
        assert all(shared in table[gen.flat_of(index, layout.domain)] for index in (one, two))
        with pytest.raises(LayoutError, match="share the place"):
            inverse(layout)


@laws
@given(gen.layouts(), st.data())
def test_compose_agrees_with_applying_twice(f, data):
    domain = prod(f.domain)
    shape = data.draw(gen.shapes(ranks=(1, 2), extents=(1, 4)))
    inner = [Digit(n, data.draw(st.integers(0, domain)), BIT) for n in shape]
    g = Layout.of(shape, inner, offset={BIT: data.draw(st.integers(0, 3))})
    try:
        h = compose(f, g)
    except LayoutError:
        return
    places_f = f.apply_flat(g.apply_all()[BIT])
    for axis in {*f.axes, *h.axes}:
        assert np.array_equal(np.broadcast_to(h.apply_all().get(axis, 0), shape), places_f.get(axis, np.zeros(shape)))
    assert h.replicas == f.replicas


@laws
@given(gen.kronecker(bits=st.sampled_from([1, 3, 4])), st.data())
def test_packing_by_digits_agrees_with_packing_by_enumeration(fragment, data):
    order = data.draw(st.permutations(range(2)))
    storage = permute(row_major(*(fragment.shape[d] for d in order), bits=fragment.element_bits), order)
    table = pack_table(fragment, storage)
    try:
        mapped = pack_map(fragment, storage).apply_all()
    except LayoutError:
        return
    for axis in fragment.axes:
        assert np.array_equal(np.broadcast_to(mapped.get(axis, 0), table[axis].shape), table[axis])


@laws
@given(gen.kronecker(bits=st.sampled_from([1, 3, 4])))
def test_a_row_major_storage_packs_into_any_register_layout(fragment):
    storage = row_major(*fragment.shape, bits=fragment.element_bits)
    packing = pack_map(fragment, storage)
    for index in indices(fragment):
        (bit,) = storage.apply(*index).values()
        assert {a: at for a, at in packing.apply(bit).items() if at} == places(fragment, index)
    assert pack_map(storage, fragment) == compose(storage, inverse(fragment))


# ---- shapes ----------------------------------------------------------------------------------------------------------


@laws
@given(gen.layouts() | gen.planar(), st.data())
def test_permute_renames_the_dimensions(f, data):
    order = data.draw(st.permutations(range(len(f.shape))))
    g = permute(f, order)
    assert g.shape == tuple(f.shape[d] for d in order)
    for index in indices(g):
        source = [0] * len(order)
        for d, i in zip(order, index, strict=False):
            source[d] = i
        assert places(g, index) == places(f, (*source, *index[len(order) :]))


@laws
@given(gen.layouts() | gen.planar())
def test_reshape_keeps_the_row_major_function(f):
    g = f.reshape(f.size)
    for axis in f.axes:
        assert np.array_equal(g.apply_all()[axis].reshape(-1), f.apply_all()[axis].reshape(-1))
    assert g.reshape(*f.shape) == f


@laws
@given(gen.layouts() | gen.planar(), st.data())
def test_slice_is_the_part_of_the_function(f, data):
    starts = [data.draw(st.integers(0, n - 1)) for n in f.shape]
    steps = [data.draw(st.integers(1, 2)) for _ in f.shape]
    sizes = [data.draw(st.integers(1, -(-(n - s) // k))) for n, s, k in zip(f.shape, starts, steps, strict=True)]
    try:
        g = slice_layout(f, starts, sizes, steps)
    except LayoutError:
        return
    for index in indices(g):
        source = [s + i * k for s, i, k in zip(starts, index, steps, strict=False)]
        assert places(g, index) == places(f, (*source, *index[len(starts) :]))


@laws
@given(st.tuples(st.integers(2, 6), st.integers(2, 6)), st.data())
def test_a_part_of_a_strided_memory_is_always_a_layout(shape, data):
    memory = strided(shape, (data.draw(st.integers(7, 9)), 1), bits=3)
    starts = [data.draw(st.integers(0, n - 1)) for n in shape]
    sizes = [n - s for n, s in zip(shape, starts, strict=True)]
    part = slice_layout(memory, starts, sizes)
    assert np.array_equal(part.apply_all()[BIT], memory.apply_all()[BIT][starts[0] :, starts[1] :])


@laws
@given(gen.kronecker(rank=2), st.integers(0, 1))
def test_reduce_leaves_a_sum_in_every_lane_that_held_a_part_of_it(f, dim):
    g = reduce(f, (dim,))
    assert g == reduce(f, (dim,), keepdims=True).reshape(*g.shape)
    holders = [set() for _ in range(f.shape[1 - dim])]
    for index in indices(f):
        coordinates = f.apply(*index)
        holders[index[1 - dim]].add((coordinates.get("warp", 0), coordinates.get("lane", 0)))
    slots = set()
    for n, where in enumerate(gen.function(g)):
        found = {(dict(p).get("warp", 0), dict(p).get("lane", 0)) for p in where}
        assert found == holders[n]
        slots |= {dict(p).get(BIT, 0) for p in where}
    assert slots == set(range(g.cosize(BIT)))
    assert is_injective(g)


# ---- tables ----------------------------------------------------------------------------------------------------------


@laws
@given(gen.raw(axes=(BIT,), bits=st.integers(1, 5), replicated=False))
def test_gather_bits_is_the_bit_offset_of_every_bit(fields):
    layout = gen.build(fields)
    table = gather_bits(layout)
    assert table.shape == (layout.size, layout.element_bits)
    wanted = [dict(next(iter(gen.meaning(fields, n)))).get(BIT, 0) for n in range(table.size)]
    assert table.reshape(-1).tolist() == wanted


@laws
@given(gen.shapes(), st.lists(st.integers(1, 3), min_size=1, max_size=3))
def test_tables_hold_for_layouts_whose_inverse_is_not_made_of_digits(shape, widths):
    storage = planes(shape, widths)
    fragment = row_major(*shape, bits=sum(widths))
    table = pack_table(fragment, storage)[BIT]
    for index in indices(storage):
        assert table[storage.apply(*index)[BIT]] == fragment.apply(*index)[BIT]
