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
