"""Random layouts for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

from vmc.ir.layout import Layout, column_local, column_spatial, local, packed, permute, product, spatial, strided, warps

FACTORS = (local, spatial, column_local, column_spatial, warps)


@st.composite
def factors(draw: st.DrawFn, rank: int = 2) -> Layout:
    """One constructor of a small shape."""
    shape = [draw(st.sampled_from((1, 2, 3))) for _ in range(rank)]
    return draw(st.sampled_from(FACTORS))(*shape)


@st.composite
def registers(draw: st.DrawFn, rank: int = 2, most: int = 2) -> Layout:
    """A product of constructors: a bijection from a tile to lanes, warps and private storage."""
    layout = draw(factors(rank))
    for _ in range(draw(st.integers(0, most - 1))):
        layout = product(layout, draw(factors(rank)))
    return layout


@st.composite
def registers_of(draw: st.DrawFn, shape: tuple[int, ...]) -> Layout:
    """A register layout of a given shape, each extent cut in two factors."""
    inner = [draw(st.sampled_from([d for d in range(1, n + 1) if n % d == 0])) for n in shape]
    outer = [n // d for n, d in zip(shape, inner, strict=True)]
    return product(draw(st.sampled_from(FACTORS))(*outer), draw(st.sampled_from(FACTORS))(*inner))


@st.composite
def memories_of(draw: st.DrawFn, shape: tuple[int, ...], bits: int) -> Layout:
    """A dense memory layout of a given shape, in any order of the dimensions, perhaps blocked."""
    layout = local(*shape) if draw(st.booleans()) else column_local(*shape)
    if all(n % 2 == 0 for n in shape) and draw(st.booleans()):
        layout = product(local(*(n // 2 for n in shape)), column_local(*(2 for _ in shape)))
    return layout.with_bits(bits)


POWER_SHAPES = st.tuples(st.sampled_from((1, 2, 4, 8)), st.sampled_from((1, 2, 4)))
SMALL_SHAPES = st.tuples(st.sampled_from((1, 2, 4, 6)), st.sampled_from((1, 2, 3, 4)))


@st.composite
def two_registers(draw: st.DrawFn) -> tuple[Layout, Layout]:
    """Two register layouts of one shape."""
    shape = draw(SMALL_SHAPES)
    return draw(registers_of(shape)), draw(registers_of(shape))


@st.composite
def fragment_and_storage(draw: st.DrawFn) -> tuple[Layout, Layout]:
    """A register layout and a memory layout of one tile, bits included; extents are powers of two, so they compose."""
    shape, bits = draw(POWER_SHAPES), draw(st.integers(1, 5))
    return draw(registers_of(shape)).with_bits(bits), draw(memories_of(shape, bits))


@st.composite
def two_memories(draw: st.DrawFn) -> tuple[Layout, Layout]:
    """Two memory layouts of one tile, bits included."""
    shape, bits = draw(SMALL_SHAPES), draw(st.integers(1, 5))
    return draw(memories_of(shape, bits)), draw(memories_of(shape, bits))


@st.composite
def memories(draw: st.DrawFn, rank: int = 2) -> Layout:
    """A bijection from a tile's bits to memory: a dense order of the dimensions, perhaps blocked."""
    shape = [draw(st.sampled_from((1, 2, 3, 4, 6))) for _ in range(rank)]
    order = draw(st.permutations(range(rank)))
    strides, step = [0] * rank, 1
    for dim in reversed(order):
        strides[dim], step = step, step * shape[dim]
    outer = strided(shape, strides)
    if draw(st.booleans()):
        outer = product(outer, draw(st.sampled_from((local(2, 2), column_local(2, 2), local(1, 4)))))
    return outer.with_bits(draw(st.integers(1, 8)))


@st.composite
def dense(draw: st.DrawFn) -> Layout:
    """A dense bitstream, its dimensions permuted."""
    layout = packed(draw(st.integers(1, 8)), *[draw(st.sampled_from((1, 2, 3, 4))) for _ in range(3)])
    return permute(layout, draw(st.permutations(range(3))))
