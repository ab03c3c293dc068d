"""What may stand at a place, in the words of somebody who writes programs: the grammar's terminals in English."""

from __future__ import annotations

from vmc.lang.words import OPERATORS, RESERVED, SOFT, Word

_EXPRESSION = frozenset(
    ("NAME", "INT", "FLOAT", "STRING", "TRUE", "FALSE", "LPAR", "LSQB", "MINUS", "PLUS", "TILDE", "NOT")
)
_OPERATOR = frozenset(
    ("PLUS", "MINUS", "MULTIPLY", "SHIFT", "BAR", "CARET", "AMPERSAND", "POWER", "COMPARE", "AND", "OR", "IF", "DOT")
) | {"LPAR", "LSQB", "EQUAL", "AUGMENT"}
_DECLARATION = frozenset(("KERNEL", "DEF", "IMPORT", "FROM", "CONST", "FORMAT", "FAST"))
_STATEMENT = frozenset(("PASS", "RETURN", "FOR", "WHILE", "ASSERT", "STATIC_ASSERT"))
_SPELLED = {terminal: text for text, terminal in (*SOFT.items(), *RESERVED.items()) if terminal != "FLOAT"}
_PUNCTUATION = {"EQUAL", "ARROW", "COMMA", "COLON", "DOT", "LPAR", "RPAR", "LSQB", "RSQB", "PLUS"}
_SPELLED |= {terminal: text for text, terminal in OPERATORS.items() if terminal in _PUNCTUATION}
_DESCRIBED = {"NAME": "a name", "INT": "a number", "NEWLINE": "the end of the line", "INDENT": "an indented block"}
_UNSAID = frozenset(("$END", "DEDENT"))


def wants_expression(accepted: frozenset[str]) -> bool:
    """Whether an expression may begin here."""
    return accepted >= {"NAME", "INT", "MINUS"}


def wants_operator(accepted: frozenset[str]) -> bool:
    """Whether an expression has just ended, and may go on."""
    return accepted >= {"PLUS", "MULTIPLY"}


def accepted_keywords(accepted: frozenset[str]) -> list[str]:
    """The keywords that may stand here, as written."""
    keywords = {**RESERVED, **SOFT}
    return [text for text, terminal in keywords.items() if terminal in accepted and terminal != "FLOAT"]


def spelled(accepted: frozenset[str]) -> list[str]:
    """What may stand here, most particular things first, each with its article or in backquotes."""
    rest = set(accepted - _UNSAID)
    phrases: list[str] = []
    if rest >= _DECLARATION:
        return ["a declaration"]
    if rest >= _STATEMENT:
        return ["a statement"]
    if wants_expression(accepted):
        phrases.append("an expression")
        rest -= _EXPRESSION
    elif wants_operator(accepted):
        rest -= _OPERATOR
    marks = [terminal for terminal in ("COLON", "EQUAL", "COMMA", "RPAR", "RSQB") if terminal in rest]
    others = sorted(rest - set(marks) - {"NEWLINE"})
    phrases += [_phrase(terminal) for terminal in (*others, *marks)]
    if wants_operator(accepted) and not wants_expression(accepted):
        phrases.append("an operator")
    if "NEWLINE" in rest:
        phrases.append(_DESCRIBED["NEWLINE"])
    return phrases


def _phrase(terminal: str) -> str:
    return _DESCRIBED.get(terminal) or f"`{_SPELLED.get(terminal, terminal.lower())}`"


def expected(accepted: frozenset[str]) -> str:
    """`a name, `:` or `]``: the choice between what may stand here; empty where there is nothing to say."""
    phrases = spelled(accepted)
    if not phrases or len(phrases) > 8:
        return ""
    if len(phrases) == 1:
        return phrases[0]
    return f"{', '.join(phrases[:-1])} or {phrases[-1]}"


def shown(word: Word) -> str:
    """A word as a message names it."""
    if word.type == "NEWLINE":
        return "the end of the line"
    if word.type == "STRING":
        return "a string"
    return f"`{word.text}`" if word.text else "the end of the block"
