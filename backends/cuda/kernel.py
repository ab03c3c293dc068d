"""A kernel at the access level as a TVM PrimFunc, and several, which are launched together, as CUDA C.

The function is a device function from the start: its parameters are the kernel's, tensors as pointers to bytes, then
the symbols as i64, then pointers to the workspace's tensors, in this order. A launch has one dimension of blocks; the
preamble, which is pure, is computed by every block again, and the block's number divided into the indices of the grid,
the last one running fastest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vmc.backends.cuda.arith import code_kind
from vmc.backends.cuda.bulk import uses_bulk
from vmc.backends.cuda.emitter import Emitter, Scalar, sequence
from vmc.backends.cuda.errors import UnsupportedError
from vmc.backends.cuda.lines import with_lines
from vmc.backends.cuda.lowering import lower
from vmc.backends.cuda.memory import Memory
from vmc.backends.cuda.prelude import entry_name, prelude
from vmc.backends.cuda.regions import lower_region
from vmc.backends.cuda.target import Arch
from vmc.backends.cuda.tir import F32, F64, I32, I64, U64, Expr, binary, cast, const, tirx
from vmc.backends.cuda.warpgroups import uses_warpgroups
from vmc.ir.core import Kernel, Op, Space, TensorType, Value, sources
from vmc.ir.multiples import Multiples

MOST_BLOCKS = (1 << 31) - 1
START = 'extern "C" __global__'


def parameter_kind(value: Value) -> str:
    """The machine type of a scalar parameter."""
    dtype = value.tile.dtype
    return {"f32": F32, "f64": F64}.get(dtype.name) or code_kind(dtype)


def counting(kernel: Kernel) -> list[Op]:
    """The operations that the number of blocks follows from, which is known before a launch.

    Raises UnsupportedError where a tensor is among what it follows from.
    """
    *preamble, grid, _ = kernel.body.ops
    found = sources(grid.operands, preamble)
    for op in found:
        if op.definition.reads_memory:
            message = f"how many blocks `{kernel.name}` has depends on a tensor, which lies on the GPU"
            raise UnsupportedError(message, op.span)
    return found


@dataclass(frozen=True, eq=False)
class Unit:
    """A kernel as a PrimFunc, `texts` of device functions that it calls, by name, the `files` that its marks of lines
    number, which of its parameters are `written`, and the bytes of shared memory that a block takes.
    """

    function: Any
    texts: Mapping[str, str]
    files: Sequence[str]
    written: Sequence[str]
    shared: int


def is_workspace(param: Value) -> bool:
    return isinstance(param.type, TensorType) and param.type.space is Space.WORKSPACE


def unit_of(kernel: Kernel, arch: Arch, number: int = 0, lines: bool = False) -> Unit:
    """The kernel as a PrimFunc, with marks of source lines if asked for; `number`: its place in its module.

    Raises UnsupportedError for what the target cannot execute.
    """
    counting(kernel)
    e = Emitter(kernel.threads, lines, kernel.name, number)
    e.multiples = Multiples(kernel.body)
    e.shows_writes, e.counts_copies = uses_warpgroups(kernel), uses_bulk(kernel, arch)
    symbols = {name: tirx().Var(f"n_{name}", I64) for name in kernel.symbols}
    e.symbols = symbols
    declared = {param: declare(e, param) for param in kernel.params}
    *preamble, grid, _ = kernel.body.ops
    for op in preamble:
        lower(e, op)
    block = tirx().Var("block", I32)
    bind_indices(e, grid.regions[0].args, [e.scalar(extent) for extent in grid.operands], block)
    lower_region(e, grid.regions[0])
    check_shared(kernel, sum(size for _, size in e.arenas), arch)
    views = [tirx().DeclBuffer(made, data=pointer) for (pointer, _), made in e.views.items()]
    body = sequence([*e.head, *views, *e.statements])
    body = launched(body, block, e.thread, kernel.threads)
    attrs = {
        "global_symbol": entry_name(kernel.name),
        "calling_conv": 2,
        "tirx.is_global_func": True,
        "tirx.noalias": True,
        "target": arch.target(),
    }
    own = [variable for param, variable in declared.items() if not is_workspace(param)]
    workspace = [variable for param, variable in declared.items() if is_workspace(param)]
    function = tirx().PrimFunc([*own, *symbols.values(), *workspace], body).with_attr(attrs)
    written = [f"p_{param.name}" for param in kernel.params if is_written(param)]
    return Unit(function, e.texts, e.files, written, sum(size for _, size in e.arenas))


def check_shared(kernel: Kernel, size: int, arch: Arch) -> None:
    """Raises UnsupportedError where a block needs more shared memory than the architecture has."""
    if size > arch.shared:
        raise UnsupportedError(
            f"a block of `{kernel.name}` takes {size / 1024:.1f} KiB of shared memory, and {arch.name} has "
            f"{arch.shared >> 10} KiB for one; smaller tiles take less",
            kernel.body.ops[-2].span,
        )


def is_written(param: Value) -> bool:
    return isinstance(param.type, TensorType) and param.type.access.writable


def declare(e: Emitter, param: Value) -> Any:
    """The variable of a parameter; defines what stands for it."""
    from tvm.ir import PointerType, PrimType

    if isinstance(param.type, TensorType):
        pointer = tirx().Var(f"p_{param.name}", PointerType(PrimType("uint8"), "global"))
        extents = tuple(map(e.extent, param.type.shape))
        e.define(param, Memory(param.type, pointer, 0, extents))
        return pointer
    variable = tirx().Var(f"a_{param.name}", parameter_kind(param))
    e.define(param, Scalar(param.tile.dtype, variable))
    return variable


def bind_indices(e: Emitter, indices: tuple[Value, ...], extents: list[Expr], block: Any) -> None:
    """The block's index in every dimension of the grid."""
    rest: Expr = cast(block, U64)
    found: list[Expr] = []
    for dim in reversed(range(1, len(indices))):
        size = e.let(extents[dim], U64, "size")
        found.insert(0, binary("Mod", rest, size))
        rest = e.let(binary("Div", rest, size), U64, "rest")
    for value, index in zip(indices, [rest, *found], strict=True):
        e.define_scalar(value, index)


