"""`assert` and `print`: what compiled code reports to the launch."""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from vmc.backends.cpu.elements import I8, I64, POINTER, step_to
from vmc.backends.cpu.emitter import Emitter
from vmc.backends.cpu.signature import Site
from vmc.ir.core import Op


def lower_assert(e: Emitter, op: Op) -> tuple[()]:
    condition = e.tile(op.operands[0])
    if not condition.shape:
        holds = e.at(condition, ())
    else:
        buffer = e.settle(condition)

        def turn(place: ir.Value, running: Sequence[ir.Value]) -> list[ir.Value]:
            return [e.b.and_(running[0], e.read(buffer, place))]

        holds = e.loop(e.index(0), e.index(condition.size), [ir.Constant(I8, 1)], turn)[0]
    e.fail_when(e.b.not_(e.truth(holds)), op, str(op.attrs["message"]))
    return ()


def lower_print(e: Emitter, op: Op) -> tuple[()]:
    """Hands the number of the site and the addresses of the values to the launch's callback."""
    assert e.printer is not None
    shown = tuple((value.tile.dtype.name, value.tile.shape) for value in op.operands)
    e.sites.append(Site(str(op.attrs["text"]), op.span, shown))
    addresses = e.slot(POINTER, max(2, len(shown)))
    for number, value in enumerate(op.operands):
        tile = e.tile(value)
        buffer = e.allocate(tile.dtype, tile.size)
        e.fill(buffer, tile)
        place = step_to(e.b, addresses, e.index(number), POINTER)
        e.b.store(buffer.pointer, place)
    type = ir.FunctionType(ir.VoidType(), [I64, POINTER])
    function = e.b.inttoptr(e.printer, type.as_pointer())
    e.b.call(function, (e.index(len(e.sites) - 1), addresses))
    return ()
