"""Makes the PTX texts of this folder with compilers that are none of ours: `python make.py [NAME...]`.

Needs Triton (3.9.0 made those that are here), and no GPU. Line tables and comments are left out. `launches.json` keeps,
for each, the entry, threads of a block and bytes of dynamic shared memory, as Triton's own launcher would take them.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

os.environ["TRITON_DISABLE_LINE_INFO"] = "1"
os.environ["TRITON_DEFAULT_FP_FUSION"] = "1"

import triton
import triton.language as tl
import triton_kernels as kernels
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

HERE = Path(__file__).parent
SUMS = {"fp32": tl.float32, "i32": tl.int32, "fp16": tl.float16, "fp64": tl.float64}


def product(arch, kind, total="fp32", tile=(64, 64, 32), turned=(False, False), warps=4, stages=3):
    types = {
        "a": f"*{kind}",
        "b": f"*{kind}",
        "c": f"*{total}",
        **dict.fromkeys(("k_extent", "stride_a", "stride_b", "stride_c"), "i32"),
    }
    fixed = dict(zip(("BM", "BN", "BK"), tile, strict=True)) | {"TA": turned[0], "TB": turned[1], "SUM": SUMS[total]}
    return kernels.product, arch, types, fixed, warps, stages


def decoded(arch, tile=(64, 64, 64), stages=3, warps=4):
    types = {"w": "*u8", "scale": "*fp16", "x": "*fp16", "y": "*fp32"}
    types |= dict.fromkeys(("k_extent", "stride_w", "stride_x", "stride_y"), "i32")
    return kernels.decoded_product, arch, types, dict(zip(("BM", "BN", "BK"), tile, strict=True)), warps, stages


def byte_weights(arch, kind, tile=(64, 64, 64), stages=3, warps=4):
    types = {"w": "*i8", "x": f"*{kind}", "y": "*fp32"} | dict.fromkeys(
        ("k_extent", "stride_w", "stride_x", "stride_y"), "i32"
    )
    return kernels.byte_weights, arch, types, dict(zip(("BM", "BN", "BK"), tile, strict=True)), warps, stages


def simple(kernel, arch, types, fixed, warps=4):
    return kernel, arch, types, fixed, warps, 1


CASTS = {
    "x": "*fp32",
    "f8": "*fp8e4nv",
    "f8wide": "*fp8e5",
    "halves": "*fp16",
    "brains": "*bf16",
    "ints": "*i32",
    "bytes": "*i8",
    "back": "*fp16",
}
ORDER = dict.fromkeys(("x", "sums", "largest", "sorted"), "*i32")
ATOMICS = {"x": "*i32", "bins": "*i32", "extremes": "*i32", "total": "*fp32", "halves": "*fp16", "n": "i32"}

TEXTS = {
    # mma.sync, ldmatrix, cp.async
    "product_f16_sm80": product(80, "fp16"),
    "product_bf16_turned_sm80": product(80, "bf16", turned=(True, True)),
    "product_f16_sum16_sm80": product(80, "fp16", "fp16"),
    "product_i8_sm80": product(80, "i8", "i32", (64, 64, 64)),
    "product_i8_kmajor_sm80": product(80, "i8", "i32", (64, 64, 64), (False, True)),
    "product_tf32_sm80": product(80, "fp32", stages=2),
    "product_f64_sm80": product(80, "fp64", "fp64", (32, 32, 16), stages=2),
    "product_e4m3_sm89": product(89, "fp8e4nv", tile=(64, 64, 64), turned=(False, True)),
    "product_e5m2_sm120": product(120, "fp8e5", tile=(64, 64, 64), turned=(False, True)),
    "product_f16_sm120": product(120, "fp16", warps=8),
    # wgmma
    "product_f16_sm90": product(90, "fp16"),
    "product_bf16_kmajor_sm90": product(90, "bf16", tile=(64, 128, 64), turned=(False, True)),
    "product_f16_turned_sm90": product(90, "fp16", tile=(128, 32, 16), turned=(True, True), stages=2),
    "product_f16_two_groups_sm90": product(90, "fp16", tile=(128, 128, 64), warps=8, stages=2),
    "product_e4m3_sm90": product(90, "fp8e4nv", tile=(64, 64, 128), turned=(False, True)),
    "product_e5m2_narrow_sm90": product(90, "fp8e5", tile=(64, 16, 32), turned=(False, True)),
    "product_i8_sm90": product(90, "i8", "i32", (64, 64, 64), (False, True)),
    "product_tf32_sm90": product(90, "fp32", turned=(False, True)),
    # A decoded in registers
    "decoded_product_sm80": decoded(80),
    "decoded_product_sm90": decoded(90),
    "byte_weights_bf16_sm90": byte_weights(90, "bf16"),
    "byte_weights_f16_sm120": byte_weights(120, "fp16"),
    "attention_sm80": simple(
        kernels.attention,
        80,
        dict.fromkeys("qkvy", "*fp16") | {"y": "*fp32", "count": "i32", "scale": "fp32"},
        {"D": 32, "BM": 64, "BN": 32},
    ),
    "attention_sm90": simple(
        kernels.attention,
        90,
        dict.fromkeys("qkvy", "*fp16") | {"y": "*fp32", "count": "i32", "scale": "fp32"},
        {"D": 64, "BM": 64, "BN": 64},
    ),
    # all else
    "softmax_sm80": simple(kernels.softmax, 80, {"x": "*fp16", "y": "*fp16", "columns": "i32"}, {"B": 1024}),
    "softmax_sm100": simple(kernels.softmax, 100, {"x": "*bf16", "y": "*bf16", "columns": "i32"}, {"B": 512}, 8),
    "order_sm80": simple(kernels.order, 80, ORDER, {"B": 256}),
    "order_sm90": simple(kernels.order, 90, ORDER, {"B": 64}, 2),
    "turned_f16_sm80": simple(kernels.turned, 80, {"x": "*fp16", "y": "*fp16"}, {"R": 64, "C": 32}),
    "turned_f32_sm90": simple(kernels.turned, 90, {"x": "*fp32", "y": "*fp32"}, {"R": 32, "C": 128}),
    "turned_i8_sm90": simple(kernels.turned, 90, {"x": "*i8", "y": "*i8"}, {"R": 64, "C": 64}),
    "atomics_sm80": simple(kernels.atomics, 80, ATOMICS, {"B": 256}),
    "atomics_sm90": simple(kernels.atomics, 90, ATOMICS, {"B": 128}),
    "locked_sm80": simple(kernels.locked, 80, {"lock": "*i32", "count": "*i32"}, {}, 1),
    "casts_sm89": simple(kernels.casts, 89, CASTS, {"B": 256}),
    "casts_sm100": simple(kernels.casts, 100, CASTS, {"B": 256}),
    "functions_sm80": simple(kernels.functions, 80, {"x": "*fp32", "y": "*fp32", "n": "i32"}, {"B": 256}),
    "random_sm80": simple(kernels.random, 80, {"y": "*i32", "seed": "u64"}, {"B": 256}),
}


def compiled(kernel, arch, types, fixed, warps, stages):
    names = kernel.arg_names
    signature = {name: types.get(name, "constexpr") for name in names}
    constants = {(names.index(name),): value for name, value in fixed.items()}
    # Pointers and strides are multiples of 16, as Triton's launcher finds out when it specialises a kernel.
    multiples = {(names.index(name),): [["tt.divisibility", 16]] for name, type in types.items() if type[0] in "*i"}
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=multiples)
    return triton.compile(
        source, target=GPUTarget("cuda", arch, 32), options={"num_warps": warps, "num_stages": stages}
    )


def stripped(text: str) -> str:
    """Without comments, empty lines and sections of debug information."""
    text = re.sub(r"//.*", "", text)
    text = re.sub(r"\t\.section[^{]*\{[^}]*\}", "", text)
    return re.sub(r"\n\s*\n+", "\n", text).strip().replace("\t", " ") + "\n"


def main(wanted: list[str]) -> None:
    table = HERE / "launches.json"
    launches = json.loads(table.read_text()) if table.exists() else {}
    for name in wanted or TEXTS:
        made = compiled(*TEXTS[name])
        (HERE / f"{name}.ptx").write_text(f"// Triton {triton.__version__}\n{stripped(made.asm['ptx'])}")
        launches[name] = {
            "entry": made.metadata.name,
            "threads": 32 * made.metadata.num_warps,
            "shared": made.metadata.shared,
        }
        print(name, launches[name], len(made.asm["ptx"]))
    table.write_text(json.dumps(dict(sorted(launches.items())), indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