def launched(body: Any, block: Any, thread: Any, threads: int) -> Any:
    """The body in as many blocks as are launched, with a constant number of threads."""
    for variable, tag, count in ((thread, "threadIdx.x", threads), (block, "blockIdx.x", MOST_BLOCKS)):
        iteration = tirx().IterVar(None, variable, tirx().IterVar.ThreadIndex, tag)
        body = tirx().AttrStmt(iteration, "thread_extent", const(count, I32), body)
    return body


def cuda_source(units: Sequence[Unit], arch: Arch) -> str:
    """CUDA C of kernels, by TVM's generator, under a prelude of our own instead of TVM's headers."""
    texts = "".join(dict(item for unit in units for item in unit.texts.items()).values())
    code = texts + "".join(function_source(unit, arch) for unit in units)
    return prelude(code) + code


def function_source(unit: Unit, arch: Arch) -> str:
    """CUDA C of one kernel."""
    import tvm
    import tvm.backend.cuda  # registers the generator

    name = str(unit.function.attrs["global_symbol"])
    module = tvm.IRModule({name: unit.function})
    with arch.target():
        module = tirx().transform.VectorizeLoop(True)(module)
        text = tvm.get_global_func("target.build.cuda")(module, arch.target()).inspect_source()
    code = text[text.index(START) :]
    # The first occurrence is a declaration, which says nothing that the definition does not.
    code = re.sub(r"^extern \"C\" [^{;]*;\n", "", code, count=1)
    if unit.files:
        code = with_lines(code, unit.files)
    # Without a number of blocks the assembler spills registers to have room for more of them.
    code = re.sub(r"__launch_bounds__\((\d+)\)", r"__launch_bounds__(\1, 1)", code, count=1)
    # Of what is `__restrict__`, loads are moved across barriers: nobody else is taken to write it.
    for name in unit.written:
        code = code.replace(f"* __restrict__ {name}", f"* {name}", 1)
    return code
