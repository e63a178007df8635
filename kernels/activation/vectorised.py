"""Rung 1: whole vectors, and no call of the C library.

exp, tanh and erfc of the C library take one number, 3 to 12 ns each; the branch-free formulas of
`core.vecmath` take 16 float32 at once. The formulas stand in `formulas`, the walk over an array here: whole
vectors, then what is left of one, stored past the caches where the output is large. A row of softmax is
read from memory once: `core.softmax` goes over it three times while it lies in the first cache.

Every function fills the elements, or the groups of rows, [first, last) of its output: all of them as this
rung, a chunk in `parallel`.

Measured on one core of a Zen 4, 4096×1024 float32, ns an element, beside `naive` (a copy: 0.15): exp 0.17 (3.4),
sigmoid 0.25 (3.7), tanh 0.27 (24), silu 0.30 (4.6), gelu 0.50 (11), softmax 0.32 (9), log_softmax 0.40 (6.5).
Streaming alone: relu 0.19 → 0.15, gradients of two arrays 0.31 → 0.21, others that wait for arithmetic nothing.
"""

import numpy as np

from kernels.activation import formulas
from kernels.core import jit, panels, simd, vecmath
from kernels.core import softmax as rows
from kernels.core.simd.bits import of
from kernels.core.simd.streaming import BOUNDARY as LINE
from kernels.core.simd.streaming import put_streaming, settle, streams


