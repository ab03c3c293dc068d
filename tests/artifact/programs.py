"""Small kernels with what a library must carry: packed and block-format tensors, scalars, asserts, hidden symbols."""

from __future__ import annotations

SMALL = """
import gguf

kernel axpy[T: type = f32, B = 64](a: T, x: T[N], y: inout T[N]):
    for n in grid(cdiv(N, B)):
        y[n*B : +B] = y[n*B : +B] + a * x[n*B : +B]

kernel shift[B = 64](by: i32, x: i32[N], y: out i32[N]):
    for n in grid(cdiv(N, B)):
        y[n*B : +B] = x[n*B : +B] + by

kernel widen[T: type = u3, B = 64](w: T[K], y: out i32[2 * K // 2]):
    for k in grid(cdiv(K, B)):
        y[k*B : +B] = i32(w[k*B : +B])

kernel narrow[T: type = u3, B = 64](x: i32[N], y: out T[N]):
    for n in grid(cdiv(N, B)):
        y[n*B : +B] = T(x[n*B : +B] & 7)

kernel decode[F: format = gguf.q8_0](w: F[N, K], y: out f32[N, K]):
    for n, k in grid(N, K // 32):
        y[n, k*32 : +32] = w[n, k*32 : +32]

kernel positive[B = 64](x: i32[N], y: out i32[N]):
    for n in grid(cdiv(N, B)):
        t = x[n*B : +B]
        assert all(t >= 0), "a number is negative"
        y[n*B : +B] = t
"""
