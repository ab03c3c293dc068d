"""Words and operators of other languages."""

from __future__ import annotations

from vmc.diagnostics import Diagnostic, Fix, error
from vmc.lang.mistakes.expectation import wants_expression
from vmc.lang.mistakes.mistake import OPERAND, Mistake, taken_as_name
from vmc.lang.mistakes.slices import spaced_text
from vmc.lang.words import ALIEN, Word

_FOREIGN = {
    "&&": ("and", "`and`"), "||": ("or", "`or`"), "!": ("not ", "`not`"), "===": ("==", "`==`"),
    "!==": ("!=", "`!=`"), "<>": ("!=", "`!=`"),
}  # fmt: skip

_ASSERTING = "check with `assert`, which stops the launch where a condition does not hold"
_INSTEAD = {
    "lambda": "declare a function with `def`",
    "class": "a program is made of kernels and functions; data are tensors and compile-time parameters",
    "del": "leave it out: a value is gone when nothing uses it",
    "yield": "store to a tensor, or `return` all results",
    **dict.fromkeys(("try", "except", "finally", "raise"), _ASSERTING),
    **dict.fromkeys(("global", "nonlocal"), "give the value as an argument, and return the new one"),
}  # fmt: skip


def foreign_operator(mistake: Mistake) -> Diagnostic | None:
    word = mistake.word
    if word.type != "FOREIGN":
        return None
    message = f"there is no operator `{word.text}`"
    if word.text in _FOREIGN:
        replacement, meant = _FOREIGN[word.text]
        if mistake.following is not None and mistake.following.span.column > word.span.end_column:
            replacement = replacement.rstrip()
        return error("E0018", message, word.span, help=f"write {meant}", fix=Fix(word.span, replacement))
    help = {
        "?": "a choice is written `a if condition else b`",
        ":=": "assign on a line of its own",
        "**=": "write `x = x ** y`",
        "@=": "write `x = x @ y`",
    }.get(word.text)
    return error("E0018", message, word.span, help=help)


def increment(mistake: Mistake) -> Diagnostic | None:
    """`i++`: refused at the word after it, where an operand is missing."""
    previous = mistake.previous
    if previous is None or mistake.position < 3 or mistake.word.type in OPERAND | {"LPAR", "LSQB"}:
        return None
    before = mistake.words[mistake.position - 2]
    if (
        previous.text not in ("+", "-")
        or before.text != previous.text
        or before.span.end_column != previous.span.column
    ):
        return None
    message = f"there is no operator `{before.text}{previous.text}`"
    span = before.span.to(previous.span)
    target = mistake.words[: mistake.position - 2]
    if mistake.word.type != "NEWLINE" or not _assignable(target):
        help = f"write `{previous.text}= 1` after what changes, on a line of its own"
        return error("E0018", message, span, help=help)
    step = f"{spaced_text(target)} {previous.text}= 1"
    whole = target[0].span.to(span)
    fix = Fix(whole, step) if whole.line == whole.end_line else None
    return error("E0018", message, span, help=f"write `{step}`", fix=fix)


def _assignable(words: list[Word]) -> bool:
    """Whether the words are a name, or an element or a slice of one."""
    if words[0].type != "NAME":
        return False
    depth = 0
    for word in words[1:]:
        depth += (word.text in ("(", "[")) - (word.text in (")", "]"))
        if depth == 0 and word.text != "]":
            return False
    return len(words) == 1 or words[1].text == "["


def semicolon(mistake: Mistake) -> Diagnostic | None:
    word = mistake.word
    if word.type != "SEMICOLON":
        return None
    following = mistake.following
    if following is None or following.type == "NEWLINE":
        message = "a statement ends with its line, without `;`"
        return error("E0026", message, word.span, help="remove it", fix=Fix(word.span, ""))
    return error("E0026", "one statement stands on a line", word.span, help="begin a new line instead of `;`")


def brace(mistake: Mistake) -> Diagnostic | None:
    word = mistake.word
    if word.type != "BRACE":
        return None
    following = mistake.following
    if word.text == "{" and "COLON" in mistake.accepted and following is not None and following.type == "NEWLINE":
        message = "a block begins with `:` and is told by its indentation"
        help = "write `:`, and leave out the `}`"
        span = mistake.after_previous().to(word.span)
        return error("E0027", message, word.span, help=help, fix=Fix(span, ":"))
    lists = "lists are written in `[ ]`" if word.text == "{" and wants_expression(mistake.accepted) else None
    return error("E0027", "there are no braces", word.span, help=lists)


def alien_word(mistake: Mistake) -> Diagnostic | None:
    word = mistake.word
    match ALIEN.get(word.text):
        case "JUMP":
            help = "use `while` with a flag" if word.text == "break" else "put the rest of the turn under an `if`"
            return error("E0025", f"there is no `{word.text}`", word.span, help=help)
        case "ALIEN_CONSTANT":
            meant = word.text.lower()
            return error(
                "E0019", f"`{word.text}` is written `{meant}`", word.span, help=f"write `{meant}`",
                fix=Fix(word.span, meant),
            )  # fmt: skip
        case "ALIEN" if not (mistake.accepted & {"NAME"} and taken_as_name(mistake)):
            return error("E0031", f"there is no `{word.text}` in the language", word.span, help=_INSTEAD.get(word.text))
    return None


def none(mistake: Mistake) -> Diagnostic | None:
    if mistake.word.type != "NONE":
        return None
    help = "`None` stands only between index brackets, where it inserts an axis"
    return error("E0019", "`None` is no value", mistake.word.span, help=help)
