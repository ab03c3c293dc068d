"""What somebody meant who wrote a line that the grammar refuses.

`explain` is given the words of the line, the first word that cannot stand where it does, and what could have stood
there. The mistakes that people make are tried in order, from the particular to the general; each is a function from a
`Mistake` to a diagnostic, or to None where it is something else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vmc.diagnostics import Diagnostic, Fix, Note, error, suggest
from vmc.ir.span import Span
from vmc.lang.expectation import accepted_keywords, expected, shown, wants_expression, wants_operator
from vmc.lang.slices import python_slice, spaced_text
from vmc.lang.words import ALIEN, DECLARATIONS, HEADERS, OPENING, RESERVED, STATEMENTS, Word

_OPERAND = frozenset(("NAME", "INT", "FLOAT", "STRING", "TRUE", "FALSE", "NONE"))
_OPERAND_END = _OPERAND | {"RPAR", "RSQB"}
_CONDITIONS = frozenset(("IF", "ELIF", "WHILE", "ASSERT", "STATIC_ASSERT"))
_RESERVED_TYPES = frozenset(RESERVED.values()) - {"FLOAT", "TRUE", "FALSE", "NONE"}
_AFTER_NAME = frozenset(
    ("EQUAL", "AUGMENT", "DOT", "COMMA", "RPAR", "RSQB", "COMPARE", "PLUS", "MULTIPLY", "POWER", "SHIFT", "NEWLINE")
)


@dataclass(frozen=True, slots=True)
class Mistake:
    """A line, the position in it of the word that cannot stand there, and the terminals that could."""

    words: list[Word]
    position: int
    accepted: frozenset[str]
    top: bool
    in_format: bool

    @property
    def word(self) -> Word:
        return self.words[self.position]

    @property
    def previous(self) -> Word | None:
        return self.words[self.position - 1] if self.position else None

    @property
    def following(self) -> Word | None:
        return self.words[self.position + 1] if self.position + 1 < len(self.words) else None

    @property
    def head(self) -> Word:
        return self.words[0]

    def open_brackets(self) -> list[int]:
        """Where the brackets that are open before the word were opened."""
        positions: list[int] = []
        for index, word in enumerate(self.words[: self.position]):
            if word.text in OPENING:
                positions.append(index)
            elif word.text in (")", "]") and positions:
                positions.pop()
        return positions

    def after_previous(self) -> Span:
        """The empty span right after the word before."""
        end = (self.previous or self.word).span
        return Span(end.file, end.end_line, end.end_column, end.end_line, end.end_column)


def explain(mistake: Mistake) -> Diagnostic:
    """The diagnostic for a word that cannot stand where it does."""
    for recognise in _MISTAKES:
        diagnostic = recognise(mistake)
        if diagnostic is not None:
            return diagnostic
    return _unexpected(mistake)


def _unexpected(mistake: Mistake) -> Diagnostic:
    word = mistake.word
    wanted = expected(mistake.accepted)
    if word.type == "NEWLINE":
        message = "this line is not complete"
        return error("E0045", message, mistake.after_previous(), label=f"expected {wanted}" if wanted else "")
    message = f"{shown(word)} cannot stand here"
    if wanted:
        message = f"expected {wanted}, found {shown(word)}"
    return error("E0001", message, word.span)


# ---- words and operators of other languages --------------------------------------------------------------------------

_FOREIGN = {
    "&&": ("and", "`and`"), "||": ("or", "`or`"), "!": ("not ", "`not`"), "===": ("==", "`==`"),
    "!==": ("!=", "`!=`"), "<>": ("!=", "`!=`"),
}  # fmt: skip


def _foreign_operator(mistake: Mistake) -> Diagnostic | None:
    word = mistake.word
    if word.type != "FOREIGN":
        return None
    message = f"there is no operator `{word.text}`"
    if word.text in _FOREIGN:
        replacement, meant = _FOREIGN[word.text]
        return error("E0018", message, word.span, help=f"write {meant}", fix=Fix(word.span, replacement))
    help = {
        "?": "a choice is written `a if condition else b`",
        ":=": "assign on a line of its own",
        "**=": "write `x = x ** y`",
        "@=": "write `x = x @ y`",
    }.get(word.text)
    return error("E0018", message, word.span, help=help)


def _increment(mistake: Mistake) -> Diagnostic | None:
    word, previous = mistake.word, mistake.previous
    if word.type != "NEWLINE" or previous is None or mistake.position < 3:
        return None
    before = mistake.words[mistake.position - 2]
    if (
        previous.text not in ("+", "-")
        or before.text != previous.text
        or before.span.end_column != previous.span.column
    ):
        return None
    span = before.span.to(previous.span)
    help = f"write `{mistake.words[mistake.position - 3].text} {previous.text}= 1`"
    message = f"there is no operator `{before.text}{previous.text}`"
    return error("E0018", message, span, help=help, fix=Fix(span, f" {previous.text}= 1"))


def _semicolon(mistake: Mistake) -> Diagnostic | None:
    word = mistake.word
    if word.type != "SEMICOLON":
        return None
    following = mistake.following
    if following is None or following.type == "NEWLINE":
        message = "a statement ends with its line, without `;`"
        return error("E0026", message, word.span, help="remove it", fix=Fix(word.span, ""))
    return error("E0026", "one statement stands on a line", word.span, help="begin a new line instead of `;`")


def _brace(mistake: Mistake) -> Diagnostic | None:
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


def _alien_word(mistake: Mistake) -> Diagnostic | None:
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
        case "ALIEN" if not (mistake.accepted & {"NAME"} and _taken_as_name(mistake)):
            return error("E0031", f"there is no `{word.text}` in the language", word.span)
    return None


def _none(mistake: Mistake) -> Diagnostic | None:
    if mistake.word.type != "NONE":
        return None
    help = "`None` stands only between index brackets, where it inserts an axis"
    return error("E0019", "`None` is no value", mistake.word.span, help=help)


# ---- words at the beginning of a line --------------------------------------------------------------------------------


def _stray_statement(mistake: Mistake) -> Diagnostic | None:
    """Something other than a declaration at the top level."""
    if not mistake.top or mistake.position > 0:
        return None
    word, following = mistake.word, mistake.following
    if word.type in ("ELSE", "ELIF"):
        return _lonely_branch(mistake)
    if word.type not in _OPERAND | _RESERVED_TYPES | {"LPAR", "LSQB"} or following is None:
        return None
    meant = suggest(word.text, DECLARATIONS)
    if meant and following.type in ("NAME", "KERNEL"):
        return _misspelt(word, meant)
    if following.type == "EQUAL":
        at = Span(word.span.file, word.span.line, word.span.column, word.span.line, word.span.column)
        help = "a value for the whole file is a constant: write `const` before it"
        return error("E0023", "an assignment outside of a kernel", word.span, help=help, fix=Fix(at, "const "))
    help = "put it into a function (`def`) or a kernel"
    said = f"`{word.text}`" if word.type in _RESERVED_TYPES else "a statement"
    return error("E0023", f"{said} outside of a function or kernel", word.span, help=help)


def _lonely_branch(mistake: Mistake) -> Diagnostic | None:
    word = mistake.word
    if mistake.position > 0 or word.type not in ("ELSE", "ELIF"):
        return None
    help = f"`{word.text}` stands in the same column as its `if`, right after the block"
    return error("E0001", f"this `{word.text}` belongs to no `if`", word.span, help=help)


def _misspelt(word: Word, meant: str) -> Diagnostic:
    message = f"`{word.text}` is no keyword"
    return error("E0014", message, word.span, help=f"did you mean `{meant}`?", fix=Fix(word.span, meant))


def _misspelt_head(mistake: Mistake) -> Diagnostic | None:
    """`fro k in range(4):`, `retrun x`, `esle:`: the first word is nearly a keyword, and the second follows no name."""
    head = mistake.head
    if head.type != "NAME" or mistake.position not in (1, 2) or mistake.top:
        return None
    if mistake.position == 2 and not (mistake.words[1].type == "COLON" and mistake.word.type == "NEWLINE"):
        return None
    meant = suggest(head.text, STATEMENTS)
    if meant is None or (mistake.position == 1 and mistake.word.type not in _OPERAND | _RESERVED_TYPES | {"COLON"}):
        return None
    return _misspelt(head, meant)


def _misspelt_within(mistake: Mistake) -> Diagnostic | None:
    """`for i in rang(4)`, `x: f32[4] layuot ...`: a word nearly one of the keywords that may stand here."""
    word = mistake.word
    if word.type != "NAME" or mistake.position == 0:
        return None
    meant = suggest(word.text, accepted_keywords(mistake.accepted))
    return _misspelt(word, meant) if meant else None


def _else_if(mistake: Mistake) -> Diagnostic | None:
    head, previous, word = mistake.head, mistake.previous, mistake.word
    if head.type != "ELSE" or word.type != "IF" or previous is not head:
        return None
    span = head.span.to(word.span)
    return error("E0017", "`else if` is written `elif`", span, help="write `elif`", fix=Fix(span, "elif"))


def _nested_declaration(mistake: Mistake) -> Diagnostic | None:
    head, word = mistake.head, mistake.word
    if mistake.top or mistake.position > 1 or head.text not in DECLARATIONS:
        return None
    if mistake.position == 1 and word.type not in ("NAME", "KERNEL"):
        return None
    if mistake.position == 0 and (mistake.following is None or mistake.following.type != "NAME"):
        return None
    message = f"`{head.text}` stands at the top level of a file, not inside a block"
    return error("E0034", message, head.span, help="move it to the left margin, before what uses it")


def _call_without_parentheses(mistake: Mistake) -> Diagnostic | None:
    head, word = mistake.head, mistake.word
    if mistake.position != 1 or head.type != "NAME" or mistake.top or word.type not in _OPERAND:
        return None
    if head.text != "print" and word.type not in ("STRING", "INT", "FLOAT"):
        return None
    rest = mistake.words[1:-1]
    message = f"the arguments of `{head.text}` stand in parentheses"
    span = head.span.to(rest[-1].span)
    fix = Fix(span, f"{head.text}({spaced_text(rest)})") if span.line == span.end_line else None
    return error("E0028", message, span, help=f"write `{head.text}(...)`", fix=fix)


# ---- loops, conditions, headers --------------------------------------------------------------------------------------


def _missing_colon(mistake: Mistake) -> Diagnostic | None:
    if mistake.word.type != "NEWLINE" or "COLON" not in mistake.accepted or mistake.head.text not in HEADERS:
        return None
    if mistake.open_brackets():
        return None
    place = mistake.after_previous()
    article = "an" if mistake.head.text[0] in "aei" else "a"
    message = f"{article} `{mistake.head.text}` line ends with `:`"
    return error("E0002", message, place, label="expected `:`", help="add `:`", fix=Fix(place, ":"))


def _assignment_as_value(mistake: Mistake) -> Diagnostic | None:
    word = mistake.word
    if word.type not in ("EQUAL", "AUGMENT"):
        return None
    if word.type == "EQUAL" and mistake.head.type in _CONDITIONS | {"RETURN"}:
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


def _index_in_parentheses(mistake: Mistake) -> Diagnostic | None:
    if mistake.head.type != "FOR" or mistake.position != 1 or mistake.word.type != "LPAR":
        return None
    help = "write `for i, j in grid(...)`"
    return error("E0043", "the indices of a loop stand without parentheses", mistake.word.span, help=help)


def _access(mistake: Mistake) -> Diagnostic | None:
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


def _loop_over_value(mistake: Mistake) -> Diagnostic | None:
    if mistake.head.type != "FOR" or not {"GRID", "RANGE", "STATIC"} <= mistake.accepted:
        return None
    word = mistake.word
    help = "loop over an index: `range(n)`, `static(n)` or `grid(n)`"
    if word.type == "NAME" and (meant := suggest(word.text, ("grid", "range", "static"))):
        return _misspelt(word, meant)
    return error("E0032", f"a loop cannot go over {shown(word)}", word.span, help=help)


def _unknown_space(mistake: Mistake) -> Diagnostic | None:
    word = mistake.word
    if word.type == "NEWLINE" or not {"SHARED", "REGISTER"} <= mistake.accepted:
        return None
    message = f"the memory spaces are `shared` and `register`, not {shown(word)}"
    meant = suggest(word.text, ("shared", "register"))
    if meant is None:
        return error("E0042", message, word.span)
    return error("E0042", message, word.span, help=f"did you mean `{meant}`?", fix=Fix(word.span, meant))


def _space_or_membership(mistake: Mistake) -> Diagnostic | None:
    word, following = mistake.word, mistake.following
    if word.type != "IN" or not wants_operator(mistake.accepted):
        return None
    if following is not None and following.text in ("shared", "register"):
        message = f"`in {following.text}` follows a type or an `alloc(...)`"
        return error("E0042", message, word.span.to(following.span))
    return error("E0018", "there is no operator `in`", word.span, help="compare with `==`, and use `any(...)`")


def _parameter(mistake: Mistake) -> Diagnostic | None:
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


# ---- inside expressions ----------------------------------------------------------------------------------------------


def _python_slice(mistake: Mistake) -> Diagnostic | None:
    return python_slice(mistake.words, mistake.position, mistake.open_brackets(), mistake.accepted)


def _taken_as_name(mistake: Mistake) -> bool:
    """Whether the word after a reserved word treats it as a name."""
    following = mistake.following
    if following is None:
        return False
    if following.type in _AFTER_NAME:
        return True
    previous = mistake.previous
    return following.type in ("LPAR", "LSQB", "COLON") and previous is not None and previous.type in ("DEF", "KERNEL")


def _reserved_name(mistake: Mistake) -> Diagnostic | None:
    word = mistake.word
    if word.type not in _RESERVED_TYPES | {"ALIEN", "FLOAT"} or "NAME" not in mistake.accepted:
        return None
    only_name = not wants_expression(mistake.accepted)
    if not only_name and not _taken_as_name(mistake):
        return None
    help = f"choose another name, such as `{word.text.lower()}_`"
    return error("E0015", f"`{word.text}` is a reserved word and cannot be a name", word.span, help=help)


def _reserved_target(mistake: Mistake) -> Diagnostic | None:
    """`in = 3`, `pass = 1`: the keyword was taken for itself, and the word after it does not fit."""
    head, word = mistake.head, mistake.word
    if mistake.position != 1 or word.type not in ("EQUAL", "AUGMENT") or head.type not in _RESERVED_TYPES:
        return None
    help = f"choose another name, such as `{head.text.lower()}_`"
    return error("E0015", f"`{head.text}` is a reserved word and cannot be a name", head.span, help=help)


def _side_by_side(mistake: Mistake) -> Diagnostic | None:
    word, previous = mistake.word, mistake.previous
    if previous is None or previous.type not in _OPERAND_END or word.type not in _OPERAND:
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


def _missing_expression(mistake: Mistake) -> Diagnostic | None:
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


def _comprehension(mistake: Mistake) -> Diagnostic | None:
    if mistake.word.type != "FOR" or not mistake.open_brackets():
        return None
    return error("E0031", "there are no comprehensions", mistake.word.span, help="write a loop, or compute on tiles")


def _tuple(mistake: Mistake) -> Diagnostic | None:
    """`(a, b)`: parentheses only group."""
    brackets = mistake.open_brackets()
    if mistake.word.type != "COMMA" or not brackets or not wants_operator(mistake.accepted):
        return None
    opening = mistake.words[brackets[-1]]
    if opening.text != "(" or "RPAR" not in mistake.accepted:
        return None
    help = "lists are written `[a, b]`; several results are assigned without parentheses"
    return error("E0001", "parentheses hold one expression, not several", mistake.word.span, help=help)


def _format_row(mistake: Mistake) -> Diagnostic | None:
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


_MISTAKES: tuple[Callable[[Mistake], Diagnostic | None], ...] = (
    _foreign_operator,
    _increment,
    _semicolon,
    _brace,
    _unknown_space,
    _format_row,
    _alien_word,
    _comprehension,
    _none,
    _stray_statement,
    _lonely_branch,
    _else_if,
    _nested_declaration,
    _reserved_target,
    _misspelt_head,
    _index_in_parentheses,
    _loop_over_value,
    _misspelt_within,
    _reserved_name,
    _call_without_parentheses,
    _missing_colon,
    _access,
    _parameter,
    _python_slice,
    _assignment_as_value,
    _space_or_membership,
    _side_by_side,
    _tuple,
    _missing_expression,
)
