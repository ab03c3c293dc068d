"""E02xx: element types, casts and literals."""

from vmc.diagnostics.codes.entry import Entry

ENTRIES = (
    Entry(
        "E0201",
        "integer mixed with float",
        "Integers and floats are not mixed silently: whether the integer becomes a float (and of which width) or the "
        "float an integer changes the result. Cast one of them.",
        "def scale(n: i32, x: f32):\n    return n * x\n",
        "def scale(n: i32, x: f32):\n    return f32(n) * x\n",
    ),
    Entry(
        "E0202",
        "f16 mixed with bf16",
        "Neither type holds the other: f16 has more precision, bf16 more range. Cast both to f32, or one to the other.",
        "def add(a: f16, b: bf16):\n    return a + b\n",
        "def add(a: f16, b: bf16):\n    return f32(a) + f32(b)\n",
    ),
    Entry(
        "E0203",
        "`/` on integers",
        "`/` divides floats. Between integers write `//`, which rounds down, or cast to a float first.",
        "def half(n: i32):\n    return n / 2\n",
        "def half(n: i32):\n    return n // 2\n",
    ),
    Entry(
        "E0204",
        "number out of the type's range",
        "A number takes the type of what it meets, and that type does not hold it. Cast to a wider type first.",
        "def offset(q: u4):\n    return q & 255\n",
        "def offset(q: u4):\n    return u8(q) & 255\n",
    ),
    Entry(
        "E0205",
        "float number with integer tile",
        "A number with a fraction or an exponent does not become an integer silently.",
        "def scale(n: i32):\n    return n * 0.5\n",
        "def scale(n: i32):\n    return f32(n) * 0.5\n",
    ),
    Entry(
        "E0206",
        "u64 mixed with a signed type",
        "No integer type holds both all of u64 and negative numbers. Cast one of them.",
        "def add(a: u64, b: i32):\n    return a + b\n",
        "def add(a: u64, b: i32):\n    return i64(a) + b\n",
    ),
    Entry(
        "E0207",
        "bit operation on floats",
        "`& | ^ ~ << >>`, popcount, clz and ctz work on integers. The bits of a float are had by `bitcast(x, u32)`.",
        "def low(x: f32):\n    return x & 1\n",
        "def low(x: f32):\n    return bitcast(x, u32) & 1\n",
    ),
    Entry(
        "E0208",
        "logic on something other than u1",
        "`and`, `or` and `not` combine truth values (u1). Compare first: `x != 0`.",
        "def either(a: i32, b: i32):\n    return a or b\n",
        "def either(a: i32, b: i32):\n    return a != 0 or b != 0\n",
    ),
    Entry(
        "E0209",
        "condition that is not one truth value",
        "The condition of `if`, `while` and `assert` is a scalar u1. For a tile say `any(x)` or `all(x)`; to choose "
        "element by element use `where(condition, a, b)`.",
        "def count(n: i32):\n    while n:\n        n -= 1\n    return n\n",
        "def count(n: i32):\n    while n != 0:\n        n -= 1\n    return n\n",
    ),
    Entry(
        "E0210",
        "store of another type",
        "A store does not convert: where precision is lost the program says so. Cast the value to the tensor's type.",
        "kernel k(x: f32[4], y: out f16[4]):\n    y[: +4] = x[: +4]\n",
        "kernel k(x: f32[4], y: out f16[4]):\n    y[: +4] = f16(x[: +4])\n",
    ),
    Entry(
        "E0211",
        "unknown type",
        "Types are `u1`..`u8 u16 u32 u64`, `i2`..`i8 i16 i32 i64`, `f16 bf16 tf32 f32 f64`, `fNeXmY` for floats of 3 "
        "to 8 bits, the compile-time parameters of kind `type`, and the formats declared in the file or imported.",
        "kernel k(x: float32[4], y: out f32[4]):\n    y[: +4] = x[: +4]\n",
        "kernel k(x: f32[4], y: out f32[4]):\n    y[: +4] = x[: +4]\n",
    ),
    Entry(
        "E0212",
        "value of another type than annotated",
        "An annotation checks, it does not convert. Cast the value, or correct the annotation.",
        "def widen(x: f16):\n    y: f32 = x\n    return y\n",
        "def widen(x: f16):\n    y: f32 = f32(x)\n    return y\n",
    ),
    Entry(
        "E0213",
        "unknown rounding mode",
        "The modes are `nearest_even`, `toward_zero`, `floor` and `stochastic`.",
        "def narrow(x: f32):\n    return f16(x, round=nearest)\n",
        "def narrow(x: f32):\n    return f16(x, round=nearest_even)\n",
    ),
    Entry(
        "E0214",
        "stochastic rounding without random bits",
        "`round=stochastic` takes its randomness from the argument `bits=`, a tile of u32 of the value's shape, so "
        "that every target rounds the same way. `random_u32(seed, counter)` makes one.",
        "def narrow(x: f32):\n    return f16(x, round=stochastic)\n",
        "def narrow(x: f32, r: u32):\n    return f16(x, round=stochastic, bits=r)\n",
    ),
    Entry(
        "E0215",
        "bitcast between widths",
        "`bitcast` keeps the bits of each element, so both types have the same width. `view` regroups the bits of "
        "neighbouring elements.",
        "def bits_of(x: f16):\n    return bitcast(x, u32)\n",
        "def bits_of(x: f16):\n    return bitcast(x, u16)\n",
    ),
    Entry(
        "E0216",
        "function not defined for this type",
        "Transcendental functions work on floats, bit counting on integers. Cast the argument.",
        "def e(n: i32):\n    return exp(n)\n",
        "def e(n: i32):\n    return exp(f32(n))\n",
    ),
    Entry(
        "E0217",
        "value known only at run time where a compile-time one is needed",
        "Shapes, axes, loop bounds of `static`, compile-time arguments and formats are fixed when the kernel is "
        "compiled: numbers, constants, parameters in `[ ]` and what is computed from them.",
        "def f(x: f32[8, 8], n: i32):\n    return sum(x, axis=n)\n",
        "def f(x: f32[8, 8]):\n    return sum(x, axis=1)\n",
    ),
    Entry(
        "E0218",
        "compile-time computation that fails",
        "The computation divides by zero, shifts by a negative count or leaves the range of 64 bits.",
        "const A = 1 // 0\n",
        "const A = 1 // 2\n",
    ),
    Entry(
        "E0219",
        "string where a number is expected",
        "Strings are messages of `print`, `assert` and `static_assert`.",
        'def add(x):\n    return x + "1"\n',
        "def add(x):\n    return x + 1\n",
    ),
    Entry(
        "E0220",
        "matrix product of two kinds",
        "Both operands of `@` are floats of one type, or both integers. Cast the stored one to the other's type: it "
        "costs no pass over memory.",
        "def product(a: f16[4, 4], b: u4[4, 4]):\n    return a @ b\n",
        "def product(a: f16[4, 4], b: u4[4, 4]):\n    return a @ f16(b)\n",
    ),
    Entry(
        "E0221",
        "index that is not an integer",
        "Indices, starts and lengths of slices, loop bounds and shift counts are integers.",
        "kernel k(x: f32[4], y: out f32[4]):\n    y[0] = x[1.0]\n",
        "kernel k(x: f32[4], y: out f32[4]):\n    y[0] = x[1]\n",
    ),
    Entry(
        "E0222",
        "operator not defined for these operands",
        "The operator has no meaning for operands of these kinds, such as a tensor without a slice, a list or a type.",
        "const A = [1, 2] + 1\n",
        "const A = 2 + 1\n",
    ),
    Entry(
        "E0223",
        "argument of another type than the parameter's",
        "The parameter states a type, and the argument has another. Cast the argument, or leave the parameter without "
        "a type to take any.",
        "def half(x: f32):\n    return x * 0.5\ndef use(n: f16):\n    return half(n)\n",
        "def half(x: f32):\n    return x * 0.5\ndef use(n: f16):\n    return half(f32(n))\n",
    ),
    Entry(
        "E0224",
        "choice between two types",
        "Both values of `where` and of `a if c else b` have one type after the usual widening, as the result has one.",
        "def pick(c: u1, a: f32, n: i32):\n    return a if c else n\n",
        "def pick(c: u1, a: f32, n: i32):\n    return a if c else f32(n)\n",
    ),
    Entry(
        "E0225",
        "option that is not a compile-time choice",
        "Options such as `saturate=`, `keepdims=`, `descending=` are `true` or `false`, written out or computed at "
        "compile time.",
        "def total(x: f32[4], k: u1):\n    return sum(x, axis=0, keepdims=k)\n",
        "def total(x: f32[4]):\n    return sum(x, axis=0, keepdims=true)\n",
    ),
)
