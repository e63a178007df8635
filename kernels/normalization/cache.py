"""What a forward keeps for its gradient, and the gradients' named tuples."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class NormCache(NamedTuple):
    """What a normalisation's gradient needs; it holds the input itself, not a copy.

    Attributes
    ----------
    operation : str
        The forward: its own backward alone takes the cache.
    x : numpy.ndarray
    mean, rstd : numpy.ndarray, float64
        One a set: layer and RMS norm (rows,), group norm (N, groups), instance norm (N, C), batch norm
        (C,); rstd is 1 / √(variance + eps).
    weight : numpy.ndarray or None
    eps : float
    option : tuple of int, int or None
        `normalized_shape` or `num_groups`.
    training : bool
        False where batch norm was given its statistics.
    """

    operation: str
    x: np.ndarray
    mean: np.ndarray
    rstd: np.ndarray
    weight: np.ndarray | None
    eps: float
    option: Any = None
    training: bool = True

    @property
    def affine_shape(self) -> tuple[int, ...]:
        """Shape of weight and bias."""
        if self.operation in ("layer_norm", "rms_norm"):
            return self.option
        return self.x.shape[1:2]


class NormGradients(NamedTuple):
    """Gradients of a normalisation; None where one was not asked for."""

    x: np.ndarray | None
    weight: np.ndarray | None
    bias: np.ndarray | None


class RmsNormGradients(NamedTuple):
    """Gradients of `rms_norm`; None where one was not asked for."""

    x: np.ndarray | None
    weight: np.ndarray | None
