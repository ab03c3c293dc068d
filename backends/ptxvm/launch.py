"""Launching: arguments to parameters and buffers, blocks to cohorts, counters to a report.

    module = parse(ptx)
    report = module.launch("kernel", grid=(4,), block=(128,), args=[x, y, 100])

Arrays are passed as pointers and are read and written in place. `Unset(array)` is memory whose contents the kernel must
not read before it wrote them; `Constant(array)` must not be written; `Workspace.of(size)` is memory that launches pass
on to each other, of which only what one of them wrote may be read.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from vmc.backends.ptxvm import syntax
from vmc.backends.ptxvm.addresses import buffer_address
from vmc.backends.ptxvm.arrays import UINT, Array, slot_dtype
from vmc.backends.ptxvm.code import Code, compile_blocks
from vmc.backends.ptxvm.copies import Copies
from vmc.backends.ptxvm.counting import Counters, Report
from vmc.backends.ptxvm.emitter import float_bits
from vmc.backends.ptxvm.errors import LaunchError, PtxError
from vmc.backends.ptxvm.machine import Scheduler
from vmc.backends.ptxvm.mbarriers import Mbarriers
from vmc.backends.ptxvm.order import Order
from vmc.backends.ptxvm.parser import WIDTHS, Tree
from vmc.backends.ptxvm.parser import parse as parse_tree
from vmc.backends.ptxvm.program import Parameter, Program, assemble, uses_async_proxy, variables_of
from vmc.backends.ptxvm.releases import Releases, may_wait, uses_releases
from vmc.backends.ptxvm.spaces import Buffer, GlobalSpace, LocalSpace, SharedSpace
from vmc.backends.ptxvm.state import Cohort
from vmc.backends.ptxvm.syntax import Instruction
from vmc.backends.ptxvm.warpgroups import THREADS as WARPGROUP
from vmc.backends.ptxvm.warpgroups import Warpgroups

COHORT = 2048
"""About how many threads execute side by side."""

STEPS = 10_000_000
"""Steps of a cohort, that is, executions of a basic block, after which a launch is given up."""

TURN = 500
"""Steps after which other blocks get a turn, in programs whose blocks may wait for others."""


@dataclass(frozen=True)
class Unset:
    """An array whose contents count as never written."""

    array: npt.NDArray[Any]


@dataclass(frozen=True)
class Constant:
    """An array that must not be written."""

    array: npt.NDArray[Any]


@dataclass(frozen=True)
class Workspace:
    """Memory that launches pass on to each other. `unset` are the bits of it that none has written yet; a launch takes
    out those that it writes. `constant`: the launch must not write any.
    """

    array: npt.NDArray[np.uint8]
    unset: npt.NDArray[np.uint8]
    constant: bool = False

    @staticmethod
    def of(size: int) -> Workspace:
        """So many bytes that nobody has written."""
        return Workspace(np.zeros(size, np.uint8), np.full(size, 0xFF, np.uint8))


Argument = npt.NDArray[Any] | Unset | Constant | Workspace | int | float | np.generic | bytes


def parse(text: str) -> Module:
    """A module of PTX text. Raises PtxSyntaxError."""
    return Module(parse_tree(text))


@dataclass(eq=False)
class Module:
    """The entries and variables of a PTX text."""

    tree: Tree
    compiled: dict[str, Compiled] = field(default_factory=dict)

    @property
    def entries(self) -> tuple[str, ...]:
        """The names of the entries."""
        return tuple(f.name for f in self.tree.functions if f.entry)

    def entry(self, name: str) -> Compiled:
        """An entry, compiled on first use. Raises PtxError, UnsupportedError."""
        if name not in self.compiled:
            program = assemble(self.tree, name)
            codes, instructions = compile_blocks(program)
            self.compiled[name] = Compiled(self.tree, program, codes, instructions)
        return self.compiled[name]

    def launch(
        self,
        entry: str,
        grid: Sequence[int],
        block: Sequence[int],
        args: Sequence[Argument],
        shared_bytes: int = 0,
        *,
        check: bool = True,
        count: bool = True,
        max_steps: int = STEPS,
        names: Sequence[str] = (),
    ) -> Report:
        """Execute an entry on up to three dimensions of blocks and threads.

        `shared_bytes`: dynamic shared memory of a block. `check`: look for races (all other checks are always made);
        `count`: fill the report's numbers of memory traffic; `names`: what to call the arguments in errors. Raises
        ExecutionError for the first fault, LaunchError.
        """
        compiled = self.entry(entry)
        extents = _three(grid), _three(block)
        return _Launch(compiled, *extents, args, shared_bytes, check, count, max_steps, names).run()


def _three(extents: Sequence[int]) -> tuple[int, int, int]:
    values = [int(e) for e in extents]
    if not 1 <= len(values) <= 3 or any(v < 1 for v in values):
        raise LaunchError(f"extents are one to three positive numbers, not {tuple(extents)}")
    x, y, z = (*values, 1, 1)[:3]
    return x, y, z


@dataclass(eq=False)
class Compiled:
    """An entry of a module, ready to run."""

    tree: Tree
    program: Program
    codes: list[Code]
    instructions: list[Instruction]

    @cached_property
    def granules(self) -> tuple[int, int]:
        """Bytes of the narrowest access to global and to shared memory, at most 4."""
        narrow = {"global": 4, "shared": 4}
        for instruction in self.instructions:
            if instruction.opcode[0] not in ("ld", "ldu", "st", "atom", "red"):
                continue
            kinds = [m for m in instruction.opcode if m in WIDTHS]
            size = min(4, WIDTHS[kinds[-1]] // 8) if kinds else 1
            spaces = [s for s in narrow if any(m.split("::")[0] == s for m in instruction.opcode)]
            for space in spaces or (narrow if "local" not in instruction.opcode else []):
                narrow[space] = min(narrow[space], size)
        if any("ldmatrix" in i.opcode or "stmatrix" in i.opcode for i in self.instructions):
            narrow["shared"] = min(narrow["shared"], 4)
        return narrow["global"], narrow["shared"]


class _Launch:
    """One launch."""

    def __init__(
        self,
        compiled: Compiled,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        args: Sequence[Argument],
        shared_bytes: int,
        check: bool,
        count: bool,
        max_steps: int,
        names: Sequence[str],
    ) -> None:
        self.compiled, self.grid, self.block = compiled, grid, block
        self.check, self.max_steps, self.names = check, max_steps, names
        self.threads = block[0] * block[1] * block[2]
        self.per_block = -(-self.threads // 32) * 32
        self.program = compiled.program
        self._check_limits()
        if shared_bytes and not self.program.dynamic:
            raise LaunchError(f"`{self.program.name}` declares no dynamic shared memory; it cannot be given any")
        self.shared_size = self.program.shared_size + shared_bytes
        self.dynamic_bytes = shared_bytes
        buffers = module_buffers(compiled.tree)
        self.parameters = self._parameters(args, buffers)
        self.granules = compiled.granules
        self.space = GlobalSpace(buffers, self.granules[0], self.per_block, check)
        self.counters = Counters(compiled.instructions)
        self.traffic = count
        self.waits = may_wait(self.program)
        self.releases: Releases | None = None
        tracker = self.space.memory.tracker
        if tracker is not None and uses_releases(self.program):
            self.releases = Releases()
            tracker.ordered = self.releases.ordered

    def _check_limits(self) -> None:
        limits = self.program.limits
        if self.program.watched and self.per_block % WARPGROUP:
            raise LaunchError(f"`{self.program.name}` has wgmma instructions and takes whole warpgroups of 128 threads")
        if self.threads > 1024:
            raise LaunchError(f"a block of {self.threads} threads; at most 1024 are possible")
        for name in ("maxntid", "reqntid"):
            if name in limits:
                bound = int(np.prod(limits[name]))
                if self.threads > bound or (name == "reqntid" and self.threads != bound):
                    raise LaunchError(f"`{self.program.name}` was compiled for .{name} {bound}, not {self.threads}")

    def _parameters(self, args: Sequence[Argument], buffers: list[Buffer]) -> Array:
        parameters = self.program.parameters
        if len(args) != len(parameters):
            raise LaunchError(f"`{self.program.name}` takes {len(parameters)} arguments, not {len(args)}")
        size = max((p.offset + p.size for p in parameters), default=0)
        data = np.zeros(-(-size // 8) * 8, np.uint8)
        known: dict[int, int] = {}
        names = self.names or [p.name for p in parameters]
        for parameter, argument, name in zip(parameters, args, names, strict=True):
            value = _argument_bytes(parameter, argument, buffers, known, name)
            data[parameter.offset : parameter.offset + parameter.size] = np.frombuffer(value, np.uint8)
        return data

    def run(self) -> Report:
        blocks = self.grid[0] * self.grid[1] * self.grid[2]
        at_once = max(1, COHORT // self.per_block)
        warnings: list[str] = []
        with np.errstate(all="ignore"):
            waiting = list(range(0, blocks, at_once))
            running: list[Scheduler] = []
            while waiting or running:
                if waiting:
                    first = waiting.pop(0)
                    running.append(self._scheduler(first, min(at_once, blocks - first)))
                running = [scheduler for scheduler in running if not self._turn(scheduler, warnings)]
        self.space.write_back()
        report = self.counters.report(self.program, blocks, self.threads, self.shared_size)
        left = self.space.unwritten()
        report.warnings = warnings + [f"{count} bytes of `{name}` were never written" for name, count in left.items()]
        return report

    def _scheduler(self, first: int, blocks: int) -> Scheduler:
        cohort = self._cohort(first, blocks)
        return Scheduler(cohort, self.compiled.codes, self.compiled.instructions, self.max_steps)

    def _turn(self, scheduler: Scheduler, warnings: list[str]) -> bool:
        """Let some blocks run for a while, as they may wait for others; whether they are done."""
        cohort = scheduler.m
        self.space.first = cohort.first_block * self.per_block
        if self.space.memory.tracker is not None:
            self.space.memory.tracker.first = self.space.first
        if not scheduler.run(TURN if self.waits else self.max_steps + 1):
            return False
        left = unfinished(cohort)
        if left is not None and not warnings:
            instruction = self.compiled.instructions[left]
            warnings.append(f"{instruction.location}: nobody waits for {instruction}")
        return True

    def _cohort(self, first: int, blocks: int) -> Cohort:
        size = blocks * self.per_block
        place = np.arange(size) % self.per_block
        exists = place < self.threads
        shared = SharedSpace(self.shared_size, blocks, self.granules[1], self.per_block, self.check)
        local = LocalSpace(self.program.local_size, size, self.per_block)
        numbering = first * self.per_block
        for space in (shared, local):
            space.first = numbering
            if space.memory.tracker is not None:
                space.memory.tracker.first = numbering
        cohort = Cohort(
            self.program, size, self.per_block, first, [], {}, np.zeros(size, np.bool_), False, exists, self.space,
            shared, local, self.parameters, Order(blocks, self.per_block, exists[: self.per_block]), Copies(size),
            self.counters if self.traffic else None, np.zeros(size, np.bool_), Mbarriers(), self.releases,
            Warpgroups(self.program, size) if self.program.watched else None,
        )  # fmt: skip
        if uses_async_proxy(self.program):
            cohort.order.track_proxies()
        self._fill(cohort, place, first + np.arange(size) // self.per_block)
        return cohort

    def _fill(self, m: Cohort, place: Array, blocks: Array) -> None:
        """Initial values of all slots."""
        program = self.program
        m.values = [np.zeros(1, slot_dtype(width)) for width in program.widths]
        for slot, bits in program.constants.items():
            m.values[slot] = np.array([bits], slot_dtype(program.widths[slot]))
        specials = self._specials(place, blocks)
        for name, slot in program.specials.items():
            value = specials.get(name, np.zeros(1, np.int64))
            m.values[slot] = value.astype(UINT[program.widths[slot]])
        for slot in program.unset:
            kind = slot_dtype(program.widths[slot])
            m.taint[slot] = (~np.zeros(1, kind), -1)

    def _specials(self, place: Array, blocks: Array) -> dict[str, Array]:
        one = np.ones(1, np.int64)
        lane = np.arange(len(place)) % 32
        bit = np.int64(1) << lane
        result = {
            "%laneid": lane, "%warpid": place // 32, "%nwarpid": one * (self.per_block // 32), "%nsmid": one,
            "%lanemask_eq": bit, "%lanemask_lt": bit - 1, "%lanemask_le": 2 * bit - 1,
            "%lanemask_gt": 0xFFFFFFFF & ~(2 * bit - 1), "%lanemask_ge": 0xFFFFFFFF & ~(bit - 1),
            "%dynamic_smem_size": one * self.dynamic_bytes, "%total_smem_size": one * self.shared_size,
            "%cluster_nctarank": one,
        }  # fmt: skip
        for prefix, extents, numbers in (("tid", self.block, place), ("ctaid", self.grid, blocks)):
            x, y, z = extents
            parts = (numbers % x, numbers // x % y, numbers // (x * y) % z)
            for axis, part, extent in zip("xyz", parts, extents, strict=True):
                result[f"%{prefix}.{axis}"] = part if len(np.unique(part)) > 1 else part[:1]
                result[f"%n{prefix}.{axis}"] = one * extent
        for axis in "xyz":
            result[f"%clusterid.{axis}"] = result[f"%ctaid.{axis}"]
            result[f"%nclusterid.{axis}"] = result[f"%nctaid.{axis}"]
            result[f"%cluster_nctaid.{axis}"] = one
        return result


def unfinished(m: Cohort) -> int | None:
    """The number of an instruction that blocks at their end have not waited for: a copy, or a wgmma."""
    batch = m.copies.outstanding()
    bulk = (copy.number for barrier in m.mbarriers.objects.values() for copy in barrier.copies)
    products = (flight.number for flight in m.warpgroups.flights) if m.warpgroups is not None else ()
    return batch.number if batch is not None else next(chain(bulk, products), None)


def module_buffers(tree: Tree) -> list[Buffer]:
    """The buffers of a module's variables, initialised; fresh for every launch."""
    variables = variables_of(tree)
    addresses = {v.name: buffer_address(i + 1) for i, v in enumerate(variables)}
    return [Buffer(v.name, _initial(v, addresses), False, v.space == "const") for v in variables]


