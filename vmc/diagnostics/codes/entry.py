"""One row of the table of codes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """A stable code: its title, why the rule exists, a program that breaks it and one that keeps it.

    The examples are whole files of the language, or, for the codes of the command line (E09xx), shell lines.
    """

    code: str
    title: str
    explanation: str
    wrong: str
    right: str
