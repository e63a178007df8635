"""Copies on the device that no kernel of a family should have to think of: strided arrays made contiguous, sums."""

from __future__ import annotations

import math
from dataclasses import replace

from kernels.core.cuda import arrays
from kernels.core.cuda.compiler import cuda
from kernels.core.cuda.launch import each, kernel
from kernels.core.cuda.operations import narrow, widen
from kernels.core.device_array import DeviceArray

THREADS = 256


@kernel(THREADS, lambda x, first, shape, strides, y: each(y, THREADS))
def spread(x, first, shape, strides, y):
    """Copy element by element: y[i] is what stands at i's place in x, whose strides are in elements."""
    i = cuda.grid(1)
    if i < y.size:
        rest, place = i, first
        for axis in range(len(shape) - 1, -1, -1):
            place += rest % shape[axis] * strides[axis]
            rest //= shape[axis]
        y[i] = x[place]


@kernel(THREADS, lambda x, y: each(y, THREADS))
def sums(x, y):
    """y[o, i] = Σ_j x[o, j, i], in the order of j; 16-bit elements are summed in float32."""
    at = cuda.grid(1)
    if at < y.size:
        outer, inner = at // y.shape[1], at % y.shape[1]
        total = widen(x.dtype.type(0))
        for j in range(x.shape[1]):
            total += widen(x[outer, j, inner])
        y[outer, inner] = narrow(total, y)


def contiguous(x: DeviceArray, y: DeviceArray) -> None:
    """Fill the C-contiguous y with the strided x."""
    if x.size == 0:
        return
    low, high = x.span()
    size = x.dtype.itemsize
    flat = replace(x, pointer=low, shape=((high - low) // size,), strides=(size,), native=None)
    strides = tuple(step // size for step in x.strides)
    spread(flat, (x.pointer - low) // size, x.shape, strides, y.reshape(-1))


def sum_over(x: DeviceArray, axes: tuple[int, ...], out: DeviceArray) -> None:
    """Sum a C-contiguous array over `axes`, which keep extent 1, into `out`: one axis after the other."""
    for count, axis in enumerate(sorted(axes, reverse=True), 1):
        shape = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
        outer, inner = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
        y = out if count == len(axes) else arrays.empty(shape, x.dtype, x)
        sums(x.reshape(outer, x.shape[axis], inner), y.reshape(outer, inner))
        x = y
