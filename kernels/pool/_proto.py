import numpy as np, time, sys
from numba import prange
from kernels.core import jit, simd, stack
import kernels

@jit.inlined
def vertical(xs, at, pitch, rows, width, buf, left):
    """buf[left + i] = max over rows of xs[at + r*pitch + i]"""
    L = simd.lanes(xs)
    whole = width // L * L
    if rows == 3:
        for i in range(0, whole, L):
            best = simd.maximum(simd.maximum(simd.vector(xs, at + i), simd.vector(xs, at + pitch + i)), simd.vector(xs, at + 2 * pitch + i))
            simd.put_vector(best, buf, left + i)
    elif rows == 2:
        for i in range(0, whole, L):
            best = simd.maximum(simd.vector(xs, at + i), simd.vector(xs, at + pitch + i))
            simd.put_vector(best, buf, left + i)
    else:
      for i in range(0, whole, L):
        best = simd.vector(xs, at + i)
        for r in range(1, rows):
            best = simd.maximum(best, simd.vector(xs, at + r * pitch + i))
        simd.put_vector(best, buf, left + i)
    rest = width - whole
    if rest > 0:
        best = simd.vector_part(xs, at + whole, rest)
        for r in range(1, rows):
            best = simd.maximum(best, simd.vector_part(xs, at + r * pitch + whole, rest))
        simd.put_vector_part(best, buf, left + whole, rest)

@jit.inlined
def horizontal(buf, start, stride, taps, apart, ys, to, count):
    L = simd.lanes(ys)
    i = 0
    if stride == 1 and taps == 3:
        while i < count:
            best = simd.maximum(simd.maximum(simd.vector(buf, start + i), simd.vector(buf, start + i + apart)), simd.vector(buf, start + i + 2 * apart))
            put(best, ys, to + i, count - i)
            i += L
    elif stride == 2 and taps == 3 and apart == 1:
        while i < count:
            even, odd = simd.even_odd(buf, start + 2 * i)
            last, no = simd.even_odd(buf, start + 2 * i + 2)
            put(simd.maximum(simd.maximum(even, odd), last), ys, to + i, count - i)
            i += L
    elif stride == 2 and taps == 2 and apart == 1:
        while i < count:
            even, odd = simd.even_odd(buf, start + 2 * i)
            put(simd.maximum(even, odd), ys, to + i, count - i)
            i += L

@jit.inlined
def put(v, ys, at, left):
    if left >= simd.lanes(ys):
        simd.put_vector(v, ys, at)
    else:
        simd.put_vector_part(v, ys, at, left)

BAND = 8
@jit.exact
def planes(x, first, last, kernel, stride, padding, dilation, y, scratch):
    H, W, OH, OW = x.shape[2], x.shape[3], y.shape[2], y.shape[3]
    xs, ys = x.reshape(x.size), y.reshape(y.size)
    pitch = scratch.size // BAND
    for i in range(scratch.size):
        scratch[i] = -np.inf
    for plane in range(first, last):
        for o0 in range(0, OH, BAND):
            o1 = min(OH, o0 + BAND)
            for oh in range(o0, o1):
                top = oh * stride[0] - padding[0]
                r0 = max(0, -(top // dilation[0]))
                r1 = min(kernel[0], (H - 1 - top) // dilation[0] + 1)
                vertical(xs, (plane * H + top + r0 * dilation[0]) * W, W * dilation[0], r1 - r0, W, scratch, (oh - o0) * pitch + padding[1])
            for oh in range(o0, o1):
                horizontal(scratch, (oh - o0) * pitch, stride[1], kernel[1], dilation[1], ys, (plane * OH + oh) * OW, OW)

@jit.parallel
def run(x, kernel, stride, padding, dilation, y, scratch):
    P = x.shape[0] * x.shape[1]
    pieces = scratch.shape[0]
    for p in prange(pieces):
        planes(x, np.int64(p) * P // pieces, (np.int64(p) + 1) * P // pieces, kernel, stride, padding, dilation, y, scratch[p])

def best(f, n=60):
    t = []
    for _ in range(n):
        a = time.perf_counter(); f(); t.append(time.perf_counter() - a)
    return min(t) * 1e3

def main():
    rng = np.random.default_rng(0)
    for shape, k, s, p in [((8,64,112,112),2,2,0),((8,64,112,112),3,2,1),((8,192,28,28),3,1,1),((8,64,28,28),2,2,0),((64,32,8,8),2,2,0),((8,512,7,7),3,1,1)]:
        x = rng.standard_normal(shape).astype("f4")
        OH = (shape[2] + 2*p - k)//s + 1
        y = np.empty((*shape[:2], OH, OH), "f4")
        scratch = np.empty((2, BAND * (shape[3] + 2*p + 48)), "f4")
        args = (x, (k,k),(s,s),(p,p),(1,1), y, scratch)
        run.serial(*args)
        want = kernels.max_pool2d(x, k, stride=s, padding=p)
        assert np.array_equal(y, want)
        half = (x.nbytes + y.nbytes) // 2
        a, b = np.ones(half, "u1"), np.ones(half, "u1")
        print(shape, k, s, "serial %.3f" % best(lambda: run.serial(*args)), "copy1 %.3f" % best(lambda: np.copyto(b, a)))
