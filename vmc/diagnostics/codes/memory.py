"""E05xx: tensors, shared memory, asynchronous copies and atomics."""

from vmc.diagnostics.codes.entry import Entry

ENTRIES = (
    Entry(
        "E0501",
        "store to an input",
        "A tensor parameter is read only unless it says `out` or `inout`.",
        "kernel k(x: f32[4], y: f32[4]):\n    y[: +4] = x[: +4]\n",
        "kernel k(x: f32[4], y: out f32[4]):\n    y[: +4] = x[: +4]\n",
    ),
    Entry(
        "E0503",
        "tensor used without a slice",
        "A tensor lies in memory; computing is done on tiles. Take a tile with an index: `x[i : +64]`.",
        "kernel k(x: f32[4], y: out f32[4]):\n    y[: +4] = x + 1.0\n",
        "kernel k(x: f32[4], y: out f32[4]):\n    y[: +4] = x[: +4] + 1.0\n",
    ),
    Entry(
        "E0504",
        "atomic operation on this type",
        "Atomic operations exist on 32- and 64-bit integers, f16, bf16, f32 and f64; the bit operations among them "
        "only on integers.",
        "kernel k(y: inout u4[4], i: i32[4]):\n    old = atomic_add(y, i[: +4], 1)\n",
        "kernel k(y: inout u32[4], i: i32[4]):\n    old = atomic_add(y, i[: +4], 1)\n",
    ),
    Entry(
        "E0505",
        "asynchronous copy to something other than shared memory",
        "`copy_async(destination, source)` copies from a tensor to a buffer made by `alloc(...) in shared`.",
        "kernel k(x: f32[4], y: out f32[4]):\n    copy_async(y, x[: +4])\n",
        "kernel k(x: f32[4], y: out f32[4]):\n    s = alloc(f32[4]) in shared\n    copy_async(s, x[: +4])\n"
        "    commit()\n    wait(0)\n    barrier()\n    y[: +4] = s[: +4]\n",
    ),
    Entry(
        "E0508",
        "buffer assigned as if it were a tile",
        "The name of a buffer stands for its memory throughout. Store into it with an index: `s[:, :] = x`.",
        "def stage(x: f32[4]):\n    s = alloc(f32[4]) in shared\n    s = x\n    return x\n",
        "def stage(x: f32[4]):\n    s = alloc(f32[4]) in shared\n    s[:] = x\n    return x\n",
    ),
    Entry(
        "E0510",
        "store through a value that is not a tensor",
        "Only tensors and buffers have elements that can be stored to. A tile is a value: make a new one, for instance "
        "with `where`.",
        "def clear(x: f32[4]):\n    x = x + 1.0\n    x[0] = 0.0\n    return x\n",
        "def clear(x: f32[4]):\n    x = x + 1.0\n    return where(arange(4) == 0, 0.0, x)\n",
    ),
    Entry(
        "E0511",
        "fill that the element type cannot hold",
        "The `fill=` of a load has the type of the elements: no infinity for integers, no number out of range.",
        "kernel k(x: i32[N], y: out i32[4]):\n    y[: +4] = load(x[2 : +4], fill=-inf)\n",
        "kernel k(x: i32[N], y: out i32[4]):\n    y[: +4] = load(x[2 : +4], fill=-1)\n",
    ),
    Entry(
        "E0512",
        "index tiles of another shape",
        "The indices, values and masks of `gather`, `scatter` and the atomics broadcast to one shape, and there is one "
        "index for each dimension of the tensor.",
        "kernel k(x: f32[8, 8], i: i32[4], y: out f32[4]):\n    y[: +4] = gather(x, i[: +4], arange(3))\n",
        "kernel k(x: f32[8, 8], i: i32[4], y: out f32[4]):\n    y[: +4] = gather(x, i[: +4], arange(4))\n",
    ),
)
