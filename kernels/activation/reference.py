"""The oracle: NumPy only, float64, imports nothing of ours.

Each function takes what the public function takes and returns (value, scale, terms). Where nothing is
summed the scale is the result's own magnitude and terms is 0: four units in the last place.
"""

import numpy as np


def _wide(*arrays):
    return [np.asarray(a, np.float64) for a in arrays]


def _judged(value):
    return value, np.abs(value), 0


def relu(x):
    """max(x, 0), NaN kept."""
    (x,) = _wide(x)
    return _judged(np.where(x < 0, 0, x))


def relu_dx(dy, x):
    """Pass dy where x > 0."""
    dy, x = _wide(dy, x)
    return _judged(np.where(x <= 0, 0, dy))


def sigmoid(x):
    """1 / (1 + exp(−x))."""
    (x,) = _wide(x)
    e = np.exp(-np.abs(x))
    return _judged(np.where(x < 0, e, 1) / (1 + e))


def sigmoid_dx(dy, y):
    """dy · y · (1 − y)."""
    dy, y = _wide(dy, y)
    return _judged(dy * y * (1 - y))


def tanh(x):
    """Hyperbolic tangent."""
    return _judged(np.tanh(_wide(x)[0]))


def tanh_dx(dy, y):
    """dy · (1 − y²)."""
    dy, y = _wide(dy, y)
    return _judged(dy * (1 - y) * (1 + y))


def _shifted(x, axis):
    (x,) = _wide(x)
    with np.errstate(invalid="ignore"):
        return x - x.max(axis, keepdims=True)


def softmax(x, axis=-1):
    """exp(x) / Σ exp(x); rounding x − max to within eps moves the exponential by |x − max|·eps."""
    z = _shifted(x, axis)
    e = np.exp(z)
    y = e / e.sum(axis, keepdims=True)
    return y, y * (1 + np.abs(z)), x.shape[axis]


def softmax_dx(dy, y, axis=-1):
    """y · (dy − Σ dy·y)."""
    dy, y = _wide(dy, y)
    total = (dy * y).sum(axis, keepdims=True)
    size = np.abs(dy * y).sum(axis, keepdims=True)
    return y * (dy - total), np.abs(y) * (np.abs(dy) + size), y.shape[axis]


def log_softmax(x, axis=-1):
    """x − log Σ exp(x); a relative error in the sum is an absolute one in its logarithm."""
    z = _shifted(x, axis)
    log_sum = np.log(np.exp(z).sum(axis, keepdims=True))
    return z - log_sum, np.abs(z) + np.abs(log_sum) + 1, 0


def log_softmax_dx(dy, y, axis=-1):
    """dy − exp(y) · Σ dy."""
    dy, y = _wide(dy, y)
    p = np.exp(y)
    total = dy.sum(axis, keepdims=True)
    size = np.abs(dy).sum(axis, keepdims=True)
    return dy - p * total, np.abs(dy) + p * (1 + np.abs(y)) * size, y.shape[axis]
