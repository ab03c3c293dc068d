"""Device functions that generated code calls, written out before it: what C lacks and one PTX instruction has.

`.rn` without `.ftz`: rounded once, to nearest even, subnormal numbers kept (PTX ISA, "Half Precision Floating Point
Instructions", "Floating Point Instructions"). An addition and a multiplication with a rounding mode are never fused.
"""

from __future__ import annotations

import re

TYPES = """\
typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef unsigned long long uint64_t;
typedef signed char int8_t;
typedef short int16_t;
typedef int int32_t;
typedef long long int64_t;
"""
"""What TVM's generator expects, without the headers that it would include."""


RESERVED = frozenset(
    "alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl const constexpr continue "
    "decltype default delete do double dynamic_cast else enum explicit export extern false float for friend goto if "
    "inline int long main mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public "
    "register reinterpret_cast return short signed sizeof static static_assert static_cast struct switch template this "
    "thread_local throw true try typedef typeid typename union unsigned using virtual void volatile wchar_t while xor "
    "xor_eq uchar ushort uint dim3 threadIdx blockIdx blockDim gridDim warpSize printf".split()
)
"""Words of C++ and CUDA, and names of the prelude, that no function can have."""


def entry_name(name: str) -> str:
    """The name of a kernel's function: its own, if C++ lets it have that."""
    taken = name in RESERVED or name.startswith(("__", "vmc_")) or re.fullmatch(r"[A-Za-z0-9_]*_t|[a-z]+[1-4]", name)
    return f"vmc_{name}" if taken else name


def inline(result: str, name: str, parameters: str, body: str) -> str:
    return f"static __device__ __forceinline__ {result} {name}({parameters}) {{ {body} }}\n"


def half_binary(name: str, instruction: str) -> str:
    body = f'ushort r; asm("{instruction} %0, %1, %2;" : "=h"(r) : "h"((ushort)a), "h"((ushort)b)); return r;'
    return inline("uint", name, "uint a, uint b", body)


def atomic_by_exchange(type: str, name: str, step: str) -> str:
    """An update that no instruction makes, or that would flush subnormal numbers: repeated until nobody interfered."""
    word, to, back = (
        ("uint", "__float_as_uint", "__uint_as_float")
        if type == "float"
        else ("unsigned long long", "__double_as_longlong", "__longlong_as_double")
    )
    body = (
        f"volatile {word}* at = (volatile {word}*)p; {word} old = *at, seen; "
        f"do {{ seen = old; {type} a = {back}(seen); old = atomicCAS(({word}*)p, seen, ({word}){to}({step})); }} "
        f"while (old != seen); return {back}(old);"
    )
    return inline(type, name, f"{type}* p, {type} b", body)


FUNCTIONS: dict[str, str] = {
    "vmc_load_word": inline(
        "uint",
        "vmc_load_word",
        "const uint* p",
        'uint r; asm volatile("ld.relaxed.gpu.global.u32 %0, [%1];" : "=r"(r) : "l"(p) : "memory"); return r;',
    ),
    "vmc_f16_to_f32": inline(
        "float", "vmc_f16_to_f32", "uint a", 'float r; asm("cvt.f32.f16 %0, %1;" : "=f"(r) : "h"((ushort)a)); return r;'
    ),
    "vmc_f32_to_f16": inline(
        "uint",
        "vmc_f32_to_f16",
        "float a",
        'ushort r; asm("cvt.rn.f16.f32 %0, %1;" : "=h"(r) : "f"(a)); return r;',
    ),
    "vmc_bf16_to_f32": inline("float", "vmc_bf16_to_f32", "uint a", "return __uint_as_float(a << 16);"),
    "vmc_f32_to_bf16": inline(
        "uint",
        "vmc_f32_to_bf16",
        "float a",
        'ushort r; asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(r) : "f"(a)); return r;',
    ),
    "vmc_add_f16": half_binary("vmc_add_f16", "add.rn.f16"),
    "vmc_sub_f16": half_binary("vmc_sub_f16", "sub.rn.f16"),
    "vmc_mul_f16": half_binary("vmc_mul_f16", "mul.rn.f16"),
    "vmc_min_f32": inline(
        "float",
        "vmc_min_f32",
        "float a, float b",
        'float r; asm("min.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b)); return r;',
    ),
    "vmc_max_f32": inline(
        "float",
        "vmc_max_f32",
        "float a, float b",
        'float r; asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b)); return r;',
    ),
    "vmc_min_f64": inline(
        "double",
        "vmc_min_f64",
        "double a, double b",
        "return a != a ? a : b != b ? b : a < b ? a : b < a ? b : "
        "__longlong_as_double(__double_as_longlong(a) | __double_as_longlong(b));",
    ),
    "vmc_max_f64": inline(
        "double",
        "vmc_max_f64",
        "double a, double b",
        "return a != a ? a : b != b ? b : a > b ? a : b > a ? b : "
        "__longlong_as_double(__double_as_longlong(a) & __double_as_longlong(b));",
    ),
    # Addition in device memory flushes subnormal numbers of f32 (PTX ISA, `atom`).
    "vmc_atomic_add_f32": atomic_by_exchange("float", "vmc_atomic_add_f32", "a + b"),
    "vmc_atomic_min_f32": atomic_by_exchange("float", "vmc_atomic_min_f32", "vmc_min_f32(a, b)"),
    "vmc_atomic_max_f32": atomic_by_exchange("float", "vmc_atomic_max_f32", "vmc_max_f32(a, b)"),
    "vmc_atomic_exchange_f32": inline(
        "float", "vmc_atomic_exchange_f32", "float* p, float b", "return atomicExch(p, b);"
    ),
    "vmc_atomic_add_f64": inline("double", "vmc_atomic_add_f64", "double* p, double b", "return atomicAdd(p, b);"),
    "vmc_atomic_min_f64": atomic_by_exchange("double", "vmc_atomic_min_f64", "vmc_min_f64(a, b)"),
    "vmc_atomic_max_f64": atomic_by_exchange("double", "vmc_atomic_max_f64", "vmc_max_f64(a, b)"),
    "vmc_atomic_exchange_f64": inline(
        "double",
        "vmc_atomic_exchange_f64",
        "double* p, double b",
        "return __longlong_as_double(atomicExch((unsigned long long*)p, (unsigned long long)__double_as_longlong(b)));",
    ),
}


