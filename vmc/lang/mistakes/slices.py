"""Slices written as in Python, `x[a:b]`, and how the same is said in the language, `x[a : +(b - a)]`."""

from __future__ import annotations

from vmc.diagnostics import Diagnostic, Fix, error
from vmc.lang.words import Word


def python_slice(
    words: list[Word], position: int, open_brackets: list[int], accepted: frozenset[str]
) -> Diagnostic | None:
    """The diagnostic for a Python slice, where the word at `position` is the first after its colon; None for others."""
    if not open_brackets or words[open_brackets[-1]].text != "[" or position < 2:
        return None
    colon = position - 1
    if words[colon].type != "COLON" or not ("PLUS" in accepted or accepted & {"RSQB", "COMMA"}):
        return None
    start = _item_start(words, open_brackets[-1], colon)
    end = _item_end(words, position)
    if end is None:
        return None
    span = words[start].span.to(words[end - 1].span)
    before, after = spaced_text(words[start:colon]), spaced_text(words[position:end])
    message = "a slice is written as a start and a length, `start : +LENGTH`"
    written = _rewritten(before, after, words[position:end])
    if written is None:
        return error("E0020", message, span, help="say how many elements: `start : +LENGTH` or `: +LENGTH`")
    return error("E0020", message, span, help=f"write `{written}`", fix=Fix(span, written))


def _item_start(words: list[Word], bracket: int, colon: int) -> int:
    depth = 0
    for index in range(colon - 1, bracket, -1):
        text = words[index].text
        depth += (text in (")", "]")) - (text in ("(", "["))
        if depth == 0 and text == ",":
            return index + 1
    return bracket + 1


def _item_end(words: list[Word], position: int) -> int | None:
    depth = 0
    for index in range(position, len(words)):
        text = words[index].text
        if depth == 0 and text in (",", "]"):
            return index
        depth += (text in ("(", "[")) - (text in (")", "]"))
    return None


def spaced_text(words: list[Word]) -> str:
    """The words as they were spaced."""
    parts: list[str] = []
    for index, word in enumerate(words):
        apart = index > 0 and words[index - 1].span.end_column != word.span.column
        parts.append(f" {word.text}" if apart else word.text)
    return "".join(parts)


def _rewritten(start: str, stop: str, stop_words: list[Word]) -> str | None:
    if not stop or any(word.type == "COLON" for word in stop_words):
        return None
    simple = len(stop_words) == 1
    if not start or start == "0":
        return f": +{stop}" if simple else f": +({stop})"
    if start.isdigit() and stop.isdigit():
        length = int(stop) - int(start)
        return f"{start} : +{length}" if length > 0 else None
    for separator in (" + ", "+"):
        if stop.startswith(start + separator):
            length_text = stop[len(start + separator) :]
            return f"{start} : +{length_text}" if length_text.isidentifier() or length_text.isdigit() else None
    return f"{start} : +({stop} - {start})" if start.isidentifier() else None
