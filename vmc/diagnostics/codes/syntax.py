"""E00xx: what the parser reports."""

from vmc.diagnostics.codes.entry import Entry

ENTRIES = (
    Entry(
        "E0001",
        "unexpected text",
        "The parser knows what may stand at each place, and this may not. The message names what was found and what "
        "could stand there instead. Where a more particular mistake is recognised, another code of this group says so.",
        "kernel copy(x: f32[N], y: out f32[N]) x:\n    y[: +4] = x[: +4]\n",
        "kernel copy(x: f32[N], y: out f32[N]):\n    y[: +4] = x[: +4]\n",
    ),
    Entry(
        "E0002",
        "missing colon",
        "A line that opens a block (kernel, def, format, for, while, if, elif, else) ends with a colon, and the block "
        "follows, indented.",
        "def double(x)\n    return x + x\n",
        "def double(x):\n    return x + x\n",
    ),
    Entry(
        "E0003",
        "missing indented block",
        "After a line that opens a block comes at least one line indented deeper than it. Use `pass` for a block that "
        "does nothing.",
        "def nothing(x):\nconst A = 1\n",
        "def nothing(x):\n    pass\nconst A = 1\n",
    ),
    Entry(
        "E0004",
        "unexpected indentation",
        "A line may be indented deeper than the line before it only where that line opens a block with a colon. Long "
        "expressions continue over several lines inside brackets, not by indentation.",
        "def double(x):\n    a = x\n        b = x\n    return a + b\n",
        "def double(x):\n    a = x\n    b = x\n    return a + b\n",
    ),
    Entry(
        "E0005",
        "inconsistent dedent",
        "A line that ends a block goes back exactly to the indentation of a line that opened one of the blocks around "
        "it. This one stands between two of them.",
        "def double(x):\n    if x:\n        a = x\n      b = x\n    return x\n",
        "def double(x):\n    if x:\n        a = x\n        b = x\n    return x\n",
    ),
    Entry(
        "E0006",
        "tab in indentation",
        "Blocks are told by their indentation, and how wide a tab is depends on the editor, so indentation is made of "
        "spaces only: four a level by habit.",
        "def double(x):\n\treturn x + x\n",
        "def double(x):\n    return x + x\n",
    ),
    Entry(
        "E0007",
        "bracket never closed",
        "Every `(`, `[` has its `)`, `]`. Lines inside brackets are joined, so a forgotten bracket swallows the lines "
        "after it; the message points at the one that was left open.",
        "def double(x):\n    a = (x + x\n    return a\n",
        "def double(x):\n    a = (x + x)\n    return a\n",
    ),
    Entry(
        "E0008",
        "closing bracket without its opening one",
        "A closing bracket closes the last one opened, and must be of its kind.",
        "def double(x):\n    return (x + x]\n",
        "def double(x):\n    return (x + x)\n",
    ),
    Entry(
        "E0009",
        "string never closed",
        "A string begins and ends with `\"` (or begins and ends with `'`) on one line. Write `\\n` for a line end in "
        "it.",
        'def show(x):\n    print("x is, x)\n',
        'def show(x):\n    print("x is", x)\n',
    ),
    Entry(
        "E0010",
        "character that the language does not use",
        "Outside of strings and comments a program is made of ASCII letters, digits, `_` and the operators of the "
        "language. Characters that only look like them (a typographic minus sign, a full-width bracket, a no-break "
        "space) come in by copying from formatted text.",
        "def negate(x):\n    return 0 $ x\n",
        "def negate(x):\n    return 0 - x\n",
    ),
    Entry(
        "E0011",
        "name with letters outside ASCII",
        "Names are made of the letters a to z and A to Z, digits and `_`, and do not begin with a digit: they become "
        "symbols of object files and arguments of command lines. Comments and strings may hold any text.",
        "def scale(x):\n    é = 2.0\n    return x * é\n",
        "def scale(x):\n    e = 2.0\n    return x * e\n",
    ),
    Entry(
        "E0012",
        "malformed number",
        "Integers are written `12`, `1_000`, `0xff`, `0b101`, `0o17`; floats `1.5`, `1e-3`, `1.5e3`. Suffixes are not "
        "used: a number takes the type of what it meets, or of the cast around it, `f16(1.5)`.",
        "const A = 0xZZ\n",
        "const A = 0xFF\n",
    ),
    Entry(
        "E0013",
        "number that no type can hold",
        "The widest integer has 64 bits, and the largest finite f64 is about 1.8e308. Write `inf` for infinity.",
        "const A = 99999999999999999999999\n",
        "const A = 18446744073709551615\n",
    ),
    Entry(
        "E0014",
        "misspelt keyword",
        "The first word of the line is no keyword, but close to one, and the rest of the line reads like what follows "
        "that keyword.",
        "kernal copy(x: f32[4], y: out f32[4]):\n    y[: +4] = x[: +4]\n",
        "kernel copy(x: f32[4], y: out f32[4]):\n    y[: +4] = x[: +4]\n",
    ),
    Entry(
        "E0015",
        "reserved word used as a name",
        "The words `and as assert break class const continue def del elif else false for from if import in inf kernel "
        "lambda nan None not or pass return static_assert true while with yield` have a meaning, here or for readers "
        "coming from Python, and cannot be names.",
        "def double(x):\n    in = x + x\n    return in\n",
        "def double(x):\n    total = x + x\n    return total\n",
    ),
    Entry(
        "E0016",
        "assignment where a value is expected",
        "`=` assigns, and an assignment is a statement without a value; equality is tested with `==`.",
        "def same(a, b):\n    if a = b:\n        pass\n    return a\n",
        "def same(a, b):\n    if a == b:\n        pass\n    return a\n",
    ),
    Entry(
        "E0017",
        "`else if` instead of `elif`",
        "A second condition after an `if` is written `elif condition:`.",
        "def pick(a: u1, b: u1, x):\n    if a:\n        y = x\n    else if b:\n        y = x\n    else:\n"
        "        y = x\n    return y\n",
        "def pick(a: u1, b: u1, x):\n    if a:\n        y = x\n    elif b:\n        y = x\n    else:\n        y = x\n"
        "    return y\n",
    ),
    Entry(
        "E0018",
        "operator of another language",
        "Logic is written `and`, `or`, `not`; a choice `a if condition else b`; counting up `i += 1`; inequality `!=`.",
        "def both(a: u1, b: u1):\n    return a && b\n",
        "def both(a: u1, b: u1):\n    return a and b\n",
    ),
    Entry(
        "E0019",
        "constant of another language",
        "The truth values are `true` and `false`. `None` stands only between index brackets, where it inserts an axis; "
        "there is no null value.",
        "const FLAG = True\n",
        "const FLAG = true\n",
    ),
    Entry(
        "E0020",
        "slice written as start:stop",
        "A slice is a start and a length, `start : +LENGTH`, because the length of a tile is fixed at compile time "
        "while its start moves. `:` alone takes the whole dimension, and `: +LENGTH` starts at 0.",
        "kernel copy(x: f32[8], y: out f32[4]):\n    y[0 : +4] = x[4:8]\n",
        "kernel copy(x: f32[8], y: out f32[4]):\n    y[0 : +4] = x[4 : +4]\n",
    ),
    Entry(
        "E0021",
        "chained comparison",
        "A comparison of tiles gives a tile of u1, which a second comparison would compare as a number. Join two "
        "comparisons with `and`.",
        "def inside(x):\n    return 0 < x < 4\n",
        "def inside(x):\n    return 0 < x and x < 4\n",
    ),
    Entry(
        "E0022",
        "assignment to something that cannot be assigned",
        "The left side of `=` is a name, several names, or a slice of a tensor, `y[i : +4]`. Only one name can be "
        "annotated with a type.",
        "def double(x):\n    abs(x) = x\n    return x\n",
        "def double(x):\n    y = abs(x)\n    return y\n",
    ),
    Entry(
        "E0023",
        "statement outside of a kernel or function",
        "At the top level of a file stand `import`, `from`, `const`, `format`, `def` and `kernel`. Everything that "
        "computes stands inside a function or a kernel; a value for the whole file is a `const`.",
        "x = 4\n",
        "const X = 4\n",
    ),
    Entry(
        "E0024",
        "expression without effect",
        "A statement that is only an expression must be a call: the value of anything else is lost.",
        "def double(x):\n    x + x\n    return x\n",
        "def double(x):\n    y = x + x\n    return y\n",
    ),
    Entry(
        "E0025",
        "break or continue",
        "Loops have one entry and one exit, so that their carried values are known. Leave a loop early with `while` "
        "and a flag; skip the rest of a turn with `if`.",
        "def first(x: i32):\n    i = 0\n    while i < 10:\n        break\n    return i\n",
        "def first(x: i32):\n    i = 0\n    going = true\n    while going:\n        i += 1\n        going = i < 10\n"
        "    return i\n",
    ),
    Entry(
        "E0026",
        "semicolon",
        "Statements end with their line; two statements stand on two lines.",
        "def double(x):\n    a = x; b = x\n    return a + b\n",
        "def double(x):\n    a = x\n    b = x\n    return a + b\n",
    ),
    Entry(
        "E0027",
        "brace",
        "Blocks are told by a colon and indentation, lists are written in `[ ]`.",
        "def double(x) {\n    return x + x\n}\n",
        "def double(x):\n    return x + x\n",
    ),
    Entry(
        "E0028",
        "call without parentheses",
        "A call, `print` among them, has its arguments in parentheses.",
        'def show(x):\n    print "x", x\n',
        'def show(x):\n    print("x", x)\n',
    ),
    Entry(
        "E0029",
        "nested too deeply",
        "Brackets, operators and blocks nest to a fixed depth, so that every stage of the compiler has room for any "
        "program that is accepted. Name an inner part, or make it a function.",
        "const A = " + "(" * 150 + "1" + ")" * 150 + "\n",
        "const A = ((1))\n",
    ),
    Entry(
        "E0030",
        "unknown escape in a string",
        "In a string `\\n` is a line end, `\\t` a tab, `\\\\` a backslash, `\\\"` and `\\'` the quotes, `\\0` a NUL; "
        "other "
        "characters stand for themselves without a backslash.",
        'def show(x):\n    print("a\\qb", x)\n',
        'def show(x):\n    print("a\\\\qb", x)\n',
    ),
    Entry(
        "E0031",
        "statement of Python that the language does not have",
        "There are no classes, lambdas, exceptions, generators or context managers. A kernel is made of tiles, loops, "
        "branches and functions.",
        "def double(x):\n    try:\n        y = x\n    return y\n",
        "def double(x):\n    y = x\n    return y\n",
    ),
    Entry(
        "E0032",
        "loop over something that cannot be looped over",
        "`for` goes over `grid(...)` (the blocks of the launch), `range(...)` (counted at run time) or `static(...)` "
        "(unrolled, the index known at compile time).",
        "def total(x):\n    s = 0\n    for v in x:\n        s += v\n    return s\n",
        "def total(x):\n    s = 0\n    for i in range(4):\n        s += i\n    return s\n",
    ),
    Entry(
        "E0033",
        "several values on the right of an assignment",
        "The right side of `=` is one expression. It may be a call that gives several results: `v, i = sort(x)`. An "
        "assignment has no value itself, so `a = b = x` is two assignments.",
        "def swap(a, b):\n    a, b = b, a\n    return a\n",
        "def swap(a, b):\n    c = a\n    a = b\n    return a + c\n",
    ),
    Entry(
        "E0034",
        "declaration inside a block",
        "Kernels, functions, formats, constants and imports are declared at the top level of a file, not inside "
        "each other.",
        "def outer(x):\n    def inner(y):\n        return y\n    return inner(x)\n",
        "def inner(y):\n    return y\ndef outer(x):\n    return inner(x)\n",
    ),
    Entry(
        "E0035",
        "malformed format",
        "A format holds its stored fields, `name: type[count]`, then lines that compute, `name = expression`, and last "
        "the one line `value[i] = expression` that says what element i of a block is.",
        "format half block 2:\n    q: u8[2]\n",
        "format half block 2:\n    q: u8[2]\n    value[i] = f32(q[i]) * 0.5\n",
    ),
    Entry(
        "E0036",
        "argument without a name after one with a name",
        "Arguments given by position come first, those given by name, `axis=1`, after them.",
        "def total(x):\n    return sum(axis=0, x)\n",
        "def total(x):\n    return sum(x, axis=0)\n",
    ),
    Entry(
        "E0037",
        "missing comma or operator",
        "Two expressions stand side by side with nothing between them: a comma is missing in a list of arguments, or "
        "an operator in a formula (a product is written `2 * x`).",
        "def double(x):\n    return 2 x\n",
        "def double(x):\n    return 2 * x\n",
    ),
    Entry(
        "E0038",
        "missing expression",
        "An operator, a comma or `=` is followed by the end of the line or by a closing bracket where a value is due.",
        "def double(x):\n    return x +\n",
        "def double(x):\n    return x + x\n",
    ),
    Entry(
        "E0039",
        "compile-time arguments in the wrong place",
        "Arguments in `[ ]` with a name, `f[N=8](x)`, belong to the call of a function; an index has no names.",
        "def first(x):\n    return x[i=0]\n",
        "def first(x):\n    return x[0]\n",
    ),
    Entry(
        "E0040",
        "kernel parameter without a type",
        "The arguments of a kernel come from outside, so each states its type: `x: f16[M, K]`, `alpha: f32`, "
        "`y: out f32[M]`. Only the parameters of functions may go without.",
        "kernel copy(x, y: out f32[4]):\n    y[: +4] = x[: +4]\n",
        "kernel copy(x: f32[4], y: out f32[4]):\n    y[: +4] = x[: +4]\n",
    ),
    Entry(
        "E0041",
        "file that is too long",
        "A source file may have at most 4 MiB of text and a line at most 100,000 characters. Tables of that size are "
        "passed as tensors.",
        "",
        "const A = 1\n",
    ),
    Entry(
        "E0042",
        "memory space or layout where none can be",
        "`in shared` and `layout` follow a type annotation, or an `alloc(...)` that is the whole right side of an "
        "assignment. The spaces are `shared` and `register`.",
        "def double(x):\n    y = x in shared\n    return y\n",
        "def double(x):\n    y: f32[4] in shared = x\n    return y\n",
    ),
    Entry(
        "E0043",
        "malformed loop",
        "A loop is `for NAME in range(stop)`, `range(start, stop)` or `range(start, stop, step)`, the same with "
        "`static`, or `for NAME, NAME in grid(extent, extent)`. `pipelined(n)` and `unrolled(n)`, each at most once, "
        "follow a `range`.",
        "def total(x):\n    s = 0\n    for i, j in range(4):\n        s += i\n    return s\n",
        "def total(x):\n    s = 0\n    for i in range(4):\n        s += i\n    return s\n",
    ),
    Entry(
        "E0044",
        "default of a run-time parameter",
        "Only compile-time parameters, those in `[ ]`, have defaults. What a run-time parameter is, the caller says.",
        "def scale(x, eps=0.5):\n    return x * eps\n",
        "def scale[eps = 0.5](x):\n    return x * eps\n",
    ),
    Entry(
        "E0045",
        "unfinished line",
        "The line ends before what it began is complete.",
        "const A\n",
        "const A = 1\n",
    ),
)
