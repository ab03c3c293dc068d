"""Strings with a letter before them: formatted strings, and the raw and byte strings of Python."""

from __future__ import annotations

import re

from vmc.diagnostics import Diagnostic, Fix, error
from vmc.lang.mistakes.mistake import Mistake
from vmc.lang.words import Word

_PREFIXES = frozenset(("f", "r", "b", "u", "fr", "rf", "br", "rb"))
_HOLE = re.compile(r"\{([A-Za-z_]\w*(?:\[\w+(?:, ?\w+)*\])?)\}")


def prefixed_string(mistake: Mistake) -> Diagnostic | None:
    """`f"n = {n}"`: the letter was taken for a name."""
    word, prefix = mistake.word, mistake.previous
    if word.type != "STRING" or prefix is None or prefix.text.lower() not in _PREFIXES:
        return None
    if (prefix.span.line, prefix.span.end_column) != (word.span.line, word.span.column):
        return None
    if "f" in prefix.text.lower():
        return _formatted(mistake, prefix, word)
    before = prefix.span
    plain = Fix(before, "") if "\\" not in word.text and prefix.text.lower() in ("r", "u") else None
    message = f"a string has no letter before it, such as `{prefix.text}`"
    return error("E0031", message, before, help="write a plain string", fix=plain)


def _formatted(mistake: Mistake, prefix: Word, word: Word) -> Diagnostic:
    span = prefix.span.to(word.span)
    message = "there are no formatted strings"
    brackets = mistake.open_brackets()
    printed = len(brackets) == 1 and brackets[0] == 1 and mistake.head.text == "print"
    if not printed:
        return error("E0031", message, span, help="a string stands as it is; values are shown with `print(...)`")
    arguments = pieces(word.text)
    if arguments is None:
        help = 'give the values as arguments of their own, as in `print("n is", n)`'
        return error("E0031", message, span, help=help)
    whole = mistake.following is not None and mistake.following.type in ("COMMA", "RPAR")
    fix = Fix(span, arguments) if whole else None
    return error("E0031", message, span, help=f"write `{arguments}`", fix=fix)


def pieces(literal: str) -> str | None:
    """`"n = {n}"` as arguments, `"n =", n`; None where a hole is more than a name or an element."""
    quote, body = literal[0], literal[1:-1]
    parts = _HOLE.split(body)
    if any("{" in text or "}" in text for text in parts[::2]):
        return None
    texts = [text.strip(" ") for text in parts[::2]]
    arguments = [f"{quote}{text}{quote}" if index % 2 == 0 else text
                 for index, text in enumerate(_interleaved(texts, parts[1::2])) if text]  # fmt: skip
    return ", ".join(arguments) or literal


def _interleaved(texts: list[str], holes: list[str]) -> list[str]:
    """Texts at the even places, holes at the odd ones."""
    out = [texts[0]]
    for hole, text in zip(holes, texts[1:], strict=True):
        out += [hole, text]
    return out
