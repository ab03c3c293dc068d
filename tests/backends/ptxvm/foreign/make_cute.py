"""Makes the PTX texts of this folder whose names begin with `cute`: `python make_cute.py CUTLASS CUDA [NAME...]`.

CUTLASS is a folder of CUTLASS' headers (those that are here: the wheel nvidia-cutlass 4.2.0), CUDA one of the toolkit's
(nvidia-cuda-runtime 13.5.37, nvidia-cuda-cccl 13.3.5). Needs cuda-bindings and NVRTC (13.5.37), and no GPU.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from cuda.bindings import nvrtc

HERE = Path(__file__).parent


def once(
    instruction: str, atom_a: str, atom_b: str, tile: tuple[int, int, int], element: str, total: str
) -> tuple[str, int, int]:
    m, n, k = tile
    parameters = f"({element} const* a, {element} const* b, {total}* y)"
    layouts = f"GMMA::{atom_a}<{element}>, GMMA::{atom_b}<{element}>"
    body = f"{{ once<{instruction}, {layouts}, {m}, {n}, {k}, {element}, {total}>(a, b, y); }}"
    bits = {"half_t": 16, "tfloat32_t": 32, "int8_t": 8, "float_e4m3_t": 8}[element]
    return f"product{parameters} {body}", 128, ((m * k + 1023) // 1024 * 1024 + n * k) * bits // 8


HALVES = "SM90_64x64x16_F32F16F16_SS<GMMA::Major::{}, GMMA::Major::{}>"
WIDE = "SM90_64x128x16_F32F16F16_SS<GMMA::Major::{}, GMMA::Major::{}>"
RING = "product(half_t const* a, half_t const* b, float* y, int steps) {{ ring<64, 64, 64, {}>(a, b, y, steps); }}"
TEXTS = {
    "cute_plain_sm90": once(
        HALVES.format("K", "K"), "Layout_K_INTER_Atom", "Layout_K_INTER_Atom", (64, 64, 32), "half_t", "float"
    ),
    "cute_plain_turned_sm90": once(
        HALVES.format("MN", "MN"), "Layout_MN_INTER_Atom", "Layout_MN_INTER_Atom", (64, 64, 32), "half_t", "float"
    ),
    "cute_32_sm90": once(
        HALVES.format("K", "MN"), "Layout_K_SW32_Atom", "Layout_MN_SW32_Atom", (64, 64, 32), "half_t", "float"
    ),
    "cute_64_sm90": once(
        HALVES.format("MN", "K"), "Layout_MN_SW64_Atom", "Layout_K_SW64_Atom", (64, 64, 64), "half_t", "float"
    ),
    "cute_128_sm90": once(
        WIDE.format("K", "MN"), "Layout_K_SW128_Atom", "Layout_MN_SW128_Atom", (64, 128, 128), "half_t", "float"
    ),
    "cute_bytes_sm90": once(
        "SM90_64x32x32_S32S8S8_SS_TN", "Layout_K_SW64_Atom", "Layout_K_INTER_Atom", (64, 32, 64), "int8_t", "int32_t"
    ),
    "cute_e4m3_sm90": once(
        "SM90_64x32x32_F32E4M3E4M3_SS_TN<>",
        "Layout_K_SW32_Atom",
        "Layout_K_SW128_Atom",
        (64, 32, 128),
        "float_e4m3_t",
        "float",
    ),
    "cute_tf32_sm90": once(
        "SM90_64x32x8_F32TF32TF32_SS_TN<>",
        "Layout_K_INTER_Atom",
        "Layout_K_SW128_Atom",
        (64, 32, 32),
        "tfloat32_t",
        "float",
    ),
    "cute_ring_sm90": (RING.format(3), 256, 3 * 64 * 128 * 2),
}


def compiled(kernel: str, threads: int, folders: list[str]) -> str:
    """PTX of one kernel. Raises SystemExit with the compiler's log."""
    source = (HERE / "cute_kernels.cu").read_text()
    text = source.replace("__launch_bounds__(THREADS, 1) KERNEL", f"__launch_bounds__({threads}, 1) {kernel}").encode()
    _, program = nvrtc.nvrtcCreateProgram(text, b"cute_kernels.cu", 0, [], [])
    options = [
        b"--gpu-architecture=sm_90a",
        b"-std=c++17",
        b"-default-device",
        *(f"-I{folder}".encode() for folder in folders),
    ]
    (status,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
    if int(status):
        _, size = nvrtc.nvrtcGetProgramLogSize(program)
        log = bytes(size)
        nvrtc.nvrtcGetProgramLog(program, log)
        raise SystemExit(log.rstrip(b"\0").decode()[:5000])
    _, size = nvrtc.nvrtcGetPTXSize(program)
    ptx = bytes(size)
    nvrtc.nvrtcGetPTX(program, ptx)
    return ptx.rstrip(b"\0").decode()


def stripped(text: str) -> str:
    """Without comments, empty lines and the constants of headers, of which no kernel here uses any."""
    text = re.sub(r"//.*", "", text)
    text = re.sub(r"^\.global [^;]*;\n", "", text, flags=re.M)
    return re.sub(r"\n\s*\n+", "\n", text).strip().replace("\t", " ") + "\n"


def main(cutlass: str, cuda: str, cccl: str, *wanted: str) -> None:
    table = HERE / "launches.json"
    launches = json.loads(table.read_text())
    for name in wanted or TEXTS:
        kernel, threads, shared = TEXTS[name]
        ptx = compiled(kernel, threads, [cutlass, cccl, f"{cccl}/cccl", cuda])
        (HERE / f"{name}.ptx").write_text(f"// CUTLASS 4.2.0 (CuTe), NVRTC 13.5\n{stripped(ptx)}")
        launches[name] = {"entry": "product", "threads": threads, "shared": shared}
        print(name, launches[name], len(ptx))
    table.write_text(json.dumps(dict(sorted(launches.items())), indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
