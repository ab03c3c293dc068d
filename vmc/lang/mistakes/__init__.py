"""What somebody meant who wrote a line that the grammar refuses.

`explain` is given the words of the line, the first word that cannot stand where it does, and what could have stood
there. The mistakes that people make are tried in order, from the particular to the general; each is a function from a
`Mistake` to a diagnostic, or to None where it is something else.
"""

from __future__ import annotations

from collections.abc import Callable

from vmc.diagnostics import Diagnostic, error
from vmc.lang.mistakes import borrowed, foreign, headers, line_beginnings, strings, within_expressions
from vmc.lang.mistakes.expectation import expected, shown
from vmc.lang.mistakes.mistake import Mistake

__all__ = ["Mistake", "explain"]


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
    if (
        wanted == "a name"
        and mistake.previous is not None
        and mistake.previous.type in ("COLON", "ARROW", "OUT", "INOUT")
    ):
        wanted = "a type"
    if word.type == "NEWLINE":
        message = "this line is not complete"
        return error("E0045", message, mistake.after_previous(), label=f"expected {wanted}" if wanted else "")
    message = f"{shown(word)} cannot stand here"
    if wanted:
        message = f"expected {wanted}, found {shown(word)}"
    return error("E0001", message, word.span)


_MISTAKES: tuple[Callable[[Mistake], Diagnostic | None], ...] = (
    foreign.foreign_operator,
    foreign.increment,
    foreign.semicolon,
    foreign.brace,
    headers.unknown_space,
    within_expressions.format_row,
    borrowed.imported,
    borrowed.ellipsis,
    borrowed.decorator,
    borrowed.comment,
    borrowed.declared,
    borrowed.identity,
    strings.prefixed_string,
    foreign.alien_word,
    within_expressions.comprehension,
    foreign.none,
    line_beginnings.stray_statement,
    line_beginnings.lonely_branch,
    line_beginnings.else_if,
    line_beginnings.nested_declaration,
    headers.access,
    headers.result,
    headers.misplaced_access,
    headers.misnamed_access,
    within_expressions.reserved_target,
    line_beginnings.misspelt_head,
    headers.index_in_parentheses,
    headers.loop_over_value,
    line_beginnings.misspelt_within,
    within_expressions.reserved_name,
    line_beginnings.call_without_parentheses,
    headers.missing_colon,
    headers.parameter,
    within_expressions.slice_of_python,
    headers.assignment_as_value,
    headers.space_or_membership,
    within_expressions.side_by_side,
    within_expressions.list_in_parentheses,
    within_expressions.missing_expression,
)
