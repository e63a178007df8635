"""Normalisations: batch, layer, RMS, group, instance."""

from __future__ import annotations

from typing import Any

import numpy as np

import kernels
from kernels.core import checks
from layers.buffer import Buffer
from layers.layer import Layer, dtype_of
from layers.parameter import Parameter


class _Norm(Layer):
    """What all share: a weight of ones, a bias of zeros, and a cache that the kernel made."""

    weight: Parameter | None = None
    bias: Parameter | None = None

    def _set(self, shape: Any, weight: bool, bias: bool, eps: float | None, dtype: Any) -> None:
        dtype = dtype_of(dtype)
        self.eps: Any = None if eps is None else checks.real("eps", eps, 0)
        self.weight = Parameter(np.ones(shape, dtype)) if weight else None
        self.bias = Parameter(np.zeros(shape, dtype)) if bias else None

    @property
    def _affine(self) -> tuple[Any, Any]:
        return self.weight and self.weight.data, self.bias and self.bias.data

    def __call__(self, x: Any) -> np.ndarray:
        """Return y, of x's shape."""
        return self._run(x, False)

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """Return y and its cache: x, mean and 1 / √(variance + eps)."""
        return self._run(x, True)

    def _run(self, x: Any, keep: bool) -> Any:
        raise NotImplementedError

    def backward(self, dy: Any, cache: Any) -> np.ndarray:
        """Add the gradients of weight and bias, return dx."""
        return self._backward(dy, cache, ("x", *self._trained))

    def backward_parameters(self, dy: Any, cache: Any) -> None:
        """Add the gradients of weight and bias; dx is not computed."""
        if self._trained:
            self._backward(dy, cache, self._trained)

    @property
    def _trained(self) -> tuple[str, ...]:
        return tuple(name for name in ("weight", "bias") if getattr(self, name) is not None)

    def _backward(self, dy: Any, cache: Any, needs: tuple[str, ...]) -> Any:
        gradients = getattr(kernels, f"{cache.operation}_backward")(dy, cache, needs=needs)
        found = {needs[0]: gradients} if len(needs) == 1 else gradients._asdict()
        for name in self._trained:
            getattr(self, name).accumulate(found[name])
        return found.get("x")


class LayerNorm(_Norm):
    """Normalise over the last axes.

    Parameters
    ----------
    normalized_shape : int or tuple of int
    eps : float
    elementwise_affine : bool
        Whether there is a weight.
    bias : bool
        Whether there is a bias, if there is a weight.
    dtype : float32 or float64

    Attributes
    ----------
    weight, bias : Parameter of shape normalized_shape, or None
    """

    def __init__(
        self,
        normalized_shape: Any,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: Any = np.float32,
    ) -> None:
        self.normalized_shape = _shape(normalized_shape)
        affine = checks.flag("elementwise_affine", elementwise_affine)
        self._set(self.normalized_shape, affine, checks.flag("bias", bias) and affine, eps, dtype)

    def _run(self, x: Any, keep: bool) -> Any:
        return kernels.layer_norm(
            x, self.normalized_shape, *self._affine, eps=self.eps, return_cache=keep
        )

    def _options(self) -> str:
        affine = f"elementwise_affine={self.weight is not None}, bias={self.bias is not None}"
        return f"{self.normalized_shape}, eps={self.eps}, {affine}"


class RMSNorm(_Norm):
    """Divide by the root of the mean square over the last axes.

    Parameters
    ----------
    normalized_shape : int or tuple of int
    eps : float, optional
        The dtype's own where not given.
    elementwise_affine : bool
        Whether there is a weight.
    dtype : float32 or float64

    Attributes
    ----------
    weight : Parameter of shape normalized_shape, or None
    """

    def __init__(
        self,
        normalized_shape: Any,
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        dtype: Any = np.float32,
    ) -> None:
        self.normalized_shape = _shape(normalized_shape)
        affine = checks.flag("elementwise_affine", elementwise_affine)
        self._set(self.normalized_shape, affine, False, eps, dtype)

    def _run(self, x: Any, keep: bool) -> Any:
        weight = self._affine[0]
        return kernels.rms_norm(x, self.normalized_shape, weight, eps=self.eps, return_cache=keep)

    def _options(self) -> str:
        affine = self.weight is not None
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={affine}"


