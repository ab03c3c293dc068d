"""W0xxx: what is allowed and is probably a mistake."""

from vmc.diagnostics.codes.entry import Entry

ENTRIES = (
    Entry(
        "W0101",
        "variable that is never used",
        "The value is computed and not read. Remove it, or begin its name with `_` to say that this is meant.",
        "def f(x):\n    y = x + 1\n    return x\n",
        "def f(x):\n    y = x + 1\n    return y\n",
    ),
    Entry(
        "W0102",
        "parameter that is never used",
        "The body does not read the parameter. Remove it, or begin its name with `_`.",
        "def f(x, y):\n    return x\n",
        "def f(x, _y):\n    return x\n",
    ),
    Entry(
        "W0103",
        "carried value that is never used",
        "The loop updates the variable in each turn, and neither the loop nor what follows reads it.",
        "def f(x):\n    n = 0\n    for i in range(4):\n        x += 1\n        n += 1\n    return x\n",
        "def f(x):\n    for i in range(4):\n        x += 1\n    return x\n",
    ),
    Entry(
        "W0104",
        "import that is never used",
        "Nothing of the imported module or name is used.",
        "import linalg\ndef f(x):\n    return x\n",
        "def f(x):\n    return x\n",
    ),
    Entry(
        "W0105",
        "name that hides a builtin",
        "The name is that of a builtin function or type, which cannot be reached while it is hidden.",
        "def f(x):\n    max = x + x\n    return max\n",
        "def f(x):\n    most = x + x\n    return most\n",
    ),
    Entry(
        "W0106",
        "function that is never called",
        "The function is called neither here nor exported by a kernel of the file. Modules meant for import are not "
        "warned about.",
        "def unused(x):\n    return x\nkernel k(y: out f32[4]):\n    y[: +4] = zeros(f32[4])\n",
        "kernel k(y: out f32[4]):\n    y[: +4] = zeros(f32[4])\n",
    ),
    Entry(
        "W0501",
        "output read before it is written",
        "An `out` tensor counts as unset: what it holds before the launch means nothing. One that is read, updated "
        "and written is `inout`.",
        "kernel k(x: f32[4], y: out f32[4]):\n    y[:] += x[:]\n",
        "kernel k(x: f32[4], y: inout f32[4]):\n    y[:] += x[:]\n",
    ),
    Entry(
        "W0601",
        "code that is never reached",
        "The condition is known at compile time, or nothing can follow a `return`.",
        "def f(x):\n    return x\n    y = x\n",
        "def f(x):\n    y = x\n    return y\n",
    ),
    Entry(
        "W0602",
        "loop that never runs",
        "The bounds are known at compile time, and the last is not beyond the first.",
        "def f(x):\n    for i in range(4, 0):\n        x += 1\n    return x\n",
        "def f(x):\n    for i in range(0, 4):\n        x += 1\n    return x\n",
    ),
    Entry(
        "W0701",
        "kernel that writes nothing",
        "The kernel has no `out` or `inout` tensor, or never stores to it, so that a launch has no effect.",
        "kernel k(x: f32[4]):\n    y = x[: +4]\n",
        "kernel k(x: f32[4], y: out f32[4]):\n    y[: +4] = x[: +4]\n",
    ),
    Entry(
        "W0702",
        "compile-time parameter that is never used",
        "Neither the types of the parameters nor the body use it.",
        "kernel k[BM = 64](y: out f32[4]):\n    y[: +4] = zeros(f32[4])\n",
        "kernel k[BM = 4](y: out f32[BM]):\n    y[: +BM] = zeros(f32[BM])\n",
    ),
)
