"""E06xx: loops, branches, functions and compile-time assertions."""

from vmc.diagnostics.codes.entry import Entry

ENTRIES = (
    Entry(
        "E0601",
        "carried value that changes its type",
        "A variable that a loop or a branch changes has one type and one shape before, within and after it. Start it "
        "with the type it will have.",
        "def total(x: f32):\n    s = 0\n    for i in range(4):\n        s = x * 2.0\n    return s\n",
        "def total(x: f32):\n    s = 0.0\n    for i in range(4):\n        s = x * 2.0\n    return s\n",
    ),
    Entry(
        "E0602",
        "function that calls itself",
        "Functions are instantiated at each call, so a call that leads back to itself would never end. Write a loop.",
        "def f(n):\n    return f(n - 1)\n",
        "def f(n):\n    return n - 1\n",
    ),
    Entry(
        "E0603",
        "grid that is not the last statement of the kernel",
        "The grid loop is the launch: its body runs once in every block, and nothing runs after it. Before it stand "
        "only scalar computations.",
        "kernel k(x: f32[4], y: out f32[4]):\n    for i in grid(1):\n        y[: +4] = x[: +4]\n    a = 1\n",
        "kernel k(x: f32[4], y: out f32[4]):\n    a = 1\n    for i in grid(a):\n        y[: +4] = x[: +4]\n",
    ),
    Entry(
        "E0604",
        "grid in the wrong place",
        "A kernel has at most one grid loop, at the top of its body; a function has none.",
        "def f(x, y):\n    for i in grid(4):\n        y[i] = x[i]\n",
        "def f(x, y):\n    for i in range(4):\n        y[i] = x[i]\n",
    ),
    Entry(
        "E0605",
        "wrong number of grid indices",
        "`for a, b in grid(x, y)` has as many names as extents, one to three.",
        "kernel k(y: out f32[4, 4]):\n    for i in grid(4, 4):\n        y[i, 0] = 0.0\n",
        "kernel k(y: out f32[4, 4]):\n    for i, j in grid(4, 4):\n        y[i, j] = 0.0\n",
    ),
    Entry(
        "E0606",
        "return that is not the end of a function",
        "`return` is the last statement of a function. A kernel returns nothing: its results are `out` tensors.",
        "kernel k(x: f32[4], y: out f32[4]):\n    y[: +4] = x[: +4]\n    return y\n",
        "kernel k(x: f32[4], y: out f32[4]):\n    y[: +4] = x[: +4]\n",
    ),
    Entry(
        "E0607",
        "branches that disagree",
        "A variable assigned in both branches has one type and shape after them.",
        "def pick(c: u1, a: f32, b: f16):\n    if c:\n        y = a\n    else:\n        y = b\n    return y\n",
        "def pick(c: u1, a: f32, b: f16):\n    if c:\n        y = a\n    else:\n        y = f32(b)\n    return y\n",
    ),
    Entry(
        "E0608",
        "step that is not a positive number",
        "The step of `range`, `static` and of a slice is an integer of at least 1; the step of `static` is known at "
        "compile time.",
        "def f(x):\n    for i in range(0, 4, 0):\n        x += 1\n    return x\n",
        "def f(x):\n    for i in range(0, 4, 1):\n        x += 1\n    return x\n",
    ),
    Entry(
        "E0609",
        "static loop with run-time bounds",
        "`static(...)` is unrolled while compiling. Use `range(...)` for bounds known only at run time.",
        "def f(x, n: i32):\n    for i in static(n):\n        x += 1\n    return x\n",
        "def f(x, n: i32):\n    for i in range(n):\n        x += 1\n    return x\n",
    ),
    Entry(
        "E0610",
        "program that unrolls without end",
        "Unrolled loops and instantiated functions together may make at most a fixed number of operations. Use "
        "`range`.",
        "def f(x):\n    for i in static(100000000):\n        x += 1\n    return x\n",
        "def f(x):\n    for i in range(100000000):\n        x += 1\n    return x\n",
    ),
    Entry(
        "E0611",
        "static_assert that fails",
        "The condition was computed while compiling and is false. The message is the program's own.",
        'kernel k[BM = 48](y: out f32[4]):\n    static_assert BM % 32 == 0, "BM must be a multiple of 32"\n'
        "    y[: +4] = zeros(f32[4])\n",
        'kernel k[BM = 64](y: out f32[4]):\n    static_assert BM % 32 == 0, "BM must be a multiple of 32"\n'
        "    y[: +4] = zeros(f32[4])\n",
    ),
    Entry(
        "E0613",
        "work before the grid",
        "What stands before the grid loop runs before there are blocks: scalar computations of sizes, no tiles, loads "
        "or stores.",
        "kernel k(x: f32[4], y: out f32[4]):\n    y[0] = 0.0\n    for i in grid(4):\n        y[i] = x[i]\n",
        "kernel k(x: f32[4], y: out f32[4]):\n    for i in grid(4):\n        y[i] = x[i]\n",
    ),
    Entry(
        "E0614",
        "number of pipeline stages or turns that cannot be",
        "`pipelined(n)` takes 1 to 8 stages, `unrolled(n)` a positive number of turns, both known at compile time.",
        "def f(x):\n    for i in range(4) pipelined(0):\n        x += 1\n    return x\n",
        "def f(x):\n    for i in range(4) pipelined(2):\n        x += 1\n    return x\n",
    ),
    Entry(
        "E0615",
        "function without a result used as a value",
        "The function has no `return`, so a call of it is a statement, not a value.",
        "def clear(y):\n    y[0] = 0.0\ndef use(y):\n    return clear(y)\n",
        "def clear(y):\n    y[0] = 0.0\ndef use(y):\n    clear(y)\n",
    ),
    Entry(
        "E0616",
        "result that is not used",
        "A call whose only effect is its result stands alone on a line. Assign the result, or remove the call.",
        "def f(x: f32):\n    exp(x)\n    return x\n",
        "def f(x):\n    y = exp(x)\n    return y\n",
    ),
)
