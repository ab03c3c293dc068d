"""Arguments of a call, bound to parameter names, and fetched as what the callee expects.

Parameters are given as names; a trailing `?` makes one optional, a leading `*` takes all positional ones that remain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vmc.ir.span import Span
from vmc.lang import syntax
from vmc.lang.elaborate.elaborator import Elaborator
from vmc.lang.elaborate.errors import Reject
from vmc.lang.elaborate.expressions import evaluate
from vmc.lang.elaborate.scope import Scope
from vmc.lang.elaborate.values import Const, ListRef, Nothing, Tensor, Thing, Tile


@dataclass(frozen=True, slots=True)
class Arguments:
    """The expressions bound to each parameter, evaluated when they are fetched (once each)."""

    el: Elaborator
    callee: str
    node: syntax.Call
    scope: Scope
    bound: dict[str, syntax.Expr]
    rest: tuple[syntax.Expr, ...]

    @property
    def call_span(self) -> Span:
        return self.node.span

    def given(self, name: str) -> bool:
        return name in self.bound

    def expr(self, name: str) -> syntax.Expr:
        return self.bound[name]

    def span(self, name: str) -> Span:
        return self.bound[name].span

    def thing(self, name: str) -> Thing:
        return evaluate(self.el, self.bound[name], self.scope)

    def numeric(self, name: str) -> Tile | Const:
        return self.el.numeric(self.thing(name), self.span(name))

    def tile(self, name: str) -> Tile:
        return self.el.tile(self.thing(name), self.span(name))

    def optional_tile(self, name: str) -> Tile | None:
        return self.tile(name) if self.given(name) else None

    def tensor(self, name: str) -> Tensor:
        thing = self.thing(name)
        if not isinstance(thing, Tensor):
            raise self.el.unexpected(thing, "a tensor", self.span(name))
        return thing

    def integer(self, name: str) -> int:
        return self.el.integer(self.thing(name), self.span(name))

    def optional_integer(self, name: str, default: int) -> int:
        return self.integer(name) if self.given(name) else default

    def optional_bool(self, name: str, default: bool | None = None) -> bool | None:
        if not self.given(name):
            return default
        thing = self.thing(name)
        if not (isinstance(thing, Const) and isinstance(thing.value, bool)):
            raise self.el.unexpected(thing, "`true` or `false`", self.span(name), code="E0225")
        return thing.value

    def flag(self, name: str) -> bool:
        return bool(self.optional_bool(name, False))

    def optional_const(self, name: str) -> Const | None:
        if not self.given(name):
            return None
        thing = self.thing(name)
        if not isinstance(thing, Const):
            raise self.el.unexpected(thing, "a compile-time number", self.span(name), code="E0225")
        return thing

    def optional_word(self, name: str, choices: Sequence[str], code: str = "E0225") -> str | None:
        """One of a set of bare words."""
        if not self.given(name):
            return None
        expr = self.expr(name)
        word = expr.id if isinstance(expr, syntax.Name) else expr.value if isinstance(expr, syntax.Str) else ""
        if word not in choices:
            options = Scope(None, dict.fromkeys(choices, Nothing()))
            reject = self.el.unknown_name(word, options, expr.span, code, f"option for `{name}`:")
            raise (
                reject
                if reject.diagnostic.help
                else Reject(code, f"unknown option for `{name}`", expr.span, help=f"one of {', '.join(choices)}")
            )
        return word

    def axis(self, name: str, rank: int, default: int | None = None) -> int:
        """An axis of a tile of some rank; negative ones count from the end."""
        if not self.given(name):
            if default is not None and rank:
                return default % rank
            raise Reject("E0320", f"`{self.callee}` needs `{name}=`", self.call_span)
        axis = self.integer(name)
        if not -rank <= axis < rank:
            raise Reject("E0305", f"axis {axis} of a tile of rank {rank}", self.span(name))
        return axis % rank

    def shape(self, name: str) -> tuple[int, ...]:
        """A bracketed list of compile-time extents."""
        thing = self.thing(name)
        if not isinstance(thing, ListRef):
            raise self.el.unexpected(thing, "a shape such as `[64, 64]`", self.span(name))
        extents = [self.el.integer(item, self.span(name)) for item in thing.items]
        return self.el.check_shape(extents, self.span(name))

    def rest_tiles(self) -> list[Tile]:
        return [self.el.tile(evaluate(self.el, expr, self.scope), expr.span) for expr in self.rest]


def bind(el: Elaborator, callee: str, parameters: Sequence[str], node: syntax.Call, scope: Scope) -> Arguments:
    """Binds a call's arguments to parameter names. Raises Reject for missing, unknown, repeated or surplus ones."""
    names = [p.rstrip("?") for p in parameters if not p.startswith("*")]
    variadic = any(p.startswith("*") for p in parameters)
    positional = names[: next((i for i, p in enumerate(parameters) if p.startswith("*")), len(names))]
    if len(node.positional) > len(positional) and not variadic:
        raise Reject(
            "E0111",
            f"`{callee}` takes at most {len(positional)} arguments by position, got {len(node.positional)}",
            node.positional[len(positional)].span,
            help=f"its parameters are {signature(callee, parameters)}",
        )
    bound = dict(zip(positional, node.positional, strict=False))
    for keyword in node.keywords:
        if keyword.name not in names:
            options = Scope(None, dict.fromkeys(names, Nothing()))
            raise el.unknown_name(keyword.name, options, keyword.name_span, "E0110", f"argument of `{callee}`:")
        if keyword.name in bound:
            raise Reject("E0113", f"`{keyword.name}` is given twice", keyword.name_span)
        bound[keyword.name] = keyword.value
    missing = [p for p in parameters if not p.startswith("*") and not p.endswith("?") and p not in bound]
    if missing:
        listed = ", ".join(f"`{name}`" for name in missing)
        raise Reject(
            "E0112", f"`{callee}` needs {listed}", node.span, help=f"call it as {signature(callee, parameters)}"
        )
    return Arguments(el, callee, node, scope, bound, node.positional[len(positional) :])


def signature(callee: str, parameters: Sequence[str]) -> str:
    """A call's form for messages: `sum(x, [axis], [keepdims])`."""
    shown = [f"[{p[:-1]}]" if p.endswith("?") else f"{p[1:]}, ..." if p.startswith("*") else p for p in parameters]
    return f"`{callee}({', '.join(shown)})`"