def packed(name: str, instruction: str, operands: int) -> str:
    """A function of words of packed halves."""
    letters = "abc"[:operands]
    places = ", ".join(f"%{n + 1}" for n in range(operands))
    inputs = ", ".join(f'"r"({letter})' for letter in letters)
    body = f'uint r; asm("{instruction} %0, {places};" : "=r"(r) : {inputs}); return r;'
    return inline("uint", name, ", ".join(f"uint {letter}" for letter in letters), body)


def above(kind: str) -> str:
    """All ones in the halves whose magnitude is above a bound, or no number. Before sm_90 bf16 is compared as integers:
    the sign of magnitude + (0x7fff - bound), in every bit.
    """
    steps = f"{{ .reg .b32 q; abs.{kind} q, %1; set.gtu.u32.{kind} %0, q, %2; }}"
    body = f'uint r; asm("{steps}" : "=r"(r) : "r"(a), "r"(b)); return r;'
    if kind == "bf16x2":
        moved = "uint m = (a & 0x7fff7fffu) + (0x7fff7fffu - b); uint r;"
        signs = 'asm("prmt.b32 %0, %1, 0, 0xbb99;" : "=r"(r) : "r"(m)); return r;'
        body = f"\n#if __CUDA_ARCH__ >= 900\n{body}\n#else\n{moved} {signs}\n#endif\n"
    return inline("uint", f"vmc_above_{kind}", "uint a, uint b", body)


def widened(half: str, place: str) -> str:
    """The f32, as its bits, of one half of a pair of f16."""
    steps = f"{{ .reg .b16 l, h; .reg .f32 f; mov.b32 {{l, h}}, %1; cvt.f32.f16 f, {half}; mov.b32 %0, f; }}"
    body = f'uint r; asm("{steps}" : "=r"(r) : "r"(a)); return r;'
    return inline("uint", f"vmc_{place}_f16x2", "uint a", body)


def joined(kind: str) -> str:
    """Two f32, given by their bits, rounded into a pair; the instruction takes the high one first."""
    steps = f"cvt.rn.{kind}.f32 %0, %2, %1;"
    body = f'uint r; asm("{steps}" : "=r"(r) : "f"(__uint_as_float(a)), "f"(__uint_as_float(b))); return r;'
    return inline("uint", f"vmc_join_{kind}", "uint a, uint b", body)


def lop3(table: int) -> str:
    body = f'uint r; asm("lop3.b32 %0, %1, %2, %3, {table};" : "=r"(r) : "r"(a), "r"(b), "r"(c)); return r;'
    return inline("uint", f"vmc_lop3_{table:02x}", "uint a, uint b, uint c", body)


