"""A table of vectors, looked up by number."""

from __future__ import annotations

from typing import Any

import numpy as np

import kernels
from kernels.core import checks
from layers.layer import Layer, dtype_of, generator
from layers.parameter import Parameter


class Embedding(Layer):
    """Each integer becomes its row of the table.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
    padding_idx : int or None
        From −num_embeddings: a row that begins as zero and has no gradient.
    dtype : float32 or float64
    rng : seed, numpy.random.Generator or None
        Where the rows are drawn from: N(0, 1).

    Attributes
    ----------
    weight : Parameter (num_embeddings, embedding_dim)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        dtype: Any = np.float32,
        rng: Any = None,
    ) -> None:
        self.num_embeddings = checks.integer("num_embeddings", num_embeddings, 1)
        self.embedding_dim = checks.integer("embedding_dim", embedding_dim, 1)
        self.padding_idx = None
        if padding_idx is not None:
            row = checks.integer("padding_idx", padding_idx)
            count = self.num_embeddings
            if not -count <= row < count:
                raise ValueError(f"padding_idx: expected {-count} to {count - 1}, got {row}")
            self.padding_idx = row % self.num_embeddings
        dtype, rng = dtype_of(dtype), generator(rng)
        # drawn in float64 and rounded: one seed means the same rows in both dtypes
        rows = rng.standard_normal((self.num_embeddings, self.embedding_dim)).astype(dtype)
        if self.padding_idx is not None:
            rows[self.padding_idx] = 0
        self.weight = Parameter(rows)

    def __call__(self, x: Any) -> np.ndarray:
        """x, integers of any shape, gives y (*x.shape, embedding_dim)."""
        return kernels.embedding(x, self.weight.data, padding_idx=self.padding_idx)

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """Return y and its cache, which is x."""
        return self(x), x

    def backward(self, dy: Any, cache: Any) -> None:
        """Add dw; integers have no gradient, so there is no dx."""
        if not hasattr(cache, "__array__") and not isinstance(cache, list | tuple):
            raise TypeError(f"cache: expected what forward returned, got {type(cache).__name__}")
        shape = (*np.shape(cache), self.embedding_dim)
        dy = checks.array("dy", dy, None, self.weight.dtype, shape)
        dw = kernels.embedding_backward(
            dy, cache, self.num_embeddings, padding_idx=self.padding_idx
        )
        self.weight.accumulate(dw)

    def _options(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
