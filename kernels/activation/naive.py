"""Rung 0: the formulas, one element or one row at a time.

    relu: max(x, 0)                       dx = dy where x > 0
    leaky_relu: x, below zero s·x         dx = dy, below zero s·dy
    exp                                   dx = dy · y
    silu: x · σ(x)                        dx = dy · σ · (1 + x · (1 − σ))
    gelu: x · Φ(x)                        dx = dy · (Φ(x) + x · φ(x))
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

import numpy as np

from kernels.core import jit

ROOT_HALF = math.sqrt(0.5)
ROOT_2_OVER_PI = math.sqrt(2 / math.pi)
CUBE = 0.044715


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
def leaky_relu(x, slope, y):
    """Fill y."""
    for i in range(y.shape[0]):
        y[i] = x[i] if x[i] > 0 else x[i] * slope


@jit.exact
def leaky_relu_dx(dy, x, slope, dx):
    """Fill dx."""
    for i in range(dx.shape[0]):
        dx[i] = dy[i] if x[i] > 0 else dy[i] * slope


@jit.exact
def exp(x, y):
    """Fill y."""
    for i in range(y.shape[0]):
        y[i] = math.exp(x[i])


@jit.exact
def exp_dx(dy, y, dx):
    """Fill dx."""
    for i in range(dx.shape[0]):
        dx[i] = dy[i] * y[i]


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
def logistic(z):
    """1 / (1 + exp(−z)), in float64; exp(−|z|) cannot overflow."""
    e = math.exp(-abs(z))
    return (e if z < 0 else 1.0) / (1.0 + e)


@jit.exact
def silu(x, y):
    """Fill y."""
    for i in range(y.shape[0]):
        z = np.float64(x[i])
        y[i] = z * logistic(z)


@jit.exact
def silu_dx(dy, x, dx):
    """Fill dx."""
    for i in range(dx.shape[0]):
        z = np.float64(x[i])
        dx[i] = dy[i] * (logistic(z) * (1.0 + z * logistic(-z)))


@jit.exact
def gelu(x, approximate, y):
    """Fill y: Φ(x) = ½·erfc(−x/√2), or where `approximate` ½·(1 + tanh u) = σ(2u), u = √(2/π)(x + 0.044715x³)."""
    for i in range(y.shape[0]):
        z = np.float64(x[i])
        if approximate:
            y[i] = z * logistic(2.0 * ROOT_2_OVER_PI * (z + CUBE * z * z * z))
        else:
            y[i] = z * (0.5 * math.erfc(-z * ROOT_HALF))


@jit.exact
def gelu_dx(dy, x, approximate, dx):
    """Fill dx; φ(x) = exp(−x²/2)/√(2π)."""
    for i in range(dx.shape[0]):
        z = np.float64(x[i])
        if approximate:
            u = ROOT_2_OVER_PI * (z + CUBE * z * z * z)
            slope = ROOT_2_OVER_PI * (1.0 + 3.0 * CUBE * z * z)
            dx[i] = dy[i] * (logistic(2.0 * u) * (1.0 + z * logistic(-2.0 * u) * 2.0 * slope))
        else:
            density = 0.5 * ROOT_2_OVER_PI * math.exp(-0.5 * z * z)
            dx[i] = dy[i] * (0.5 * math.erfc(-z * ROOT_HALF) + z * density)


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
