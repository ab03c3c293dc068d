"""The table of codes as text: one entry for the terminal, all of them for docs/errors.md.

`python -m vmc.diagnostics.reference docs/errors.md` writes the page.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from vmc.diagnostics.codes import SUBJECTS, Entry

_LONGEST_EXAMPLE = 100
_INTRODUCTION = """\
# Errors and warnings

Every diagnostic of vmc carries a code that keeps its meaning from one version to the next. This page lists them all;
`vmc explain-error CODE` prints one entry. It is made from the table in `vmc/diagnostics/codes/` by
`python -m vmc.diagnostics.reference docs/errors.md`.
"""


def entry_text(entry: Entry) -> str:
    """An entry for the terminal, at most 80 columns wide but for the examples."""
    parts = [f"{entry.code}: {entry.title}\n", textwrap.fill(entry.explanation, 80) + "\n"]
    for heading, example in (("Wrong", entry.wrong), ("Right", entry.right)):
        if example:
            parts.append(f"{heading}:\n\n{textwrap.indent(_shortened(example), '    ')}")
    return "\n".join(parts)


def _shortened(example: str) -> str:
    """The example with lines that are long for a reason cut in the middle."""
    lines = example.splitlines()
    cut = (f"{line[:24]}...{line[-24:]}" if len(line) > _LONGEST_EXAMPLE else line for line in lines)
    return "".join(line + "\n" for line in cut)


def page() -> str:
    """The text of docs/errors.md."""
    parts = [_INTRODUCTION]
    for subject, entries in SUBJECTS:
        parts.append(f"## {subject}\n")
        parts += [_section(entry) for entry in entries]
    return "\n".join(parts)


def _section(entry: Entry) -> str:
    language = "sh" if entry.code.startswith("E09") else "text"
    lines = [f"### {entry.code}: {entry.title}\n", textwrap.fill(entry.explanation, 120) + "\n"]
    for heading, example in (("Wrong:", entry.wrong), ("Right:", entry.right)):
        if example:
            lines.append(f"{heading}\n\n```{language}\n{_shortened(example)}```\n")
    return "\n".join(lines)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
