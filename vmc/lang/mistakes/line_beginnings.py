"""Mistakes told by the first words of a line."""

from __future__ import annotations

from vmc.diagnostics import Diagnostic, Fix, error, suggest
from vmc.ir.span import Span
from vmc.lang.mistakes.expectation import accepted_keywords
from vmc.lang.mistakes.mistake import (
    OPERAND,
    RESERVED_TYPES,
    Mistake,
    misspelt,
)
from vmc.lang.mistakes.slices import spaced_text
from vmc.lang.words import DECLARATIONS, STATEMENTS


def stray_statement(mistake: Mistake) -> Diagnostic | None:
    """Something other than a declaration at the top level."""
    if not mistake.top or mistake.position > 0:
        return None
    word, following = mistake.word, mistake.following
    if word.type in ("ELSE", "ELIF"):
        return lonely_branch(mistake)
    if word.type not in OPERAND | RESERVED_TYPES | {"LPAR", "LSQB"} or following is None:
        return None
    meant = suggest(word.text, DECLARATIONS)
    if meant and following.type in ("NAME", "KERNEL"):
        return misspelt(word, meant)
    if following.type == "EQUAL":
        at = Span(word.span.file, word.span.line, word.span.column, word.span.line, word.span.column)
        help = "a value for the whole file is a constant: write `const` before it"
        return error("E0023", "an assignment outside of a kernel", word.span, help=help, fix=Fix(at, "const "))
    help = "put it into a function (`def`) or a kernel"
    said = f"`{word.text}`" if word.type in RESERVED_TYPES else "a statement"
    return error("E0023", f"{said} outside of a function or kernel", word.span, help=help)


def lonely_branch(mistake: Mistake) -> Diagnostic | None:
    word = mistake.word
    if mistake.position > 0 or word.type not in ("ELSE", "ELIF"):
        return None
    help = f"`{word.text}` stands in the same column as its `if`, right after the block"
    return error("E0001", f"this `{word.text}` belongs to no `if`", word.span, help=help)


def misspelt_head(mistake: Mistake) -> Diagnostic | None:
    """`fro k in range(4):`, `retrun x`, `esle:`: the first word is nearly a keyword, and the second follows no name."""
    head = mistake.head
    if head.type != "NAME" or mistake.position not in (1, 2) or mistake.top:
        return None
    if mistake.position == 2 and not (mistake.words[1].type == "COLON" and mistake.word.type == "NEWLINE"):
        return None
    meant = suggest(head.text, STATEMENTS)
    if meant is None or (mistake.position == 1 and mistake.word.type not in OPERAND | RESERVED_TYPES | {"COLON"}):
        return None
    return misspelt(head, meant)


def misspelt_within(mistake: Mistake) -> Diagnostic | None:
    """`for i in rang(4)`, `x: f32[4] layuot ...`: a word nearly one of the keywords that may stand here."""
    word = mistake.word
    if word.type != "NAME" or mistake.position == 0:
        return None
    meant = suggest(word.text, accepted_keywords(mistake.accepted))
    return misspelt(word, meant) if meant else None


def else_if(mistake: Mistake) -> Diagnostic | None:
    head, previous, word = mistake.head, mistake.previous, mistake.word
    if head.type != "ELSE" or word.type != "IF" or previous is not head:
        return None
    span = head.span.to(word.span)
    return error("E0017", "`else if` is written `elif`", span, help="write `elif`", fix=Fix(span, "elif"))


def nested_declaration(mistake: Mistake) -> Diagnostic | None:
    head, word = mistake.head, mistake.word
    if mistake.top or mistake.position > 1 or head.text not in DECLARATIONS:
        return None
    if mistake.position == 1 and word.type not in ("NAME", "KERNEL"):
        return None
    if mistake.position == 0 and (mistake.following is None or mistake.following.type != "NAME"):
        return None
    message = f"`{head.text}` stands at the top level of a file, not inside a block"
    return error("E0034", message, head.span, help="move it to the left margin, before what uses it")


def call_without_parentheses(mistake: Mistake) -> Diagnostic | None:
    head, word = mistake.head, mistake.word
    if mistake.position != 1 or head.type != "NAME" or mistake.top or word.type not in OPERAND:
        return None
    if head.text != "print" and word.type not in ("STRING", "INT", "FLOAT"):
        return None
    rest = mistake.words[1:-1]
    message = f"the arguments of `{head.text}` stand in parentheses"
    span = head.span.to(rest[-1].span)
    fix = Fix(span, f"{head.text}({spaced_text(rest)})") if span.line == span.end_line else None
    return error("E0028", message, span, help=f"write `{head.text}(...)`", fix=fix)
