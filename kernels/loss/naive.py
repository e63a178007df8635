"""Rung 0: the formulas, one row or one element at a time.

    cross_entropy: l = −Σ_j q_j · log p_j,  p = softmax(x),  q = (1 − ε)·one-hot(target) + ε/C
                   dx_j = dl · (p_j − q_j)
    mse:           l = (y − t)²,            dy = 2 · dl · (y − t)

Logits are (outer, C, inner), targets (outer, inner). `losses` takes a loss a row; where the result is
reduced, `y` has one element, the sum of the losses in order, in float64, over `divisor`. Rows whose
target is `ignore` have loss and gradient zero. The logits are read three times; bytes are what costs.

Source: Szegedy et al., "Rethinking the Inception Architecture", CVPR 2016, section 7 (smoothing).
"""

import math

from kernels.core import jit


@jit.exact
def log_sum(x, o, i):
    """Return a row's largest element m and log Σ exp(x − m)."""
    top = x[o, 0, i]
    for j in range(1, x.shape[1]):
        if x[o, j, i] > top or x[o, j, i] != x[o, j, i]:
            top = x[o, j, i]
    total = 0.0
    for j in range(x.shape[1]):
        total += math.exp(x[o, j, i] - top)
    return top, math.log(total)


@jit.exact
def cross_entropy_row(x, targets, o, i, ignore, smoothing):
    """Return the loss of row (o, ·, i)."""
    target = targets[o, i]
    if target == ignore:
        return 0.0
    top, log_total = log_sum(x, o, i)
    loss = (1.0 - smoothing) * (log_total - (x[o, target, i] - top))
    if smoothing > 0.0:
        rest = 0.0
        for j in range(x.shape[1]):
            rest += log_total - (x[o, j, i] - top)
        loss += smoothing / x.shape[1] * rest
    return loss


@jit.exact
def total(losses, divisor, y):
    """y[0] = Σ losses / divisor, in order."""
    running = 0.0
    for row in range(losses.shape[0]):
        running += losses[row]
    y[0] = running / divisor


@jit.exact
def cross_entropy(x, targets, ignore, smoothing, divisor, losses, y):
    """Fill y with the reduced loss, or with a loss a row where `losses` is empty."""
    each = losses if losses.size else y
    for row in range(targets.size):
        o, i = row // x.shape[2], row % x.shape[2]
        each[row] = cross_entropy_row(x, targets, o, i, ignore, smoothing)
    if losses.size:
        total(losses, divisor, y)


@jit.exact
def cross_entropy_dx_row(dl, x, targets, o, i, ignore, smoothing, dx):
    """Fill row (o, ·, i) of dx."""
    target = targets[o, i]
    if target == ignore:
        for j in range(dx.shape[1]):
            dx[o, j, i] = 0
        return
    top, log_total = log_sum(x, o, i)
    for j in range(dx.shape[1]):
        p = math.exp((x[o, j, i] - top) - log_total)
        q = smoothing / dx.shape[1] + (1.0 - smoothing if j == target else 0.0)
        dx[o, j, i] = dl * (p - q)


@jit.exact
def cross_entropy_dx(dl, x, targets, ignore, smoothing, dx):
    """Fill dx; `dl` holds one gradient a row, or one for all."""
    for row in range(targets.size):
        o, i = row // x.shape[2], row % x.shape[2]
        each = dl[row] if dl.size > 1 else dl[0]
        cross_entropy_dx_row(each, x, targets, o, i, ignore, smoothing, dx)


@jit.exact
def square_sum(y, target):
    """Σ (y − t)² in float64."""
    running = 0.0
    for i in range(y.shape[0]):
        difference = float(y[i]) - float(target[i])
        running += difference * difference
    return running


@jit.exact
def squares(y, target, out):
    """out = (y − t)²."""
    for i in range(out.shape[0]):
        difference = y[i] - target[i]
        out[i] = difference * difference


@jit.exact
def mse(y, target, divisor, losses, out):
    """Fill out with the reduced loss, or with a loss an element where `losses` is empty."""
    if losses.size:
        out[0] = square_sum(y, target) / divisor
    else:
        squares(y, target, out)


@jit.exact
def mse_dx(dl, y, target, dx):
    """Fill dx; `dl` holds one gradient an element, or one for all."""
    for i in range(dx.shape[0]):
        each = dl[i] if dl.size > 1 else dl[0]
        dx[i] = dx.dtype.type(2) * each * (y[i] - target[i])
