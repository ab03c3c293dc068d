"""Memory of one function: on the stack, in the thread's arena, and loads and stores that say what they overlap."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from llvmlite import ir

from vmc.backends.cpu.code import Code
from vmc.backends.cpu.elements import I8, I32, POINTER, element_size, element_type, step_to
from vmc.backends.cpu.tiles import Buffer, Scope
from vmc.ir.types import DType

STACK_BUFFER = 2048  # bytes up to which a buffer is an alloca, which LLVM may dissolve into registers,
STACK = 1 << 16  # as long as all of them together take no more than this
LINE = 64  # bytes: alignment of buffers
SCOPES = 24  # more memory than that shares scopes, since each lists all others

FLOAT_BYTES = {"half": 2, "float": 4, "double": 8}


class Memory(Code):
    """`arena` points to `arena_size` bytes of the running thread's own."""

    def __init__(self, module: ir.Module, function: ir.Function, fast: tuple[str, ...]) -> None:
        super().__init__(module, function, fast)
        self.arena: ir.Value | None = None
        self.arena_size = self.stack_size = 0
        self._scopes: list[Scope] = []
        self.before: ir.Value | None = None

    def slot(self, type: ir.Type, count: int = 1) -> ir.Value:
        """Stack memory of the function."""
        with self.b.goto_entry_block():
            memory = self.b.alloca(type, count)
            memory.align = LINE if count > 1 else None
            return memory

    def new_scope(self) -> Scope:
        """A scope for memory that overlaps none so far; past a limit, a shared one, which promises less."""
        if len(self._scopes) < SCOPES:
            self._scopes.append(Scope(f"memory{len(self._scopes)}"))
            return self._scopes[-1]
        self._scopes.append(self._scopes[len(self._scopes) % SCOPES])
        return self._scopes[-1]

    def allocate(self, dtype: DType, size: int) -> Buffer:
        """Uninitialized memory for `size` elements, of this block's own."""
        return self.allocate_raw(element_type(dtype), element_size(dtype), size)

    def allocate_raw(self, element: ir.Type, width: int, size: int) -> Buffer:
        """Uninitialized memory for `size` values of an LLVM type of `width` bytes."""
        bytes = -(-size * width // LINE) * LINE
        if bytes <= STACK_BUFFER and self.stack_size + bytes <= STACK:
            self.stack_size += bytes
            return Buffer(self.slot(element, size), element, size, None, owned=True)
        assert self.arena is not None
        with self.b.goto_entry_block():
            pointer = step_to(self.b, self.arena, self.index(self.arena_size), I8)
        self.arena_size += bytes
        return Buffer(pointer, element, size, self.new_scope(), owned=True)

    def load(self, scope: Scope | None, pointer: ir.Value, type: ir.Type, align: int = 1) -> ir.Value:
        """A load from memory of a scope."""
        return self.tagged(scope, self.b.load(pointer, typ=type, align=align))

    def store(self, scope: Scope | None, value: ir.Value, pointer: ir.Value, align: int = 1) -> None:
        """A store to memory of a scope."""
        self.tagged(scope, self.b.store(value, pointer, align=align))

    def prefetch(self, pointer: ir.Value) -> None:
        """Says that a cache line is read soon, and read only."""
        read, near, data = (ir.Constant(I32, number) for number in (0, 3, 1))
        self.call("llvm.prefetch.p0", ir.VoidType(), pointer, read, near, data)

    def tagged(self, scope: Scope | None, access: ir.Instruction) -> ir.Instruction:
        """An access marked with what it may overlap; without a scope it may overlap anything that escapes."""
        if scope is not None:
            if scope.own is None:
                scope.own = self.module.add_metadata([self._scope_node(scope)])
                scope.others = ir.MDValue(self.module, (), str(len(self.module.metadata)))
            access.set_metadata("alias.scope", scope.own)
            access.set_metadata("noalias", scope.others)
        return access

    def _scope_node(self, scope: Scope) -> ir.MDValue:
        domain = self.module.add_metadata([f"vmc.{self.function.name}"])
        return self.module.add_metadata([f"{self.function.name}.{scope.name}", domain])

    def close_scopes(self) -> None:
        """Writes down, once all are known, which scopes each one does not overlap."""
        nodes = {scope: self._scope_node(scope) for scope in dict.fromkeys(self._scopes) if scope.own is not None}
        for scope in nodes:
            assert scope.others is not None
            scope.others.operands = tuple(node for other, node in nodes.items() if other is not scope)

    def opaque(self, pointer: ir.Value) -> ir.Value:
        """The same address, whose terms LLVM's passes over loops do not see: they take long over sums of many."""
        return self.call("llvm.strip.invariant.group.p0", POINTER, pointer)

    def ordered(self, pointer: ir.Value) -> ir.Value:
        """The same address, which LLVM cannot tell before it has what `behind` names: its schedulers then keep what is
        loaded from there apart from what came before, where all at once would not fit the registers.
        """
        if self.before is None:
            return pointer
        type = ir.FunctionType(POINTER, [POINTER, self.before.type])
        return self.b.call(ir.InlineAsm(type, "", "=r,0,x"), [pointer, self.before])

    @contextmanager
    def behind(self, value: ir.Value | None) -> Iterator[None]:
        """Code whose blocks of memory are found after a vector is computed."""
        saved, self.before = self.before, value
        yield
        self.before = saved

    def element(self, buffer: Buffer, position: ir.Value) -> ir.Value:
        """The address of an element of a buffer."""
        return step_to(self.b, buffer.pointer, position, buffer.element, inbounds=True)

    def read(self, buffer: Buffer, position: ir.Value) -> ir.Value:
        return self.load(buffer.scope, self.element(buffer, position), buffer.element, natural(buffer.element))

    def write(self, buffer: Buffer, position: ir.Value, value: ir.Value) -> None:
        self.store(buffer.scope, value, self.element(buffer, position), natural(buffer.element))


def natural(type: ir.Type) -> int:
    """The alignment of an element in a buffer, in bytes."""
    return type.width // 8 if isinstance(type, ir.IntType) else FLOAT_BYTES[str(type)]
