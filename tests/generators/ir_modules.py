"""Random kernels of the tile IR: well typed, free of undefined behaviour, over all operations and dtypes.

    module = generate(seed=7, size=40)

A kernel from here never fails and has one answer on every executor, bit for bit (but for which NaN a NaN is): blocks
write disjoint elements, gathers stay inside or have a fill, loops end, and sums of floats, whose order is free, are
over small integers, which any order adds exactly. `size` is the number of steps: each adds an operation or a few.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.generators.ir_tables import ARITIES, SMALL_FLOATS, has_nan
from tests.generators.ir_values import INDEX, SHAPES, Values
from vmc.ir.builder import Builder, argument, make_op
from vmc.ir.core import Access, Kernel, Module, Op, Space, TensorType, TileType, Value, walk
from vmc.ir.dims import Dim, Sym, binary
from vmc.ir.ops.linear import accumulator
from vmc.ir.span import Span
from vmc.ir.types import ALL_DTYPES, DType, dtype

I64, I32, U1, U32 = map(dtype, ("i64", "i32", "u1", "u32"))
NARROW_INTEGERS = tuple(t for t in ALL_DTYPES if t.is_int and t.width <= 8)
ROUNDINGS = ("nearest_even", "toward_zero", "floor")
ARITHMETIC = tuple(t for t in ALL_DTYPES if t.is_int or t.name in ("f16", "bf16", "f32", "f64"))


def generate(seed: int, size: int = 30) -> Module:
    """A module of one kernel; the same seed and size give the same module."""
    return Module((_Generator(random.Random(f"{seed}/{size}"), size).kernel(f"random_{seed}"),))


@dataclass(frozen=True)
class Extent:
    """A number that is known as the extent of a tensor and as a value of the preamble."""

    dim: Dim
    value: Value


class _Generator(Values):
    """One kernel under construction: its parameters, its grid, and the steps that add operations."""

    def __init__(self, rng: random.Random, size: int) -> None:
        super().__init__(rng)
        self.size, self.budget, self.depth = size, size, 0
        self.params: list[Value] = []
        self.grid: list[Extent] = []

    # The kernel

    def kernel(self, name: str) -> Kernel:
        for symbol in ("M", "N")[: self.rng.randint(1, 2)]:
            self.symbols[symbol] = self("symbol", name=symbol)
        for _ in range(self.rng.randint(2, 4)):
            self.inputs.append(self.parameter(self.tensor_type(Access.IN)))
        for _ in range(self.rng.randint(0, 2)):
            self.scopes[0].append(self.parameter(TileType(self.rng.choice((I64, I32, dtype("f32"), dtype("u8"))))))
        self.grid = [self.extent() for _ in range(self.rng.choice((1, 1, 2)))]
        for _ in range(self.rng.randint(0, 3)):
            self.scalar_index()
        preamble, self.build = self.build, Builder()
        self.blocks = tuple(argument(INDEX, f"b{i}") for i in range(len(self.grid)))
        self.scopes.append(list(self.blocks))
        while self.budget > 0:
            self.step()
        for _ in range(3 + self.size // 8):
            self.store()
        body = self.build.region(self.blocks)
        preamble.append(make_op("grid", [extent.value for extent in self.grid], {}, [body], self.span()))
        span = Span("random.vmc", 1, 1, self.lines, 9)
        return Kernel(name, tuple(self.params), tuple(self.symbols), preamble.region(), span=span)

    def parameter(self, type: TensorType | TileType) -> Value:
        self.params.append(argument(type, f"p{len(self.params)}"))
        return self.params[-1]

    def tensor_type(self, access: Access) -> TensorType:
        shape = tuple(self.dim() for _ in range(self.rng.choice((1, 2, 2, 3))))
        return TensorType(self.rng.choice(ALL_DTYPES), shape, access)

    def dim(self) -> Dim:
        symbol = Sym(self.rng.choice(list(self.symbols)))
        static = self.rng.choice((1, 3, 4, 6, 8, 13))
        other = binary(self.rng.choice(("+", "*", "cdiv", "//", "max")), symbol, self.rng.choice((2, 3)))
        return self.rng.choice((static, static, static, symbol, other))

    def extent(self) -> Extent:
        """The number of blocks along a dimension of the grid: a constant, a symbol, or a quotient of one."""
        if self.rng.random() < 0.4:
            number = self.rng.randint(1, 3)
            return Extent(number, self.build.index(number))
        name = self.rng.choice(list(self.symbols))
        divisor = self.rng.choice((1, 2, 4))
        if divisor == 1:
            return Extent(Sym(name), self.symbols[name])
        top = self("add", self.symbols[name], self.build.index(divisor - 1))
        return Extent(binary("cdiv", Sym(name), divisor), self("floordiv", top, self.build.index(divisor)))

    # Steps

    def step(self) -> None:
        """Adds an operation or a few."""
        self.budget -= 1
        weighted: list[tuple[float, Callable[[], object]]] = [
            (10, self.elementwise),
            (4, self.conversion),
            (2, self.decoding),
            (4, self.rearrangement),
            (4, self.along_axis),
            (2, self.product),
            (3, lambda: self.load(self.rng.choice(self.inputs), None)),
            (1.5, self.gather),
            (2, self.store),
            (1, self.scatter),
            (1, self.update),
            (1, self.atomic),
            (1, self.shared),
            (0.5, self.field),
            (0.5, self.random_numbers),
            (0.5, self.assertion),
            (1, self.scalar_index),
        ]
        if self.depth < 3:
            weighted += [(2, self.counted_loop), (1, self.conditional_loop), (2, self.branch)]
        weights, steps = zip(*weighted, strict=True)
        self.rng.choices(steps, weights)[0]()

    def elementwise(self) -> None:
        name = self.rng.choice(list(ARITIES))
        types, arity = ARITIES[name]
        if name == "select":
            value = self.pick()
            self("select", self.of(U1, value.tile.shape), value, self.of(value.tile.dtype, value.tile.shape))
            return
        first = self.pick(lambda value: value.tile.dtype in types)
        rest = [self.of(first.tile.dtype, first.tile.shape) for _ in range(arity - 1)]
        if name == "copysign" and has_nan(first.tile.dtype):
            rest = [self.tame_floats(first.tile.dtype, first.tile.shape)]
        operands = [first, *rest]
        if arity == 2 and self.rng.random() < 0.1 and name != "copysign":
            operands = [first, first]
        self(name, *operands)

    def conversion(self) -> None:
        value, target = self.pick(), self.rng.choice(ALL_DTYPES)
        kind = self.rng.random()
        if kind < 0.2 and not has_nan(value.tile.dtype):
            same = [t for t in ALL_DTYPES if t.width == value.tile.dtype.width and t.unused_bits == 0]
            self("bitcast", value, dtype=self.rng.choice(same))
        elif kind < 0.3:
            bits = self.of(U32, value.tile.shape)
            self("cast", value, bits, dtype=target, rounding="stochastic", saturate=None)
        else:
            may_overflow = (target.is_int and value.tile.dtype.is_int) or target.has_infinity or target.has_nan
            saturate = self.rng.choice((None, None, True, False) if may_overflow else (None, True))
            self("cast", value, dtype=target, rounding=self.rng.choice(ROUNDINGS), saturate=saturate)

    def decoding(self) -> None:
        """Narrow integers made wide, a few operations on them, and perhaps floats of them, as in a dequantization."""
        rng = self.rng
        wide = dtype(rng.choice(("i16", "i32", "i32", "i64", "u16", "u32")))
        shape = rng.choice([shape for shape in SHAPES if shape])
        value = self.cast(self.of(rng.choice(NARROW_INTEGERS), shape), wide)
        for _ in range(rng.randint(1, 3)):
            match rng.choice(("constant", "constant", "narrow", "sign", "shape")):
                case "constant":
                    other = self(
                        "constant", type=value.type, code=self.code(wide) if rng.random() < 0.2 else rng.randrange(130)
                    )
                    value = self(rng.choice(("add", "sub", "mul", "min", "max")), value, other)
                case "narrow":
                    other = self.cast(self.of(rng.choice(NARROW_INTEGERS), value.tile.shape), wide)
                    value = self(rng.choice(("add", "sub", "mul", "min", "max")), value, other)
                case "sign":
                    value = self(rng.choice(("neg", "abs")), value)
                case "shape":
                    value = self("reshape", value, shape=(1, value.tile.size))
        if rng.random() < 0.6:
            self.cast(value, dtype(rng.choice(("f16", "f32", "bf16", "i8", "i64"))))

    def rearrangement(self) -> None:
        value = self.pick()
        shape, rank = value.tile.shape, value.tile.rank
        axis = self.rng.randrange(rank) if rank else 0
        options = ["broadcast", "reshape", "transpose"] + (["slice", "concat", "flip", "take", "view"] if rank else [])
        match self.rng.choice(options):
            case "broadcast":
                front = (self.rng.choice((1, 2, 3)),) if rank < 3 else ()
                self("broadcast", value, shape=front + tuple(self.rng.choice((1, 3)) if n == 1 else n for n in shape))
            case "reshape":
                self(
                    "reshape",
                    value,
                    shape=self.rng.choice([(value.tile.size,), (1, *shape)[-3:] if rank < 3 else shape]),
                )
            case "transpose":
                self("transpose", value, permutation=tuple(self.rng.sample(range(rank), rank)))
            case "slice":
                self.slice(value)
            case "concat" if value.tile.size <= 64:
                others = [self.of(value.tile.dtype, shape) for _ in range(self.rng.randint(1, 2))]
                self("concat", value, *others, axis=axis)
            case "flip":
                self("flip", value, axis=axis)
            case "take" if value.tile.size <= 64:
                self.take(value, axis)
            case "view" if value.tile.dtype.is_int and shape[-1] % 2 == 0 and value.tile.dtype.width in (1, 2, 4, 8):
                wide = dtype(f"u{2 * value.tile.dtype.width}")
                self("view", value, dtype=wide, shape=(*shape[:-1], shape[-1] // 2), layout=None)

    def slice(self, value: Value) -> None:
        starts = [self.rng.randrange(extent) for extent in value.tile.shape]
        steps = [self.rng.choice((1, 1, 2)) for _ in starts]
        most = [
            (extent - start - 1) // step + 1
            for extent, start, step in zip(value.tile.shape, starts, steps, strict=True)
        ]
        sizes = [self.rng.randint(1, most_here) for most_here in most]
        self("slice", value, starts=tuple(starts), sizes=tuple(sizes), steps=tuple(steps))

    def take(self, value: Value, axis: int) -> None:
        """A lookup whose index is brought into the axis."""
        index = self.of(I32, self.rng.choice(((), (3,), (2, 2))))
        extent = self("constant", type=index.type, code=value.tile.shape[axis])
        self("take", value, self("mod", index, extent), axis=axis)

    def along_axis(self) -> None:
        value = self.pick(lambda v: v.tile.rank > 0 and v.tile.dtype in ARITHMETIC)
        axis = self.rng.randrange(value.tile.rank)
        bitwise = ["and", "or", "xor"] if value.tile.dtype.is_int else []
        match self.rng.choice(("reduce", "reduce", "scan", "sort", "arg", "nonzero")):
            case "reduce":
                kind = self.rng.choice(["sum", "prod", "min", "max", *bitwise])
                if kind in ("sum", "prod") and value.tile.dtype.is_float:
                    value = self.tame_floats(value.tile.dtype, value.tile.shape)
                    kind = "sum"
                self("reduce", value, kind=kind, axis=axis)
            case "scan":
                kind = self.rng.choice(["sum", "prod", "min", "max", *bitwise])
                flags = {"exclusive": self.rng.random() < 0.5, "reverse": self.rng.random() < 0.5}
                self("scan", value, kind=kind, axis=axis, **flags)
            case "sort":
                self.many("sort", value, axis=axis, descending=self.rng.random() < 0.5)
            case "nonzero":
                self.many("nonzero", self.of(U1, (self.rng.choice((1, 5, 16)),)))
            case "arg":
                self("arg", value, kind=self.rng.choice(("min", "max")), axis=axis)

    def product(self) -> None:
        m, k, n = (self.rng.choice((1, 3, 4, 8)) for _ in range(3))
        if self.rng.random() < 0.5:
            left, right = (self.rng.choice([t for t in ALL_DTYPES if t.is_int]) for _ in range(2))
            a, b = self.of(left, (m, k)), self.of(right, (k, n))
        else:
            left = self.rng.choice(SMALL_FLOATS)
            right = left if left.name == "f64" else self.rng.choice([t for t in SMALL_FLOATS if t.name != "f64"])
            a, b = self.tame_floats(left, (m, k)), self.tame_floats(right, (k, n))
        sums = accumulator(left, right)
        assert sums is not None
        c = self.tame_floats(sums, (m, n)) if sums.is_float else self.of(sums, (m, n))
        self("dot", a, b, c)

    def random_numbers(self) -> None:
        shape = self.rng.choice(SHAPES)
        self.many("philox", self.of(dtype("u64"), shape), self.of(dtype("u64"), shape))

    def assertion(self) -> None:
        value = self.pick(lambda v: v.tile.dtype.is_int)
        self.many("assert", self("eq", value, value), message="a value equals itself")

    # Memory

    def gather(self) -> None:
        source, shape = self.rng.choice(self.inputs), self.rng.choice(SHAPES)
        indices = [self.of(self.rng.choice((I32, I64)), shape) for _ in range(source.tensor.rank)]
        mask = [self.of(U1, shape)] if self.rng.random() < 0.5 else []
        self("gather", source, *indices, *mask, fill=self.code(source.tensor.dtype))

    def field(self) -> None:
        """A part of an input of bytes, seen as another type, from any bit on."""
        type, count = self.rng.choice(ALL_DTYPES), self.rng.randint(1, 4)
        offset = self.rng.choice((0, 8, 3, 64, 256 - count * type.width))
        memory = self.parameter(TensorType(dtype("u8"), (64,), Access.IN))
        (part,) = self.many("field", memory, type=TensorType(type, (count,), Access.IN), bit_offset=offset)
        self.load(part, self.rng.choice(((), (5,))))

    def own(self, type: DType, shape: tuple[int, ...], access: Access) -> tuple[Value, tuple[Value, ...]]:
        """A new parameter with a part for every block, and where this block's part starts."""
        kept = tuple(extent.dim for extent in self.grid)
        tensor = self.parameter(TensorType(type, (*kept, *shape), access))
        return tensor, (*self.blocks, *(self.build.index(0) for _ in shape))

    def store(self) -> None:
        """Writes a tile to the block's part of a new parameter: whole, clipped, or a blocked line of it."""
        value = self.pick(lambda v: v.tile.size <= 256)
        type, shape = value.tile.dtype, value.tile.shape
        if len(shape) == 1 and len(self.grid) == 1 and self.rng.random() < 0.5:
            total = binary("+", binary("*", self.grid[0].dim, shape[0]), -self.rng.randrange(shape[0]))
            tensor = self.parameter(TensorType(type, (total,), Access.OUT))
            first = self("mul", self.blocks[0], self.build.index(shape[0]))
            self.many("store", tensor, value, first, sizes=shape, steps=(1,), inbounds=(False,))
            return
        clipped = tuple(max(1, extent - self.rng.choice((0, 0, 1, 2))) for extent in shape)
        tensor, starts = self.own(type, clipped, Access.OUT)
        rank = tensor.tensor.rank
        sizes = (*(None for _ in self.grid), *shape)
        self.many("store", tensor, value, *starts, sizes=sizes, steps=(1,) * rank, inbounds=(False,) * rank)

    def update(self) -> None:
        """Reads the block's part of a parameter, writes it, and reads it again."""
        value = self.pick(lambda v: v.tile.size <= 64)
        tensor, starts = self.own(value.tile.dtype, value.tile.shape, Access.INOUT)
        rank = tensor.tensor.rank
        slice = {
            "sizes": (*(None for _ in self.grid), *value.tile.shape),
            "steps": (1,) * rank,
            "inbounds": (False,) * rank,
        }
        fill = self.code(value.tile.dtype)
        self("load", tensor, *starts, fill=fill, **slice)
        self.many("store", tensor, value, *starts, **slice)
        self("load", tensor, *starts, fill=fill, **slice)
        if self.rng.random() < 0.5:
            self.many("store", tensor, self.of(value.tile.dtype, value.tile.shape), *starts, **slice)
            self("load", tensor, *starts, fill=fill, **slice)

    def scatter(self) -> None:
        value = self.pick(lambda v: v.tile.rank == 1)
        (n,) = value.tile.shape
        tensor, _ = self.own(value.tile.dtype, (n + 1,), Access.OUT)
        place = self("iota", n=n)
        place = self("flip", place, axis=0) if self.rng.random() < 0.5 else place
        blocks = [self("broadcast", block, shape=(n,)) for block in self.blocks]
        mask = [self.of(U1, (n,))] if self.rng.random() < 0.5 else []
        self.many("scatter", tensor, value, *blocks, place, *mask)

    def atomic(self) -> None:
        """Integers, each to a place of the block's own, so that the old values do not depend on the order of blocks."""
        type = self.rng.choice([dtype(name) for name in ("i32", "u32", "i64", "u64")])
        n = self.rng.choice((3, 5))
        tensor, _ = self.own(type, (n,), Access.INOUT)
        place = self("mod", self.of(I32, (n,)), self("constant", type=TileType(I32, (n,)), code=n))
        blocks = [self("broadcast", block, shape=(n,)) for block in self.blocks]
        kind = self.rng.choice(("add", "min", "max", "and", "or", "xor", "exchange"))
        self("atomic", tensor, self.of(type, (n,)), *blocks, place, kind=kind)

    def shared(self) -> None:
        """A tile through shared memory, by stores or by an asynchronous copy."""
        value = self.pick(lambda v: v.tile.rank > 0 and v.tile.size <= 64)
        shape, rank = value.tile.shape, value.tile.rank
        type = TensorType(value.tile.dtype, shape, Access.INOUT, Space.SHARED)
        zeros = [self.build.index(0) for _ in shape]
        whole = {"sizes": shape, "steps": (1,) * rank, "inbounds": (False,) * rank}
        sources = [source for source in self.inputs if source.tensor.rank == rank]
        if sources and self.rng.random() < 0.5:
            source = self.rng.choice(sources)
            (memory,) = self.many("alloc", type=TensorType(source.tensor.dtype, shape, Access.INOUT, Space.SHARED))
            starts, fill = [self.start() for _ in shape], self.code(source.tensor.dtype)
            self.many("copy_async", memory, source, *starts, *zeros, fill=fill, target_sizes=shape, **whole)
            self.many("commit_group")
            self.many("wait_group", pending=0)
        else:
            (memory,) = self.many("alloc", type=type)
            self.many("store", memory, value, *zeros, **whole)
        self.many("barrier")
        reversed_start = [self.start() for _ in shape]
        self("load", memory, *reversed_start, fill=self.code(memory.tensor.dtype), **whole)

    # Control

    def nested(
        self, args: Sequence[Value], steps: int, close: Callable[[], Sequence[Value]]
    ) -> tuple[Sequence[Value], Builder]:
        """A region under construction: some steps, then what `close` yields."""
        outer, self.build = self.build, Builder()
        self.scopes.append(list(args))
        self.depth += 1
        for _ in range(steps):
            self.step()
        yields = close()
        self.depth -= 1
        self.scopes.pop()
        inner, self.build = self.build, outer
        return yields, inner

    def counted_loop(self) -> None:
        rng = self.rng
        trips = rng.choice((0, 1, 2, 3, 5) if self.depth == 0 else (1, 2))
        low, step = rng.choice((0, 0, 1, -3)), rng.choice((1, 1, 2, 4))
        bounds = [self.build.index(number) for number in (low, low + trips * step - rng.randrange(step), step)]
        if self.depth == 0 and rng.random() < 0.4:
            bounds[1] = self("add", rng.choice(list(self.symbols.values())), bounds[0])
        starts = [self.pick(lambda v: v.tile.size <= 64) for _ in range(rng.randint(0, 3))]
        index, carried = argument(INDEX, "i"), [argument(start.type, start.name) for start in starts]
        self.tame.add(index)
        yields, inner = self.nested([index, *carried], rng.randint(1, 4), lambda: self.yielded(carried))
        region = inner.region((index, *carried), yields)
        attrs = {"stages": rng.choice((1, 1, 3)), "unroll": rng.choice((1, 1, 1, 2, 3))}
        self.structured(make_op("for", [*bounds, *starts], attrs, [region], self.span()))

    def yielded(self, carried: Sequence[Value]) -> list[Value]:
        """The next values of carried ones: sometimes the same, sometimes swapped."""
        return [arg if self.rng.random() < 0.2 else self.of(arg.tile.dtype, arg.tile.shape) for arg in carried]

    def conditional_loop(self) -> None:
        """A loop that ends after a few turns, or earlier where some value says so."""
        starts = [self.build.index(0), *(self.pick(lambda v: v.tile.size <= 64) for _ in range(self.rng.randint(0, 2)))]
        before, after = ([argument(start.type) for start in starts] for _ in range(2))

        def condition() -> Sequence[Value]:
            more = self("lt", before[0], self.build.index(self.rng.randint(0, 2)))
            return [self("and", more, self.of(U1, ())) if self.rng.random() < 0.5 else more]

        def body() -> Sequence[Value]:
            return [self("add", after[0], self.build.index(1)), *self.yielded(after[1:])]

        verdict, test = self.nested(before, self.rng.randint(0, 1), condition)
        yields, inner = self.nested(after, self.rng.randint(1, 3), body)
        regions = [test.region(before, verdict), inner.region(after, yields)]
        self.structured(make_op("while", starts, {}, regions, self.span()))

    def branch(self) -> None:
        types = [
            value.tile for value in (self.pick(lambda v: v.tile.size <= 64) for _ in range(self.rng.randint(0, 2)))
        ]
        condition = self.of(U1, ())
        regions = []
        for _ in range(2):
            close = lambda: [self.of(type.dtype, type.shape) for type in types]  # noqa: E731
            yields, inner = self.nested((), self.rng.randint(0, 3), close)
            regions.append(inner.region((), yields))
        plain = tuple(TileType(type.dtype, type.shape) for type in types)
        self.structured(make_op("if", [condition], {"results": plain}, regions, self.span()))

    def structured(self, op: Op) -> None:
        self.scopes[-1].extend(self.build.append(op))


def operations(module: Module) -> set[str]:
    """The names of the operations in a module."""
    return {op.name for kernel in module.kernels for op in walk(kernel.body)}
