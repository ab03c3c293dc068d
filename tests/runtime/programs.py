"""Programs that the tests of the runtime compile."""

COPY = """
kernel copy[T: type, B = 16](x: T[N], y: out T[N]):
    for i in grid(cdiv(N, B)):
        y[i*B : +B] = x[i*B : +B]
"""

AXPY = """
kernel axpy[B = 8](alpha: f32, x: f32[M, N], y: inout f32[M, N]):
    for m, n in grid(M, cdiv(N, B)):
        y[m, n*B : +B] += alpha * x[m, n*B : +B]
"""

SCALE = """
kernel scale(w: u3[K, N], s: f16[K // 2, N], y: out f32[K, N]):
    for k in grid(K):
        for n in range(0, N, 8):
            y[k, n : +8] = f32(w[k, n : +8]) * f32(s[k // 2, n : +8])
"""

SCALAR = """
kernel store[T: type](value: T, y: out T[1]):
    y[0 : +1] = full(T[1], value)
"""

FIXED = """
kernel fixed(x: f32[4, 8], y: out f32[8]):
    y[0 : +8] = x[3, 0 : +8]
"""

PINNED = """
kernel pinned[T: type](x: T[M, N] layout col_major(8, 8), y: out T[M, N]):
    for i, j in grid(cdiv(M, 8), cdiv(N, 8)):
        y[i*8 : +8, j*8 : +8] = x[i*8 : +8, j*8 : +8]
"""

BLOCKS = """
format pair block 4:
    d: f16
    q: u4[4]
    value[i] = f32(d) * f32(q[i])
kernel decode(w: pair[M, N], y: out f32[M, N]):
    for m, n in grid(M, N // 4):
        y[m, n*4 : +4] = w[m, n*4 : +4]
"""

CHECKED = """
kernel checked(x: i32[N], y: out i32[N]):
    for i in grid(cdiv(N, 4)):
        a = x[i*4 : +4]
        assert all(a >= 0, axis=0), "negative input"
        y[i*4 : +4] = a
"""

PAIR = """
kernel pair[T: type](v: u3[K, N], w: T[K, N], y: out f32[K, N]):
    for k in grid(K):
        for n in range(0, N, 8):
            y[k, n : +8] = f32(v[k, n : +8]) + 100.0 * f32(w[k, n : +8])
"""
