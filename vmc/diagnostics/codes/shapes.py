"""E03xx: shapes, axes and slices."""

from vmc.diagnostics.codes.entry import Entry

ENTRIES = (
    Entry(
        "E0301",
        "shapes that do not broadcast",
        "Shapes are matched from the last dimension backwards; two extents agree when they are equal or one of them is "
        "1. Insert an axis with `x[:, None]`.",
        "def add(a: f32[4, 8], b: f32[4]):\n    return a + b\n",
        "def add(a: f32[4, 8], b: f32[4]):\n    return a + b[:, None]\n",
    ),
    Entry(
        "E0302",
        "inner extents of a matrix product differ",
        "`[m, k] @ [k, n]` gives `[m, n]`: the last extent of the left operand equals the first of the right one.",
        "def product(a: f32[4, 8], b: f32[4, 8]):\n    return a @ b\n",
        "def product(a: f32[4, 8], b: f32[4, 8]):\n    return a @ b.T\n",
    ),
    Entry(
        "E0303",
        "wrong number of indices",
        "An index has one item for each dimension (`None` items, which insert one, not counted).",
        "kernel k(x: f32[4, 4], y: out f32[4]):\n    y[: +4] = x[: +4]\n",
        "kernel k(x: f32[4, 4], y: out f32[4]):\n    y[: +4] = x[0, : +4]\n",
    ),
    Entry(
        "E0304",
        "extent of a tile not known at compile time",
        "Tiles live in registers, so their extents are compile-time numbers. The extents of tensors may be symbols; "
        "take blocks of them with a slice of fixed length.",
        "kernel k(x: f32[N], y: out f32[N]):\n    y[0 : +N] = x[0 : +N]\n",
        "kernel k(x: f32[N], y: out f32[N]):\n    for i in grid(cdiv(N, 64)):\n"
        "        y[i * 64 : +64] = x[i * 64 : +64]\n",
    ),
    Entry(
        "E0305",
        "axis out of range",
        "The axes of a tile of rank r are 0 to r - 1, or -r to -1 counted from the last.",
        "def total(x: f32[4, 8]):\n    return sum(x, axis=2)\n",
        "def total(x: f32[4, 8]):\n    return sum(x, axis=1)\n",
    ),
    Entry(
        "E0306",
        "reshape to another number of elements",
        "`reshape` keeps the elements and their row-major order.",
        "def split(x: f32[8]):\n    return reshape(x, [2, 3])\n",
        "def split(x: f32[8]):\n    return reshape(x, [2, 4])\n",
    ),
    Entry(
        "E0307",
        "store of another shape",
        "The value stored has the shape of the slice it is stored to, or is a scalar. Broadcasting to the left side is "
        "not done silently; `broadcast(x, [a, b])` does it.",
        "kernel k(x: f32[8], y: out f32[8]):\n    y[: +8] = x[: +4]\n",
        "kernel k(x: f32[8], y: out f32[8]):\n    y[: +4] = x[: +4]\n",
    ),
    Entry(
        "E0308",
        "slice outside of a tile",
        "A slice of a tile starts and ends within it; unlike a tensor's edge, a tile's edge is known at compile time.",
        "def tail(x: f32[8]):\n    return x[6 : +4]\n",
        "def tail(x: f32[8]):\n    return x[4 : +4]\n",
    ),
    Entry(
        "E0309",
        "not a permutation of the axes",
        "`transpose(x, 1, 0)` names every axis once.",
        "def turn(x: f32[4, 8]):\n    return transpose(x, 0, 0)\n",
        "def turn(x: f32[4, 8]):\n    return transpose(x, 1, 0)\n",
    ),
    Entry(
        "E0310",
        "table of another shape than declared",
        "The nested lists of a table have the extents that its type states, and all lists of one level are equally "
        "long.",
        "const A: f32[4] = [1.0, 2.0, 3.0]\n",
        "const A: f32[3] = [1.0, 2.0, 3.0]\n",
    ),
    Entry(
        "E0311",
        "extents that concat cannot join",
        "The parts joined by `concat(a, b, axis=)` agree in every extent but that of the axis.",
        "def join(a: f32[4, 8], b: f32[2, 4]):\n    return concat(a, b, axis=0)\n",
        "def join(a: f32[4, 8], b: f32[2, 8]):\n    return concat(a, b, axis=0)\n",
    ),
    Entry(
        "E0312",
        "one shape name for two extents",
        "In the parameters of a function a name of an extent, such as `D` in `x: f32[N, D]`, stands for one number; "
        "two arguments give it different ones.",
        "def add(a: f32[D], b: f32[D]):\n    return a + b\ndef use():\n    return add(zeros(f32[4]), zeros(f32[8]))\n",
        "def add(a: f32[D], b: f32[D]):\n    return a + b\ndef use():\n    return add(zeros(f32[4]), zeros(f32[4]))\n",
    ),
    Entry(
        "E0313",
        "extent that is not positive",
        "Every extent and every length of a slice is at least 1.",
        "def nothing():\n    return zeros(f32[0])\n",
        "def nothing():\n    return zeros(f32[1])\n",
    ),
    Entry(
        "E0314",
        "operation on tiles of this rank",
        "`@` and `.T` work on tiles of rank 2, `sort`, scans and reductions on rank 1 or more.",
        "def turn(x: f32[8]):\n    return x.T\n",
        "def turn(x: f32[4, 8]):\n    return x.T\n",
    ),
    Entry(
        "E0315",
        "more elements asked for than there are",
        "The k of `topk` is at most the extent of the axis.",
        "def best(x: f32[4]):\n    v, i = topk(x, 8, axis=0)\n    return v\n",
        "def best(x: f32[4]):\n    v, i = topk(x, 2, axis=0)\n    return v\n",
    ),
    Entry(
        "E0316",
        "whole slice of a symbolic dimension",
        "`:` takes all of a dimension, so its extent must be known at compile time. Take blocks of a symbolic one: "
        "`start : +LENGTH`.",
        "kernel k(x: f32[N], y: out f32[4]):\n    y[:] = x[:]\n",
        "kernel k(x: f32[N], y: out f32[4]):\n    y[:] = x[: +4]\n",
    ),
    Entry(
        "E0317",
        "tile indexed by a run-time value",
        "The elements of a tile lie in registers, which have no addresses; indices into a tile are compile-time. Use "
        "`take(tile, index, axis=)`, or a buffer in shared memory.",
        "def pick(x: f32[8], i: i32):\n    return x[i : +4]\n",
        "def pick(x: f32[8], i: i32[1]):\n    return take(x, i, axis=0)\n",
    ),
    Entry(
        "E0318",
        "argument of another shape than the parameter's",
        "The parameter states a shape or a rank, and the argument has another.",
        "def total(x: f32[4]):\n    return sum(x, axis=0)\ndef use():\n    return total(zeros(f32[4, 4]))\n",
        "def total(x: f32[4]):\n    return sum(x, axis=0)\ndef use():\n    return total(zeros(f32[4]))\n",
    ),
    Entry(
        "E0319",
        "value of another shape than annotated",
        "An annotation checks the shape, it does not change it. `broadcast` and `reshape` do.",
        "def make():\n    x: f32[8] = zeros(f32[4])\n    return x\n",
        "def make():\n    x: f32[4] = zeros(f32[4])\n    return x\n",
    ),
    Entry(
        "E0320",
        "missing axis",
        "A scan, sort or concat works along one axis, and which one is said: `cumsum(x, axis=0)`.",
        "def running(x: f32[4, 8]):\n    return cumsum(x)\n",
        "def running(x: f32[4, 8]):\n    return cumsum(x, axis=1)\n",
    ),
    Entry(
        "E0321",
        "tile that is too large",
        "A tile is what one block holds at a time; one of more than 2^24 elements is a mistake: loop.",
        "def make():\n    return zeros(f32[65536, 65536])\n",
        "def make():\n    return zeros(f32[64, 64])\n",
    ),
)
