"""Convolution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import kernels
from kernels.core import checks, geometry
from layers.layer import Layer, dtype_of, generator
from layers.parameter import uniform


class Conv2d(Layer):
    """Convolution of (N, in_channels, H, W) images.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, dilation : int or pair of int
    padding : int, pair of int, ((top, bottom), (left, right)), or str
        As `kernels.conv2d`.
    groups : int
        Divides both channel counts.
    bias : bool
    padding_mode : {"zeros"}
    dtype : float32 or float64
    rng : seed, numpy.random.Generator or None
        Where the weights are drawn from: U(±1/√fan_in), fan_in = in_channels/groups · taps.

    Attributes
    ----------
    weight : Parameter (out_channels, in_channels/groups, R, S)
    bias : Parameter (out_channels,) or None
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        dtype: Any = np.float32,
        rng: Any = None,
    ) -> None:
        self.in_channels = checks.integer("in_channels", in_channels, 1)
        self.out_channels = checks.integer("out_channels", out_channels, 1)
        self.kernel_size = checks.integers("kernel_size", kernel_size, 2, 1)
        groups = checks.integer("groups", groups, 1)
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"groups: expected a divisor of in_channels {in_channels} and out_channels "
                f"{out_channels}, got {groups}"
            )
        checks.choice("padding_mode", padding_mode, ("zeros",))
        stride = checks.integers("stride", stride, 2, 1)
        dilation = checks.integers("dilation", dilation, 2, 1)
        geometry.padding(padding, self.kernel_size, self.kernel_size, stride, dilation)
        self.window = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        biased, dtype, rng = checks.flag("bias", bias), dtype_of(dtype), generator(rng)
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        fan_in = math.prod(shape[1:])
        self.weight = uniform(rng, shape, fan_in, dtype)
        self.bias = uniform(rng, (out_channels,), fan_in, dtype) if biased else None

    def __call__(self, x: Any) -> np.ndarray:
        """x (N, in_channels, H, W) gives y (N, out_channels, OH, OW)."""
        w = self.weight.data if self.training else self.weight.packed("conv2d", **self.window)
        return kernels.conv2d(x, w, self.bias and self.bias.data, **self.window)

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
        grads = kernels.conv2d_backward(dy, cache, self.weight.data, **self.window, needs=needs)
        if needs == ("w",):  # a single gradient comes bare
            return self.weight.accumulate(grads)
        self.weight.accumulate(grads.w)
        if self.bias:
            self.bias.accumulate(grads.b)
        return grads.x

    def _options(self) -> str:
        window = ", ".join(f"{name}={value}" for name, value in self.window.items())
        sizes = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        return f"{sizes}, {window}, bias={self.bias is not None}"
