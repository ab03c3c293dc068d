"""E01xx: names, and what is called."""

from vmc.diagnostics.codes.entry import Entry

ENTRIES = (
    Entry(
        "E0101",
        "unknown name",
        "Nothing of this name is known here: no variable assigned above, parameter, symbol of a tensor's shape, "
        "constant, function, import or builtin.",
        "def double(x):\n    return x + y\n",
        "def double(x, y):\n    return x + y\n",
    ),
    Entry(
        "E0102",
        "unknown function",
        "No builtin, function of this file or import has this name. `docs/language.md` lists the builtins.",
        "kernel k(y: out f32[4]):\n    y[: +4] = zeroes(f32[4])\n",
        "kernel k(y: out f32[4]):\n    y[: +4] = zeros(f32[4])\n",
    ),
    Entry(
        "E0103",
        "name declared twice",
        "Constants, functions, formats, kernels and imports of one file share one set of names.",
        "const A = 1\nconst A = 2\n",
        "const A = 1\nconst B = 2\n",
    ),
    Entry(
        "E0104",
        "unknown module",
        "`import name` finds `name.vmc` beside the file, then among the modules that come with vmc.",
        "import linalgebra\n",
        "import linalg\n",
    ),
    Entry(
        "E0105",
        "module without that name",
        "The module was found, but declares nothing of this name.",
        "from linalg import choleski\n",
        "from linalg import cholesky\n",
    ),
    Entry(
        "E0106",
        "modules that import each other",
        "The imports of a file, and of the files that it imports, form no circle. Move what both need into a third "
        "file.",
        "# in a.vmc\nimport b\n# in b.vmc\n# import a\n",
        "# in a.vmc\nconst A = 1\n# in b.vmc\n# import a\n",
    ),
    Entry(
        "E0107",
        "variable that may be unset",
        "The variable is assigned in one branch only, or in a loop that may not run at all. Assign it before.",
        "def pick(c: u1, x):\n    if c:\n        y = x\n    return y\n",
        "def pick(c: u1, x):\n    y = x\n    if c:\n        y = x + x\n    return y\n",
    ),
    Entry(
        "E0108",
        "assignment to a name that is not a variable",
        "Symbols, compile-time parameters, loop indices, constants and tensors keep their meaning throughout. Assign "
        "to another name.",
        "kernel k(y: out f32[N]):\n    N = 4\n    y[: +4] = zeros(f32[4])\n",
        "kernel k(y: out f32[N]):\n    n = 4\n    y[: +4] = full(f32[4], n)\n",
    ),
    Entry(
        "E0109",
        "unknown attribute",
        "A value has one attribute, `.T`, the transpose of a tile of rank 2; a module has what it declares. The extent "
        "of a dimension is `dim(x, 0)`.",
        "def rows(x):\n    return x.shape\n",
        "def rows(x):\n    return dim(x, 0)\n",
    ),
    Entry(
        "E0110",
        "unknown argument name",
        "The function has no parameter of this name.",
        "def total(x):\n    return sum(x, axes=0)\n",
        "def total(x):\n    return sum(x, axis=0)\n",
    ),
    Entry(
        "E0111",
        "wrong number of arguments",
        "The call gives more arguments than the function takes, or fewer than it needs.",
        "def root(x):\n    return sqrt(x, 2)\n",
        "def root(x):\n    return sqrt(x)\n",
    ),
    Entry(
        "E0112",
        "missing argument",
        "The function needs this argument, and the call does not give it.",
        "def total(x):\n    return topk(x, axis=0)\n",
        "def total(x):\n    v, i = topk(x, 4, axis=0)\n    return v\n",
    ),
    Entry(
        "E0113",
        "argument given twice",
        "The same parameter is given by position and by name, or by name twice.",
        "def total(x):\n    return sum(x, axis=0, axis=1)\n",
        "def total(x):\n    return sum(x, axis=0)\n",
    ),
    Entry(
        "E0114",
        "call of something that is not a function",
        "Functions, types (as casts) and builtins can be called; values cannot. A product is written `a * (b)`.",
        "def twice(a, b):\n    return a(b)\n",
        "def twice(a, b):\n    return a * (b)\n",
    ),
    Entry(
        "E0115",
        "name that is not a value",
        "A type, a function, a format or a module stands where a value is expected.",
        "def double(x):\n    return x + f32\n",
        "def double(x):\n    return x + f32(2)\n",
    ),
    Entry(
        "E0116",
        "name that is not a type",
        "A value stands where a type is expected: in an annotation, a cast or between the brackets of a constructor.",
        "def widen(x, y):\n    z: y[4] = x\n    return z\n",
        "def widen(x, y):\n    z: f32[4] = x\n    return z\n",
    ),
    Entry(
        "E0117",
        "wrong number of results",
        "A call gives a fixed number of results, and an assignment takes all of them. A function without `return` "
        "gives none.",
        "def order(x: f32[8]):\n    v = sort(x, axis=0)\n    return v\n",
        "def order(x):\n    v, i = sort(x, axis=0)\n    return v\n",
    ),
)
