"""Dropout."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

import kernels
from kernels.core import checks
from layers.layer import Layer, generator


class Dropout(Layer):
    """Set elements to zero with probability p in training; pass x through in inference.

    Each `forward` in training takes the next of the generator's streams, and its cache holds the
    stream's number: the mask itself is never stored.

    Parameters
    ----------
    p : float
        From 0 to 1.
    rng : seed, numpy.random.Generator or None
        Where the seed of the masks is drawn from.
    """

    def __init__(self, p: float = 0.5, *, rng: Any = None) -> None:
        self.p = checks.real("p", p, 0, 1)
        self.seed = int(generator(rng).integers(0, 2**63))
        self._offsets = itertools.count()  # next() is atomic: threads never share a stream

    def __call__(self, x: Any) -> np.ndarray:
        """Return x."""
        return x

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """Return y and the number of its stream; in inference x, and None."""
        if not self.training:
            return x, None
        offset = next(self._offsets)
        return kernels.dropout(x, self.p, seed=self.seed, offset=offset), offset

    def backward(self, dy: Any, cache: Any) -> np.ndarray:
        """Return dx: the same mask, made again, on dy."""
        if cache is None:
            return dy
        return kernels.dropout_backward(dy, self.p, seed=self.seed, offset=cache)

    def _options(self) -> str:
        return f"p={self.p}"
