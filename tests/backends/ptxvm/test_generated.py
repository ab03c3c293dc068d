"""Random CUDA C, compiled by NVRTC and executed from its PTX, against the same program evaluated by NumPy.

A generated piece of program has two forms that are made side by side: C text, and a function on NumPy arrays of one
entry for each thread. Integers are unsigned, so that C defines every operation; floats go through intrinsics like
__fmul_rn, which compilers do not contract.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest

from vmc.backends import ptxvm

THREADS = 96
Env = dict[str, np.ndarray]


@dataclass(frozen=True)
class Expression:
    text: str
    value: Callable[[Env], np.ndarray]


@dataclass(frozen=True)
class Statement:
    text: str
    run: Callable[[Env, np.ndarray], None]


INTEGERS = ("u0", "u1", "u2", "u3")
FLOATS = ("f0", "f1")


def u32(values: np.ndarray) -> np.ndarray:
    return values.astype(np.uint32)


class Generator:
    """Random expressions and statements of bounded depth."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.loops = 0

    def integer(self, depth: int) -> Expression:
        if depth == 0:
            if self.random.random() < 0.3:
                value = self.random.choice([0, 1, 3, 31, 255, 0x80000000, 0xFFFFFFFF, self.random.getrandbits(32)])
                return Expression(f"{value}u", lambda env: np.full(THREADS, value, np.uint32))
            name = self.random.choice(INTEGERS)
            return Expression(name, lambda env: env[name])
        kind = self.random.choice(["binary", "binary", "shift", "unary", "select", "call", "signed", "bytes"])
        a, b = self.integer(depth - 1), self.integer(depth - 1)
        match kind:
            case "binary":
                symbol, function = self.random.choice([
                    ("+", np.add), ("-", np.subtract), ("*", np.multiply), ("&", np.bitwise_and),
                    ("|", np.bitwise_or), ("^", np.bitwise_xor),
                ])  # fmt: skip
                return Expression(f"({a.text} {symbol} {b.text})", lambda env: function(a.value(env), b.value(env)))
            case "shift":
                symbol, move = self.random.choice([("<<", np.left_shift), (">>", np.right_shift)])
                text = f"({a.text} {symbol} ({b.text} & 31u))"
                return Expression(text, lambda env: move(a.value(env), b.value(env) & np.uint32(31)))
            case "unary":
                return Expression(f"(~{a.text})", lambda env: ~a.value(env))
            case "select":
                test = self.condition(depth - 1)
                text = f"({test.text} ? {a.text} : {b.text})"
                return Expression(text, lambda env: np.where(test.value(env), a.value(env), b.value(env)))
            case "signed":
                text = f"(unsigned)((int){a.text} >> ({b.text} & 31u))"
                return Expression(
                    text,
                    lambda env: (a.value(env).view(np.int32) >> (b.value(env) & np.uint32(31)).view(np.int32)).view(
                        np.uint32
                    ),
                )
            case "bytes":
                text = f"(unsigned)(signed char)({a.text} >> 8)"
                return Expression(
                    text,
                    lambda env: (
                        (a.value(env) >> np.uint32(8)).astype(np.uint8).view(np.int8).astype(np.int32).view(np.uint32)
                    ),
                )
            case _:
                return self.call(a, b)

    def call(self, a: Expression, b: Expression) -> Expression:
        name = self.random.choice(["__popc", "__clz", "min", "max", "__umulhi", "divide", "remainder", "wide"])
        match name:
            case "__popc":
                return Expression(
                    f"(unsigned)__popc({a.text})", lambda env: counted(a.value(env), lambda v: v.bit_count())
                )
            case "__clz":
                return Expression(
                    f"(unsigned)__clz({a.text})", lambda env: counted(a.value(env), lambda v: 32 - v.bit_length())
                )
            case "min" | "max":
                pick = np.minimum if name == "min" else np.maximum
                return Expression(f"{name}({a.text}, {b.text})", lambda env: pick(a.value(env), b.value(env)))
            case "__umulhi":
                return Expression(
                    f"__umulhi({a.text}, {b.text})",
                    lambda env: u32(a.value(env).astype(np.uint64) * b.value(env) >> np.uint64(32)),
                )
            case "divide":
                return Expression(
                    f"({a.text} / ({b.text} | 1u))", lambda env: a.value(env) // (b.value(env) | np.uint32(1))
                )
            case "remainder":
                return Expression(
                    f"({a.text} % ({b.text} | 1u))", lambda env: a.value(env) % (b.value(env) | np.uint32(1))
                )
            case _:
                text = f"(unsigned)(((unsigned long long){a.text} * {b.text} + {a.text}) >> 17)"
                return Expression(
                    text,
                    lambda env: u32((a.value(env).astype(np.uint64) * b.value(env) + a.value(env)) >> np.uint64(17)),
                )

    def real(self, depth: int) -> Expression:
        if depth == 0:
            name = self.random.choice(FLOATS)
            return Expression(name, lambda env: env[name])
        a, b = self.real(depth - 1), self.real(depth - 1)
        kind = self.random.choice(["__fadd_rn", "__fmul_rn", "fminf", "convert", "fabsf", "__fadd_rz"])
        match kind:
            case "__fadd_rn":
                return Expression(f"__fadd_rn({a.text}, {b.text})", lambda env: a.value(env) + b.value(env))
            case "__fmul_rn":
                return Expression(f"__fmul_rn({a.text}, {b.text})", lambda env: a.value(env) * b.value(env))
            case "fminf":
                return Expression(f"fminf({a.text}, {b.text})", lambda env: np.fmin(a.value(env), b.value(env)))
            case "fabsf":
                return Expression(f"fabsf({a.text})", lambda env: np.abs(a.value(env)))
            case "__fadd_rz":
                return Expression(
                    f"__fadd_rz({a.text}, {b.text})", lambda env: added_toward_zero(a.value(env), b.value(env))
                )
            case _:
                i = self.integer(depth - 1)
                return Expression(f"(float)(int){i.text}", lambda env: i.value(env).view(np.int32).astype(np.float32))

    def condition(self, depth: int) -> Expression:
        symbol, function = self.random.choice([
            ("<", np.less), ("<=", np.less_equal), ("==", np.equal), ("!=", np.not_equal), (">", np.greater),
        ])  # fmt: skip
        if self.random.random() < 0.3:
            x, y = self.real(depth), self.real(depth)
            return Expression(f"({x.text} {symbol} {y.text})", lambda env: function(x.value(env), y.value(env)))
        a, b = self.integer(depth), self.integer(depth)
        if self.random.random() < 0.5:
            return Expression(f"({a.text} {symbol} {b.text})", lambda env: function(a.value(env), b.value(env)))
        text = f"((int){a.text} {symbol} (int){b.text})"
        return Expression(text, lambda env: function(a.value(env).view(np.int32), b.value(env).view(np.int32)))

    def block(self, depth: int) -> Statement:
        parts = [self.statement(depth) for _ in range(self.random.randint(1, 3))]

        def run(env: Env, mask: np.ndarray) -> None:
            for part in parts:
                part.run(env, mask)

        return Statement("{ " + " ".join(p.text for p in parts) + " }", run)

    def statement(self, depth: int) -> Statement:
        kind = self.random.choice(["assign", "assign", "assign", "if", "for", "shuffle"] if depth else ["assign"])
        match kind:
            case "if":
                test, then, other = self.condition(1), self.block(depth - 1), self.block(depth - 1)

                def branch(env: Env, mask: np.ndarray) -> None:
                    holds = test.value(env)
                    then.run(env, mask & holds)
                    other.run(env, mask & ~holds)

                return Statement(f"if {test.text} {then.text} else {other.text}", branch)
            case "for":
                return self.loop(depth)
            case _:
                return self.assignment()

    def loop(self, depth: int) -> Statement:
        count, body = self.integer(1), self.block(depth - 1)
        self.loops += 1
        name, most = f"i{self.loops}", f"n{self.loops}"
        head = f"unsigned {most} = {count.text} % 5u; for (unsigned {name} = 0; {name} < {most}; {name}++)"
        text = f"{{ {head} {body.text} }}"

        def run(env: Env, mask: np.ndarray) -> None:
            turns = count.value(env) % np.uint32(5)
            for turn in range(5):
                body.run(env, mask & (turns > turn))

        return Statement(text, run)

    def assignment(self) -> Statement:
        if self.random.random() < 0.3:
            name, value = self.random.choice(FLOATS), self.real(2)
        else:
            name, value = self.random.choice(INTEGERS), self.integer(3)

        def run(env: Env, mask: np.ndarray) -> None:
            env[name] = np.where(mask, value.value(env), env[name])

        return Statement(f"{name} = {value.text};", run)


