"""Mistakes in loops, conditions, parameters and other headers."""

from __future__ import annotations

from vmc.diagnostics import Diagnostic, Fix, error, suggest
from vmc.lang.mistakes.expectation import shown, wants_operator
from vmc.lang.mistakes.mistake import (
    CONDITIONS,
    Mistake,
    misspelt,
)
from vmc.lang.mistakes.slices import spaced_text
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


def result(mistake: Mistake) -> Diagnostic | None:
    """`kernel k(...) -> f32[4]:`."""
    if mistake.word.type != "ARROW" or mistake.head.text not in ("kernel", "fast"):
        return None
    rest = mistake.words[mistake.position + 1 : -1]
    type = spaced_text(rest[:-1] if rest and rest[-1].type == "COLON" else rest)
    help = f"store the result to a parameter, such as `result: out {type or 'f32[N]'}`"
    return error("E0001", "a kernel returns nothing", mistake.word.span, help=help)


def misplaced_access(mistake: Mistake) -> Diagnostic | None:
    """`y: f32[4] out` and `out y: f32[4]`."""
    if mistake.head.text not in ("kernel", "fast", "def") or len(mistake.open_brackets()) != 1:
        return None
    word, words, position = mistake.word, mistake.words, mistake.position
    colon = _colon(mistake)
    if colon is not None and position > colon + 1 and word.text in _ACCESSES:
        access, type = _ACCESSES[word.text], spaced_text(words[colon + 1 : position])
        span = words[colon + 1].span.to(word.span)
        one_line = span.line == span.end_line
        if mistake.head.text == "def":
            message = f"the parameter of a function is not marked `{word.text}`"
            return error("E0001", message, word.span, help="leave it out", fix=Fix(span, type) if one_line else None)
        marked = words[colon + 1].text in ("in", "out", "inout")
        fix = Fix(span, f"{access} {type}") if one_line and not marked else None
        help = f"write `{words[colon - 1].text}: {access} {type}`"
        return error("E0001", f"`{access}` stands before the type", word.span, help=help, fix=fix)
    before = words[position - 1]
    if words[position - 2].type not in ("LPAR", "COMMA") or before.text not in _ACCESSES or word.type != "NAME":
        return None
    if mistake.following is None or mistake.following.type != "COLON" or mistake.head.text == "def":
        return None
    access = _ACCESSES[before.text]
    help = f"write `{word.text}: {access} {_type_from(mistake, position + 2)}`"
    fix = Fix(before.span.to(mistake.following.span), f"{word.text}: {access}")
    return error("E0001", f"`{before.text}` stands after the name and its `:`", before.span, help=help, fix=fix)


def misnamed_access(mistake: Mistake) -> Diagnostic | None:
    """`y: output f32[4]`."""
    previous, colon = mistake.previous, _colon(mistake)
    if mistake.head.text not in ("kernel", "fast") or len(mistake.open_brackets()) != 1 or mistake.word.type != "NAME":
        return None
    if previous is None or previous.type != "NAME" or colon is None or colon != mistake.position - 2:
        return None
    access = _ACCESSES.get(previous.text) or suggest(previous.text, ("in", "out", "inout"))
    message = f"before a type stands `in`, `out` or `inout`, not `{previous.text}`"
    if access is None:
        return error("E0001", message, previous.span)
    help = f"write `{mistake.words[colon - 1].text}: {access} {_type_from(mistake, mistake.position)}`"
    return error("E0001", message, previous.span, help=help, fix=Fix(previous.span, access))


_ACCESSES = {
    **dict.fromkeys(("out", "output", "outp", "write", "dst"), "out"),
    **dict.fromkeys(("in", "input", "inp", "const", "read", "src"), "in"),
    **dict.fromkeys(("inout", "mut", "ref", "rw"), "inout"),
}  # fmt: skip


def _colon(mistake: Mistake) -> int | None:
    """Where the colon of the parameter stands in which the word is; None before it."""
    for index in range(mistake.position - 1, 1, -1):
        word = mistake.words[index]
        if word.type == "COLON":
            return index
        if word.type == "COMMA" and not _within_brackets(mistake, index):
            return None
    return None


def _type_from(mistake: Mistake, start: int) -> str:
    """The words of the parameter from `start` on, as they were spaced."""
    depth, end = 0, start
    while mistake.words[end].type != "NEWLINE":
        word = mistake.words[end]
        depth += (word.text in ("(", "[")) - (word.text in (")", "]"))
        if depth < 0 or (depth == 0 and word.type == "COMMA"):
            break
        end += 1
    return spaced_text(mistake.words[start:end])


def _within_brackets(mistake: Mistake, index: int) -> bool:
    depth = 0
    for word in mistake.words[index : mistake.position]:
        depth += (word.text == "[") - (word.text == "]")
    return depth < 0


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
