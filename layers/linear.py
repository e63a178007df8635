"""The fully connected layer."""

from __future__ import annotations

from typing import Any

import numpy as np

import kernels
from kernels.core import checks
from layers.layer import Layer, dtype_of, generator
from layers.parameter import uniform


class Linear(Layer):
    """y = x·wᵀ + b.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
    dtype : float32 or float64
    rng : seed, numpy.random.Generator or None
        Where the weights are drawn from: U(±1/√in_features).

    Attributes
    ----------
    weight : Parameter (out_features, in_features)
    bias : Parameter (out_features,) or None
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: Any = np.float32,
        rng: Any = None,
    ) -> None:
        self.in_features = checks.integer("in_features", in_features, 1)
        self.out_features = checks.integer("out_features", out_features, 1)
        biased, dtype, rng = checks.flag("bias", bias), dtype_of(dtype), generator(rng)
        self.weight = uniform(rng, (out_features, in_features), in_features, dtype)
        self.bias = uniform(rng, (out_features,), in_features, dtype) if biased else None

    def __call__(self, x: Any) -> np.ndarray:
        """x (…, in_features) gives y (…, out_features)."""
        return kernels.linear(x, self.weight.data, self.bias and self.bias.data)

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """Return y and its cache, which is x."""
        return self(x), x

    def backward(self, dy: Any, cache: Any) -> np.ndarray:
        """Add dw and db, return dx."""
        return self._backward(dy, cache, ("x", "w", "b"))

    def backward_parameters(self, dy: Any, cache: Any) -> None:
        """Add dw and db; dx is not computed."""
        self._backward(dy, cache, ("w", "b"))

    def _backward(self, dy: Any, cache: Any, needs: tuple[str, ...]) -> Any:
        needs = needs if self.bias else needs[:-1]  # no bias, no db
        grads = kernels.linear_backward(dy, cache, self.weight.data, needs=needs)
        if needs == ("w",):  # a single gradient comes bare
            return self.weight.accumulate(grads)
        self.weight.accumulate(grads.w)
        if self.bias:
            self.bias.accumulate(grads.b)
        return grads.x

    def _options(self) -> str:
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"
