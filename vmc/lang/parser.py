"""The parser: from source text to a syntax tree, reporting every line that does not follow the grammar.

Each top-level item is parsed on its own. Where one fails, it is parsed once more row by row: a row that the grammar
refuses is explained (`mistakes`), and something harmless takes its place, so that the rows after it are checked too.
Items with a mistake are left out of the tree and named in `File.damaged`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, cast

from lark import UnexpectedToken

from vmc.diagnostics import Diagnostic, Note, error, suggest
from vmc.ir.span import Span
from vmc.lang import syntax
from vmc.lang.builder import Malformed
from vmc.lang.indenter import Item, Row, indent
from vmc.lang.mistakes import Mistake, explain
from vmc.lang.scanner import scan
from vmc.lang.tables import tables
from vmc.lang.words import DECLARATIONS, Word

MAX_DIAGNOSTICS = 50
_ENOUGH = 4 * MAX_DIAGNOSTICS  # mistakes after which no more are looked for


def parse(source: str, file: str = "<string>") -> tuple[syntax.File, list[Diagnostic]]:
    """The tree of a file and everything wrong with its syntax, in the order of the text. Never raises on any text."""
    scanned = scan(source, file)
    items, diagnostics = indent(scanned.lines)
    diagnostics = scanned.diagnostics + diagnostics
    nodes: list[Any] = []
    damaged: set[str] = set()
    stray = False  # whether the item before was a statement at the top level, which is said only once
    budget = _ENOUGH
    for item in items:
        node, found = _parse_item(item) if budget > 0 else (None, [])
        if node is not None:
            nodes.append(node)
        else:
            damaged.update(_declared_name(item.rows[0]))
        strays = bool(found) and found[0].code == "E0023"
        diagnostics += found[1:] if strays and stray else found
        stray = strays or item.lost_block
        budget -= len(found)
    if len(nodes) < len(items) and not diagnostics:
        diagnostics.append(error("E0001", "this cannot be understood", items[0].rows[0].words[0].span))
    return _file(nodes, damaged, file, items), _ordered(diagnostics)


def _file(nodes: list[Any], damaged: set[str], file: str, items: list[Item]) -> syntax.File:
    imports = tuple(node for node in nodes if isinstance(node, syntax.Import | syntax.FromImport))
    decls = tuple(node for node in nodes if not isinstance(node, syntax.Import | syntax.FromImport))
    start = items[0].rows[0].words[0].span if items else Span(file, 1, 1, 1, 1)
    end = items[-1].rows[-1].words[-1].span if items else start
    return syntax.File(imports, decls, frozenset(damaged), span=start.to(end))


def _ordered(diagnostics: list[Diagnostic]) -> list[Diagnostic]:
    """By place; one of each code and place; braces once, as one brace seldom comes alone; not more than can be read."""
    kept: dict[object, Diagnostic] = {}
    for diagnostic in sorted(diagnostics, key=lambda d: (d.span.line, d.span.column, d.code)):
        key = diagnostic.code if diagnostic.code == "E0027" else (diagnostic.code, diagnostic.span)
        kept.setdefault(key, diagnostic)
    ordered = list(kept.values())
    if len(ordered) <= MAX_DIAGNOSTICS:
        return ordered
    last = ordered[MAX_DIAGNOSTICS - 1]
    more = Note(None, "there are further mistakes, which are not shown")
    shown = Diagnostic(
        last.code, last.severity, last.message, last.span, last.label, (*last.notes, more), last.help, last.fix
    )
    return [*ordered[: MAX_DIAGNOSTICS - 1], shown]


def _declared_name(row: Row) -> Iterable[str]:
    """The name that a broken declaration would have declared."""
    words = row.words
    for word, following in itertools.pairwise(words):
        if following.type == "NAME" and not (following.text == "kernel" or word.type == "LPAR"):
            yield following.text
            return


# ---- one item --------------------------------------------------------------------------------------------------------


class _Session(Protocol):
    """What is used of Lark's `InteractiveParser`."""

    def feed_token(self, token: Word) -> Any: ...
    def feed_eof(self) -> Any: ...
    def choices(self) -> dict[str, Any]: ...
    def accepts(self) -> set[str]: ...
    def copy(self, deepcopy_values: bool) -> _Session: ...


