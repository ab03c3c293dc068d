"""Checks that a module is well-formed; every pass may assume it, and must keep it.

- Values are defined once, and used only where their definition dominates.
- Attributes, operands and results are what the operation's definition says; regions end in `yield`.
- A kernel is a pure preamble and one `grid`; its extents mention declared symbols only.
- A copy is committed and waited for, and its target not read before the first wait.
- What `once` uses from outside follows from its keys, symbols, constants and inputs.
- At the access level every tile that has axes has a layout.

`verify` takes time proportional to the number of operations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from vmc.ir.core import (
    Access,
    IRError,
    Kernel,
    Level,
    Module,
    Op,
    Region,
    TensorType,
    TileType,
    Type,
    Value,
    needed,
    walk,
)
from vmc.ir.dims import symbols
from vmc.ir.opdef import OpDef, check_attrs
from vmc.ir.ops import OPS
from vmc.ir.ops.views import check_layout
from vmc.ir.span import Span


def verify(target: Module | Kernel) -> None:
    """Raises IRError, with the operation's name in the message and its span, at the first thing that is ill-formed."""
    match target:
        case Module(kernels):
            names = [kernel.name for kernel in kernels]
            for kernel in kernels:
                if names.count(kernel.name) > 1:
                    raise IRError(f"two kernels are called {kernel.name}", kernel.span)
                verify(kernel)
        case Kernel():
            KernelVerifier(target).run()


