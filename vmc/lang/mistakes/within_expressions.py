"""Mistakes inside expressions, and rows of formats."""

from __future__ import annotations

from vmc.diagnostics import Diagnostic, Fix, Note, error
from vmc.lang.mistakes.expectation import shown, wants_expression, wants_operator
from vmc.lang.mistakes.mistake import (
    OPERAND,
    OPERAND_END,
    RESERVED_TYPES,
    Mistake,
    taken_as_name,
)
from vmc.lang.mistakes.slices import python_slice


def slice_of_python(mistake: Mistake) -> Diagnostic | None:
    return python_slice(mistake.words, mistake.position, mistake.open_brackets(), mistake.accepted)


def reserved_name(mistake: Mistake) -> Diagnostic | None:
    word = mistake.word
    if word.type not in RESERVED_TYPES | {"ALIEN", "FLOAT"} or "NAME" not in mistake.accepted:
        return None
    only_name = not wants_expression(mistake.accepted)
    if not only_name and not taken_as_name(mistake):
        return None
    help = f"choose another name, such as `{word.text.lower()}_`"
    return error("E0015", f"`{word.text}` is a reserved word and cannot be a name", word.span, help=help)


def reserved_target(mistake: Mistake) -> Diagnostic | None:
    """`in = 3`, `pass = 1`: the keyword was taken for itself, and the word after it does not fit."""
    head, word = mistake.head, mistake.word
    if mistake.position != 1 or word.type not in ("EQUAL", "AUGMENT") or head.type not in RESERVED_TYPES:
        return None
    help = f"choose another name, such as `{head.text.lower()}_`"
    return error("E0015", f"`{head.text}` is a reserved word and cannot be a name", head.span, help=help)


def side_by_side(mistake: Mistake) -> Diagnostic | None:
    word, previous = mistake.word, mistake.previous
    if previous is None or previous.type not in OPERAND_END or word.type not in OPERAND:
        return None
    if not wants_operator(mistake.accepted):
        return None
    place = mistake.after_previous()
    if mistake.open_brackets() and "COMMA" in mistake.accepted:
        message = f"a comma or an operator is missing before {shown(word)}"
        notes = _opened_on_another_line(mistake)
        return error("E0037", message, word.span, notes=notes, help="add `,`", fix=Fix(place, ","))
    return error("E0037", f"an operator is missing between {shown(previous)} and {shown(word)}", word.span)


def _opened_on_another_line(mistake: Mistake) -> tuple[Note, ...]:
    opening = mistake.words[mistake.open_brackets()[-1]]
    if opening.span.line == mistake.word.span.line:
        return ()
    return (Note(opening.span, f"lines are joined because this `{opening.text}` is open"),)


def missing_expression(mistake: Mistake) -> Diagnostic | None:
    word, previous = mistake.word, mistake.previous
    if previous is None or not wants_expression(mistake.accepted):
        return None
    if word.text in ("*", "**") and previous.type in ("LPAR", "COMMA"):
        return error("E0031", f"arguments cannot be spread with `{word.text}`", word.span)
    if word.type not in ("NEWLINE", "COMMA", "COLON", "RPAR", "RSQB", "EQUAL", "COMPARE", "MULTIPLY"):
        return None
    message = f"a value is missing after {shown(previous)}"
    if word.type == "NEWLINE":
        return error("E0038", message, mistake.after_previous(), label="expected an expression")
    return error("E0038", message, word.span, label="expected an expression")


def comprehension(mistake: Mistake) -> Diagnostic | None:
    if mistake.word.type != "FOR" or not mistake.open_brackets():
        return None
    return error("E0031", "there are no comprehensions", mistake.word.span, help="write a loop, or compute on tiles")


def list_in_parentheses(mistake: Mistake) -> Diagnostic | None:
    """`(a, b)`: parentheses only group."""
    brackets = mistake.open_brackets()
    if mistake.word.type != "COMMA" or not brackets or not wants_operator(mistake.accepted):
        return None
    opening = mistake.words[brackets[-1]]
    if opening.text != "(" or "RPAR" not in mistake.accepted:
        return None
    help = "lists are written `[a, b]`; several results are assigned without parentheses"
    return error("E0001", "parentheses hold one expression, not several", mistake.word.span, help=help)


def format_row(mistake: Mistake) -> Diagnostic | None:
    if not mistake.in_format or mistake.top:
        return None
    if mistake.position == 0:
        message = f"{shown(mistake.word)} cannot stand in a format"
    elif mistake.head.type == "NAME" and mistake.position == 1:
        message = f"`{mistake.head.text}` is followed by neither `:` nor `=`"
    else:
        return None
    help = "a row is `name: type[count]`, `name = expression` or `value[i] = expression`"
    return error("E0035", message, mistake.word.span, help=help)
