"""Access to tensors beyond slices, shared memory, random numbers, debugging."""

from __future__ import annotations

import math
from collections.abc import Callable

from vmc.ir.core import Space, Value
from vmc.ir.types import dtype
from vmc.lang import syntax
from vmc.lang.elaborate import formats, indexing, operators
from vmc.lang.elaborate.arguments import Arguments
from vmc.lang.elaborate.builtins.definition import Builtin
from vmc.lang.elaborate.calls import allocate
from vmc.lang.elaborate.elaborator import Elaborator
from vmc.lang.elaborate.errors import Reject
from vmc.lang.elaborate.expressions import evaluate
from vmc.lang.elaborate.typing import broadcast_shapes
from vmc.lang.elaborate.values import Const, Nothing, Tensor, TextRef, Thing, Tile, TupleRef

I32, I64, U32, U64, F32 = map(dtype, ("i32", "i64", "u32", "u64", "f32"))


def tensor_index(el: Elaborator, args: Arguments, name: str) -> tuple[Tensor, syntax.Index]:
    """An argument of the form `tensor[slices]`. Raises Reject."""
    expr = args.expr(name)
    if isinstance(expr, syntax.Index):
        base = evaluate(el, expr.base, args.scope)
        if isinstance(base, Tensor):
            return base, expr
    raise Reject("E0503", "expected a slice of a tensor, such as `x[i : +64, :]`", expr.span)


def load(el: Elaborator, args: Arguments) -> Thing:
    tensor, node = tensor_index(el, args, "x")
    return indexing.load(el, tensor, node, args.scope, args.optional_const("fill"))


def copy_async(el: Elaborator, args: Arguments) -> Thing:
    """`copy_async(s, x[...])` into a whole buffer, `copy_async(s[...], x[...])` into a slice of it."""
    target, place = buffer_slice(el, args)
    source, node = tensor_index(el, args, "source")
    where = indexing.tensor_slice(el, source, node, args.scope)
    if source.type.dtype != target.type.dtype:
        raise Reject("E0210", f"`{args.callee}` of {source.element} to {target.element}", args.call_span)
    if where.shape != place.shape:
        raise Reject("E0307", f"{list(where.shape)} elements to a slice of {list(place.shape)}", args.call_span)
    fill = indexing.fill_code(el, source.type.dtype, args.optional_const("fill"), args.call_span)
    el.at(args.call_span).many(
        "copy_async",
        target.value,
        source.value,
        *where.starts,
        *place.starts,
        sizes=where.sizes,
        steps=where.steps,
        fill=fill,
        inbounds=(False,) * len(where.sizes),
        target_sizes=place.sizes,
    )
    return Nothing()


def buffer_slice(el: Elaborator, args: Arguments) -> tuple[Tensor, indexing.TensorSlice]:
    """The target of an asynchronous copy. Raises Reject."""
    expr = args.expr("target")
    if isinstance(expr, syntax.Index):
        target, node = tensor_index(el, args, "target")
        place = indexing.tensor_slice(el, target, node, args.scope)
    else:
        thing = evaluate(el, expr, args.scope)
        if not isinstance(thing, Tensor):
            raise Reject("E0505", f"expected a shared buffer, found {thing.describe()}", expr.span)
        target = thing
        sizes = tuple(dim for dim in target.dims if isinstance(dim, int))
        zeros = tuple(el.index(Const(0), expr.span) for _ in sizes)
        place = indexing.TensorSlice(zeros, sizes, (1,) * len(sizes))
    if target.type.space is not Space.SHARED:
        raise Reject(
            "E0505",
            f"`{args.callee}` writes shared memory, and `{target.name}` is a parameter",
            expr.span,
            help="allocate a buffer: `s = alloc(f16[64, 64]) in shared`",
        )
    return target, place


def alloc(el: Elaborator, args: Arguments) -> Thing:
    return allocate(el, el.shaped(args.thing("type"), args.span("type")), args.call_span)


