"""Kernels in CUDA C that several tests use, without headers, so that NVRTC alone can compile them."""

from __future__ import annotations

MATMUL = """
typedef unsigned short half;
__device__ unsigned shared_address(const void* p) { return (unsigned)__cvta_generic_to_shared(p); }
__device__ void copy16(void* to, const void* from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" :: "r"(shared_address(to)), "l"(from) : "memory");
}
// C[64, 64] = A[64, K] * B[K, 64] in f16 by 2 x 2 warps of 32 x 32, in steps of 32, two buffers.
extern "C" __global__ void __launch_bounds__(128) matmul(
    const half* __restrict__ A, const half* __restrict__ B, float* C, int K) {
  __shared__ __align__(16) half sa[2][64][40];
  __shared__ __align__(16) half sb[2][32][72];
  int t = threadIdx.x, w = t / 32, l = t % 32, wm = w / 2, wn = w % 2;
  float acc[2][4][4] = {};
  auto copy = [&](int k, int s) {
    for (int i = 0; i < 2; i++) {
      int c = t + 128 * i;
      copy16(&sa[s][c / 4][c % 4 * 8], A + c / 4 * K + k * 32 + c % 4 * 8);
      copy16(&sb[s][c / 8][c % 8 * 8], B + (k * 32 + c / 8) * 64 + c % 8 * 8);
    }
    asm volatile("cp.async.commit_group;" ::: "memory");
  };
  copy(0, 0);
  for (int k = 0; k < K / 32; k++) {
    if (k + 1 < K / 32) {
      copy(k + 1, (k + 1) & 1);
      asm volatile("cp.async.wait_group 1;" ::: "memory");
    } else {
      asm volatile("cp.async.wait_group 0;" ::: "memory");
    }
    __syncthreads();
    int s = k & 1;
    for (int kk = 0; kk < 2; kk++) {
      unsigned a[2][4], b[4][2];
      for (int i = 0; i < 2; i++)
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
            : "=r"(a[i][0]), "=r"(a[i][1]), "=r"(a[i][2]), "=r"(a[i][3])
            : "r"(shared_address(&sa[s][wm * 32 + i * 16 + l % 16][kk * 16 + l / 16 * 8])) : "memory");
      for (int j = 0; j < 4; j++)
        asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
            : "=r"(b[j][0]), "=r"(b[j][1])
            : "r"(shared_address(&sb[s][kk * 16 + l % 16][wn * 32 + j * 8])) : "memory");
      for (int i = 0; i < 2; i++)
        for (int j = 0; j < 4; j++)
          asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
              "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
              : "+f"(acc[i][j][0]), "+f"(acc[i][j][1]), "+f"(acc[i][j][2]), "+f"(acc[i][j][3])
              : "r"(a[i][0]), "r"(a[i][1]), "r"(a[i][2]), "r"(a[i][3]), "r"(b[j][0]), "r"(b[j][1]));
    }
    __syncthreads();
  }
  for (int i = 0; i < 2; i++)
    for (int j = 0; j < 4; j++) {
      int r = wm * 32 + i * 16 + l / 4, c = wn * 32 + j * 8 + l % 4 * 2;
      C[r * 64 + c] = acc[i][j][0]; C[r * 64 + c + 1] = acc[i][j][1];
      C[(r + 8) * 64 + c] = acc[i][j][2]; C[(r + 8) * 64 + c + 1] = acc[i][j][3];
    }
}
"""

REVERSE = """
// Each block reverses its part of x, through shared memory.
extern "C" __global__ void __launch_bounds__(128) reverse(const int* __restrict__ x, int* y, int n) {
  __shared__ int s[128];
  int i = blockIdx.x * 128 + threadIdx.x;
  s[threadIdx.x] = i < n ? x[i] : 0;
  __syncthreads();
  y[i] = s[127 - threadIdx.x];
}
"""

UNPACK = """
// Two 4-bit codes to a byte: y[2 i] is the low one, y[2 i + 1] the high one.
extern "C" __global__ void __launch_bounds__(64) unpack(const unsigned char* __restrict__ q, int* y, int n) {
  int i = blockIdx.x * 64 + threadIdx.x;
  if (i < n) {
    y[2 * i] = q[i] & 15;
    y[2 * i + 1] = q[i] >> 4;
  }
}
"""

SUM = """
// The sum of 256 numbers by a tree in shared memory, one block for each row.
extern "C" __global__ void __launch_bounds__(256) sum(const float* __restrict__ x, float* y) {
  __shared__ float s[256];
  int t = threadIdx.x;
  s[t] = x[blockIdx.x * 256 + t];
  __syncthreads();
  for (int half = 128; half > 0; half /= 2) {
    if (t < half) s[t] += s[t + half];
    __syncthreads();
  }
  if (t == 0) y[blockIdx.x] = s[0];
}
"""

STREAM = """
// y = x, through shared memory by vectors of 16 bytes.
extern "C" __global__ void __launch_bounds__(32) stream(const int4* __restrict__ x, int4* y) {
  __shared__ int4 s[33];
  int t = threadIdx.x;
  s[t] = x[t];
  __syncthreads();
  y[t] = s[t ^ 1];
}
"""
