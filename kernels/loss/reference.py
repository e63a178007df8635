"""The oracle: NumPy only, float64, imports nothing of ours; (value, scale, terms) as elsewhere."""

import numpy as np


def _reduce(losses, scale, count, terms, reduction):
    if reduction == "none":
        return losses, scale, terms
    divisor = count if reduction == "mean" else 1
    with np.errstate(invalid="ignore", divide="ignore"):
        return (
            np.divide(losses.sum(), divisor),
            np.divide(scale.sum(), divisor),
            terms + losses.size,
        )


def _spread(dy, shape, count, reduction):
    dy = np.asarray(dy, np.float64)
    return np.broadcast_to(dy / max(count, 1) if reduction == "mean" else dy, shape)


def _rows(logits, targets, ignore_index):
    """Classes last: log-probabilities, their scale, one-hot targets, which rows count."""
    x = np.moveaxis(np.asarray(logits, np.float64), 1, -1)
    z = x - x.max(-1, keepdims=True)
    log_sum = np.log(np.exp(z).sum(-1, keepdims=True))
    counts = targets != ignore_index
    hot = np.arange(x.shape[-1]) == np.where(counts, targets, 0)[..., None]
    return z - log_sum, np.abs(z) + np.abs(log_sum) + 1, hot, counts


def cross_entropy(logits, targets, *, ignore_index=-100, label_smoothing=0.0, reduction="mean"):
    """−Σ_j q_j · log softmax(logits)_j, q = (1 − ε)·one-hot + ε/C."""
    log_p, scale, hot, counts = _rows(logits, targets, ignore_index)
    classes = log_p.shape[-1]
    q = (1 - label_smoothing) * hot + label_smoothing / classes
    losses = np.where(counts, -(q * log_p).sum(-1), 0)
    size = np.where(counts, (q * scale).sum(-1), 0)
    return _reduce(losses, size, counts.sum(), classes, reduction)


def cross_entropy_dx(
    dy, logits, targets, *, ignore_index=-100, label_smoothing=0.0, reduction="mean"
):
    """dy · (softmax − q), zero in rows that do not count."""
    log_p, scale, hot, counts = _rows(logits, targets, ignore_index)
    classes = log_p.shape[-1]
    q = (1 - label_smoothing) * hot + label_smoothing / classes
    share = np.where(counts, _spread(dy, counts.shape, counts.sum(), reduction), 0)[..., None]
    p = np.exp(log_p)
    value, size = share * (p - q), np.abs(share) * (p * scale + q)
    return np.moveaxis(value, -1, 1), np.moveaxis(size, -1, 1), classes


def mse(y, target, *, reduction="mean"):
    """(y − target)²."""
    y, target = np.asarray(y, np.float64), np.asarray(target, np.float64)
    losses = (y - target) ** 2
    return _reduce(losses, losses, losses.size, 1, reduction)


def mse_dx(dy, y, target, *, reduction="mean"):
    """2 · dy · (y − target)."""
    y, target = np.asarray(y, np.float64), np.asarray(target, np.float64)
    value = 2 * _spread(dy, y.shape, y.size, reduction) * (y - target)
    return value, np.abs(value), 1
