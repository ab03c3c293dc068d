"""Executes a kernel: the preamble once, then the grid's region for one block after the other.

A kernel's values have one definition each, so a flat table from values to arrays is all the state a block has, beside
memory and the asynchronous copies under way. Copies arrive as late as the program allows: when they are waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import combinations
from math import prod
from typing import Any, NoReturn

import numpy as np

from vmc.backends.interp.checks import CHECKS, complaint
from vmc.backends.interp.errors import ExecutionError, Fault
from vmc.backends.interp.memory import Buffer, Presence, View
from vmc.backends.interp.tracking import NOBODY, Tracker
from vmc.ir.builder import Builder
from vmc.ir.core import Access, Kernel, Module, Op, Region, Space, TensorType, TileType, Value
from vmc.ir.evaluate import Array, Memory, Operand
from vmc.ir.storage import extents, storage_bytes

Argument = Any
"""A 1-D u8 array for a tensor, a number for a scalar."""

Order = Callable[[int], Iterable[int]]
"""From the number of blocks to the order in which their numbers are executed."""

PREAMBLE = 1
"""The number of what executes before the grid; blocks have the numbers after it."""


def run(
    kernel: Kernel,
    arguments: Sequence[Argument],
    symbols: Mapping[str, int],
    *,
    order: Order | None = None,
    emit: Callable[[str], None] = print,
    checks: Collection[str] = (),
) -> None:
    """Executes a kernel.

    `arguments`: for a tensor its memory, a C-contiguous 1-D u8 array that is written in place; for a scalar a number,
    converted to the parameter's dtype. `symbols`: the extents' names. `order`: the order of the blocks, on which
    results do not depend. `emit` takes the lines that the program prints. `checks`: names of `checks.CHECKS`, errors
    to report that are otherwise none.

    Raises ExecutionError for a mistake of the program, ValueError or TypeError for arguments that do not fit.
    """
    Machine(kernel, symbols, order, emit, checks).launch(arguments)


def run_module(
    module: Module,
    arguments: Sequence[Argument],
    symbols: Mapping[str, int],
    *,
    order: Order | None = None,
    checks: Collection[str] = (),
) -> None:
    """Executes the kernels of a module in order, as one launch: on the same arguments, with a workspace that nobody has
    written before the first. See `run`.
    """
    workspace: Workspace = {}
    for kernel in module.kernels:
        Machine(kernel, symbols, order, checks=checks, workspace=workspace).launch(arguments)


Workspace = dict[str, tuple[Array, Array]]
"""The bytes of tensors that kernels of a module leave for later ones, by name, and which elements were written."""


class Machine:
    """One launch of a kernel. Implements `vmc.ir.evaluate.Evaluator`."""

    def __init__(
        self,
        kernel: Kernel,
        symbols: Mapping[str, int],
        order: Order | None = None,
        emit: Callable[[str], None] = print,
        checks: Collection[str] = (),
        workspace: Workspace | None = None,
    ) -> None:
        self.workspace: Workspace = workspace if workspace is not None else {}
        unknown = set(checks) - set(CHECKS)
        if unknown:
            raise ValueError(f"unknown checks: {', '.join(sorted(unknown))}; there are {', '.join(CHECKS)}")
        self.kernel, self.symbols, self.order, self._emit = kernel, symbols, order, emit
        self._checks = frozenset(checks)
        self.presence = Presence(PREAMBLE, self._block_name)
        self._values: dict[Value, Operand] = {}
        self._expansions: dict[Op, tuple[tuple[Op, ...], tuple[Value, ...]]] = {}
        self._extents: Sequence[int] = ()
        self._open: list[tuple[View, Array, Array]] = []
        self._groups: list[list[tuple[View, Array, Array]]] = []
        self._op: Op | None = None

    def launch(self, arguments: Sequence[Argument]) -> None:
        """Executes the kernel on these arguments. See `run`."""
        params = [param for param in self.kernel.params if not is_workspace(param)]
        if len(arguments) != len(params):
            raise ValueError(f"{self.kernel.name} takes {len(params)} arguments, and got {len(arguments)}")
        missing = [name for name in self.kernel.symbols if name not in self.symbols]
        if missing:
            raise ValueError(f"{self.kernel.name} needs values for the symbols {', '.join(missing)}")
        refuse_overlap(params, arguments)
        try:
            operands = [self._bind(param, argument) for param, argument in zip(params, arguments, strict=True)]
            self._values.update(zip(params, operands, strict=True))
            self._values.update((param, self._shared(param)) for param in self.kernel.params if is_workspace(param))
            with np.errstate(all="ignore"):
                self.region(self.kernel.body, ())
        except Fault as fault:
            raise ExecutionError(str(fault), self._op.span if self._op else self.kernel.span) from None

    def unwritten(self) -> dict[str, int]:
        """How many elements of each `out` tensor the launch did not write, by the tensors' names; none are left out."""
        counts: dict[str, int] = {}
        for param in self.kernel.params:
            view = self._values.get(param)
            if isinstance(view, View) and view.type.access is Access.OUT:
                count = view.count_unwritten()
                counts |= {param.name: count} if count else {}
        return counts

    def _bind(self, param: Value, argument: Argument) -> Operand:
        match param.type:
            case TileType(dtype=dtype):
                return dtype.from_codes(dtype.encode(np.asarray(argument).reshape(())))
            case TensorType():
                return self._bind_tensor(param, param.type, argument)

    def _bind_tensor(self, param: Value, type: TensorType, argument: Argument) -> View:
        name = param.name or "a tensor"
        if not isinstance(argument, np.ndarray) or argument.dtype != np.uint8 or argument.ndim != 1:
            raise TypeError(f"{name} must be a 1-D array of u8")
        if type.access.writable and not (argument.flags.writeable and argument.flags.c_contiguous):
            raise ValueError(f"{name} is written: its array must be writable and contiguous")
        shape = extents(type, self.symbols)
        tracker = None
        if type.access.writable:
            tracker = Tracker(prod(shape), written=type.access is Access.INOUT, shared=False)
            if type.storage is not None:
                tracker = Tracker(8 * argument.size, written=type.access is Access.INOUT, shared=False)
                tracker.refined = True
        return View(Buffer(name, np.ascontiguousarray(argument), tracker, self.presence), type, shape)

    def _shared(self, param: Value) -> View:
        """A tensor of the workspace, which remembers what earlier kernels of the module wrote."""
        shape = extents(param.tensor, self.symbols)
        if param.name not in self.workspace:
            size = storage_bytes(param.tensor, shape)
            self.workspace[param.name] = np.zeros(size, np.uint8), np.zeros(prod(shape), bool)
        data, written = self.workspace[param.name]
        tracker = Tracker(prod(shape), written=False, shared=False)
        tracker.written = written
        return View(Buffer(param.name, data, tracker, self.presence), param.tensor, shape)

    def _execute(self, ops: Sequence[Op]) -> None:
        values = self._values
        for op in ops:
            self._op = op
            operands = [values[operand] for operand in op.operands]
            if self._checks:
                self._check(op, operands)
            results = op.definition.evaluate(self, op, operands)
            for value, result in zip(op.results, results, strict=True):
                values[value] = result

    def _check(self, op: Op, operands: Sequence[Operand]) -> None:
        message = complaint(op, operands, self._checks)
        if message is not None:
            self.fail(op, message)

    def _block_name(self, number: int) -> str:
        if number == PREAMBLE:
            return "the preamble"
        if number <= NOBODY:
            return "another block"
        place = np.unravel_index(number - PREAMBLE - 1, tuple(self._extents))
        return f"block ({', '.join(str(int(i)) for i in place)})"

    # What operations ask for: `vmc.ir.evaluate.Evaluator`

    def symbol(self, name: str) -> int:
        return self.symbols[name]

    def region(self, region: Region, args: Sequence[Operand]) -> tuple[Operand, ...]:
        self._values.update(zip(region.args, args, strict=True))
        self._execute(region.ops[:-1])
        return tuple(self._values[value] for value in region.yielded)

    def grid(self, region: Region, extents: Sequence[int]) -> None:
        self._extents = extents
        count = prod(max(extent, 0) for extent in extents)
        preamble = self._values
        for number in range(count) if self.order is None else self.order(count):
            self.presence.block = PREAMBLE + 1 + number
            self._values, self._open, self._groups = dict(preamble), [], []
            place = np.unravel_index(number, tuple(extents))
            self.region(region, [np.array(index, np.int64) for index in place])
        self.presence.block, self._values = PREAMBLE, preamble

    def allocate(self, tensor: Value) -> Memory:
        type = tensor.tensor
        shape = extents(type, self.symbols)
        data = np.zeros(storage_bytes(type, shape), np.uint8)
        tracker = Tracker(prod(shape), written=False, shared=True)
        if type.storage is not None:
            tracker = Tracker(8 * data.size, written=False, shared=True)
            tracker.refined = True
        return View(Buffer(tensor.name or "the shared tensor", data, tracker, self.presence), type, shape)

    def field(self, memory: Memory, type: TensorType, bit_offset: int) -> Memory:
        assert isinstance(memory, View)
        if memory.buffer.tracker is not None:
            memory.buffer.tracker.refine(memory.dtype.width)
        return View(memory.buffer, type, extents(type, self.symbols), bit_offset)

    def copy_async(self, op: Op, source: Array, target: Memory, index: Sequence[Array]) -> None:
        assert isinstance(target, View)
        self._open.append((target, target.start_copy(index), source))

    def commit_group(self) -> None:
        self._groups.append(self._open)
        self._open = []

    def wait_group(self, pending: int) -> None:
        while len(self._groups) > pending:
            for target, places, values in self._groups.pop(0):
                target.finish_copy(places, values)

    def barrier(self, op: Op) -> None:
        pass

    def emit(self, text: str) -> None:
        self._emit(text)

    def fail(self, op: Op, message: str) -> NoReturn:
        raise ExecutionError(message, op.span)

    def expand(self, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
        if op not in self._expansions:
            build = Builder(op.span)
            results = op.definition.expand(build, op)
            self._expansions[op] = tuple(build.ops), results
        ops, results = self._expansions[op]
        self._values.update(zip(op.operands, operands, strict=True))
        checks, self._checks = self._checks, frozenset()
        self._execute(ops)
        self._checks = checks
        return tuple(self._values[value] for value in results)


def is_workspace(param: Value) -> bool:
    return isinstance(param.type, TensorType) and param.type.space is Space.WORKSPACE


def refuse_overlap(params: Sequence[Value], arguments: Sequence[Argument]) -> None:
    """Raises ValueError where a tensor that is written shares memory with another."""
    tensors = [
        (param, argument)
        for param, argument in zip(params, arguments, strict=True)
        if isinstance(param.type, TensorType) and isinstance(argument, np.ndarray)
    ]
    for (a, first), (b, second) in combinations(tensors, 2):
        written = a.tensor.access.writable or b.tensor.access.writable
        if written and np.may_share_memory(first, second):
            raise ValueError(f"{a.name} and {b.name} share memory, and one of them is written")
