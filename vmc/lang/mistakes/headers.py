"""Mistakes in loops, conditions, parameters and other headers."""

from __future__ import annotations

from vmc.diagnostics import Diagnostic, Fix, error, suggest
from vmc.lang.mistakes.expectation import shown, wants_operator
from vmc.lang.mistakes.mistake import (
    CONDITIONS,
    Mistake,
    misspelt,
)
from vmc.lang.words import HEADERS


def missing_colon(mistake: Mistake) -> Diagnostic | None:
    if mistake.word.type != "NEWLINE" or "COLON" not in mistake.accepted or mistake.head.text not in HEADERS:
        return None
    if mistake.open_brackets():
        return None
    place = mistake.after_previous()
    article = "an" if mistake.head.text[0] in "aei" else "a"
    message = f"{article} `{mistake.head.text}` line ends with `:`"
    return error("E0002", message, place, label="expected `:`", help="add `:`", fix=Fix(place, ":"))


def assignment_as_value(mistake: Mistake) -> Diagnostic | None:
    word = mistake.word
    if word.type not in ("EQUAL", "AUGMENT"):
        return None
    if word.type == "EQUAL" and mistake.head.type in CONDITIONS | {"RETURN"}:
        message = "`=` assigns; two values are compared with `==`"
        return error("E0016", message, word.span, help="write `==`", fix=Fix(word.span, "=="))
    if mistake.open_brackets():
        if mistake.head.text in HEADERS:
            return None
        message = f"`{word.text}` assigns, and an assignment is no value"
        return error("E0016", message, word.span, help="compare with `==`")
    if wants_operator(mistake.accepted) and any(
        earlier.type in ("EQUAL", "AUGMENT") for earlier in mistake.words[: mistake.position]
    ):
        return error("E0033", "an assignment has no value to assign on", word.span, help="write two assignments")
    return None


def index_in_parentheses(mistake: Mistake) -> Diagnostic | None:
    if mistake.head.type != "FOR" or mistake.position != 1 or mistake.word.type != "LPAR":
        return None
    help = "write `for i, j in grid(...)`"
    return error("E0043", "the indices of a loop stand without parentheses", mistake.word.span, help=help)


def access(mistake: Mistake) -> Diagnostic | None:
    """`def f(y: out f32[4])`: only kernels say how a parameter is used."""
    if mistake.head.text != "def" or len(mistake.open_brackets()) != 1 or mistake.position < 2:
        return None
    for word, before in (
        (mistake.word, mistake.position - 1),
        (mistake.words[mistake.position - 1], mistake.position - 2),
    ):
        if word.text in ("in", "out", "inout") and mistake.words[before].type == "COLON":
            message = f"the parameter of a function is not marked `{word.text}`"
            help = "leave it out: a function may store to the tensors that it is given"
            return error("E0001", message, word.span, help=help)
    return None


def loop_over_value(mistake: Mistake) -> Diagnostic | None:
    if mistake.head.type != "FOR" or not {"GRID", "RANGE", "STATIC"} <= mistake.accepted:
        return None
    word = mistake.word
    help = "loop over an index: `range(n)`, `static(n)` or `grid(n)`"
    if word.type == "NAME" and (meant := suggest(word.text, ("grid", "range", "static"))):
        return misspelt(word, meant)
    return error("E0032", f"a loop cannot go over {shown(word)}", word.span, help=help)


def unknown_space(mistake: Mistake) -> Diagnostic | None:
    word = mistake.word
    if word.type == "NEWLINE" or not {"SHARED", "REGISTER"} <= mistake.accepted:
        return None
    message = f"the memory spaces are `shared` and `register`, not {shown(word)}"
    meant = suggest(word.text, ("shared", "register"))
    if meant is None:
        return error("E0042", message, word.span)
    return error("E0042", message, word.span, help=f"did you mean `{meant}`?", fix=Fix(word.span, meant))


def space_or_membership(mistake: Mistake) -> Diagnostic | None:
    word, following = mistake.word, mistake.following
    if word.type != "IN" or not wants_operator(mistake.accepted):
        return None
    if following is not None and following.text in ("shared", "register"):
        message = f"`in {following.text}` follows a type or an `alloc(...)`"
        return error("E0042", message, word.span.to(following.span))
    return error("E0018", "there is no operator `in`", word.span, help="compare with `==`, and use `any(...)`")


def parameter(mistake: Mistake) -> Diagnostic | None:
    """A kernel's parameter without a type, or a default between parentheses."""
    brackets = mistake.open_brackets()
    if mistake.head.text not in ("kernel", "fast", "def") or len(brackets) != 1:
        return None
    if mistake.words[brackets[0]].text != "(":
        return None
    word, previous = mistake.word, mistake.previous
    if word.type == "EQUAL":
        message = "a parameter between parentheses has no default"
        return error("E0044", message, word.span, help="parameters in `[ ]`, fixed at compile time, have defaults")
    untyped = previous is not None and previous.type == "NAME" and mistake.accepted == {"COLON"}
    if untyped and previous is not None and word.type in ("COMMA", "RPAR"):
        name = previous.text
        help = f"write `{name}: type` for a scalar, `{name}: type[extents]` for a tensor"
        return error("E0040", f"the kernel parameter `{name}` has no type", previous.span, help=help)
    return None
