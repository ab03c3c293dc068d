"""The words of the language: which are reserved, which mean something at one place only, and the operators.

Each maps to the name of a terminal of `grammar.lark`. A soft keyword is a keyword where the grammar asks for it and an
ordinary name elsewhere, so a tile may be called `block` or `range`.
"""

from __future__ import annotations

from vmc.ir.span import Span

RESERVED = {
    "and": "AND",
    "assert": "ASSERT",
    "def": "DEF",
    "elif": "ELIF",
    "else": "ELSE",
    "false": "FALSE",
    "for": "FOR",
    "from": "FROM",
    "if": "IF",
    "import": "IMPORT",
    "in": "IN",
    "inf": "FLOAT",
    "kernel": "KERNEL",
    "nan": "FLOAT",
    "None": "NONE",
    "not": "NOT",
    "or": "OR",
    "pass": "PASS",
    "return": "RETURN",
    "static_assert": "STATIC_ASSERT",
    "true": "TRUE",
    "while": "WHILE",
}

SOFT = {
    "block": "BLOCK",
    "const": "CONST",
    "fast": "FAST",
    "format": "FORMAT",
    "grid": "GRID",
    "inout": "INOUT",
    "layout": "LAYOUT",
    "out": "OUT",
    "packed": "PACKED",
    "pipelined": "PIPELINED",
    "range": "RANGE",
    "register": "REGISTER",
    "shared": "SHARED",
    "static": "STATIC",
    "unrolled": "UNROLLED",
}

# Words of Python that are kept free; `JUMP` is break and continue.
ALIEN = {
    **dict.fromkeys(("as", "class", "del", "lambda", "with", "yield", "try", "except", "finally", "raise"), "ALIEN"),
    **dict.fromkeys(("global", "nonlocal", "async", "await"), "ALIEN"),
    **dict.fromkeys(("break", "continue"), "JUMP"),
    **dict.fromkeys(("True", "False"), "ALIEN_CONSTANT"),
}

# Modules that people import out of habit.
PYTHON_MODULES = frozenset(
    ("cupy", "functools", "jax", "math", "ml_dtypes", "np", "numba", "numpy", "random", "scipy", "sys", "tensorflow")
) | {"time", "tinygrad", "torch", "triton", "typing"}

OPERATORS = {
    **dict.fromkeys(("+=", "-=", "*=", "/=", "//=", "%=", "&=", "|=", "^=", "<<=", ">>="), "AUGMENT"),
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), "COMPARE"),
    **dict.fromkeys(("*", "/", "//", "%", "@"), "MULTIPLY"),
    **dict.fromkeys(("<<", ">>"), "SHIFT"),
    **dict.fromkeys(("&&", "||", "!", "===", "!==", "<>", ":=", "=>", "?", "**=", "@="), "FOREIGN"),
    "=": "EQUAL",
    "+": "PLUS",
    "-": "MINUS",
    "**": "POWER",
    "~": "TILDE",
    "&": "AMPERSAND",
    "|": "BAR",
    "^": "CARET",
    "->": "ARROW",
    ",": "COMMA",
    ":": "COLON",
    ".": "DOT",
    "(": "LPAR",
    ")": "RPAR",
    "[": "LSQB",
    "]": "RSQB",
    ";": "SEMICOLON",
    "{": "BRACE",
    "}": "BRACE",
}

WORDS = {**RESERVED, **ALIEN, **dict.fromkeys(SOFT, "NAME")}
OPENING = {"(": ")", "[": "]"}
DECLARATIONS = ("const", "def", "fast", "format", "from", "import", "kernel")
HEADERS = ("def", "elif", "else", "fast", "for", "format", "if", "kernel", "while")
STATEMENTS = ("assert", "elif", "else", "for", "if", "pass", "return", "static_assert", "while")


class Word:
    """A token: its terminal, its text and place; numbers and strings carry their value.

    `soft` is the terminal that a soft keyword stands for where the grammar asks for it; `type` is then settled as the
    parser gets there. Lark asks of a token only that it has a `type`.
    """

    __slots__ = ("soft", "span", "text", "type", "value")

    def __init__(self, type: str, text: str, span: Span, value: int | float | str | None = None) -> None:
        self.type = type
        self.text = text
        self.span = span
        self.value = value
        self.soft = SOFT.get(text) if type == "NAME" else None

    def __repr__(self) -> str:
        return f"Word({self.type}, {self.text!r}, {self.span})"
