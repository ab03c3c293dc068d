"""The values of numbers and strings, and what can be wrong with them."""

from __future__ import annotations

import math
import re

from vmc.diagnostics import Diagnostic, Fix, error
from vmc.ir.span import Span

_DIGITS = r"[0-9](?:_?[0-9])*"
_INTEGER = re.compile(rf"0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|{_DIGITS}")
_FLOAT = re.compile(rf"(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?")
_SUFFIXED = re.compile(rf"((?:{_DIGITS})(?:\.(?:{_DIGITS})?)?)([a-zA-Z]\w*)")
_BASES = {"x": ("hexadecimal", "0 to 9 and a to f"), "b": ("binary", "0 and 1"), "o": ("octal", "0 to 7")}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "\\": "\\", '"': '"', "'": "'"}
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_WIDEST = 64


def number(text: str, span: Span) -> int | float | Diagnostic:
    """The value of a number as written, or what is wrong with it."""
    if _INTEGER.fullmatch(text):
        return _integer(text, span)
    if _FLOAT.fullmatch(text):
        value = float(text)
        if math.isinf(value):
            return error("E0013", "this number is larger than any float", span, help="write `inf` if infinity is meant")
        return value
    return _malformed(text, span)


def _integer(text: str, span: Span) -> int | Diagnostic:
    too_large = error("E0013", "this integer needs more than 64 bits", span, help="the largest integer is 2**64 - 1")
    if len(text) > 4 * _WIDEST:
        return too_large
    digits = text.replace("_", "")
    if digits.isdigit() and digits[0] == "0" and digits.strip("0"):
        return _leading_zero(digits.lstrip("0"), span)
    value = int(digits, 10 if digits.isdigit() else 0)
    return value if value.bit_length() <= _WIDEST else too_large


def _leading_zero(plain: str, span: Span) -> Diagnostic:
    help = f"write `{plain}`"
    if set(plain) <= set("01234567"):
        help += f", or `0o{plain}` for an octal number"
    message = "an integer does not begin with 0"
    return error("E0012", message, span, label="leading zero", help=help, fix=Fix(span, plain))


def _malformed(text: str, span: Span) -> Diagnostic:
    base = _BASES.get(text[1:2].lower()) if text[0] == "0" else None
    if base is not None:
        kind, digits = base
        message = f"`{text[:2]}` begins a {kind} number, whose digits are {digits}"
        return error("E0012", message, span, label="not a number")
    if text[-1] in "eE":
        return error("E0012", "the exponent of this number has no digits", span, label="not a number")
    if suffixed := _SUFFIXED.fullmatch(text):
        plain, suffix = suffixed.groups()
        return error(
            "E0012",
            f"a number has no suffix, such as `{suffix}`",
            span,
            label="not a number",
            help=f"write `{plain}`; a cast, `f16({plain})`, gives it a type",
            fix=Fix(span, plain),
        )
    if text.count(".") > 1:
        return error("E0012", "a number has at most one decimal point", span, label="not a number")
    return error("E0012", f"`{text}` is not a number", span, label="not a number")


def string(text: str, span: Span) -> str | Diagnostic:
    """The value of a string literal with its quotes, or what is wrong with it."""
    body = text[1:-1]
    if "\\" not in body:
        return body
    for escape in _ESCAPE.finditer(body):
        if escape[1] not in _ESCAPES:
            column = span.column + 1 + escape.start()
            place = Span(span.file, span.line, column, span.line, column + 2)
            message = f"`{escape[0]}` stands for nothing in a string"
            return error(
                "E0030", message, place, help="a backslash itself is written `\\\\`", fix=Fix(place, "\\" + escape[0])
            )
    return _ESCAPE.sub(lambda escape: _ESCAPES[escape[1]], body)
