"""The machine code of a real kernel, read back."""

import pytest

pytest.importorskip("cuda.bindings")

from vmc.backends.cuda.compilers import compile_cuda
from vmc.backends.cuda.disassembly import sass, tool
from vmc.backends.cuda.sass import Kind, Resources, parse, report, resources
from vmc.backends.cuda.sass.resources import usage

pytestmark = pytest.mark.skipif(
    tool("nvdisasm") is None or tool("cuobjdump") is None, reason="nvdisasm and cuobjdump are not installed"
)

SUM = """
extern "C" __global__ void total(const float4* x, float* y, int n) {
    __shared__ float part[64];
    float sum = 0;
    #pragma unroll 1
    for (int i = threadIdx.x; i < n; i += 64) { float4 v = x[i]; sum += v.x * v.y; sum += v.z * v.w; }
    part[threadIdx.x] = sum;
    __syncthreads();
    y[threadIdx.x] = part[63 - threadIdx.x];
}
"""


@pytest.mark.parametrize("arch", ["sm_80", "sm_90a"])
def test_a_loop_of_a_compiled_kernel_is_counted(arch: str) -> None:
    cubin = compile_cuda(SUM, arch).cubin
    found = report(parse(sass(cubin))[0], resources(cubin)["total"])
    loop = found.main_loop
    assert loop is not None
    reserved = 1024 if arch == "sm_90a" else 0  # cuobjdump counts what the system takes from there on
    assert (found.name, found.shared, found.spills, found.stack) == ("total", 256 + reserved, 0, 0)
    assert loop.moved[Kind.GLOBAL].loads == {128: 1}
    assert loop.kinds[Kind.FLOAT] == 4
    assert 0 < found.registers <= 32


def test_spilled_registers_are_seen() -> None:
    body = "".join(f"float v{n} = x[{n} * 32 + threadIdx.x]; " for n in range(96))
    total = " + ".join(f"v{n} * v{95 - n}" for n in range(96))
    head = 'extern "C" __global__ void __launch_bounds__(1024, 2) k(volatile float* x, float* y)'
    text = f"{head} {{ {body} __syncthreads(); y[threadIdx.x] = {total}; }}"
    cubin = compile_cuda(text, "sm_80").cubin
    assert report(parse(sass(cubin))[0], resources(cubin)["k"]).spills > 0


def test_usage_is_read_by_kernel() -> None:
    text = (
        " Function a:\n  REG:25 STACK:8 SHARED:0 LOCAL:4 CONSTANT[0]:380\n"
        " Function b:\n  REG:9 STACK:0 SHARED:16 LOCAL:0"
    )
    assert usage(text) == {"a": Resources(25, 8, 0, 4), "b": Resources(9, 0, 16, 0)}
