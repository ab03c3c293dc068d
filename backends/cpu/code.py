"""LLVM code of one function: numbers, calls, loops, branches, and what was computed before and is still known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from llvmlite import ir

from vmc.backends.cpu.elements import I64, suffix
from vmc.backends.cpu.tiles import Index

LONG_LOOP = 16  # turns from which a loop has enough for vectors

LoopBody = Callable[[ir.Value, Sequence[ir.Value]], Sequence[ir.Value]]


class Code:
    """Appends to `function`, at `b`. `fast`: the flags of operations on floats that call functions. `guarded`: whether
    vectors of loads may reach outside of their tensors.
    """

    def __init__(self, module: ir.Module, function: ir.Function, fast: tuple[str, ...]) -> None:
        self.module, self.function, self.fast = module, function, fast
        self.b = ir.IRBuilder(function.append_basic_block("entry"))
        self.guarded = False
        self._indices: dict[int, ir.Constant] = {}
        self._memo: dict[tuple[object, ...], ir.Value] = {}

    # Numbers

    def index(self, number: int) -> ir.Constant:
        """An i64 constant, one object per number."""
        return self._indices.setdefault(number, ir.Constant(I64, number))

    def add(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """a + b in i64, folded where it is plain."""
        if isinstance(a, ir.Constant) and isinstance(b, ir.Constant):
            return self.index(a.constant + b.constant)
        if isinstance(a, ir.Constant) and a.constant == 0:
            return b
        if isinstance(b, ir.Constant) and b.constant == 0:
            return a
        return self.b.add(a, b)

    def sub(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """a - b in i64, folded where it is plain."""
        if isinstance(b, ir.Constant):
            return self.add(a, self.index(-b.constant))
        return self.b.sub(a, b)

    def mul(self, a: ir.Value, b: ir.Value) -> ir.Value:
        """a * b in i64, folded where it is plain."""
        if isinstance(a, ir.Constant) and isinstance(b, ir.Constant):
            return self.index(a.constant * b.constant)
        for one, other in ((a, b), (b, a)):
            if isinstance(one, ir.Constant) and one.constant in (0, 1):
                return other if one.constant else self.index(0)
        return self.b.mul(a, b)

    def divmod(self, a: ir.Value, divisor: int) -> tuple[ir.Value, ir.Value]:
        """Quotient and remainder of a non-negative i64."""
        if divisor == 1:
            return a, self.index(0)
        if isinstance(a, ir.Constant):
            return self.index(a.constant // divisor), self.index(a.constant % divisor)
        return self.b.udiv(a, self.index(divisor)), self.b.urem(a, self.index(divisor))

    def clamp(self, value: ir.Value, low: ir.Value, high: ir.Value) -> ir.Value:
        """A signed integer, or each lane of a vector, brought into [low, high]."""
        type, name = value.type, suffix(value.type)
        return self.call(f"llvm.smin.{name}", type, self.call(f"llvm.smax.{name}", type, value, low), high)

    def linear(self, index: Index, shape: Sequence[int]) -> ir.Value:
        """The row-major position of an index."""
        position: ir.Value = self.index(0)
        for place, extent in zip(index, shape, strict=True):
            position = self.add(self.mul(position, self.index(extent)), place)
        return position

    def call(self, name: str, result: ir.Type, *args: ir.Value, flags: tuple[str, ...] = ()) -> ir.Value:
        """A call of an intrinsic or another function of the module, declared on first use."""
        function = self.declare(name, result, [arg.type for arg in args])
        return self.b.call(function, args, fastmath=flags)

    def declare(self, name: str, result: ir.Type, arguments: Sequence[ir.Type]) -> ir.Function:
        """An intrinsic or another function of the module."""
        function = self.module.globals.get(name)
        return function or ir.Function(self.module, ir.FunctionType(result, arguments), name)

    # Control flow

    def loop(
        self, low: ir.Value, high: ir.Value, carried: Sequence[ir.Value], body: LoopBody, step: int = 1
    ) -> list[ir.Value]:
        """Counts from `low` while below `high`; the body maps index and carried values to the next ones."""
        static = isinstance(low, ir.Constant) and isinstance(high, ir.Constant)
        if static and low.constant >= high.constant:
            return list(carried)
        if static and low.constant + step >= high.constant:
            with self.fresh_memo():
                return list(body(low, carried))
        before, inside = self.b.block, self.function.append_basic_block("loop")
        after = self.function.append_basic_block("done")
        if static:
            self.b.branch(inside)
        else:
            self.b.cbranch(self.b.icmp_signed("<", low, high), inside, after)
        self.b.position_at_end(inside)
        counter = self.b.phi(I64)
        phis = [self.b.phi(value.type) for value in carried]
        with self.fresh_memo():
            following = list(body(counter, phis))
        bumped = self.b.add(counter, self.index(step), flags=("nsw",))
        latch = self.b.block
        again = self.b.cbranch(self.b.icmp_signed("<", bumped, high), inside, after)
        if static and not carried and (high.constant - low.constant) // step >= LONG_LOOP:
            self._keep_loop(again)
        for phi, first, later in zip([counter, *phis], [low, *carried], [bumped, *following], strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(later, latch)
        self.b.position_at_end(after)
        if static:
            return following
        return [
            self.join(value.type, (value, before), (later, latch))
            for value, later in zip(carried, following, strict=True)
        ]

    def _keep_loop(self, branch: ir.Instruction) -> None:
        """Keeps LLVM from unrolling a loop wholly before it looks for vectors: from straight code it makes few."""
        node = ir.MDValue(self.module, (), str(len(self.module.metadata)))
        node.operands = (node, self.module.add_metadata(["llvm.loop.unroll.disable"]))
        branch.set_metadata("llvm.loop", node)

    def each(self, low: ir.Value, high: ir.Value, body: Callable[[ir.Value], None], step: int = 1) -> None:
        """A loop without carried values."""

        def once(place: ir.Value, carried: Sequence[ir.Value]) -> Sequence[ir.Value]:
            body(place)
            return ()

        self.loop(low, high, (), once, step)

    def nest(self, bounds: Sequence[tuple[ir.Value, ir.Value]], body: Callable[[Index], None]) -> None:
        """Loops over a box of indices, the last one innermost."""

        def level(index: Index) -> None:
            if len(index) == len(bounds):
                body(index)
            else:
                self.each(*bounds[len(index)], lambda place: level((*index, place)))

        with self.fresh_memo():
            level(())

    def join(self, type: ir.Type, *incoming: tuple[ir.Value, ir.Block]) -> ir.Value:
        """A phi."""
        phi = self.b.phi(type)
        for value, block in incoming:
            phi.add_incoming(value, block)
        return phi

    def choose(
        self, condition: ir.Value, type: ir.Type, yes: Callable[[], ir.Value], no: Callable[[], ir.Value]
    ) -> ir.Value:
        """The value of one of two computations, only one of which runs."""
        with self.b.if_else(condition) as (then, otherwise):
            with then, self.fresh_memo():
                a, from_a = yes(), self.b.block
            with otherwise, self.fresh_memo():
                c, from_c = no(), self.b.block
        return self.join(type, (a, from_a), (c, from_c))

    @contextmanager
    def when(self, condition: ir.Value) -> Iterator[None]:
        """Code that runs only where the i1 condition holds."""
        with self.b.if_then(condition), self.fresh_memo():
            yield

    @contextmanager
    def fresh_memo(self) -> Iterator[None]:
        """Elements computed inside are not known outside, nor those from outside inside: other code may not run."""
        saved, self._memo = self._memo, {}
        yield
        self._memo = saved

    def remembered(self, key: tuple[object, ...], compute: Callable[[], ir.Value]) -> ir.Value:
        """What was computed under a key where that is still known, else what is computed now."""
        found = self._memo.get(key)
        if found is None:
            found = self._memo[key] = compute()
        return found

    @contextmanager
    def guard(self, guarded: bool) -> Iterator[None]:
        """Code whose vectors of loads may reach outside of their tensors, or are known not to."""
        saved, self.guarded = self.guarded, guarded
        with self.fresh_memo():
            yield
        self.guarded = saved