def _start() -> _Session:
    return cast(_Session, tables().parse_interactive(""))


def _feed(parser: _Session, words: list[Word]) -> None:
    """Feed words; those that are keywords at this place only become so here."""
    for word in words:
        if word.soft is not None:
            word.type = word.soft if word.soft in parser.choices() else "NAME"
        parser.feed_token(word)


def _parse_item(item: Item) -> tuple[Any, list[Diagnostic]]:
    """The node of an item, or None with what is wrong with it."""
    if item.damaged:
        return None, _check_rows(item)
    parser = _start()
    try:
        for row in item.rows:
            _feed(parser, row.before)
            _feed(parser, row.words)
        _feed(parser, item.after)
        node = parser.feed_eof()
    except (UnexpectedToken, Malformed):
        return None, _check_rows(item)
    if isinstance(node, Diagnostic):
        return None, [node]
    return node, []


def _check_rows(item: Item) -> list[Diagnostic]:
    """Everything that the grammar refuses in an item, row by row."""
    found: list[Diagnostic] = []
    parser = _start()
    depth = 0
    replaced: dict[int, bool] = {}
    for index, row in enumerate(item.rows):
        try:
            _feed(parser, row.before)
            before = parser.copy(deepcopy_values=False)
            depth += sum(1 if word.type == "INDENT" else -1 for word in row.before)
            problem = None if row.damaged else _check_row(parser, item, index)
            if problem is not None and not (problem.lonely_branch and replaced.get(depth)):
                if not before.accepts() - {"$END"}:
                    return found
                found.append(problem.diagnostic)
            if len(found) > _ENOUGH:
                return found
            replaced[depth] = problem is not None or row.damaged
            if replaced[depth]:
                parser = before
                _feed(parser, _stand_in(row, item, index))
        except (UnexpectedToken, Malformed):
            return found
    return found


@dataclass(frozen=True, slots=True)
class _Problem:
    """What is wrong with a row. An `else` without its `if` is not wrong where the `if` was replaced."""

    diagnostic: Diagnostic
    lonely_branch: bool = False


def _check_row(parser: _Session, item: Item, index: int) -> _Problem | None:
    words = item.rows[index].words
    clean = parser.copy(deepcopy_values=False)  # a refused word may have led to reductions that it should not have
    for position, word in enumerate(words):
        try:
            _feed(parser, [word])
        except Malformed as malformed:
            return _Problem(malformed.diagnostic)
        except UnexpectedToken:
            _feed(clean, words[:position])
            mistake = Mistake(words, position, frozenset(clean.accepts()), index == 0, _is_format(item))
            return _Problem(explain(mistake), position == 0 and word.type in ("ELSE", "ELIF"))
    return None


def _is_format(item: Item) -> bool:
    first = item.rows[0].words[0].text
    return first == "format" or suggest(first, DECLARATIONS) == "format"


def _stand_in(row: Row, item: Item, index: int) -> list[Word]:
    """Words that fit where the row stood: a header where a block follows, `pass` elsewhere."""
    span = row.words[0].span
    if index == 0:
        if _is_format(item):
            types = ["FORMAT", "NAME", "BLOCK", "INT", "COLON"]
        elif row.opens:
            types = ["DEF", "NAME", "LPAR", "RPAR", "COLON"]
        else:
            types = ["CONST", "NAME", "EQUAL", "INT"]
    elif _is_format(item):
        types = ["NAME", "EQUAL", "INT"]
    else:
        types = ["IF", "TRUE", "COLON"] if row.opens else ["PASS"]
    words = [Word(type, "true" if type == "TRUE" else "_", span, 1) for type in types]
    return [*words, Word("NEWLINE", "", span)]
