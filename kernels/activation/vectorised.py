"""Rung 1: whole vectors, and no call of the C library.

exp, tanh and erfc of the C library take one number, 3 to 12 ns each; the branch-free formulas of
`core.vecmath` take 16 float32 at once. The formulas stand in `formulas`, the walk over an array here: whole
vectors, then what is left of one. A row of softmax is read from memory once: `core.rows` goes over it three
times (largest, exponentials and their sum, division) while it lies in the first cache.

MEASURED
"""

import numpy as np

from kernels.activation import formulas
from kernels.core import jit, rows, simd, vecmath


@jit.inlined
def each(function, x, y):
    """y = function(x)."""
    step = simd.lanes(y)
    whole = y.shape[0] // step * step
    for i in range(0, whole, step):
        simd.put_vector(function(simd.vector(x, i)), y, i)
    left = y.shape[0] - whole
    simd.put_vector_part(function(simd.vector_part(x, whole, left)), y, whole, left)


@jit.inlined
def each_pair(function, dy, x, dx):
    """dx = function(dy, x)."""
    step = simd.lanes(dx)
    whole = dx.shape[0] // step * step
    for i in range(0, whole, step):
        simd.put_vector(function(simd.vector(dy, i), simd.vector(x, i)), dx, i)
    left = dx.shape[0] - whole
    last = simd.vector_part(dy, whole, left), simd.vector_part(x, whole, left)
    simd.put_vector_part(function(last[0], last[1]), dx, whole, left)


@jit.exact
def relu(x, y):
    """Fill y."""
    each(formulas.relu, x, y)


@jit.exact
def relu_dx(dy, x, dx):
    """Fill dx."""
    each_pair(formulas.relu_dx, dy, x, dx)


@jit.exact
def leaky_relu(x, slope, y):
    """Fill y."""
    step = simd.lanes(y)
    whole = y.shape[0] // step * step
    for i in range(0, whole, step):
        simd.put_vector(formulas.leaky_relu(simd.vector(x, i), slope), y, i)
    left = y.shape[0] - whole
    last = simd.vector_part(x, whole, left)
    simd.put_vector_part(formulas.leaky_relu(last, slope), y, whole, left)


@jit.exact
def leaky_relu_dx(dy, x, slope, dx):
    """Fill dx."""
    step = simd.lanes(dx)
    whole = dx.shape[0] // step * step
    for i in range(0, whole, step):
        part = formulas.leaky_relu_dx(simd.vector(dy, i), simd.vector(x, i), slope)
        simd.put_vector(part, dx, i)
    left = dx.shape[0] - whole
    last = simd.vector_part(dy, whole, left), simd.vector_part(x, whole, left)
    simd.put_vector_part(formulas.leaky_relu_dx(last[0], last[1], slope), dx, whole, left)


@jit.exact
def exp(x, y):
    """Fill y."""
    each(vecmath.exp, x, y)


@jit.exact
def exp_dx(dy, y, dx):
    """Fill dx."""
    each_pair(formulas.exp_dx, dy, y, dx)


@jit.exact
def sigmoid(x, y):
    """Fill y."""
    each(vecmath.sigmoid, x, y)


@jit.exact
def sigmoid_dx(dy, y, dx):
    """Fill dx."""
    each_pair(formulas.sigmoid_dx, dy, y, dx)


@jit.exact
def tanh(x, y):
    """Fill y."""
    each(vecmath.tanh, x, y)


@jit.exact
def tanh_dx(dy, y, dx):
    """Fill dx."""
    each_pair(formulas.tanh_dx, dy, y, dx)


@jit.exact
def silu(x, y):
    """Fill y."""
    each(formulas.silu, x, y)


@jit.exact
def silu_dx(dy, x, dx):
    """Fill dx."""
    each_pair(formulas.silu_dx, dy, x, dx)


@jit.exact
def gelu(x, approximate, y):
    """Fill y; Φ by tanh where `approximate`."""
    if approximate:
        each(formulas.gelu_tanh, x, y)
    else:
        each(formulas.gelu, x, y)


@jit.exact
def gelu_dx(dy, x, approximate, dx):
    """Fill dx."""
    if approximate:
        each_pair(formulas.gelu_tanh_dx, dy, x, dx)
    else:
        each_pair(formulas.gelu_dx, dy, x, dx)


@jit.inlined
def groups(y):
    """How many groups of rows there are: single rows, or LANES neighbours where rows lie across."""
    if y.shape[2] == 1:
        return y.shape[0]
    return y.shape[0] * ((y.shape[2] + simd.lanes(y) - 1) // simd.lanes(y))


@jit.inlined
def place(y, group):
    """Return where a group of rows that lie across begins, and how many rows it has."""
    step, inner = simd.lanes(y), y.shape[2]
    across = (inner + step - 1) // step
    i = group % across * step
    return group // across * y.shape[1] * inner + i, min(step, inner - i)


@jit.inlined
def walk(along, across, x, y, first, last):
    """Fill the groups [first, last) of y from x."""
    length, inner = y.shape[1], y.shape[2]
    flat_x, flat_y = x.reshape(x.size), y.reshape(y.size)
    for group in range(first, last):
        if inner == 1:
            along(flat_x, group * length, length, flat_y)
        else:
            start, width = place(y, group)
            across(flat_x, start, length, inner, width, flat_y)


@jit.inlined
def walk_pair(along, across, dy, y, dx, first, last):
    """Fill the groups [first, last) of dx from dy and y."""
    length, inner = y.shape[1], y.shape[2]
    flat_dy, flat_y, flat_dx = dy.reshape(dy.size), y.reshape(y.size), dx.reshape(dx.size)
    for group in range(first, last):
        if inner == 1:
            along(flat_dy, flat_y, group * length, length, flat_dx)
        else:
            start, width = place(y, group)
            across(flat_dy, flat_y, start, length, inner, width, flat_dx)


@jit.exact
def softmax_groups(x, y, first, last):
    """Fill the groups [first, last) of y."""
    walk(rows.softmax, rows.softmax_across, x, y, first, last)


@jit.exact
def softmax_dx_groups(dy, y, dx, first, last):
    """Fill the groups [first, last) of dx."""
    walk_pair(rows.softmax_dx, rows.softmax_dx_across, dy, y, dx, first, last)


@jit.exact
def log_softmax_groups(x, y, first, last):
    """Fill the groups [first, last) of y."""
    walk(rows.log_softmax, rows.log_softmax_across, x, y, first, last)


@jit.exact
def log_softmax_dx_groups(dy, y, dx, first, last):
    """Fill the groups [first, last) of dx."""
    walk_pair(rows.log_softmax_dx, rows.log_softmax_dx_across, dy, y, dx, first, last)


@jit.exact
def softmax(x, y):
    """Fill y."""
    softmax_groups(x, y, np.int64(0), groups(y))


@jit.exact
def softmax_dx(dy, y, dx):
    """Fill dx."""
    softmax_dx_groups(dy, y, dx, np.int64(0), groups(dx))


@jit.exact
def log_softmax(x, y):
    """Fill y."""
    log_softmax_groups(x, y, np.int64(0), groups(y))


@jit.exact
def log_softmax_dx(dy, y, dx):
    """Fill dx."""
    log_softmax_dx_groups(dy, y, dx, np.int64(0), groups(dx))