def _initial(variable: syntax.Variable, addresses: dict[str, int]) -> Array:
    assert variable.size is not None
    data = np.zeros(variable.size, np.uint8)
    width = variable.element * 8
    for position, operand in enumerate(variable.initial):
        match operand:
            case syntax.Integer(value):
                bits = value
            case syntax.Float():
                bits = float_bits(operand, width)
            case syntax.Name(name) | syntax.Offset(name, _):
                if name not in addresses:
                    raise PtxError(f"`{variable.name}` is initialised with the address of `{name}`, which is unknown")
                bits = addresses[name] + (operand.offset if isinstance(operand, syntax.Offset) else 0)
            case _:
                raise PtxError(f"`{variable.name}` has an initial value that is not understood")
        start = position * variable.element
        data[start : start + variable.element] = np.frombuffer(
            (bits & ((1 << width) - 1)).to_bytes(variable.element, "little"), np.uint8
        )
    return data


def _argument_bytes(
    parameter: Parameter, argument: Argument, buffers: list[Buffer], known: dict[int, int], name: str
) -> bytes:
    """The bytes of a parameter. Arrays become buffers; the same array passed twice is the same buffer."""
    match argument:
        case Unset(array) | Constant(array) | Workspace(array):
            pass
        case np.ndarray():
            array = argument
        case bytes():
            if len(argument) != parameter.size:
                raise LaunchError(f"`{parameter.name}` has {parameter.size} bytes, not {len(argument)}")
            return argument
        case _:
            return _scalar_bytes(parameter, argument)
    if parameter.size != 8:
        raise LaunchError(f"`{parameter.name}` of {parameter.size} bytes is no pointer")
    if not array.flags.c_contiguous:
        raise LaunchError(f"the array for `{parameter.name}` is not contiguous")
    key = array.__array_interface__["data"][0] if array.size else -1 - len(buffers)
    if key not in known:
        data = array.reshape(-1).view(np.uint8) if array.size else np.zeros(0, np.uint8)
        shared = argument if isinstance(argument, Workspace) else None
        constant = isinstance(argument, Constant) or (shared is not None and shared.constant)
        left = shared.unset if shared is not None else None
        buffers.append(Buffer(name, data, isinstance(argument, Unset | Workspace), constant, left))
        known[key] = buffer_address(len(buffers))
    return known[key].to_bytes(8, "little")


def _scalar_bytes(parameter: Parameter, argument: Any) -> bytes:
    kind = parameter.kind
    if isinstance(argument, np.generic) and argument.dtype.itemsize == parameter.size:
        return argument.tobytes()
    if kind in ("f32", "f64") or isinstance(argument, float):
        layout = {4: "<f", 8: "<d"}.get(parameter.size)
        if layout is None or kind[0] in "us":
            raise LaunchError(f"`{parameter.name}` of type .{kind} does not take {argument!r}")
        return struct.pack(layout, argument)
    value = int(argument)
    bits = 8 * parameter.size
    if not -(1 << (bits - 1)) <= value < 1 << bits:
        raise LaunchError(f"`{parameter.name}` of type .{kind} cannot hold {value}")
    return (value & ((1 << bits) - 1)).to_bytes(parameter.size, "little")
