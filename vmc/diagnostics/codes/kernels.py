"""E07xx: kernels, their parameters and symbols."""

from vmc.diagnostics.codes.entry import Entry

ENTRIES = (
    Entry(
        "E0701",
        "symbol that cannot be bound",
        "A symbol gets its value at the launch from an extent that is that symbol alone, as `K` in `x: f32[K]`. One "
        "that occurs only inside a larger expression cannot be solved for.",
        "kernel k(x: f32[2 * K], y: out f32[4]):\n    y[: +4] = x[: +4]\n",
        "kernel k(x: f32[K], y: out f32[4]):\n    y[: +4] = x[: +4]\n",
    ),
    Entry(
        "E0702",
        "parameter declared twice",
        "The names of parameters, compile-time parameters and symbols of one kernel or function differ.",
        "kernel k(x: f32[4], x: out f32[4]):\n    pass\n",
        "kernel k(x: f32[4], y: out f32[4]):\n    y[: +4] = x[: +4]\n",
    ),
    Entry(
        "E0703",
        "unknown kind of compile-time parameter",
        "The kinds are `type`, `int`, `uint`, `sint`, `float` (classes of types), `format`, `const` and `bool`. A "
        "parameter with a number as its default needs no kind.",
        "kernel k[T: typ](x: T[4], y: out T[4]):\n    y[: +4] = x[: +4]\n",
        "kernel k[T: type](x: T[4], y: out T[4]):\n    y[: +4] = x[: +4]\n",
    ),
    Entry(
        "E0704",
        "default of another kind",
        "The default of a compile-time parameter is of the kind that the parameter states.",
        "kernel k[T: type = 4](x: T[4], y: out T[4]):\n    y[: +4] = x[: +4]\n",
        "kernel k[T: type = u4](x: T[4], y: out T[4]):\n    y[: +4] = x[: +4]\n",
    ),
    Entry(
        "E0705",
        "compile-time argument of another kind",
        "The argument given for a compile-time parameter is not of its kind or class: a signed type for `uint`, a "
        "number for `type`.",
        "def f[T: uint](x):\n    return T(x)\ndef use(x):\n    return f[i8](x)\n",
        "def f[T: uint](x):\n    return T(x)\ndef use(x):\n    return f[u8](x)\n",
    ),
    Entry(
        "E0706",
        "compile-time parameter without a value",
        "The parameter has no default, and the call gives no argument for it.",
        "def f[N: const](x):\n    return x * N\ndef use(x):\n    return f(x)\n",
        "def f[N: const](x):\n    return x * N\ndef use(x):\n    return f[4](x)\n",
    ),
    Entry(
        "E0707",
        "scalar output",
        "A scalar is passed by value and cannot be `out` or `inout`. Use a tensor of one element.",
        "kernel k(x: f32[4], y: out f32):\n    pass\n",
        "kernel k(x: f32[4], y: out f32[1]):\n    y[0] = sum(x[: +4], axis=0)\n",
    ),
    Entry(
        "E0708",
        "call of a kernel",
        "Kernels are launched by the host, one after the other, and do not call each other. What two kernels share is "
        "a function.",
        "kernel a(y: out f32[4]):\n    y[: +4] = zeros(f32[4])\nkernel b(y: out f32[4]):\n    a(y)\n",
        "def clear(y):\n    y[: +4] = zeros(f32[4])\nkernel a(y: out f32[4]):\n    clear(y)\n"
        "kernel b(y: out f32[4]):\n    clear(y)\n",
    ),
    Entry(
        "E0709",
        "extent that is no integer expression",
        "An extent is made of integers, symbols, compile-time parameters and constants with `+ - * // %`, `cdiv`, "
        "`min` and `max`.",
        "kernel k(x: f32[N * 0.5], y: out f32[N]):\n    y[: +4] = x[: +4]\n",
        "kernel k(x: f32[N // 2], y: out f32[N]):\n    y[: +4] = x[: +4]\n",
    ),
    Entry(
        "E0710",
        "space of a kernel parameter",
        "Kernel parameters lie in global memory; `in shared` belongs to values inside a kernel.",
        "kernel k(x: f32[4] in shared, y: out f32[4]):\n    y[: +4] = x[: +4]\n",
        "kernel k(x: f32[4], y: out f32[4]):\n    y[: +4] = x[: +4]\n",
    ),
    Entry(
        "E0711",
        "type that cannot be a kernel's scalar",
        "Scalars are passed as i32, i64, u32, u64, f32 or f64; narrower values are cast inside the kernel.",
        "kernel k(a: u4, y: out f32[4]):\n    y[: +4] = full(f32[4], f32(a))\n",
        "kernel k(a: u32, y: out f32[4]):\n    y[: +4] = full(f32[4], f32(a))\n",
    ),
    Entry(
        "E0712",
        "tensor of rank 0 or too many dimensions",
        "A tensor has one to eight dimensions. A value without dimensions is a scalar parameter, `alpha: f32`.",
        "kernel k(x: f32[1, 1, 1, 1, 1, 1, 1, 1, 1], y: out f32[4]):\n    y[: +4] = zeros(f32[4])\n",
        "kernel k(x: f32[1, 1, 1, 1], y: out f32[4]):\n    y[: +4] = zeros(f32[4])\n",
    ),
)
