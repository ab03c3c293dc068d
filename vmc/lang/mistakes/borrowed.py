"""Habits from other languages: Python's imports, decorators, `is` and `...`, comments of C, declarations with `let`."""

from __future__ import annotations

from vmc.diagnostics import Diagnostic, Fix, error
from vmc.ir.span import Span
from vmc.lang.mistakes.expectation import wants_operator
from vmc.lang.mistakes.mistake import OPERAND, OPERAND_END, Mistake
from vmc.lang.mistakes.slices import spaced_text
from vmc.lang.words import PYTHON_MODULES, Word

MODULES = "modules are `.vmc` files, and arrays come as parameters of kernels"
_DECLARING = frozenset(("let", "var", "val", "auto", "mut"))


def imported(mistake: Mistake) -> Diagnostic | None:
    """`import numpy as np`, `import a.b`, `from a import *`: what an import cannot say."""
    head, word = mistake.head, mistake.word
    if head.type not in ("IMPORT", "FROM") or mistake.position < 2:
        return None
    name = mistake.words[1].text
    if name in PYTHON_MODULES:
        return error("E0031", f"`{name}` is a module of Python", mistake.words[1].span, help=MODULES)
    if word.text == "as":
        return error("E0031", "what is imported keeps its name", word.span, help="leave out `as` and the other name")
    if word.type == "DOT":
        help = f"write `import {name}`: the file `{name}.vmc` beside this one, or of the library"
        return error("E0001", "the name of a module has no dots", word.span, help=help)
    if word.text == "*" and head.type == "FROM":
        return error("E0001", f"expected a name, found `{word.text}`", word.span, help=f"write `import {name}`")
    return None


def decorator(mistake: Mistake) -> Diagnostic | None:
    if mistake.position > 0 or mistake.word.text != "@":
        return None
    line = mistake.word.span.to(mistake.words[-1].span)
    help = "remove the line: what a `kernel` declares is compiled as it is"
    return error("E0031", "there are no decorators", line, help=help, fix=Fix(line, ""))


def comment(mistake: Mistake) -> Diagnostic | None:
    """`pass // why`: where nothing can be divided, and where words follow each other after a `//`."""
    word = mistake.word
    if word.text == "//" and mistake.position > 0 and not wants_operator(mistake.accepted):
        return foreign_comment(word.span)
    slashes = next((earlier for earlier in mistake.words[: mistake.position] if earlier.text == "//"), None)
    if slashes is None or slashes.span.line != word.span.line or mistake.open_brackets():
        return None
    if mistake.previous is slashes or (mistake.previous is not None and mistake.previous.type not in OPERAND_END):
        return None
    if word.type not in OPERAND | {"FOREIGN", "ALIEN", "BRACE", "SEMICOLON"}:
        return None
    help = "`//` divides; a comment begins with `#`"
    return error("E0018", "words follow each other after `//`", slashes.span.to(word.span), help=help)


def foreign_comment(slashes: Span) -> Diagnostic:
    """The diagnostic for a comment of C, given the place of its `//`."""
    return error(
        "E0018", "a comment begins with `#`, not with `//`", slashes, help="write `#`", fix=Fix(slashes, "#")
    )  # fmt: skip


def ellipsis(mistake: Mistake) -> Diagnostic | None:
    dots = mistake.words[mistake.position : mistake.position + 3]
    if [dot.text for dot in dots] != [".", ".", "."] or dots[0].span.end_column != dots[1].span.column:
        return None
    span = dots[0].span.to(dots[2].span)
    if mistake.open_brackets() and mistake.words[mistake.open_brackets()[-1]].text == "[":
        help = "write `:` for each dimension that is taken whole, as in `x[:, :]`"
        return error("E0019", "there is no `...`", span, help=help)
    alone = mistake.position == 0 and len(mistake.words) == 4 and not mistake.top
    if alone or (mistake.previous is not None and mistake.previous.type == "COLON" and mistake.position):
        return error("E0019", "an empty block is written `pass`", span, help="write `pass`", fix=Fix(span, "pass"))
    return error("E0019", "there is no `...`", span)


def declared(mistake: Mistake) -> Diagnostic | None:
    """`let x = 1`: a variable is there from its first assignment on."""
    words = mistake.words
    if words[0].text not in _DECLARING or mistake.position > 1 or len(words) < 4 or mistake.in_format:
        return None
    name = 2 if words[1].text in _DECLARING else 1
    if words[name].type != "NAME" or words[name + 1].type not in ("EQUAL", "COLON", "COMMA"):
        return None
    if all(word.type != "EQUAL" for word in words):
        return None
    until = Span(
        words[0].span.file, words[0].span.line, words[0].span.column, words[0].span.line, words[name].span.column
    )
    written = "const " if mistake.top else ""
    shown = f"{written}{words[name].text}{spaced_from(words, name + 1)}"
    message = f"there is no `{words[0].text}`: a variable begins with its first assignment"
    if mistake.top:
        message = f"there is no `{words[0].text}`: a value for the whole file is a constant"
    return error("E0031", message, words[0].span, help=f"write `{shown}`", fix=Fix(until, written))


def spaced_from(words: list[Word], start: int) -> str:
    """The words from `start` on as they were spaced after the one before, shortened where they are many."""
    text = spaced_text(words[start - 1 : -1])[len(words[start - 1].text) :]
    return text if len(text) <= 40 else f"{text[:40].rstrip()}..."


def identity(mistake: Mistake) -> Diagnostic | None:
    """`x is None`, `x is not y`."""
    word, following = mistake.word, mistake.following
    if word.text != "is" or word.type != "NAME" or not wants_operator(mistake.accepted) or following is None:
        return None
    negated = following.type == "NOT"
    last = following if negated else word
    against = mistake.words[mistake.position + 1 + negated]
    span = word.span.to(last.span)
    if against.type == "NONE":
        help = "there is no null value: whatever has a name has a value"
        return error("E0018", "there is no operator `is`", span, help=help)
    if against.type not in OPERAND:
        return error("E0018", "there is no operator `is`", span)
    meant = "!=" if negated else "=="
    return error("E0018", "there is no operator `is`", span, help=f"write `{meant}`", fix=Fix(span, meant))
