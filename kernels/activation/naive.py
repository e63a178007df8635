"""Rung 0: the formulas, one element or one row at a time.

    relu: max(x, 0)                       dx = dy where x > 0
    sigmoid: 1 / (1 + exp(−x))            dx = dy · y · (1 − y)
    tanh                                  dx = dy · (1 − y²)
    softmax: exp(x − m) / Σ exp(x − m)    dx = y · (dy − Σ dy·y)
    log_softmax: x − m − log Σ exp(x − m) dx = dy − exp(y) · Σ dy

Elementwise functions take flat arrays; those along an axis take (outer, length, inner), m being the
largest of the row, so that no exponential overflows. Bytes, not arithmetic, are what these cost: each
array once at the least. Sums run in float64. A NaN stays a NaN; a softmax over a row that is all −inf,
or holds +inf, is NaN (∞ − ∞).

Source: Goodfellow, Bengio and Courville, "Deep Learning", 2016, sections 4.1 and 6.2.2.3.
"""

import math

from kernels.core import jit


@jit.exact
def relu(x, y):
    """Fill y."""
    for i in range(y.shape[0]):
        y[i] = y.dtype.type(0) if x[i] < 0 else x[i]


@jit.exact
def relu_dx(dy, x, dx):
    """Fill dx."""
    for i in range(dx.shape[0]):
        dx[i] = dx.dtype.type(0) if x[i] <= 0 else dy[i]


@jit.exact
def sigmoid(x, y):
    """Fill y; exp(−|x|) cannot overflow, and keeps the smallest results exact."""
    one = y.dtype.type(1)
    for i in range(y.shape[0]):
        e = math.exp(-abs(x[i]))
        y[i] = (e if x[i] < 0 else one) / (one + e)


@jit.exact
def sigmoid_dx(dy, y, dx):
    """Fill dx."""
    one = dx.dtype.type(1)
    for i in range(dx.shape[0]):
        dx[i] = dy[i] * y[i] * (one - y[i])


@jit.exact
def tanh(x, y):
    """Fill y."""
    for i in range(y.shape[0]):
        y[i] = math.tanh(x[i])


@jit.exact
def tanh_dx(dy, y, dx):
    """Fill dx; (1 − y)(1 + y) keeps the digits that 1 − y² loses near ±1."""
    one = dx.dtype.type(1)
    for i in range(dx.shape[0]):
        dx[i] = dy[i] * ((one - y[i]) * (one + y[i]))


@jit.exact
def largest(x, o, i):
    """Largest element of a row, NaN if it holds one."""
    best = x[o, 0, i]
    for j in range(1, x.shape[1]):
        if x[o, j, i] > best or x[o, j, i] != x[o, j, i]:
            best = x[o, j, i]
    return best


@jit.exact
def softmax_row(x, o, i, y):
    """Fill row (o, ·, i) of y."""
    top = largest(x, o, i)
    total = 0.0
    for j in range(y.shape[1]):
        e = math.exp(x[o, j, i] - top)
        y[o, j, i] = e
        total += e
    for j in range(y.shape[1]):
        y[o, j, i] /= total


@jit.exact
def softmax_dx_row(dy, y, o, i, dx):
    """Fill row (o, ·, i) of dx."""
    total = 0.0
    for j in range(dx.shape[1]):
        total += dy[o, j, i] * y[o, j, i]
    for j in range(dx.shape[1]):
        dx[o, j, i] = y[o, j, i] * (dy[o, j, i] - total)


@jit.exact
def log_softmax_row(x, o, i, y):
    """Fill row (o, ·, i) of y."""
    top = largest(x, o, i)
    total = 0.0
    for j in range(y.shape[1]):
        total += math.exp(x[o, j, i] - top)
    log_total = math.log(total)
    for j in range(y.shape[1]):
        y[o, j, i] = (x[o, j, i] - top) - log_total


@jit.exact
def log_softmax_dx_row(dy, y, o, i, dx):
    """Fill row (o, ·, i) of dx."""
    total = 0.0
    for j in range(dx.shape[1]):
        total += dy[o, j, i]
    for j in range(dx.shape[1]):
        dx[o, j, i] = dy[o, j, i] - math.exp(y[o, j, i]) * total


@jit.exact
def softmax(x, y):
    """Fill y, row after row."""
    for row in range(y.shape[0] * y.shape[2]):
        softmax_row(x, row // y.shape[2], row % y.shape[2], y)


@jit.exact
def softmax_dx(dy, y, dx):
    """Fill dx, row after row."""
    for row in range(dx.shape[0] * dx.shape[2]):
        softmax_dx_row(dy, y, row // dx.shape[2], row % dx.shape[2], dx)


@jit.exact
def log_softmax(x, y):
    """Fill y, row after row."""
    for row in range(y.shape[0] * y.shape[2]):
        log_softmax_row(x, row // y.shape[2], row % y.shape[2], y)


@jit.exact
def log_softmax_dx(dy, y, dx):
    """Fill dx, row after row."""
    for row in range(dx.shape[0] * dx.shape[2]):
        log_softmax_dx_row(dy, y, row // dx.shape[2], row % dx.shape[2], dx)
