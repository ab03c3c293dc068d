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
        "E0502",
        "read of an output",
        "The contents of an `out` tensor are undefined until written, so it is not read. `inout` is both read and "
        "written.",
        "kernel k(y: out f32[4]):\n    y[: +4] = y[: +4] + 1.0\n",
        "kernel k(y: inout f32[4]):\n    y[: +4] = y[: +4] + 1.0\n",
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
        "E0506",
        "read of a copy that was not waited for",
        "After `copy_async`, `commit()` closes the group, `wait(n)` waits until at most n groups are under way, and "
        "`barrier()` makes the data of all lanes visible.",
        "kernel k(x: f32[4], y: out f32[4]):\n    s = alloc(f32[4]) in shared\n    copy_async(s, x[: +4])\n"
        "    y[: +4] = s[: +4]\n",
        "kernel k(x: f32[4], y: out f32[4]):\n    s = alloc(f32[4]) in shared\n    copy_async(s, x[: +4])\n"
        "    commit()\n    wait(0)\n    barrier()\n    y[: +4] = s[: +4]\n",
    ),
    Entry(
        "E0507",
        "more shared memory than the target has",
        "All buffers alive at one time, with the stages of pipelined loops, fit into the shared memory of a block.",
        "kernel k(y: out f32[4]):\n    s = alloc(f32[1024, 1024]) in shared\n    y[: +4] = s[0, : +4]\n",
        "kernel k(y: out f32[4]):\n    s = alloc(f32[16, 16]) in shared\n    s[:, :] = zeros(f32[16, 16])\n"
        "    y[: +4] = s[0, : +4]\n",
    ),
    Entry(
        "E0508",
        "buffer assigned as if it were a tile",
        "The name of a buffer stands for its memory throughout. Store into it with an index: `s[:, :] = x`.",
        "def stage(x: f32[4]):\n    s = alloc(f32[4]) in shared\n    s = x\n    return x\n",
        "def stage(x: f32[4]):\n    s = alloc(f32[4]) in shared\n    s[:] = x\n    return x\n",
    ),
    Entry(
        "E0509",
        "packed elements that two blocks may share",
        "Elements narrower than a byte share bytes with their neighbours, so a store to them starts at a byte's border "
        "and covers whole bytes; otherwise two blocks could write one byte.",
        "kernel k(y: out u4[N]):\n    for i in grid(N):\n        y[i] = u4(1)\n",
        "kernel k(y: out u4[N]):\n    for i in grid(cdiv(N, 2)):\n        y[i * 2 : +2] = full(u4[2], 1)\n",
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
        "kernel k(x: f32[8, 8], i: i32[4], y: out f32[4]):\n    y[: +4] = gather(x, i[: +4])\n",
        "kernel k(x: f32[8, 8], i: i32[4], y: out f32[4]):\n    y[: +4] = gather(x, i[: +4], 0)\n",
    ),
)
