"""Maximum, mean and p-norm under a window; means to a given size."""

from __future__ import annotations

from typing import Any

import numpy as np

import kernels
from kernels.core import checks, geometry
from layers.layer import Layer


class _Pool2d(Layer):
    """What both share: the window, checked once."""

    def __init__(
        self, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
    ) -> None:
        self.kernel_size = checks.integers("kernel_size", kernel_size, 2, 1)
        stride = self.kernel_size if stride is None else checks.integers("stride", stride, 2, 1)
        dilation = checks.integers("dilation", dilation, 2, 1)
        geometry.padding(padding, self.kernel_size, self.kernel_size, stride, dilation)
        self.window: dict[str, Any] = {
            "stride": stride,
            "padding": padding,
            "dilation": dilation,
            "ceil_mode": checks.flag("ceil_mode", ceil_mode),
        }

    def _options(self) -> str:
        window = ", ".join(f"{name}={value}" for name, value in self.window.items())
        return f"kernel_size={self.kernel_size}, {window}"


class MaxPool2d(_Pool2d):
    """Maximum under a window of (N, C, H, W) images.

    Parameters
    ----------
    kernel_size : int or pair of int
    stride : int or pair of int, optional
        The kernel size where not given.
    padding, dilation, ceil_mode
        As `kernels.max_pool2d`.
    """

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        *,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, dilation, ceil_mode)

    def __call__(self, x: Any) -> np.ndarray:
        """x (N, C, H, W) gives y (N, C, OH, OW)."""
        return kernels.max_pool2d(x, self.kernel_size, **self.window)

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """Return y and its cache: the winners (a byte each where a window has at most 256 taps) and x's shape."""
        taps = self.kernel_size[0] * self.kernel_size[1]
        kind = "window" if taps <= 256 else True
        y, winners = kernels.max_pool2d(x, self.kernel_size, **self.window, return_indices=kind)
        return y, (winners, x.shape)

    def backward(self, dy: Any, cache: Any) -> np.ndarray:
        """Return dx: each dy where its window's maximum was."""
        winners, shape = cache
        return kernels.max_pool2d_backward(dy, winners, shape, self.kernel_size, **self.window)


class AvgPool2d(_Pool2d):
    """Mean under a window of (N, C, H, W) images.

    Parameters
    ----------
    kernel_size : int or pair of int
    stride : int or pair of int, optional
        The kernel size where not given.
    padding, ceil_mode, count_include_pad
        As `kernels.avg_pool2d`.
    dilation : int or pair of int
        At least 1; ``dilation=1`` is dense.
    """

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        *,
        dilation: Any = 1,
    ) -> None:
        super().__init__(kernel_size, stride, padding, dilation, ceil_mode)
        self.window["count_include_pad"] = checks.flag("count_include_pad", count_include_pad)

    def __call__(self, x: Any) -> np.ndarray:
        """x (N, C, H, W) gives y (N, C, OH, OW)."""
        return kernels.avg_pool2d(x, self.kernel_size, **self.window)

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """Return y and its cache, which is x's shape."""
        return self(x), x.shape

    def backward(self, dy: Any, cache: Any) -> np.ndarray:
        """Return dx: each dy spread over its window."""
        return kernels.avg_pool2d_backward(dy, cache, self.kernel_size, **self.window)


class LPPool2d(_Pool2d):
    """The p-norm under a window of (N, C, H, W) images.

    Parameters
    ----------
    norm_type : float
        p, at least 1; 1 is sum pooling.
    kernel_size : int or pair of int
    stride, ceil_mode
        As `kernels.lp_pool2d`.
    padding, dilation
        As `kernels.lp_pool2d`; PyTorch's layer has neither.
    """

    def __init__(
        self,
        norm_type: float,
        kernel_size: Any,
        stride: Any = None,
        ceil_mode: bool = False,
        *,
        padding: Any = 0,
        dilation: Any = 1,
    ) -> None:
        super().__init__(kernel_size, stride, padding, dilation, ceil_mode)
        self.window["p"] = checks.real("norm_type", norm_type, 1.0)

    def __call__(self, x: Any) -> np.ndarray:
        """x (N, C, H, W) gives y (N, C, OH, OW)."""
        return kernels.lp_pool2d(x, self.kernel_size, **self.window)

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """Return y and its cache, which is x and y."""
        y = self(x)
        return y, (x, y)

    def backward(self, dy: Any, cache: Any) -> np.ndarray:
        """Return dx: each dy over its window, in proportion to x^(p − 1)."""
        x, y = cache
        return kernels.lp_pool2d_backward(dy, x, y, self.kernel_size, **self.window)


class AdaptiveAvgPool2d(Layer):
    """Means of (N, C, H, W) images to a given size.

    Parameters
    ----------
    output_size : int or pair of int or None
        None keeps the input's.
    """

    def __init__(self, output_size: Any) -> None:
        sizes = output_size if isinstance(output_size, tuple | list) else (output_size,) * 2
        checks.integers("output_size", tuple(1 if each is None else each for each in sizes), 2, 1)
        self.output_size = tuple(sizes)

    def __call__(self, x: Any) -> np.ndarray:
        """x (N, C, H, W) gives y (N, C, OH, OW)."""
        return kernels.adaptive_avg_pool2d(x, self.output_size)

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """Return y and its cache, which is x's shape."""
        return self(x), x.shape

    def backward(self, dy: Any, cache: Any) -> np.ndarray:
        """Return dx: each dy spread over its window."""
        return kernels.adaptive_avg_pool2d_backward(dy, cache)

    def _options(self) -> str:
        return f"output_size={self.output_size}"
