"""From the parser's reductions to syntax tree nodes: one method per rule or alias of `grammar.lark`.

Each method gets the words and nodes of its rule, in order, and returns a node, or a plain value that an enclosing rule
takes apart. Rules that a grammar of this kind cannot state (what may be assigned to, how many arguments a loop has) are
checked here and raise `Malformed`, within the line that breaks them.
"""

from __future__ import annotations

from typing import Any

from lark import Transformer

from vmc.lang.builder.declarations import Declarations, Formats
from vmc.lang.builder.expressions import Expressions
from vmc.lang.builder.parts import Malformed
from vmc.lang.builder.statements import Control, Statements
from vmc.lang.words import Word

__all__ = ["Builder", "Malformed"]


class Builder(Transformer[Word, Any], Declarations, Formats, Statements, Control, Expressions):
    """All callbacks of the parser."""
