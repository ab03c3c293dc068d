"""The function that each thread of a launch runs: it takes chunks of blocks until there is none, or a block has failed.

A thread begins in its own region and goes on to the others', round and round. `record.py` says what the threads share.
"""

from __future__ import annotations

from llvmlite import ir

from vmc.backends.cpu.elements import I8, I64, POINTER, step_to
from vmc.backends.cpu.emitter import HEADER
from vmc.backends.cpu.memory import LINE
from vmc.backends.cpu.record import COUNTERS, WORDS


class Worker:
    """The function under construction, `void worker(record, start)`, which calls `chunk`."""

    def __init__(self, module: ir.Module, name: str, chunk: ir.Function, serial: bool) -> None:
        self.function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER, I64]), name)
        self.b = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.record, start = self.function.args
        self.chunk, self.serial = chunk, serial
        self.total, self.threads, self.share = (self.word(name) for name in ("total", "threads", "share"))
        self.coarse, self.fine = self.word("coarse"), self.word("fine")
        self.arguments, self.status = self.b.inttoptr(self.word("arguments"), POINTER), self.place("status")
        self.arena = self.own_arena()
        self.done = self.function.append_basic_block("done")
        self.each_region(self.b.urem(start, self.threads))
        self.b.position_at_end(self.done)
        self.b.ret_void()

    def place(self, name: str) -> ir.Value:
        """The address of a word of the record."""
        return step_to(self.b, self.record, ir.Constant(I64, WORDS.index(name)), I64)

    def word(self, name: str) -> ir.Value:
        return self.b.load(self.place(name), typ=I64, align=8)

    def smaller(self, a: ir.Value, b: ir.Value) -> ir.Value:
        return self.b.select(self.b.icmp_signed("<", a, b), a, b)

    def own_arena(self) -> ir.Value:
        """This thread's part of the arena, whose header is cleared."""
        thread = self.b.atomic_rmw("add", self.place("thread"), ir.Constant(I64, 1), "monotonic")
        whole = self.b.inttoptr(self.word("arena"), POINTER)
        own = step_to(self.b, whole, self.b.mul(thread, self.word("stride")), I8)
        self.b.store(ir.Constant(ir.VectorType(I8, HEADER), None), own, align=LINE)
        return own

    def each_region(self, start: ir.Value) -> None:
        """Works in all regions, from `start` on."""
        b, before = self.b, self.b.block
        region, following = (self.function.append_basic_block(name) for name in ("region", "following"))
        b.branch(region)
        b.position_at_end(region)
        number, visited = b.phi(I64), b.phi(I64)
        self.each_chunk(number, following)
        b.position_at_end(following)
        bumped, seen = (b.add(value, ir.Constant(I64, 1)) for value in (number, visited))
        wrapped = b.select(b.icmp_signed("<", bumped, self.threads), bumped, ir.Constant(I64, 0))
        b.cbranch(b.icmp_signed("<", seen, self.threads), region, self.done)
        for phi, first, later in ((number, start, wrapped), (visited, ir.Constant(I64, 0), seen)):
            phi.add_incoming(first, before)
            phi.add_incoming(later, following)

    def each_chunk(self, region: ir.Value, after: ir.Block) -> None:
        """Takes chunks of a region until it has no more. Smaller ones follow in the last quarter; another thread may
        have moved on since `seen` was read, which makes a chunk only larger than it might be.
        """
        b = self.b
        end = self.smaller(b.mul(b.add(region, ir.Constant(I64, 1)), self.share), self.total)
        late = b.sub(end, b.udiv(self.share, ir.Constant(I64, 4)))
        offset = b.add(b.mul(region, ir.Constant(I64, LINE)), ir.Constant(I64, COUNTERS))
        counter = step_to(b, self.record, offset, I8)
        again, free, run = (self.function.append_basic_block(name) for name in ("again", "free", "run"))
        b.branch(again)
        b.position_at_end(again)
        seen = b.load_atomic(counter, "monotonic", 8, typ=I64)
        failed = b.icmp_signed("!=", b.load_atomic(self.status, "monotonic", 8, typ=I64), ir.Constant(I64, 0))
        b.cbranch(failed, self.done, free)
        b.position_at_end(free)
        grain = b.select(b.icmp_signed("<", seen, late), self.coarse, self.fine)
        first = b.atomic_rmw("add", counter, grain, "monotonic")
        b.cbranch(b.icmp_signed("<", first, end), run, after)
        b.position_at_end(run)
        self.run_range(first, self.smaller(b.add(first, grain), end))
        b.branch(again)

    def run_range(self, first: ir.Value, last: ir.Value) -> None:
        """Calls the chunk for a range of at least one block: once if `serial`, else for each block."""
        b = self.b
        if self.serial:
            b.call(self.chunk, (self.arguments, self.arena, first, last, self.status))
            return
        before, turn, after = b.block, *(self.function.append_basic_block(name) for name in ("block", "ran"))
        b.branch(turn)
        b.position_at_end(turn)
        number = b.phi(I64)
        following = b.add(number, ir.Constant(I64, 1))
        b.call(self.chunk, (self.arguments, self.arena, number, following, self.status))
        number.add_incoming(first, before)
        number.add_incoming(following, turn)
        b.cbranch(b.icmp_signed("<", following, last), turn, after)
        b.position_at_end(after)
