"""The syntax tree: what the parser says a file contains, before names and types mean anything.

Every node is a frozen dataclass that carries its `span`; spans take no part in equality, so two trees are equal when
they say the same thing. `Expr`, `Stmt` and `Decl` are the unions to `match` over. The comment above each node shows the
source it stands for.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from vmc.ir.span import Span


@dataclass(frozen=True, slots=True)
class Node:
    """The base of all nodes: a place in the source."""

    span: Span = field(kw_only=True, compare=False, repr=False)


# ---- expressions -----------------------------------------------------------------------------------------------------


# 12, 0xff, 1_000
@dataclass(frozen=True, slots=True)
class Int(Node):
    value: int


# 1.5e-3, inf, nan; `text` is the literal as written, so that no type rounds it twice
@dataclass(frozen=True, slots=True)
class Float(Node):
    value: float
    text: str


# true, false
@dataclass(frozen=True, slots=True)
class Bool(Node):
    value: bool


# "text"; `value` has its escapes resolved
@dataclass(frozen=True, slots=True)
class Str(Node):
    value: str


# x, f32, zeros
@dataclass(frozen=True, slots=True)
class Name(Node):
    id: str


# linalg.cholesky, x.T
@dataclass(frozen=True, slots=True)
class Attribute(Node):
    base: Expr
    name: str
    name_span: Span = field(compare=False, repr=False)


# -x, +x, ~x
@dataclass(frozen=True, slots=True)
class Unary(Node):
    op: str
    operand: Expr


# a + b; op is one of + - * / // % @ ** & | ^ << >>
@dataclass(frozen=True, slots=True)
class Binary(Node):
    op: str
    left: Expr
    right: Expr
    op_span: Span = field(compare=False, repr=False)


# a < b; op is one of == != < <= > >=
@dataclass(frozen=True, slots=True)
class Compare(Node):
    op: str
    left: Expr
    right: Expr
    op_span: Span = field(compare=False, repr=False)


# a and b; op is "and" or "or"
@dataclass(frozen=True, slots=True)
class BoolOp(Node):
    op: str
    left: Expr
    right: Expr
    op_span: Span = field(compare=False, repr=False)


# not a
@dataclass(frozen=True, slots=True)
class Not(Node):
    operand: Expr


# a if condition else b
@dataclass(frozen=True, slots=True)
class Conditional(Node):
    condition: Expr
    if_true: Expr
    if_false: Expr


# axis=1 in a call, N=8 between a function's brackets
@dataclass(frozen=True, slots=True)
class Keyword(Node):
    name: str
    value: Expr
    name_span: Span = field(compare=False, repr=False)


# func(positional, keyword=...), func[static, N=8](...)
@dataclass(frozen=True, slots=True)
class Call(Node):
    func: Expr
    positional: tuple[Expr, ...]
    keywords: tuple[Keyword, ...] = ()
    static: tuple[Expr, ...] = ()
    static_keywords: tuple[Keyword, ...] = ()


# base[items]; also a type with extents in argument position, f32[BM, BN]
@dataclass(frozen=True, slots=True)
class Index(Node):
    base: Expr
    items: tuple[IndexItem, ...]


# start : +length : step; a bare `:` has all three None and is the whole dimension; `: +length` has no start
@dataclass(frozen=True, slots=True)
class Slice(Node):
    start: Expr | None
    length: Expr | None
    step: Expr | None

    @property
    def whole(self) -> bool:
        return self.length is None


# None between index brackets: a new axis of extent 1
@dataclass(frozen=True, slots=True)
class NewAxis(Node):
    pass


# [1, 2, 3], [[1, 2], [3, 4]]
@dataclass(frozen=True, slots=True)
class ListExpr(Node):
    items: tuple[Expr, ...]


# local(2, 1).spatial(8, 4): an ordinary expression of calls, and the text it stands for (without comments)
@dataclass(frozen=True, slots=True)
class LayoutExpr(Node):
    expr: Expr
    text: str


# alloc(f16[BM, BK]) in shared layout row_major(BM, BK); only as the whole right side of an assignment
@dataclass(frozen=True, slots=True)
class ScopedAlloc(Node):
    call: Call
    space: str | None
    layout: LayoutExpr | None


Expr = (
    Int
    | Float
    | Bool
    | Str
    | Name
    | Attribute
    | Unary
    | Binary
    | Compare
    | BoolOp
    | Not
    | Conditional
    | Call
    | Index
    | ListExpr
    | ScopedAlloc
)
IndexItem = Expr | Slice | NewAxis


# f32[BM, BN] in shared layout row_major(BM, BN); extents is None for a scalar `f32`
@dataclass(frozen=True, slots=True)
class TypeExpr(Node):
    base: Name | Attribute
    extents: tuple[Expr, ...] | None
    space: str | None = None
    layout: LayoutExpr | None = None


# ---- statements ------------------------------------------------------------------------------------------------------


# a = value; a, b = value
@dataclass(frozen=True, slots=True)
class Assign(Node):
    targets: tuple[Name, ...]
    value: Expr


# a: f32[BM, BN] = value
@dataclass(frozen=True, slots=True)
class AnnotatedAssign(Node):
    target: Name
    type: TypeExpr
    value: Expr


# a += value; op is the operator without its `=`
@dataclass(frozen=True, slots=True)
class AugAssign(Node):
    target: Name
    op: str
    value: Expr
    op_span: Span = field(compare=False, repr=False)


# y[slices] = value
@dataclass(frozen=True, slots=True)
class Store(Node):
    target: Index
    value: Expr


# y[slices] += value
@dataclass(frozen=True, slots=True)
class AugStore(Node):
    target: Index
    op: str
    value: Expr
    op_span: Span = field(compare=False, repr=False)


# barrier(); the expression is always a call
@dataclass(frozen=True, slots=True)
class ExprStmt(Node):
    call: Call


# for mi, ni in grid(a, b): body; as many targets as extents is for the checker to see
@dataclass(frozen=True, slots=True)
class ForGrid(Node):
    targets: tuple[Name, ...]
    extents: tuple[Expr, ...]
    body: tuple[Stmt, ...]


# for k in range(start, stop, step) pipelined(3) unrolled(2): body; start and step are None where not written
@dataclass(frozen=True, slots=True)
class ForRange(Node):
    target: Name
    start: Expr | None
    stop: Expr
    step: Expr | None
    pipelined: Expr | None
    unrolled: Expr | None
    body: tuple[Stmt, ...]


# for i in static(start, stop, step): body
@dataclass(frozen=True, slots=True)
class ForStatic(Node):
    target: Name
    start: Expr | None
    stop: Expr
    step: Expr | None
    body: tuple[Stmt, ...]


# while condition: body
@dataclass(frozen=True, slots=True)
class While(Node):
    condition: Expr
    body: tuple[Stmt, ...]


# if condition: body else: orelse; an `elif` is an If alone in orelse
@dataclass(frozen=True, slots=True)
class If(Node):
    condition: Expr
    body: tuple[Stmt, ...]
    orelse: tuple[Stmt, ...] = ()


# pass
@dataclass(frozen=True, slots=True)
class Pass(Node):
    pass


# return a, b; no values for a bare return
@dataclass(frozen=True, slots=True)
class Return(Node):
    values: tuple[Expr, ...]


# assert condition, "message"
@dataclass(frozen=True, slots=True)
class Assert(Node):
    condition: Expr
    message: Str | None


# static_assert condition, "message"
@dataclass(frozen=True, slots=True)
class StaticAssert(Node):
    condition: Expr
    message: Str | None


Stmt = (
    Assign
    | AnnotatedAssign
    | AugAssign
    | Store
    | AugStore
    | ExprStmt
    | ForGrid
    | ForRange
    | ForStatic
    | While
    | If
    | Pass
    | Return
    | Assert
    | StaticAssert
)


# ---- declarations ----------------------------------------------------------------------------------------------------


# import linalg
@dataclass(frozen=True, slots=True)
class Import(Node):
    module: str
    module_span: Span = field(compare=False, repr=False)


# from linalg import cholesky, lu
@dataclass(frozen=True, slots=True)
class FromImport(Node):
    module: str
    names: tuple[Name, ...]
    module_span: Span = field(compare=False, repr=False)


# const PI = 3.14
@dataclass(frozen=True, slots=True)
class Const(Node):
    name: str
    value: Expr
    name_span: Span = field(compare=False, repr=False)


# const NF4: f32[16] = [...]
@dataclass(frozen=True, slots=True)
class TableConst(Node):
    name: str
    type: TypeExpr
    value: Expr
    name_span: Span = field(compare=False, repr=False)


# between a function's or kernel's brackets: `T: type = u4`, `N = 4`, `N: const`; kind is the word after the colon
@dataclass(frozen=True, slots=True)
class StaticParam(Node):
    name: str
    kind: str | None
    default: Expr | None
    name_span: Span = field(compare=False, repr=False)
    kind_span: Span | None = field(default=None, compare=False, repr=False)


# `x` or `x: f32[N, D]` between a function's parentheses
@dataclass(frozen=True, slots=True)
class FunctionParam(Node):
    name: str
    type: TypeExpr | None
    name_span: Span = field(compare=False, repr=False)


# def axpy[N = 4](a: f32, x) -> f32[N], f32: body
@dataclass(frozen=True, slots=True)
class Function(Node):
    name: str
    static_params: tuple[StaticParam, ...]
    params: tuple[FunctionParam, ...]
    results: tuple[TypeExpr, ...]
    body: tuple[Stmt, ...]
    name_span: Span = field(compare=False, repr=False)


# `x: f16[M, K]`, `y: out f16[M, N] layout row_major(M, N)` between a kernel's parentheses; access is in, out or inout
@dataclass(frozen=True, slots=True)
class KernelParam(Node):
    name: str
    access: str
    type: TypeExpr
    name_span: Span = field(compare=False, repr=False)


# fast kernel matmul[T: type, BM = 64](x: f16[M, K], y: out f16[M, N]): body
@dataclass(frozen=True, slots=True)
class Kernel(Node):
    name: str
    fast: bool
    static_params: tuple[StaticParam, ...]
    params: tuple[KernelParam, ...]
    body: tuple[Stmt, ...]
    name_span: Span = field(compare=False, repr=False)


# q: u4[32] packed split(16)
@dataclass(frozen=True, slots=True)
class FormatField(Node):
    name: str
    dtype: Name | Attribute
    count: Expr | None
    packed: LayoutExpr | None
    name_span: Span = field(compare=False, repr=False)


# low = q[i] & 15, between the fields and the value
@dataclass(frozen=True, slots=True)
class FormatLine(Node):
    name: str
    value: Expr
    name_span: Span = field(compare=False, repr=False)


# value[i] = f32(d) * f32(q[i])
@dataclass(frozen=True, slots=True)
class FormatValue(Node):
    index: str
    value: Expr
    index_span: Span = field(compare=False, repr=False)


# format q4_0 block 32: fields, then helper lines, then the value
@dataclass(frozen=True, slots=True)
class FormatDecl(Node):
    name: str
    block: Expr
    fields: tuple[FormatField, ...]
    lines: tuple[FormatLine, ...]
    value: FormatValue
    name_span: Span = field(compare=False, repr=False)


Decl = Const | TableConst | Function | FormatDecl | Kernel


# a whole file; `damaged` names the declarations that were left out because of a syntax error in them
@dataclass(frozen=True, slots=True)
class File(Node):
    imports: tuple[Import | FromImport, ...]
    decls: tuple[Decl, ...]
    damaged: frozenset[str] = frozenset()
