"""The oracle: NumPy only, float64, imports nothing of ours.

Each function takes what the public function takes and returns (value, scale, terms). Where nothing is
summed the scale is the result's own magnitude and terms is 0: four units in the last place.
"""

import math

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


def leaky_relu(x, negative_slope=0.01):
    """Below zero times the slope."""
    (x,) = _wide(x)
    return _judged(np.where(x > 0, x, x * negative_slope))


def leaky_relu_dx(dy, x, negative_slope=0.01):
    """Pass dy where x > 0, else times the slope."""
    dy, x = _wide(dy, x)
    return _judged(np.where(x > 0, dy, dy * negative_slope))


def exp(x):
    """e^x."""
    with np.errstate(over="ignore"):
        return _judged(np.exp(_wide(x)[0]))


def exp_dx(dy, y):
    """dy · y."""
    dy, y = _wide(dy, y)
    return _judged(dy * y)


def _logistic(z):
    e = np.exp(-np.abs(z))
    return np.where(z < 0, e, 1) / (1 + e)


def _scaled(size, x):
    """Add what a product loses that has a denormal factor."""
    return size + np.finfo(float).tiny * (1 + np.abs(x) ** 3)


def silu(x):
    """x · σ(x); rounding x moves the exponential by |x|·eps where it is the result."""
    (x,) = _wide(x)
    with np.errstate(invalid="ignore"):
        y = x * _logistic(x)
    return y, _scaled(np.abs(y) * (1 + np.maximum(-x, 0)), x), 0


def silu_dx(dy, x):
    """dy · σ · (1 + x · (1 − σ))."""
    dy, x = _wide(dy, x)
    a, b = _logistic(x), _logistic(-x)
    scale = np.abs(dy) * a * (1 + np.abs(x)) * (1 + np.abs(x) * b)
    with np.errstate(invalid="ignore"):
        return dy * a * (1 + x * b), _scaled(scale, x), 0


def _cubic(x):
    root = math.sqrt(2 / math.pi)
    return root * (x + 0.044715 * x**3), root * (1 + 3 * 0.044715 * x**2)


def _cdf(x):
    return np.vectorize(lambda z: 0.5 * math.erfc(-z * math.sqrt(0.5)), otypes=[float])(x)


def gelu(x, approximate="none"):
    """x · Φ(x); the scale is x's, for Φ is mostly had from 1 + erf (tests look at our own tail closer)."""
    (x,) = _wide(x)
    with np.errstate(invalid="ignore"):
        if approximate == "tanh":
            return x * _logistic(2 * _cubic(x)[0]), np.abs(x), 0
        return x * _cdf(x), np.abs(x), 0


def gelu_dx(dy, x, approximate="none"):
    """dy · (Φ + x · φ)."""
    dy, x = _wide(dy, x)
    with np.errstate(invalid="ignore"):
        if approximate == "tanh":
            u, slope = _cubic(x)
            share = _logistic(2 * u)
            bend = share * x * _logistic(-2 * u) * 2 * slope
        else:
            share = _cdf(x)
            bend = x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
        return dy * (share + bend), np.abs(dy) * (1 + np.abs(bend)), 0


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