class KernelVerifier:
    """The state of one verification: which values exist, and which can be seen from here."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.defined: set[Value] = set()
        self.visible: set[Value] = set()
        self.trusted: set[TileType] = set()

    def run(self) -> None:
        """Checks the kernel. Raises IRError."""
        kernel = self.kernel
        check_symbols(kernel)
        for param in kernel.params:
            self.check_param(param)
            self.define(param, f"parameter {param.name}", kernel.span)
        check_shape_of_body(kernel)
        self.check_region(kernel.body, kernel.name, kernel.span)
        check_copies(kernel)
        check_keys(kernel)

    def check_param(self, param: Value) -> None:
        match param.type:
            case TileType(shape=shape):
                if shape:
                    raise IRError(f"parameter {param.name} is neither a tensor nor a scalar", self.kernel.span)
            case TensorType() as type:
                self.check_tensor(type, f"parameter {param.name}", self.kernel.span)

    def check_tensor(self, type: TensorType, what: str, span: Span) -> None:
        """Raises IRError unless the extents are not negative and mention declared symbols only."""
        for dim in type.shape:
            undeclared = [name for name in symbols(dim) if name not in self.kernel.symbols]
            if undeclared:
                raise IRError(f"{what} has an extent of the undeclared symbol {undeclared[0]}", span)
            if isinstance(dim, int) and dim < 0:
                raise IRError(f"{what} has the negative extent {dim}", span)
        if type.storage is not None and len(type.storage.block) != type.rank:
            raise IRError(f"{what} and the blocks of its storage differ in rank", span)
        if type.storage is not None and sorted(type.storage.dimensions) != list(range(type.rank)):
            raise IRError(f"the storage of {what} is not ordered by a permutation of its dimensions", span)

    def define(self, value: Value, what: str, span: Span) -> None:
        if value in self.defined:
            raise IRError(f"{what} is defined a second time", span)
        self.defined.add(value)
        self.visible.add(value)
        if isinstance(value.type, TileType) and value.type not in self.trusted:
            self.check_tile(value.type, what, span)

    def check_tile(self, type: TileType, what: str, span: Span) -> None:
        if any(extent < 1 for extent in type.shape):
            raise IRError(f"{what} is a tile with an extent below 1: {type}", span)
        if self.kernel.level is Level.ACCESS and type.shape and type.layout is None:
            raise IRError(f"{what} has no layout, which every tile has at the access level", span)
        try:
            check_layout(type)
        except IRError as error:
            raise IRError(f"{what}: {error.message}", span) from None
        self.trusted.add(type)

    def check_region(self, region: Region, owner: str, span: Span) -> None:
        if not region.ops or region.ops[-1].name != "yield":
            raise IRError(f"{owner}: a region does not end in yield", region.ops[-1].span if region.ops else span)
        inside: list[Value] = list(region.args)
        for arg in region.args:
            self.define(arg, f"{owner}: the region's argument {arg.name}".rstrip(), span)
        for op in region.ops:
            self.check_op(op)
            inside.extend(op.results)
        for op in region.ops[:-1]:
            if op.name == "yield":
                raise IRError("yield: only the last operation of a region yields", op.span)
        self.visible.difference_update(inside)

    def check_op(self, op: Op) -> None:
        name = op.name
        if OPS.get(name) is not op.definition:
            raise IRError(f"{name}: no operation of this definition is in the table", op.span)
        for number, operand in enumerate(op.operands):
            if operand not in self.visible:
                self.report_operand(op, number, operand)
        check_definition(op)
        for region in op.regions:
            self.check_region(region, name, op.span)
        for result in op.results:
            if isinstance(result.type, TensorType):
                self.check_tensor(result.type, f"the result of {name}", op.span)
            self.define(result, f"the result of {name}", op.span)
        if name == "symbol" and op.attrs["name"] not in self.kernel.symbols:
            raise IRError(f"symbol: {op.attrs['name']} is not declared", op.span)

    def report_operand(self, op: Op, number: int, operand: Value) -> None:
        what = f"{op.name}: operand {number}" + (f" ({operand.name})" if operand.name else "")
        late = "out of sight" if operand in self.defined else "not defined"
        raise IRError(f"{what} is {late} here", op.span)


def check_symbols(kernel: Kernel) -> None:
    """Raises IRError where a symbol is declared twice."""
    for name in kernel.symbols:
        if kernel.symbols.count(name) > 1:
            raise IRError(f"{kernel.name}: the symbol {name} is declared twice", kernel.span)


def check_definition(op: Op) -> None:
    """Raises IRError unless the operation is what its definition says, apart from what its regions hold."""
    definition = op.definition
    try:
        check_attrs(definition, op.attrs)
        check_results(op, definition.infer([operand.type for operand in op.operands], op.attrs))
        if op.regions and type(definition).verify is OpDef.verify:
            raise IRError("has no regions")
        definition.verify(op)
    except IRError as error:
        message = error.message if op.name in error.message else f"{op.name}: {error.message}"
        raise IRError(message, op.span) from None


def check_results(op: Op, inferred: Sequence[Type]) -> None:
    """Raises IRError unless the results have the inferred types. Layouts count only where one is inferred."""
    if len(inferred) != len(op.results):
        raise IRError(f"has {len(op.results)} results, and should have {len(inferred)}")
    for result, expected in zip(op.results, inferred, strict=True):
        actual = result.type
        if isinstance(expected, TileType) and isinstance(actual, TileType) and expected.layout is None:
            same = expected.shape == actual.shape and expected.dtype == actual.dtype
        else:
            same = expected == actual
        if not same:
            raise IRError(f"has a result of type {actual}, and should have {expected}")


def check_shape_of_body(kernel: Kernel) -> None:
    """Raises IRError unless the body is a pure preamble, one grid, and an empty yield."""
    body = kernel.body
    if body.args:
        raise IRError(f"{kernel.name}: the body of a kernel has no arguments", kernel.span)
    if len(body.ops) < 2 or body.ops[-2].name != "grid":
        raise IRError(f"{kernel.name}: the last operation of a kernel must be grid", kernel.span)
    if body.yielded:
        raise IRError(f"{kernel.name}: a kernel yields nothing", body.ops[-1].span)
    for op in body.ops[:-2]:
        if not op.definition.pure and op.name != "grid":
            raise IRError(f"{op.name}: not allowed before the grid, where nothing may have effects", op.span)
    grids = [op for op in walk(body) if op.name == "grid"]
    for op in grids:
        if op is not body.ops[-2]:
            raise IRError("grid: a kernel has one grid, at its end", op.span)


def check_copies(kernel: Kernel) -> None:
    """Raises IRError where an asynchronous copy, in program order, is not committed, not waited for, or read before.

    Loops are read once: what depends on their number of turns is left to the reference VM.
    """
    started: dict[Value, Op] = {}
    waited: set[Value] = set()
    uncommitted: list[Op] = []
    waits = False
    for op in walk(kernel.body):
        for tensor in accessed(op):
            if tensor in started and tensor not in waited:
                name = tensor.name or "a tensor"
                raise IRError(f"{op.name}: {name} is used before the copy to it was waited for", op.span)
        match op.name:
            case "copy_async":
                started.setdefault(op.operands[0], op)
                uncommitted.append(op)
            case "commit_group":
                uncommitted.clear()
            case "wait_group":
                waits = True
                waited.update(tensor for tensor, copy in started.items() if copy not in uncommitted)
    if uncommitted:
        raise IRError("copy_async: this copy is never committed to a group", uncommitted[0].span)
    if started and not waits:
        raise IRError("copy_async: this copy is never waited for", next(iter(started.values())).span)


def accessed(op: Op) -> Iterator[Value]:
    """The tensors that an operation reads or writes at once; a copy's source, but not its target."""
    tensors: Iterable[Value] = op.operands[1:2] if op.name == "copy_async" else op.operands[:1]
    if op.definition.reads_memory or op.definition.writes_memory:
        yield from (tensor for tensor in tensors if isinstance(tensor.type, TensorType))


def check_keys(kernel: Kernel) -> None:
    """Raises IRError where `once` uses a value that may differ although its keys are equal."""
    *preamble, grid, _ = kernel.body.ops
    common = {*kernel.params, *(result for op in preamble for result in op.results)}
    definers = {result: op for op in walk(grid.regions[0]) for result in op.results}
    for op in walk(grid.regions[0]):
        if op.name == "once":
            free = undetermined(needed(op), common.union(op.operands), definers)
            if free is not None:
                name = free.name or "a value"
                raise IRError(f"once: its region uses {name}, which its keys do not determine", op.span)


def undetermined(values: Iterable[Value], known: set[Value], definers: Mapping[Value, Op]) -> Value | None:
    """One of the values, or of what they are made from, that does not follow from the known ones; None if all do."""
    pending, seen = list(values), set(known)
    while pending:
        value = pending.pop()
        if value in seen:
            continue
        seen.add(value)
        definer = definers.get(value)
        if definer is None or not (definer.name == "once" or is_determined(definer)):
            return value
        pending.extend(definer.operands)
    return None


def is_determined(op: Op) -> bool:
    """Whether equal operands give equal results, in every block."""
    tensors = (value.type for value in op.operands if isinstance(value.type, TensorType))
    constant = all(type.access is Access.IN for type in tensors)
    return op.definition.pure and not op.regions and (constant or not op.definition.reads_memory)