def mma(k: int, a: str, b: str) -> str:
    """mma.sync.m16n8k`k`, whose sums are changed in place."""
    sums, letter = ("f32", "f") if a.startswith(("f", "b")) else ("s32", "r")
    kinds = ".".join(kind.replace("i8", "s8").removeprefix("f8") for kind in (a, b))
    types = f"{sums}.{kinds}.{sums}"
    steps = (
        f"mma.sync.aligned.m16n8k{k}.row.col.{types} "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
    )
    outputs = ", ".join(f'"+{letter}"(*c{n})' for n in range(4))
    inputs = ", ".join(f'"r"({name})' for name in ("a0", "a1", "a2", "a3", "b0", "b1"))
    kind = "float" if letter == "f" else "uint"
    factors = [f"uint {name}" for name in ("a0", "a1", "a2", "a3", "b0", "b1")]
    parameters = ", ".join([*(f"{kind}* c{n}" for n in range(4)), *factors])
    name = f"vmc_mma_m16n8k{k}_{a}_{b}"
    return inline("int", name, parameters, f'asm volatile("{steps}" : {outputs} : {inputs}); return 0;')


def fp8_by_halves(a: str, b: str) -> str:
    """m16n8k32 of 8-bit floats by two m16n8k16 of f16, of every other pair along K of both factors. The assembler's own
    way, for architectures without mma.sync of 8-bit floats, starts each from zero and adds up afterwards.
    """
    factors = {**{f"a{n}": a for n in range(4)}, **{f"b{n}": b for n in range(2)}}
    steps = []
    for half in ("low", "high"):
        words = ", ".join(f"vmc_{half}_{kind.removeprefix('f8')}({name})" for name, kind in factors.items())
        steps.append(f"vmc_mma_m16n8k16_f16_f16(c0, c1, c2, c3, {words});")
    parameters = ", ".join([*(f"float* c{n}" for n in range(4)), *(f"uint {name}" for name in factors)])
    return inline("int", f"vmc_halves_m16n8k32_{a}_{b}", parameters, f"{' '.join(steps)} return 0;")


def converted(kind: str, half: str) -> str:
    """A pair of f16 from two of the four 8-bit floats in a word."""
    steps = f"{{ .reg .b16 l, h; mov.b32 {{l, h}}, %1; cvt.rn.f16x2.{kind}x2 %0, {half[0]}; }}"
    body = f'uint r; asm("{steps}" : "=r"(r) : "r"(a)); return r;'
    return inline("uint", f"vmc_{half}_{kind}", "uint a", body)


def copy_elements(bits: int) -> str:
    """16 bytes, element by element, the first `size` bytes from memory and the rest zeros."""
    kind = {8: "uchar", 16: "ushort", 32: "uint"}[bits]
    count, each = 128 // bits, bits // 8
    load = f'asm volatile("ld.global.u{bits} %0, [%1];" : "=r"(v) : "l"(from + i * {each}));'
    body = (
        f"{kind}* p = ({kind}*)__cvta_shared_to_generic(s);"
        f"\n#pragma unroll 1\nfor (int i = 0; i < {count}; ++i) {{ "
        f"uint v = 0; if (i * {each} < size) {load} p[i] = ({kind})v; }} return 0;"
    )
    return inline("int", f"vmc_copy16_by_{bits}", "uint s, uint64_t from, int size", body)


def wait_group(pending: int) -> str:
    body = f'asm volatile("cp.async.wait_group {pending};" ::: "memory"); return 0;'
    return inline("int", f"vmc_wait_group_{pending}", "", body)


def load_words(count: int) -> str:
    """So many words side by side, at a multiple of their size."""
    letters = "xyzw"[:count]
    parts = [f"*r{n} = v.{letter};" for n, letter in enumerate(letters)] if count > 1 else ["*r0 = v;"]
    kind = f"uint{count}" if count > 1 else "uint"
    parameters = ", ".join([*(f"uint* r{n}" for n in range(count)), "const void* p"])
    return inline("int", f"vmc_load{count}", parameters, f"{kind} v = *(const {kind}*)p; {' '.join(parts)} return 0;")


def load_shared(count: int) -> str:
    """So many words side by side at an address in shared memory, a multiple of their size."""
    outputs = ", ".join(f'"=r"(*r{n})' for n in range(count))
    places = ", ".join(f"%{n}" for n in range(count))
    target, kind = (f"{{{places}}}", f".v{count}.u32") if count > 1 else (places, ".u32")
    parameters = ", ".join([*(f"uint* r{n}" for n in range(count)), "uint s"])
    body = f'asm volatile("ld.shared{kind} {target}, [%{count}];" : {outputs} : "r"(s) : "memory"); return 0;'
    return inline("int", f"vmc_load_shared{count}", parameters, body)


