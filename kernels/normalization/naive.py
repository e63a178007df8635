"""Rung 0: the formulas, a set at a time: the mean, then the variance about it, then each element.

    mean = Σ x / M,   variance = Σ (x − mean)² / M,   r = 1 / √(variance + eps)
    y = x̂ · weight[c] + bias[c],   x̂ = (x − mean) · r

    dbias[c] = Σ dy,   dweight[c] = Σ dy · x̂,   g = dy · weight[c]
    dx = r · (g − Σ g / M − x̂ · Σ g·x̂ / M)

x (N, C, S); the M elements of a *set* share a mean and a variance. Five functions, two kinds of set:

    layer norm      a row: (rows, features, 1), one group         `group_norm`
    RMS norm        the same, and the mean is taken to be 0       `group_norm`, not centred
    group norm      C / groups channels of an image               `group_norm`
    instance norm   one channel of an image: C groups             `group_norm`
    batch norm      one channel of all images                     `batch_norm`

About 8 operations an element forward, 9 for dx, and x read three times where once would do. Sums run in
float64. The mean must be known before the variance is summed: Σ x²/M − mean² takes one pass fewer and
loses every digit that the mean is larger by (the README shows it). A NaN or infinity spreads over its set.

Source: Ioffe and Szegedy, "Batch Normalization", 2015, algorithm 1 and section 3; Ba, Kiros and Hinton,
"Layer Normalization", 2016; Ulyanov et al., "Instance Normalization", 2016; Wu and He, "Group
Normalization", 2018; Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019.
"""

import math

from kernels.core import jit


@jit.exact
def moments(x, n0, n1, c0, c1, centred):
    """Mean and variance of the images [n0, n1) and channels [c0, c1), in two passes."""
    count = (n1 - n0) * (c1 - c0) * x.shape[2]
    total = 0.0
    if centred:
        for n in range(n0, n1):
            for c in range(c0, c1):
                for s in range(x.shape[2]):
                    total += x[n, c, s]
    mean = total / count
    squares = 0.0
    for n in range(n0, n1):
        for c in range(c0, c1):
            for s in range(x.shape[2]):
                squares += (x[n, c, s] - mean) ** 2
    return mean, squares / count


@jit.exact
def normalise(x, n0, n1, c0, c1, mean, r, weight, bias, y):
    """Fill the images [n0, n1) and channels [c0, c1) of y."""
    for n in range(n0, n1):
        for c in range(c0, c1):
            for s in range(x.shape[2]):
                y[n, c, s] = (x[n, c, s] - mean) * r * weight[c] + bias[c]


@jit.exact
def group_norm(x, weight, bias, groups, centred, eps, mean, rstd, y):
    """Fill y, and mean and rstd (N · groups,)."""
    wide = x.shape[1] // groups
    for row in range(x.shape[0] * groups):
        n, c = row // groups, row % groups * wide
        m, variance = moments(x, n, n + 1, c, c + wide, centred)
        mean[row], rstd[row] = m, 1 / math.sqrt(variance + eps)
        normalise(x, n, n + 1, c, c + wide, m, rstd[row], weight, bias, y)


@jit.exact
def batch_norm(x, weight, bias, training, momentum, eps, running_mean, running_var, mean, rstd, y):
    """Fill y, and in training mean and rstd (C,), and move the running statistics unless these are empty."""
    for c in range(x.shape[1]):
        if training:
            m, variance = moments(x, 0, x.shape[0], c, c + 1, True)
            mean[c], rstd[c] = m, 1 / math.sqrt(variance + eps)
            follow(running_mean, running_var, c, m, variance, x.shape[0] * x.shape[2], momentum)
        normalise(x, 0, x.shape[0], c, c + 1, mean[c], rstd[c], weight, bias, y)


