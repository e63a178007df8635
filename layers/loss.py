"""Losses: the end of a model, and the start of its backward."""

from __future__ import annotations

from typing import Any

import numpy as np

import kernels
from kernels.core import checks

REDUCTIONS = ("mean", "sum", "none")


class CrossEntropyLoss:
    """Cross-entropy between softmax(logits) and class indices.

    Parameters
    ----------
    ignore_index : int
        Targets of this value have no loss and no gradient.
    reduction : {"mean", "sum", "none"}
    label_smoothing : float
        From 0 to 1.
    """

    def __init__(
        self,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        self.options = {
            "ignore_index": checks.integer("ignore_index", ignore_index),
            "reduction": checks.choice("reduction", reduction, REDUCTIONS),
            "label_smoothing": checks.real("label_smoothing", label_smoothing, 0, 1),
        }

    def __call__(self, logits: Any, targets: Any) -> np.ndarray:
        """Return the loss of logits (N, C, …) against targets (N, …)."""
        return kernels.cross_entropy(logits, targets, **self.options)

    def forward(self, logits: Any, targets: Any) -> tuple[np.ndarray, Any]:
        """Return the loss and its cache: both arguments."""
        return self(logits, targets), (logits, targets)

    def backward(self, dy: Any, cache: Any) -> np.ndarray:
        """Return the gradient of the logits; dy is 1.0 where the loss is the end."""
        return kernels.cross_entropy_backward(dy, *cache, **self.options)


class MSELoss:
    """Squared error.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
    """

    def __init__(self, *, reduction: str = "mean") -> None:
        self.reduction = checks.choice("reduction", reduction, REDUCTIONS)

    def __call__(self, y: Any, target: Any) -> np.ndarray:
        """Return the loss of y against a target of its shape."""
        return kernels.mse(y, target, reduction=self.reduction)

    def forward(self, y: Any, target: Any) -> tuple[np.ndarray, Any]:
        """Return the loss and its cache: both arguments."""
        return self(y, target), (y, target)

    def backward(self, dy: Any, cache: Any) -> np.ndarray:
        """Return the gradient of y; dy is 1.0 where the loss is the end."""
        return kernels.mse_backward(dy, *cache, reduction=self.reduction)