def index_tiles(el: Elaborator, args: Arguments, tensor: Tensor, count: int) -> tuple[list[Value], list[Tile]]:
    """The index operands in one shape, followed in `rest` by what is left. Raises Reject."""
    rest = args.rest_tiles()
    if len(rest) != len(tensor.dims) + count:
        raise Reject(
            "E0303",
            f"`{tensor.name}` has {len(tensor.dims)} dimensions, and `{args.callee}` got {len(rest) - count} indices",
            args.call_span,
        )
    indices, others = rest[: len(tensor.dims)], rest[len(tensor.dims) :]
    shape: tuple[int, ...] = ()
    for tile, expr in zip(rest, args.rest, strict=True):
        if tile in indices and not tile.dtype.is_int:
            raise Reject("E0221", f"an index must be an integer, and this is {tile.describe()}", expr.span)
        shape = common_shape(shape, tile.shape, args)
    if args.given("mask"):
        shape = common_shape(shape, args.tile("mask").shape, args)
    build = el.at(args.call_span)
    same = I32 if all(tile.dtype.width < 32 or tile.dtype == I32 for tile in indices) else I64
    return [build.broadcast(build.cast(tile.value, same), shape) for tile in indices], others


def common_shape(a: tuple[int, ...], b: tuple[int, ...], args: Arguments) -> tuple[int, ...]:
    """The shape that indices, value and mask share. Raises Reject."""
    shape = broadcast_shapes(a, b)
    if shape is None:
        raise Reject("E0512", f"the indices have the shapes {list(a)} and {list(b)}", args.call_span)
    return shape


def mask_operand(el: Elaborator, args: Arguments, shape: tuple[int, ...]) -> list[Value]:
    """The mask, broadcast, or nothing."""
    if not args.given("mask"):
        return []
    mask = operators.boolean(el, args.thing("mask"), args.span("mask"))
    return [el.at(args.call_span).broadcast(el.tile(mask, args.span("mask")).value, shape)]


def gather(el: Elaborator, args: Arguments) -> Thing:
    tensor = args.tensor("x")
    indices, _ = index_tiles(el, args, tensor, 0)
    shape = indices[0].tile.shape
    mask = mask_operand(el, args, shape)
    fill = args.optional_const("fill")
    if tensor.format is not None:
        return formats.gather(el, tensor, indices, mask, args.call_span)
    code = None if fill is None else indexing.fill_code(el, tensor.type.dtype, fill, args.call_span)
    return Tile(el.at(args.call_span)("gather", tensor.value, *indices, *mask, fill=code))


def written(el: Elaborator, args: Arguments) -> tuple[Tensor, list[Value], Value]:
    """Tensor, indices and value of a scatter or an atomic. Raises Reject."""
    tensor = args.tensor("y")
    indexing.check_writable(tensor, args.span("y"))
    el.stored.add(tensor.value)
    indices, (value,) = index_tiles(el, args, tensor, 1)
    given = operand_of(el, args, value)
    return tensor, indices, indexing.stored_value(el, tensor, indices[0].tile.shape, given, args.call_span)


def operand_of(el: Elaborator, args: Arguments, value: Tile) -> Thing:
    """The last positional argument, still a compile-time number where it was one."""
    thing = evaluate(el, args.rest[-1], args.scope)
    return thing if isinstance(thing, Const) else value


def scatter(el: Elaborator, args: Arguments) -> Thing:
    tensor, indices, value = written(el, args)
    mask = mask_operand(el, args, value.tile.shape)
    el.at(args.call_span).many("scatter", tensor.value, value, *indices, *mask)
    return Nothing()


def atomic(el: Elaborator, args: Arguments) -> Thing:
    tensor, indices, value = written(el, args)
    if value.tile.dtype.name not in ("i32", "u32", "i64", "u64", "f32", "f64"):
        raise Reject(
            "E0504",
            f"`{args.callee}` is not defined on {value.tile.dtype.name}",
            args.call_span,
            help="atomics work on i32, u32, i64, u64, f32, f64",
        )
    kind = args.callee.removeprefix("atomic_")
    if value.tile.dtype.is_float and kind in ("and", "or", "xor"):
        raise Reject("E0504", f"`{args.callee}` is not defined on floats", args.call_span)
    mask = mask_operand(el, args, value.tile.shape)
    return Tile(el.at(args.call_span)("atomic", tensor.value, value, *indices, *mask, kind=kind))


def wait(el: Elaborator, args: Arguments) -> Thing:
    el.at(args.call_span).many("wait_group", pending=args.optional_integer("pending", 0))
    return Nothing()


def plain(operation: str) -> Callable[[Elaborator, Arguments], Thing]:
    def call(el: Elaborator, args: Arguments) -> Thing:
        el.at(args.call_span).many(operation)
        return Nothing()

    return call


