"""Writes docs/passes.md, the reference of the passes and of the IR's text form, from the code.

python docs/make_pass_reference.py
"""

from __future__ import annotations

import inspect
import textwrap
from pathlib import Path

import vmc.ir.text.attributes
import vmc.ir.text.parser
from vmc.ir.passes import Pass, pipeline
from vmc.ir.passes.catalogue import EVERY_PASS
from vmc.ir.passes.rules import ALGEBRAIC, STRUCTURAL

TARGET = Path(__file__).with_name("passes.md")

HEAD = """\
# Passes, and the text form of the IR

Written by `docs/make_pass_reference.py` from `ir/passes/` and `ir/text/`; do not edit.

A pass is a function from a module to a module with the same meaning. It says what it needs, what it guarantees, and
what it keeps; passes that are idempotent change nothing when they run again. `vmc show FILE --stage NAME` prints what a
pass left. In tests, random kernels give the same bits before and after every pass, and `tests/ir/passes/*.ir` show each
pass at work on small ones.
"""

RULES = """\
## Rules of `canonicalize`

A rule is a pattern and what may stand in its place, exact to the last bit for every dtype that it claims: the tests try
each on special and random values of all of them. `x`, `y` and `z` stand for any value, `c` and `d` for constants.
"""

ADDING = """\
A new rule is a line in `ir/passes/rules/`; a new pass is a function with a contract, a place in `pipeline`, a file of
cases in `tests/ir/passes/`, and nothing else: the differential tests find it in the table of passes.
"""

TEXT = """\
## The text form

`print_module` and `parse_module` of `vmc.ir.text` are inverse to each other; with `locations=True` every operation
keeps its place in the source. The text knows no operation: names, operands, attributes, types and regions print alike
for all.
"""


def pass_text(step: Pass) -> str:
    """One pass: its name, what its file is about, and its contract."""
    module = inspect.getmodule(step.rewrite)
    assert module is not None
    subject = (module.__doc__ or "").strip().splitlines()[0]
    contract = " ".join(step.contract.split())
    return f"### `{step.name}`\n\n{textwrap.fill(subject, 119)}\n\n{textwrap.fill(contract, 119)}\n"


def grammar(module: object) -> str:
    """The indented lines of a module's docstring."""
    lines = (inspect.getdoc(module) or "").splitlines()
    return "\n".join(line[4:] for line in lines if line.startswith("    "))


def reference() -> str:
    """The text of docs/passes.md."""
    order = ", ".join(step.name for step in pipeline("cpu"))
    parts = [HEAD, textwrap.fill(f"The pipeline for code: {order}.", 119) + "\n", "## The passes\n"]
    parts += [pass_text(step) for step in EVERY_PASS]
    rows = [f"| `{rule.left}` | `{rule.right}` | {rule.when.__name__.replace('_', '-')} |" for rule in ALGEBRAIC]
    parts += [RULES, "\n".join(["| pattern | becomes | where x is |", "|---|---|---|", *rows]) + "\n"]
    parts += ["\n".join(f"- {rule}" for rule in STRUCTURAL) + "\n", ADDING, TEXT]
    parts += [f"```\n{grammar(vmc.ir.text.parser)}\n{grammar(vmc.ir.text.attributes)}\n```\n"]
    return "\n".join(parts)


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