@jit.exact
def follow(running_mean, running_var, c, mean, variance, count, momentum):
    """Move a channel's running statistics by `momentum` of the way; the variance is made unbiased."""
    if running_mean.size:
        unbiased = variance * count / (count - 1)
        running_mean[c] += momentum * (mean - running_mean[c])
        running_var[c] += momentum * (unbiased - running_var[c])


@jit.exact
def channel_sums(dy, x, n, c, mean, r):
    """Σ dy and Σ dy · x̂ over one channel of one image."""
    plain, along = 0.0, 0.0
    for s in range(dy.shape[2]):
        plain += dy[n, c, s]
        along += dy[n, c, s] * ((x[n, c, s] - mean) * r)
    return plain, along


@jit.exact
def channel_dx(dy, x, n, c, mean, r, weight, plain, along, dx):
    """Fill one channel of one image of dx; `plain` and `along` are the set's Σ g / M and Σ g·x̂ / M."""
    for s in range(dx.shape[2]):
        dx[n, c, s] = r * (dy[n, c, s] * weight - plain - (x[n, c, s] - mean) * r * along)


@jit.exact
def group_dw(dy, x, mean, rstd, groups, db, dw):
    """Fill dw (C,); and db unless it is empty."""
    wide = x.shape[1] // groups
    for c in range(x.shape[1]):
        plain, along = 0.0, 0.0
        for n in range(x.shape[0]):
            row = n * groups + c // wide
            p, a = channel_sums(dy, x, n, c, mean[row], rstd[row])
            plain += p
            along += a
        dw[c] = along
        if db.size:
            db[c] = plain


@jit.exact
def batch_dw(dy, x, mean, rstd, db, dw):
    """Fill dw (C,); and db unless it is empty."""
    for c in range(x.shape[1]):
        plain, along = 0.0, 0.0
        for n in range(x.shape[0]):
            p, a = channel_sums(dy, x, n, c, mean[c], rstd[c])
            plain += p
            along += a
        dw[c] = along
        if db.size:
            db[c] = plain


@jit.exact
def bias_sums(dy, db):
    """Fill db (C,)."""
    for c in range(dy.shape[1]):
        total = 0.0
        for n in range(dy.shape[0]):
            for s in range(dy.shape[2]):
                total += dy[n, c, s]
        db[c] = total


@jit.exact
def group_dx(dy, x, mean, rstd, weight, groups, centred, dw, db, dx):
    """Fill dx; and dw and db (C,) unless they are empty."""
    wide = x.shape[1] // groups
    count = wide * x.shape[2]
    for row in range(x.shape[0] * groups):
        n, m, r = row // groups, mean[row], rstd[row]
        plain, along = 0.0, 0.0
        for c in range(row % groups * wide, (row % groups + 1) * wide):
            p, a = channel_sums(dy, x, n, c, m, r)
            plain += p * weight[c]
            along += a * weight[c]
        plain = plain / count if centred else 0.0
        for c in range(row % groups * wide, (row % groups + 1) * wide):
            channel_dx(dy, x, n, c, m, r, weight[c], plain, along / count, dx)
    if dw.size:
        group_dw(dy, x, mean, rstd, groups, db, dw)
    elif db.size:
        bias_sums(dy, db)


@jit.exact
def batch_dx(dy, x, mean, rstd, weight, training, dw, db, dx):
    """Fill dx; and dw and db (C,) unless they are empty."""
    count = x.shape[0] * x.shape[2]
    for c in range(x.shape[1]):
        plain, along = 0.0, 0.0
        for n in range(x.shape[0]):
            p, a = channel_sums(dy, x, n, c, mean[c], rstd[c])
            plain += p
            along += a
        scale = weight[c] / count if training else 0.0  # given statistics do not move with x
        plain, along = plain * scale, along * scale
        for n in range(x.shape[0]):
            channel_dx(dy, x, n, c, mean[c], rstd[c], weight[c], plain, along, dx)
    if dw.size:
        batch_dw(dy, x, mean, rstd, db, dw)
    elif db.size:
        bias_sums(dy, db)