def philox_words(el: Elaborator, args: Arguments) -> tuple[Value, ...]:
    """Four u32 tiles of random bits of seed and counter, in the counter's shape."""
    words = []
    for name in ("seed", "counter"):
        operand = args.tile(name)
        if not operand.dtype.is_int:
            raise Reject("E0221", f"`{name}` must be an integer, and this is {operand.describe()}", args.span(name))
        words.append(el.at(args.call_span).cast(operand.value, U64))
    return el.at(args.call_span).many("philox", *operators.fit(el, words[0], words[1], args.call_span))


def philox(el: Elaborator, args: Arguments) -> Thing:
    return TupleRef(tuple(Tile(word) for word in philox_words(el, args)))


def random_u32(el: Elaborator, args: Arguments) -> Thing:
    return Tile(philox_words(el, args)[0])


def unit_interval(el: Elaborator, word: Value, args: Arguments) -> Value:
    """The upper 24 bits of a word as f32 in [0, 1)."""
    build = el.at(args.call_span)
    shifted = build("shr", word, build.broadcast(el.constant(8, U32, args.call_span), word.tile.shape))
    number = build.cast(shifted, F32)
    return build("mul", number, build.broadcast(el.constant(2.0**-24, F32, args.call_span), word.tile.shape))


def uniform(el: Elaborator, args: Arguments) -> Thing:
    return Tile(unit_interval(el, philox_words(el, args)[0], args))


def normal(el: Elaborator, args: Arguments) -> Thing:
    """Box and Muller (1958): sqrt(-2 ln(1 - u)) cos(2 pi v)."""
    first, second, _, _ = philox_words(el, args)
    u, v = Tile(unit_interval(el, first, args)), Tile(unit_interval(el, second, args))
    build = el.at(args.call_span)
    above = operators.binary(el, "-", Const(1.0), u, args.call_span)
    assert isinstance(above, Tile)
    scaled = operators.binary(el, "*", Tile(build("log", above.value)), Const(-2.0), args.call_span)
    angle = operators.binary(el, "*", v, Const(2.0 * math.pi), args.call_span)
    assert isinstance(scaled, Tile) and isinstance(angle, Tile)
    return operators.binary(el, "*", Tile(build("sqrt", scaled.value)), Tile(build("cos", angle.value)), args.call_span)


def show(el: Elaborator, args: Arguments) -> Thing:
    text = args.thing("text")
    if not isinstance(text, TextRef):
        raise Reject("E0223", "`print` takes a string first", args.span("text"), help='as in `print("x =", x)`')
    el.at(args.call_span).many("print", *(tile.value for tile in args.rest_tiles()), text=text.text)
    return Nothing()


ATOMICS = ("add", "min", "max", "and", "or", "xor", "exchange")
NEEDED = ("seed", "counter")

BUILTINS = (
    Builtin("load", ("x", "fill?"), load, "a slice with a value for what lies outside: `load(x[i : +64], fill=-inf)`"),
    Builtin("gather", ("x", "*index", "mask?", "fill?"), gather, "elements of a tensor at computed places"),
    Builtin("scatter", ("y", "*index_and_value", "mask?"), scatter, "stores elements at computed places"),
    *(
        Builtin(f"atomic_{kind}", ("y", "*index_and_value", "mask?"), atomic, f"indivisible {kind}; the old values")
        for kind in ATOMICS
    ),
    Builtin("alloc", ("type",), alloc, "a buffer of the block's own: `s = alloc(f16[64, 64]) in shared`"),
    Builtin("copy_async", ("target", "source", "fill?"), copy_async, "starts a copy to shared memory"),
    Builtin("commit", (), plain("commit_group"), "closes the group of copies started so far"),
    Builtin("wait", ("pending?",), wait, "waits until at most `pending` groups of copies are under way"),
    Builtin("barrier", (), plain("barrier"), "waits for the whole block"),
    Builtin("philox", NEEDED, philox, "four tiles of random u32 (Philox 4x32-10) of seed and counter"),
    Builtin("random_u32", NEEDED, random_u32, "random bits"),
    Builtin("uniform", NEEDED, uniform, "random f32, uniform in [0, 1)"),
    Builtin("normal", NEEDED, normal, "random f32, standard normal"),
    Builtin("print", ("text", "*values"), show, "prints a line"),
)