@jit.inlined
def streaming(y, first, arrays):
    """Whether a stretch of y from `first` on is to be streamed."""
    return streams(y, LINE // y.itemsize, arrays) and first % simd.lanes(y) == 0


@jit.inlined
def each(function, x, y, first, last):
    """y = function(x). Two loops: in one with both stores the constants are fetched at every turn."""
    step = simd.lanes(y)
    whole = first + (last - first) // step * step
    if streaming(y, first, 2):
        for i in range(first, whole, step):
            put_streaming(function(simd.vector(x, i)), y, i)
        settle()
    else:
        for i in range(first, whole, step):
            simd.put_vector(function(simd.vector(x, i)), y, i)
    if whole < last:
        left = last - whole
        part = function(simd.vector_part(x, whole, left))
        simd.put_vector_part(part, y, whole, left)


@jit.inlined
def each_pair(function, dy, x, dx, first, last):
    """dx = function(dy, x)."""
    step = simd.lanes(dx)
    whole = first + (last - first) // step * step
    if streaming(dx, first, 3):
        for i in range(first, whole, step):
            put_streaming(function(simd.vector(dy, i), simd.vector(x, i)), dx, i)
        settle()
    else:
        for i in range(first, whole, step):
            simd.put_vector(function(simd.vector(dy, i), simd.vector(x, i)), dx, i)
    if whole < last:
        left = last - whole
        part = simd.vector_part(dy, whole, left), simd.vector_part(x, whole, left)
        simd.put_vector_part(function(part[0], part[1]), dx, whole, left)


@jit.exact
def relu(x, y, first, last):
    """Fill y."""
    each(formulas.relu, x, y, first, last)


@jit.exact
def relu_dx(dy, x, dx, first, last):
    """Fill dx."""
    each_pair(formulas.relu_dx, dy, x, dx, first, last)


@jit.exact
def leaky_relu(x, slope, y, first, last):
    """Fill y."""
    step = simd.lanes(y)
    stream = streaming(y, first, 2)
    i = first
    while i + step <= last:
        rows.put(formulas.leaky_relu(simd.vector(x, i), slope), y, i, stream)
        i += step
    if i < last:
        part = formulas.leaky_relu(simd.vector_part(x, i, last - i), slope)
        simd.put_vector_part(part, y, i, last - i)
    if stream:
        settle()


@jit.exact
def leaky_relu_dx(dy, x, slope, dx, first, last):
    """Fill dx."""
    step = simd.lanes(dx)
    stream = streaming(dx, first, 3)
    i = first
    while i + step <= last:
        part = formulas.leaky_relu_dx(simd.vector(dy, i), simd.vector(x, i), slope)
        rows.put(part, dx, i, stream)
        i += step
    if i < last:
        left = last - i
        part = simd.vector_part(dy, i, left)
        part = formulas.leaky_relu_dx(part, simd.vector_part(x, i, left), slope)
        simd.put_vector_part(part, dx, i, left)
    if stream:
        settle()


@jit.exact
def exp(x, y, first, last):
    """Fill y."""
    each(vecmath.exp, x, y, first, last)


@jit.exact
def exp_dx(dy, y, dx, first, last):
    """Fill dx."""
    each_pair(formulas.exp_dx, dy, y, dx, first, last)


@jit.exact
def sigmoid(x, y, first, last):
    """Fill y."""
    each(vecmath.sigmoid, x, y, first, last)


@jit.exact
def sigmoid_dx(dy, y, dx, first, last):
    """Fill dx."""
    each_pair(formulas.sigmoid_dx, dy, y, dx, first, last)


@jit.exact
def tanh(x, y, first, last):
    """Fill y."""
    each(vecmath.tanh, x, y, first, last)


@jit.exact
def tanh_dx(dy, y, dx, first, last):
    """Fill dx."""
    each_pair(formulas.tanh_dx, dy, y, dx, first, last)


@jit.exact
def silu(x, y, first, last):
    """Fill y."""
    each(formulas.silu, x, y, first, last)


@jit.exact
def silu_dx(dy, x, dx, first, last):
    """Fill dx."""
    each_pair(formulas.silu_dx, dy, x, dx, first, last)


@jit.exact
def gelu(x, approximate, y, first, last):
    """Fill y; Φ by tanh where `approximate`."""
    if approximate:
        each(formulas.gelu_tanh, x, y, first, last)
    else:
        each(formulas.gelu, x, y, first, last)


@jit.exact
def gelu_dx(dy, x, approximate, dx, first, last):
    """Fill dx."""
    if approximate:
        each_pair(formulas.gelu_tanh_dx, dy, x, dx, first, last)
    else:
        each_pair(formulas.gelu_dx, dy, x, dx, first, last)


@jit.inlined
def place(y, group):
    """Return where a group of rows that lie across begins, and how many rows it has."""
    wide, inner = panels.PANEL * simd.lanes(y), y.shape[2]
    across = (inner + wide - 1) // wide
    i = group % across * wide
    return group // across * y.shape[1] * inner + i, min(wide, inner - i)


@jit.inlined
def room_for(y, copies):
    """Elements of a row, or of panels of rows that lie across, each with a row more."""
    if y.shape[2] == 1:
        return y.shape[1]
    return copies * (y.shape[1] + 1) * panels.PANEL * simd.lanes(y)


@jit.exact
def softmax(x, y, first, last):
    """Fill groups of rows of y."""
    length, inner = y.shape[1], y.shape[2]
    flat_x, flat_y, room = x.reshape(x.size), y.reshape(y.size), np.empty(room_for(y, 1), y.dtype)
    stream = streams(y, length if inner == 1 else inner, 2)
    top = rows.largest(flat_x, first * length, length) if inner == 1 else rows.LEAST
    for group in range(first, last):
        if inner == 1:
            start = group * length
            total = rows.exp_sum(flat_x, start, length, top, room, 0)
            if group + 1 < last:  # while the sum is folded and inverted
                top = rows.largest(flat_x, start + length, length)
            rows.scale(room, 0, length, 1.0 / total, flat_y, start, stream)
        else:
            start, width = place(y, group)
            panels.softmax_across(flat_x, start, length, inner, width, room, flat_y, stream)
    if stream:
        settle()


@jit.exact
def softmax_dx(dy, y, dx, first, last):
    """Fill groups of rows of dx."""
    length, inner = y.shape[1], y.shape[2]
    flat_dy, flat_y, flat_dx = dy.reshape(dy.size), y.reshape(y.size), dx.reshape(dx.size)
    stream, room = (
        streams(dx, length if inner == 1 else inner, 3),
        np.empty(room_for(dx, 2), dx.dtype),
    )
    for group in range(first, last):
        if inner == 1:
            rows.softmax_dx(flat_dy, flat_y, group * length, length, flat_dx, stream)
        else:
            start, width = place(y, group)
            panels.softmax_dx_across(
                flat_dy, flat_y, start, length, inner, width, room, flat_dx, stream
            )
    if stream:
        settle()


@jit.exact
def log_softmax(x, y, first, last):
    """Fill groups of rows of y."""
    length, inner = y.shape[1], y.shape[2]
    flat_x, flat_y, room = x.reshape(x.size), y.reshape(y.size), np.empty(room_for(y, 1), y.dtype)
    stream = streams(y, length if inner == 1 else inner, 2)
    top = rows.largest(flat_x, first * length, length) if inner == 1 else rows.LEAST
    for group in range(first, last):
        if inner == 1:
            start, before = group * length, top
            total = rows.exp_total(flat_x, start, length, top)
            if group + 1 < last:  # while the sum is folded and its logarithm taken
                top = rows.largest(flat_x, start + length, length)
            rows.shift(
                flat_x, start, length, before, vecmath.log(of(before, total)), flat_y, stream
            )
        else:
            start, width = place(y, group)
            panels.log_softmax_across(flat_x, start, length, inner, width, room, flat_y, stream)
    if stream:
        settle()


@jit.exact
def log_softmax_dx(dy, y, dx, first, last):
    """Fill groups of rows of dx."""
    length, inner = y.shape[1], y.shape[2]
    flat_dy, flat_y, flat_dx = dy.reshape(dy.size), y.reshape(y.size), dx.reshape(dx.size)
    stream, room = (
        streams(dx, length if inner == 1 else inner, 3),
        np.empty(room_for(dx, 1), dx.dtype),
    )
    for group in range(first, last):
        if inner == 1:
            rows.log_softmax_dx(flat_dy, flat_y, group * length, length, flat_dx, stream)
        else:
            start, width = place(y, group)
            panels.log_softmax_dx_across(
                flat_dy, flat_y, start, length, inner, width, room, flat_dx, stream
            )
    if stream:
        settle()
