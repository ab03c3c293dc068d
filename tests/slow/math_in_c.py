"""The expansions of the mathematical functions as C, compiled by the system's compiler, for exhaustive sweeps.

    python tests/slow/math_in_c.py exp tanh           # f32: every 64th input, against the C library in double precision
    python tests/slow/math_in_c.py --all exp          # f32: all 2**32 inputs, a few minutes a function
    python tests/slow/math_in_c.py --type f64 exp     # f64: random inputs, against the C library in __float128

Prints the largest error in units of the last place, where it is, and how many inputs disagree about NaN, infinity or
the sign of zero.
"""

from __future__ import annotations

import argparse
import ctypes
import subprocess
import sys
import tempfile
from pathlib import Path

from vmc.ir.builder import Builder, argument
from vmc.ir.core import Op, TileType
from vmc.ir.ops import OPS
from vmc.ir.types import DType, dtype

C_TYPES = {"f32": "float", "f64": "double", "u1": "bool"}
C_TYPES |= {
    f"{sign}{width}": f"{prefix}int{width}_t" for sign, prefix in (("i", ""), ("u", "u")) for width in (8, 16, 32, 64)
}
INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/", "and": "&", "or": "|", "xor": "^"}
INFIX |= {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
CALLS = {"fma": "FMA", "sqrt": "SQRT", "floor": "FLOOR", "round": "RINT", "trunc": "TRUNC", "abs": "ABS"}


def expression(op: Op, names: list[str]) -> str:
    """The C expression of one operation."""
    kind = op.result.tile.dtype
    suffix = "f" if kind.name == "f32" else ""
    match op.name:
        case "constant":
            code = f"{op.attrs['code']}u" + ("ll" if kind.width == 64 else "")
            return f"as_{kind.name}({code})" if kind.is_float else f"({C_TYPES[kind.name]}){code}"
        case name if name in INFIX:
            text = f"{names[0]} {INFIX[name]} {names[1]}"
            operand = op.operands[0].tile.dtype
            if kind.is_int and name in ("add", "sub", "mul") and not operand.is_uint:
                text = f"(u{C_TYPES[kind.name]}){names[0]} {INFIX[name]} (u{C_TYPES[kind.name]}){names[1]}"
            return f"({C_TYPES[kind.name]})({text})"
        case "neg":
            return f"-{names[0]}"
        case "not":
            return f"!{names[0]}" if kind.width == 1 else f"({C_TYPES[kind.name]})~{names[0]}"
        case "select":
            return f"{names[0]} ? {names[1]} : {names[2]}"
        case "shl":
            return f"({names[1]} < {kind.width} ? ({C_TYPES[kind.name]})((u{kind.width}){names[0]} << {names[1]}) : 0)"
        case "shr":
            return f"({names[1]} < {kind.width} ? {names[0]} >> {names[1]} : {names[0]} < 0 ? -1 : 0)"
        case "cast":
            return f"({C_TYPES[kind.name]}){names[0]}"
        case "bitcast":
            return f"as_{kind.name}({names[0]})"
        case "min" | "max" if kind.is_float:
            return f"{op.name}_{kind.name}({names[0]}, {names[1]})"
        case "min" | "max":
            return f"{names[0]} {'<' if op.name == 'min' else '>'} {names[1]} ? {names[0]} : {names[1]}"
        case name if name in CALLS:
            call = {"FMA": "fma", "SQRT": "sqrt", "FLOOR": "floor", "RINT": "rint", "TRUNC": "trunc", "ABS": "fabs"}[
                CALLS[name]
            ]
            return f"__builtin_{call}{suffix}({', '.join(names)})"
    raise NotImplementedError(op.name)


PRELUDE = """
#include <stdint.h>
#include <stdbool.h>
#include <string.h>
#include <math.h>
#include <quadmath.h>
typedef uint32_t u32; typedef uint64_t u64;
#define AS(name, T) static inline T name##_(const void *p) { T v; memcpy(&v, p, sizeof v); return v; }
AS(as_f32, float) AS(as_f64, double) AS(as_i32, int32_t) AS(as_u32, uint32_t) AS(as_i64, int64_t) AS(as_u64, uint64_t)
#define WIDE(x, T) ({ __typeof__(x) t_ = (x); T v_; memcpy(&v_, &t_, sizeof v_); v_; })
#define as_f32(x) WIDE((x), float)
#define as_f64(x) WIDE((x), double)
#define as_i32(x) WIDE((x), int32_t)
#define as_u32(x) WIDE((x), uint32_t)
#define as_i64(x) WIDE((x), int64_t)
#define as_u64(x) WIDE((x), uint64_t)
#define LEAST(name, T, s, OP, PICK) static inline T name(T a, T b) \\
  { return a != a || b != b ? a + b : a == b ? (__builtin_signbit(a) PICK ? a : b) : a OP b ? a : b; }
LEAST(min_f32, float, f, <, ) LEAST(max_f32, float, f, >, == 0)
LEAST(min_f64, double, , <, ) LEAST(max_f64, double, , >, == 0)
"""


def function_source(name: str, kind: DType) -> str:
    """`void run(const T *x, T *y, long n)` of a function of one operand."""
    build = Builder()
    x = argument(TileType(kind), "x")
    result = build(name, x)
    names = {x: "x[i]"}
    lines: list[str] = []

    def emit(ops: list[Op]) -> None:
        for op in ops:
            if OPS[op.name].composite:
                inner = Builder()
                (value,) = op.definition.expand(inner, op)
                emit(inner.ops)
                names[op.result] = names[value]
                continue
            names[op.result] = f"v{len(names)}"
            text = expression(op, [names[operand] for operand in op.operands])
            lines.append(f"    {C_TYPES[op.result.tile.dtype.name]} {names[op.result]} = {text};")

    emit(build.ops)
    kind_name = C_TYPES[kind.name]
    head = f"void run(const {kind_name} *restrict x, {kind_name} *restrict y, long n) {{"
    head += "\n  for (long i = 0; i < n; i++) {"
    return "\n".join([PRELUDE, head, *lines, f"    y[i] = {names[result]};", "  }", "}"])


REFERENCES = {
    "sigmoid": "1 / (1 + EXP(-x))",
    "rsqrt": "1 / SQRT(x)",
    "exp2": "POW(2, x)",
}

CHECK = """
typedef struct { double worst; T at; T got; long special; T special_at; long inputs; } Report;
static void compare(const T *x, const T *y, long n, Report *r) {
  for (long i = 0; i < n; i++) {
    W want = reference((W)x[i]);
    r->inputs++;
    bool bad = false;
    if (want != want || y[i] != y[i]) bad = (want != want) != (y[i] != y[i]);
    else if (want == 0 && x[i] - x[i] == 0) bad = y[i] != 0 || !!__builtin_signbit(y[i]) != !!SIGNBIT(want);
    else if ((T)want - (T)want != 0) bad = (T)want != y[i];
    else {
      int e = ILOGB(want); if (e < EMIN) e = EMIN;
      W got = y[i];
      if (y[i] - y[i] != 0) got = LDEXP(y[i] > 0 ? (W)1 : (W)-1, -EMIN + 2);
      double error = (double)(LDEXP(got - want, MANTISSA - e));
      if (error < 0) error = -error;
      if (error > r->worst) { r->worst = error; r->at = x[i]; r->got = y[i]; }
    }
    if (bad) { r->special++; r->special_at = x[i]; }
  }
}
"""

SWEEP32 = """
Report sweep(u64 start, u64 step) {
  static T x[4096], y[4096];
  Report r = {0};
  for (u64 base = start; base < (1ull << 32);) {
    long n = 0;
    for (; n < 4096 && base < (1ull << 32); n++, base += step) x[n] = as_f32((u32)base);
    run(x, y, n);
    compare(x, y, n, &r);
  }
  return r;
}
"""

SWEEP64 = """
static u64 mix(u64 z) { z += 0x9e3779b97f4a7c15ull; z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull; return z ^ (z >> 31); }
Report sweep(u64 count, u64 span) {
  static T x[4096], y[4096];
  Report r = {0};
  for (u64 base = 0; base < count; base += 4096) {
    for (long i = 0; i < 4096; i++) {
      u64 bits = mix(base + i);
      if (i & 7) { u64 e = 1023 - span + mix(bits) % (2 * span); bits = (bits & 0x800fffffffffffffull) | e << 52; }
      x[i] = as_f64(bits);
    }
    run(x, y, 4096);
    compare(x, y, 4096, &r);
  }
  return r;
}
"""


def program(name: str, kind: DType) -> str:
    """The whole C source: the function, the reference and the sweep."""
    quad = kind.name == "f64"
    tail = "q" if quad else ""
    reference = REFERENCES.get(name, f"{name.upper()}(x)")
    upper = (
        "exp",
        "expm1",
        "log",
        "log2",
        "log10",
        "log1p",
        "sqrt",
        "pow",
        "sin",
        "cos",
        "tan",
        "sinh",
        "cosh",
        "tanh",
    )
    upper += ("asin", "acos", "atan", "erf", "erfc", "lgamma")
    macros = [f"#define {f.upper()} {f}{tail}" for f in (*upper, "ilogb", "ldexp")]
    macros += [f"#define T {C_TYPES[kind.name]}", f"#define W {'__float128' if quad else 'double'}"]
    macros += [f"#define EMIN {1 - kind.bias}", f"#define MANTISSA {kind.mantissa_bits}"]
    macros += [f"#define SIGNBIT {'signbitq' if quad else '__builtin_signbit'}"]
    body = f"static W reference(W x) {{ return {reference}; }}"
    return "\n".join([function_source(name, kind), *macros, body, CHECK, SWEEP64 if quad else SWEEP32])


def compiled(source: str, directory: Path) -> ctypes.CDLL:
    """The source as a loaded library."""
    path = directory / "math.c"
    path.write_text(source)
    flags = ["-O3", "-march=native", "-ffp-contract=off", "-fno-math-errno", "-shared", "-fPIC", "-w"]
    subprocess.run(["cc", *flags, str(path), "-o", str(directory / "math.so"), "-lquadmath", "-lm"], check=True)
    return ctypes.CDLL(str(directory / "math.so"))


def sweep(name: str, kind: DType, first: int, second: int) -> str:
    """Runs one sweep; a line of results."""
    real = ctypes.c_float if kind.name == "f32" else ctypes.c_double
    fields = [("worst", ctypes.c_double), ("at", real), ("got", real), ("special", ctypes.c_long)]
    report = type(
        "Report", (ctypes.Structure,), {"_fields_": [*fields, ("special_at", real), ("inputs", ctypes.c_long)]}
    )
    with tempfile.TemporaryDirectory() as directory:
        library = compiled(program(name, kind), Path(directory))
        library.sweep.restype, library.sweep.argtypes = report, [ctypes.c_uint64, ctypes.c_uint64]
        r = library.sweep(first, second)
    special = f"{r.special} specials differ, such as at {r.special_at!r}" if r.special else "specials agree"
    return f"{name:8} {kind.name} {r.worst:.4f} ulp at {r.at!r} (gives {r.got!r}); {special}; {r.inputs} inputs"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("functions", nargs="+")
    parser.add_argument("--type", choices=("f32", "f64"), default="f32")
    parser.add_argument("--all", action="store_true", help="f32: every input")
    parser.add_argument("--count", type=int, default=1 << 20, help="f64: how many inputs")
    parser.add_argument("--span", type=int, default=12, help="f64: exponents of most inputs")
    options = parser.parse_args()
    for name in options.functions:
        if options.type == "f32":
            print(sweep(name, dtype("f32"), 0, 1 if options.all else 61), flush=True)
        else:
            print(sweep(name, dtype("f64"), options.count, options.span), flush=True)


if __name__ == "__main__":
    sys.exit(main())
