"""Random well-typed programs as source text: odd shapes, every width, nested loops, branches, functions.

    program(seed) -> Program(source, symbols)

Sums of floats have a free order, so programs take them over integers only; everything else is exact on every target.
Loads run past edges, stores of different blocks are disjoint.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from vmc.ir.types import ALL_SMALL, DType, dtype
from vmc.lang.elaborate.typing import arithmetic_type, common_type

WIDE = tuple(map(dtype, ("i16", "u16", "i32", "u32", "i64", "u64", "f16", "bf16", "f32", "f64")))
INPUTS = (*ALL_SMALL, *WIDE)
OUTPUTS = tuple(t for t in INPUTS if t.name not in ("f8e8m0", "f8e5m3u"))
FLOAT_CALLS = ("exp", "tanh", "sqrt", "log1p", "sigmoid", "floor", "round", "trunc", "abs", "sin", "erf", "rsqrt")


@dataclass(frozen=True)
class Program:
    """A file with one kernel, and values for its symbols."""

    source: str
    symbols: dict[str, int]


@dataclass(frozen=True)
class Var:
    """A variable of the program: its name, element type and shape."""

    name: str
    type: DType
    shape: tuple[int, ...]


@dataclass
class Writer:
    """Writes statements and knows the variables in scope."""

    rng: random.Random
    lines: list[str] = field(default_factory=list)
    variables: list[Var] = field(default_factory=list)
    depth: int = 1
    count: int = 0

    def write(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def fresh(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def define(self, text: str, type: DType, shape: tuple[int, ...]) -> Var:
        variable = Var(self.fresh(), type, shape)
        self.write(f"{variable.name} = {text}")
        self.variables.append(variable)
        return variable

    def pick(self, *, floats: bool | None = None, rank: int | None = None) -> Var | None:
        fitting = [
            v
            for v in self.variables
            if (floats is None or v.type.is_float == floats) and (rank is None or len(v.shape) == rank)
        ]
        return self.rng.choice(fitting) if fitting else None


def program(seed: int, size: int = 8) -> Program:
    """The program of a seed, with about `size` statements."""
    rng = random.Random(f"program {seed}")
    rows, columns = rng.randint(1, 5), rng.randint(1, 9)
    blocks = rng.randint(1, 3)
    inputs = [rng.choice(INPUTS) for _ in range(rng.randint(1, 3))]
    outputs = [rng.choice(OUTPUTS) for _ in range(rng.randint(1, 2))]
    params = [f"x{i}: {t.name}[M, N]" for i, t in enumerate(inputs)]
    params += [f"y{i}: out {t.name}[M, N]" for i, t in enumerate(outputs)]
    w = Writer(rng)
    w.lines += HELPERS
    w.lines.append(f"kernel generated[R = {rows}, C = {columns}](s: i32, {', '.join(params)}):")
    w.write("for bi, bj in grid(cdiv(M, R), cdiv(N, C)):")
    w.depth = 2
    for i, type in enumerate(inputs):
        w.define(f"x{i}[{row_slice(rng)}, {column_slice(rng)}]", type, (rows, columns))
    w.variables.append(Var("s", dtype("i32"), ()))
    for _ in range(size):
        statement(w, nesting=0)
    for i, type in enumerate(outputs):
        w.write(f"y{i}[bi*R : +R, bj*C : +C] = {stored(w, type, (rows, columns))}")
    symbols = {"M": max(1, rows * blocks - rng.randint(0, rows)), "N": max(1, columns * 2 - rng.randint(0, columns))}
    return Program("\n".join(w.lines) + "\n", symbols)


HELPERS = [
    "def mix(a, b):",
    "    return where(a < b, a, b)",
    "",
    "def twice[N = 2](x):",
    "    r = x",
    "    for i in static(N):",
    "        r = r + x",
    "    return r",
    "",
]


def row_slice(rng: random.Random) -> str:
    return rng.choice(("bi*R : +R", "bi*R - 1 : +R", "bi*R + 2 : +R"))


def column_slice(rng: random.Random) -> str:
    return rng.choice(("bj*C : +C", "bj*C : +C", "bj*C - 2 : +C", "2*bj*C : +C : 2"))


def statement(w: Writer, nesting: int) -> None:
    """One statement, or a nested one."""
    if nesting < 2 and w.rng.random() < 0.25:
        w.rng.choice((counted_loop, branch, while_loop))(w, nesting)
    else:
        w.rng.choice(SIMPLE)(w)


def joint(a: Var, b: Var) -> tuple[int, ...] | None:
    """The shape of two variables together, where they broadcast."""
    if a.shape == b.shape or not b.shape:
        return a.shape
    if not a.shape:
        return b.shape
    longer, shorter = (a.shape, b.shape) if len(a.shape) >= len(b.shape) else (b.shape, a.shape)
    return longer if longer[len(longer) - len(shorter) :] == shorter else None


def pair(w: Writer) -> tuple[Var, Var, DType, tuple[int, ...]] | None:
    """Two variables that have a common type and shape."""
    for _ in range(12):
        a, b = w.rng.choice(w.variables), w.rng.choice(w.variables)
        type, shape = common_type(a.type, b.type), joint(a, b)
        if type is not None and shape is not None:
            return a, b, type, shape
    return None


def arithmetic(w: Writer) -> None:
    found = pair(w)
    if found is None:
        return
    a, b, type, shape = found
    op = w.rng.choice(("+", "-", "*", "/") if type.is_float else ("+", "-", "*", "//", "%", "&", "|", "^"))
    if op in ("&", "|", "^") and a.type == b.type and a.type.is_uint:
        type = a.type
    w.define(f"{a.name} {op} {b.name}", type, shape)


def conversion(w: Writer) -> None:
    a = w.rng.choice(w.variables)
    type = w.rng.choice(OUTPUTS)
    options = ""
    if a.type.is_float or type.is_float:
        options = w.rng.choice(("", ", round=nearest_even", ", round=toward_zero", ", round=floor"))
    if type.is_int and w.rng.random() < 0.3:
        options += ", saturate=true"
    w.define(f"{type.name}({a.name}{options})", type, a.shape)


def choice(w: Writer) -> None:
    found = pair(w)
    if found is None:
        return
    a, b, _, shape = found
    op = w.rng.choice(("<", "<=", ">", ">=", "==", "!="))
    condition = w.define(f"{a.name} {op} {b.name}", dtype("u1"), shape)
    other = pair(w)
    if other is None:
        return
    x, y, type, values = other
    whole = joint(condition, Var("", type, values))
    if whole is not None:
        kept = x.type if x.type == y.type else type
        w.define(f"where({condition.name}, {x.name}, {y.name})", kept, whole)


def float_call(w: Writer) -> None:
    a = w.pick(floats=True)
    if a is not None:
        w.define(f"{w.rng.choice(FLOAT_CALLS)}({a.name})", arithmetic_type(a.type), a.shape)


def reduction(w: Writer) -> None:
    a = w.pick(rank=2)
    if a is None:
        return
    axis = w.rng.randint(0, 1)
    type = arithmetic_type(a.type)
    kinds = ["min", "max"] if type.is_float else ["sum", "min", "max", "prod"]
    kind = w.rng.choice(kinds)
    kept = a.type if a.type.is_int and kind in ("min", "max") else type
    if w.rng.random() < 0.3:
        w.define(f"i32(argmax({a.name}, axis={axis}))", dtype("i32"), (a.shape[1 - axis],))
    elif w.rng.random() < 0.5:
        w.define(f"{kind}({a.name})", kept, ())
    else:
        w.define(f"{kind}({a.name}, axis={axis})", kept, (a.shape[1 - axis],))


def scan(w: Writer) -> None:
    a = w.pick(rank=2)
    if a is None:
        return
    kind = w.rng.choice(("cumsum", "cummax", "cummin", "cumprod"))
    flags = w.rng.choice(("", ", exclusive=true", ", reverse=true"))
    w.define(f"{kind}({a.name}, axis={w.rng.randint(0, 1)}{flags})", arithmetic_type(a.type), a.shape)


def movement(w: Writer) -> None:
    a = w.pick(rank=2)
    if a is None:
        return
    rows, columns = a.shape
    forms = {
        f"flip({a.name}, axis=0)": (rows, columns),
        f"{a.name}.T.T": (rows, columns),
        f"reshape(reshape({a.name}, [{rows * columns}]), [{rows}, {columns}])": (rows, columns),
        f"concat({a.name}[:, {columns - 1} : +1], {a.name}[:, 0 : +{columns - 1}], axis=1)": (rows, columns),
        f"{a.name}[{w.rng.randrange(rows)}, :]": (columns,),
        f"take({a.name}, arange({columns}) * 3 % {columns}, axis=1)": (rows, columns),
    }
    text = w.rng.choice([form for form in forms if columns > 1 or not form.startswith("concat")])
    w.define(text, a.type, forms[text])


def bits(w: Writer) -> None:
    a = w.pick()
    if a is None:
        return
    word = dtype(f"u{a.type.width}")
    if w.rng.random() < 0.5 or not a.type.is_int:
        w.define(f"bitcast({a.name}, {word.name})", word, a.shape)
    elif w.rng.random() < 0.5:
        w.define(f"popcount({a.name}) + clz({a.name})", dtype("i32"), a.shape)
    else:
        op, count = w.rng.choice(("<<", ">>")), w.rng.randint(0, 9)
        w.define(f"{a.name} {op} {count}", arithmetic_type(a.type), a.shape)


def product(w: Writer) -> None:
    a, b = w.pick(floats=False, rank=2), w.pick(floats=False, rank=2)
    if a is None or b is None or a.shape != b.shape:
        return
    type = dtype("i64") if max(a.type.width, b.type.width) >= 32 else dtype("i32")
    w.define(f"({a.name} @ {b.name}.T)[:, 0]", type, (a.shape[0],))


def call(w: Writer) -> None:
    found = pair(w)
    if found is None:
        return
    a, b, type, shape = found
    if w.rng.random() < 0.5:
        w.define(f"mix({a.name}, {b.name})", a.type if a.type == b.type else type, shape)
    elif arithmetic_type(a.type) == a.type:
        w.define(f"twice[{w.rng.randint(0, 3)}]({a.name})", a.type, a.shape)


def random_bits(w: Writer) -> None:
    a = w.pick(rank=2)
    if a is not None:
        rows, columns = a.shape
        w.define(f"random_u32(u64(s), reshape(arange({rows * columns}), [{rows}, {columns}]))", dtype("u32"), a.shape)


def carried(w: Writer) -> Var | None:
    """A variable that arithmetic leaves in its type, so that a loop may carry it."""
    fitting = [v for v in w.variables if arithmetic_type(v.type) == v.type and v.name != "s"]
    return w.rng.choice(fitting) if fitting else None


def update(w: Writer, state: Var, extra: str) -> None:
    """A statement that changes a carried variable within its type and shape."""
    other = w.pick()
    fits = (
        other is not None and common_type(state.type, other.type) == state.type and joint(state, other) == state.shape
    )
    operand = other.name if fits and other is not None else f"{state.type.name}({extra})"
    w.write(f"{state.name} = {state.name} {w.rng.choice(('+', '-', '*'))} {operand}")


def counted_loop(w: Writer, nesting: int) -> None:
    state = carried(w)
    if state is None:
        return
    bounds = w.rng.choice(("3", "1, 5", "0, 7, 3", "s % 3", "4, 2"))
    hints = w.rng.choice(("", "", " unrolled(2)", " pipelined(2)"))
    w.write(f"for k{w.count} in range({bounds}){hints}:")
    inside(w, state, nesting, f"k{w.count}")


def while_loop(w: Writer, nesting: int) -> None:
    state = carried(w)
    if state is None:
        return
    counter = f"c{w.fresh()}"
    w.write(f"{counter} = i32(0)")
    w.write(f"while {counter} < 3:")
    inside(w, state, nesting, counter, f"{counter} += 1")


def branch(w: Writer, nesting: int) -> None:
    state = carried(w)
    if state is None:
        return
    w.write(f"if s % {w.rng.randint(2, 4)} == {w.rng.randint(0, 1)}:")
    inside(w, state, nesting, "s")
    if w.rng.random() < 0.5:
        w.write("else:")
        inside(w, state, nesting, "s")


def inside(w: Writer, state: Var, nesting: int, extra: str, last: str = "") -> None:
    """A body: some statements whose variables end with it, then a change of the carried one."""
    w.depth += 1
    outer = list(w.variables)
    for _ in range(w.rng.randint(0, 2)):
        statement(w, nesting + 1)
    update(w, state, extra)
    if last:
        w.write(last)
    w.variables = outer
    w.depth -= 1


def stored(w: Writer, type: DType, shape: tuple[int, ...]) -> str:
    """An expression of the type, whose shape broadcasts to the tile's."""
    fitting = [v for v in w.variables if joint(v, Var("", type, shape)) == shape]
    value = w.rng.choice(fitting[-6:])
    whole = value.name if value.shape in (shape, ()) else f"broadcast({value.name}, [{shape[0]}, {shape[1]}])"
    return whole if value.type == type else f"{type.name}({whole})"


SIMPLE = (
    arithmetic,
    arithmetic,
    conversion,
    choice,
    float_call,
    reduction,
    scan,
    movement,
    bits,
    product,
    call,
    random_bits,
)