class GroupNorm(_Norm):
    """Normalise over groups of channels.

    Parameters
    ----------
    num_groups, num_channels : int
        The first divides the second.
    eps : float
    affine : bool
        Whether there are a weight and a bias.
    dtype : float32 or float64

    Attributes
    ----------
    weight, bias : Parameter (num_channels,), or None
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        dtype: Any = np.float32,
    ) -> None:
        self.num_groups = checks.integer("num_groups", num_groups, 1)
        self.num_channels = checks.integer("num_channels", num_channels, 1)
        if self.num_channels % self.num_groups:
            raise ValueError(
                f"num_groups: expected a divisor of num_channels, {num_channels}, got {num_groups}"
            )
        affine = checks.flag("affine", affine)
        self._set((self.num_channels,), affine, affine, eps, dtype)

    def _run(self, x: Any, keep: bool) -> Any:
        x = _images(x, self.num_channels)
        return kernels.group_norm(
            x, self.num_groups, *self._affine, eps=self.eps, return_cache=keep
        )

    def _options(self) -> str:
        affine = self.weight is not None
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={affine}"


class InstanceNorm2d(_Norm):
    """Normalise each channel of each of (N, C, H, W) images.

    Parameters
    ----------
    num_features : int
        C.
    eps : float
    momentum : float
        Of the running statistics, which are not kept.
    affine : bool
        Whether there are a weight and a bias.
    track_running_stats : bool
        Only False: statistics kept over images would normalise none of them by its own.
    dtype : float32 or float64

    Attributes
    ----------
    weight, bias : Parameter (num_features,), or None
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        *,
        dtype: Any = np.float32,
    ) -> None:
        self.num_features = checks.integer("num_features", num_features, 1)
        self.momentum = checks.real("momentum", momentum, 0, 1)
        if checks.flag("track_running_stats", track_running_stats):
            raise ValueError(
                "track_running_stats: expected False, for instance norm keeps no statistics here; got True"
            )
        affine = checks.flag("affine", affine)
        self._set((self.num_features,), affine, affine, eps, dtype)

    def _run(self, x: Any, keep: bool) -> Any:
        x = _images(x, self.num_features, (4,))
        return kernels.instance_norm(x, *self._affine, eps=self.eps, return_cache=keep)

    def _options(self) -> str:
        return f"{self.num_features}, eps={self.eps}, affine={self.weight is not None}"


class _BatchNorm(_Norm):
    """What both share: everything but the rank of x."""

    ranks: tuple[int, ...]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        dtype: Any = np.float32,
    ) -> None:
        self.num_features = c = checks.integer("num_features", num_features, 1)
        self.momentum = None if momentum is None else checks.real("momentum", momentum, 0, 1)
        affine = checks.flag("affine", affine)
        self._set((c,), affine, affine, eps, dtype)
        tracked = checks.flag("track_running_stats", track_running_stats)
        dtype = dtype_of(dtype)
        self.running_mean = Buffer(np.zeros(c, dtype)) if tracked else None
        self.running_var = Buffer(np.ones(c, dtype)) if tracked else None
        self.num_batches_tracked = Buffer(np.zeros((), np.int64)) if tracked else None

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """Return y and its cache; in training the running statistics are moved."""
        if not self.training or not self.num_batches_tracked:
            return self._run(x, True)
        x = _images(x, self.num_features, self.ranks)
        with self.num_batches_tracked.lock:
            count = int(self.num_batches_tracked.data) + 1
            momentum = 1 / count if self.momentum is None else self.momentum
            result = self._normalise(x, True, True, momentum)
            self.num_batches_tracked.data[...] = count
        return result

    def _run(self, x: Any, keep: bool) -> Any:
        x = _images(x, self.num_features, self.ranks)
        return self._normalise(x, keep, self.running_mean is None, 0.0)

    def _normalise(self, x: Any, keep: bool, training: bool, momentum: float) -> Any:
        running = [each and each.data for each in (self.running_mean, self.running_var)]
        return kernels.batch_norm(
            x, *self._affine, *running, training=training, momentum=momentum,
            eps=self.eps, return_cache=keep,
        )  # fmt: skip

    def _options(self) -> str:
        affine, tracked = self.weight is not None, self.running_mean is not None
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={affine}, "
            f"track_running_stats={tracked}"
        )


class BatchNorm1d(_BatchNorm):
    """Normalise each channel of (N, C) or (N, C, L) over the batch in training, by running statistics else.

    Parameters and attributes are those of `BatchNorm2d`.
    """

    ranks = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Normalise each channel of (N, C, H, W) over the batch in training, by running statistics in inference.

    A plain call is inference, whatever `training` says; `forward` is training until ``eval()``.

    Parameters
    ----------
    num_features : int
        C.
    eps : float
    momentum : float or None
        By how much of the way the running statistics follow a batch's; None: they are the plain mean of
        those of all batches so far.
    affine : bool
        Whether there are a weight and a bias.
    track_running_stats : bool
        Whether there are running statistics; without them inference takes the batch's own.
    dtype : float32 or float64

    Attributes
    ----------
    weight, bias : Parameter (num_features,), or None
    running_mean, running_var : Buffer (num_features,), or None
    num_batches_tracked : Buffer (), int64, or None
    """

    ranks = (4,)


def _shape(value: Any) -> tuple[int, ...]:
    """One extent or several, each at least 1."""
    if checks.is_integer(value):
        value = (value,)
    try:
        count = len(value)
    except TypeError:
        count = 1  # no sequence: what follows says so
    if count == 0:
        raise ValueError(f"normalized_shape: expected at least one axis, got {value!r}")
    return checks.integers("normalized_shape", value, count, 1)


def _images(x: Any, channels: int, ranks: tuple[int, ...] = ()) -> Any:
    """Return x if its rank and its channels are those expected."""
    shape = np.shape(x)
    if ranks and len(shape) not in ranks:
        raise ValueError(
            f"x: expected {' or '.join(map(str, ranks))} dimensions, got {len(shape)} (shape {shape})"
        )
    if len(shape) > 1 and shape[1] != channels:
        raise ValueError(f"x: expected {channels} channels, got shape {shape}")
    return x
