"""The oracle: NumPy only, float64 accumulation.

Each function takes what the public function takes and returns (value, scale, terms): the result, the
sum of the magnitudes that went into each element, and how many there were. A rung passes where
|got − value| ≤ (4 + √terms)·eps·scale.
"""

import numpy as np


def _wide(*arrays):
    return [None if a is None else np.asarray(a, np.float64) for a in arrays]


def matmul(a, b):
    """np.matmul in float64."""
    a, b = _wide(a, b)
    return np.matmul(a, b), np.matmul(np.abs(a), np.abs(b)), a.shape[-1]


def matmul_da(dy, a, b):
    """dy · bᵀ, summed to a's shape."""
    return _factor(dy, a, b, "a")


def matmul_db(dy, a, b):
    """aᵀ · dy, summed to b's shape."""
    return _factor(dy, a, b, "b")


def _factor(dy, a, b, name):
    dy, a, b = _wide(dy, a, b)
    wanted = (a if name == "a" else b).shape
    row, column = a.ndim == 1, b.ndim == 1
    a, b = (a[None] if row else a), (b[:, None] if column else b)
    dy = dy[..., None, :] if row and not column else dy[..., None] if column and not row else dy
    dy = dy[..., None, None] if row and column else dy
    if name == "a":
        value, scale, terms = matmul(dy, b.swapaxes(-1, -2))
    else:
        value, scale, terms = matmul(a.swapaxes(-1, -2), dy)
    shape = (a if name == "a" else b).shape
    extra = tuple(range(value.ndim - len(shape)))
    value, scale = value.sum(extra), scale.sum(extra)
    axes = tuple(i for i, n in enumerate(shape) if n == 1 and value.shape[i] != 1)
    batch = dy.size // max(1, dy.shape[-1] * dy.shape[-2])
    value, scale = value.sum(axes, keepdims=True), scale.sum(axes, keepdims=True)
    return value.reshape(wanted), scale.reshape(wanted), terms * batch


def linear(x, w, b=None, *, activation=None):
    """x · wᵀ + b, clipped below at zero where activation is "relu"."""
    x, w, b = _wide(x, w, np.zeros(len(w)) if b is None else b)
    y = x @ w.T + b
    scale = np.abs(x) @ np.abs(w.T) + np.abs(b)
    return np.where(y < 0, 0, y) if activation == "relu" else y, scale, x.shape[-1] + 1


def linear_dx(dy, x, w):
    """dy · w."""
    return matmul(dy, w)


def linear_dw(dy, x, w):
    """dyᵀ · x, over all leading axes."""
    dy, x, w = _wide(dy, x, w)
    return matmul(dy.reshape(-1, w.shape[0]).T, x.reshape(-1, w.shape[1]))


def linear_db(dy, x, w):
    """Sum of dy over all leading axes."""
    (dy,) = _wide(dy)
    rows = dy.reshape(-1, dy.shape[-1])
    return rows.sum(0), np.abs(rows).sum(0), len(rows)