def load_short(bits: int) -> str:
    """So many bits at an address in shared memory, a multiple of their size, with zeros above."""
    step = f'asm volatile("ld.shared.u{bits} %0, [%1];" : "=r"(*r0) : "r"(s) : "memory"); return 0;'
    return inline("int", f"vmc_load_shared_u{bits}", "uint* r0, uint s", step)


def keep(kind: str, bits: int) -> str:
    """The number itself, which the compiler does not see through."""
    letter = "l" if bits == 64 else "r"
    step = f'asm volatile("mov.b{bits} %0, %1;" : "={letter}"(r) : "{letter}"(a))'
    return inline(kind, f"vmc_keep_{kind}", f"{kind} a", f"{kind} r; {step}; return r;")


MATRICES = "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
FUNCTIONS |= {
    "vmc_copy16": inline(
        "int",
        "vmc_copy16",
        "uint s, uint64_t from, int size",
        'asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" :: "r"(s), "l"(from), "r"(size) '
        ': "memory"); return 0;',
    ),
    **{f"vmc_copy16_by_{bits}": copy_elements(bits) for bits in (8, 16, 32)},
    "vmc_commit_group": inline(
        "int", "vmc_commit_group", "", 'asm volatile("cp.async.commit_group;" ::: "memory"); return 0;'
    ),
    **{f"vmc_wait_group_{pending}": wait_group(pending) for pending in range(8)},
    "vmc_fence_proxy": inline(
        "int", "vmc_fence_proxy", "", 'asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); return 0;'
    ),
    "vmc_shared_place": inline("uint64_t", "vmc_shared_place", "uint s", "return (uint64_t)((s & 0x3ffff) >> 4);"),
    **{f"vmc_load{count}": load_words(count) for count in (1, 2, 4)},
    **{f"vmc_load_shared{count}": load_shared(count) for count in (1, 2, 4)},
    **{f"vmc_keep_{kind}": keep(kind, bits) for kind, bits in (("int", 32), ("uint", 32), ("uint64_t", 64))},
    **{f"vmc_load_shared_u{bits}": load_short(bits) for bits in (8, 16)},
    "vmc_address": inline("uint64_t", "vmc_address", "const void* p", "return (uint64_t)p;"),
    "vmc_shared": inline("uint", "vmc_shared", "const void* p", "return (uint)__cvta_generic_to_shared(p);"),
    "vmc_ldmatrix4": inline(
        "int",
        "vmc_ldmatrix4",
        "uint* a, uint* b, uint* c, uint* d, uint s",
        f'asm volatile("{MATRICES}" : "=r"(*a), "=r"(*b), "=r"(*c), "=r"(*d) : "r"(s) : "memory"); return 0;',
    ),
}

HALVES = ("f16x2", "bf16x2")
FP8 = ("f8e4m3", "f8e5m2")
FUNCTIONS |= {
    **{
        f"vmc_{name}_{kind}": packed(f"vmc_{name}_{kind}", f"{ptx}.{kind}", count)
        for kind in HALVES
        for name, ptx, count in (
            ("fma", "fma.rn", 3),
            ("add", "add.rn", 2),
            ("mul", "mul.rn", 2),
            ("min", "min", 2),
            ("max", "max", 2),
        )
    },
    **{f"vmc_above_{kind}": above(kind) for kind in HALVES},
    **{f"vmc_join_{kind}": joined(kind) for kind in HALVES},
    "vmc_low_f16x2": widened("l", "low"),
    "vmc_high_f16x2": widened("h", "high"),
    **{f"vmc_lop3_{table:02x}": lop3(table) for table in (0x6A, 0xEA, 0x3C)},
    **{f"vmc_mma_m16n8k16_{kind}_{kind}": mma(16, kind, kind) for kind in ("f16", "bf16")},
    **{f"vmc_{half}_{kind}": converted(kind, half) for kind in ("e4m3", "e5m2") for half in ("low", "high")},
    **{f"vmc_mma_m16n8k32_{a}_{b}": mma(32, a, b) for a in ("i8", "u8") for b in ("i8", "u8")},
    **{f"vmc_mma_m16n8k32_{a}_{b}": mma(32, a, b) for a in FP8 for b in FP8},
    **{f"vmc_halves_m16n8k32_{a}_{b}": fp8_by_halves(a, b) for a in FP8 for b in FP8},
}


def prelude(code: str) -> str:
    """The types, and the functions that the code calls, and those that they call."""
    found = {name for name in FUNCTIONS if f"{name}(" in code}
    more = found
    while more:
        more = {name for name in FUNCTIONS for user in more if f"{name}(" in FUNCTIONS[user]} - found
        found |= more
    return TYPES + "".join(text for name, text in FUNCTIONS.items() if name in found)