def counted(values: np.ndarray, count: Callable[[int], int]) -> np.ndarray:
    return np.array([count(v) for v in values.tolist()], np.uint32)


def added_toward_zero(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """float32 sums, rounded to nearest by NumPy and then moved to the neighbour if exact fractions say so."""
    nearest = a + b
    for i, (x, y, r) in enumerate(zip(a.tolist(), b.tolist(), nearest.tolist(), strict=True)):
        if math.isfinite(x) and math.isfinite(y):
            exact = abs(Fraction(x) + Fraction(y))
            if math.isinf(r) or abs(Fraction(r)) > exact:
                nearest[i] = np.nextafter(nearest[i], np.float32(0))
    return nearest


def source_of(body: Statement) -> str:
    return f"""
extern "C" __global__ void k(
    const unsigned* __restrict__ in, const float* __restrict__ fin, unsigned* out, float* fout) {{
  int t = threadIdx.x;
  unsigned u0 = in[t], u1 = in[t + {THREADS}], u2 = in[t + {2 * THREADS}], u3 = t;
  float f0 = fin[t], f1 = fin[t + {THREADS}];
  {body.text}
  out[t] = u0; out[t + {THREADS}] = u1; out[t + {2 * THREADS}] = u2; out[t + {3 * THREADS}] = u3;
  fout[t] = f0; fout[t + {THREADS}] = f1;
}}
"""


def run_both(seed: int, nvrtc: Callable[..., str], arch: str) -> None:
    body = Generator(seed).block(3)
    rng = np.random.default_rng(seed)
    integers = rng.integers(0, 1 << 32, 3 * THREADS).astype(np.uint32) >> rng.integers(0, 32, 3 * THREADS).astype(
        np.uint32
    )
    reals = (rng.standard_normal(2 * THREADS) * 8).astype(np.float32)
    env: Env = {f"u{i}": integers[i * THREADS : (i + 1) * THREADS] for i in range(3)}
    env |= {"u3": np.arange(THREADS, dtype=np.uint32), "f0": reals[:THREADS], "f1": reals[THREADS:]}
    with np.errstate(all="ignore"):
        body.run(env, np.ones(THREADS, bool))
    out, real_out = np.zeros(4 * THREADS, np.uint32), np.zeros(2 * THREADS, np.float32)
    text = source_of(body)
    arguments = [integers, reals, ptxvm.Unset(out), ptxvm.Unset(real_out)]
    ptxvm.parse(nvrtc(text, arch)).launch("k", (1,), (THREADS,), arguments)
    want = np.concatenate([env[name] for name in INTEGERS])
    real_want = np.concatenate([env[name] for name in FLOATS])
    assert (out == want).all(), text
    nan = np.isnan(real_want)
    assert (np.isnan(real_out) == nan).all(), text
    assert (real_out[~nan].view(np.uint32) == real_want[~nan].view(np.uint32)).all(), text


@pytest.mark.parametrize("seed", range(24))
def test_generated_programs_give_what_numpy_gives(seed: int, nvrtc: Callable[..., str]) -> None:
    run_both(seed, nvrtc, "80" if seed % 2 else "100")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 400))
def test_many_generated_programs_give_what_numpy_gives(seed: int, nvrtc: Callable[..., str]) -> None:
    run_both(seed, nvrtc, "80" if seed % 2 else "90")
