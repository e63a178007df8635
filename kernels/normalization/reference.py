"""The oracle: NumPy only, float64, imports nothing of ours.

Each function takes what the public function takes and returns (value, scale, terms). Mean and variance
are computed here, by the two-pass formula, whatever the cache holds; only inference's are given.

The scale counts what is added at the end, with |x̂| + 1 for a normalised element x̂ = (x − mean) · rstd: the
mean of float32 data is a float64, so its error is no more than a share of the deviations' size. Float64 data
have no wider type to keep their mean in, so there its own rounding counts: |mean| · rstd more.
"""

import numpy as np


def _normalised(x, axes, eps, centred=True, mean=None, rstd=None):
    """Return x̂, the size of what it is made of, and 1 / √(variance + eps), in float64."""
    double, x = x.itemsize == 8, np.asarray(x, np.float64)
    if mean is None:
        mean = x.mean(axes, keepdims=True) if centred else np.zeros(())
        rstd = 1 / np.sqrt(np.square(x - mean).mean(axes, keepdims=True) + eps)
    xh = (x - mean) * rstd
    return xh, np.abs(xh) + 1 + double * np.abs(mean) * rstd, rstd


def _over_channels(value, ndim):
    """A channel's number beside (N, C, …)."""
    return np.asarray(value, np.float64).reshape(-1, *(1,) * (ndim - 2))


def _affine(xh, size, weight, bias, terms):
    value, scale = xh, size
    if weight is not None:
        value, scale = xh * weight, size * np.abs(weight)
    if bias is not None:
        value, scale = value + bias, scale + np.abs(bias)
    return value, scale, terms


def _sets(x, name, option):
    """See x as its sets lie: a shape to normalise in, and the axes of one set."""
    if name in ("layer_norm", "rms_norm"):
        return x.shape, tuple(range(x.ndim - len(option), x.ndim))
    if name == "batch_norm":
        return x.shape, (0, *range(2, x.ndim))
    groups = x.shape[1] if name == "instance_norm" else option
    return (x.shape[0], groups, -1) if x.size else (0, groups, 1), (2,)


def _forward(x, name, option, weight, bias, eps):
    shape, axes = _sets(x, name, option)
    view = x.reshape(shape)
    if not x.size:
        return np.zeros(x.shape), np.zeros(x.shape), 0
    xh, size, _ = _normalised(view, axes, eps, name != "rms_norm")
    if name in ("group_norm", "instance_norm", "batch_norm"):
        weight, bias = (
            None if each is None else _over_channels(each, x.ndim) for each in (weight, bias)
        )
    return _affine(xh.reshape(x.shape), size.reshape(x.shape), weight, bias, _count(view, axes))


def _count(x, axes):
    return int(np.prod([x.shape[axis] for axis in axes]))


def layer_norm(x, normalized_shape, weight=None, bias=None, *, eps=1e-5):
    """(x − mean) / √(variance + eps) · weight + bias over the last axes."""
    return _forward(x, "layer_norm", np.atleast_1d(normalized_shape), weight, bias, eps)


def rms_norm(x, normalized_shape, weight=None, *, eps=None):
    """x / √(mean square + eps) · weight over the last axes."""
    eps = np.finfo(x.dtype).eps if eps is None else eps
    return _forward(x, "rms_norm", np.atleast_1d(normalized_shape), weight, None, eps)


def group_norm(x, num_groups, weight=None, bias=None, *, eps=1e-5):
    """Normalise over C / num_groups channels of an image."""
    return _forward(x, "group_norm", num_groups, weight, bias, eps)


def instance_norm(x, weight=None, bias=None, *, eps=1e-5):
    """Normalise over a channel of an image."""
    return _forward(x, "instance_norm", None, weight, bias, eps)


def batch_norm(
    x, weight, bias, running_mean, running_var, *, training, momentum=0.1, eps=1e-5
):  # the running statistics are not this oracle's to change
    """Normalise over a channel of the whole batch, or with running statistics."""
    if training:
        return _forward(x, "batch_norm", None, weight, bias, eps)
    mean, variance = (_over_channels(each, x.ndim) for each in (running_mean, running_var))
    xh, size, _ = _normalised(x, (), eps, True, mean, 1 / np.sqrt(variance + eps))
    weight, bias = (
        None if each is None else _over_channels(each, x.ndim) for each in (weight, bias)
    )
    return _affine(xh, size, weight, bias, 0)


def _backward(dy, cache, direction):
    """All five share one derivation; see the family's README."""
    name, option = cache.operation, cache.option
    shape, axes = _sets(cache.x, name, option)
    if not cache.x.size:
        zero = np.zeros(cache.x.shape if direction == "dx" else cache.affine_shape)
        return zero, zero, 0
    per_element = name in ("layer_norm", "rms_norm")
    weight = 1.0 if cache.weight is None else np.asarray(cache.weight, np.float64)
    if not per_element and cache.weight is not None:
        weight = _over_channels(weight, cache.x.ndim)
    view, dy = cache.x.reshape(shape), np.asarray(dy, np.float64)
    fixed = not cache.training
    given = [_over_channels(each, view.ndim) for each in (cache.mean, cache.rstd)] if fixed else []
    centred = name != "rms_norm"
    xh, size, rstd = _normalised(view, axes, cache.eps, centred, *given)
    terms = _count(view, axes)
    if direction != "dx":
        kept = range(dy.ndim - len(option), dy.ndim) if per_element else [1]
        over = tuple(axis for axis in range(dy.ndim) if axis not in kept)
        terms += _count(dy, over)
        if direction == "dbias":
            return dy.sum(over), np.abs(dy).sum(over), terms
        xh, size = xh.reshape(dy.shape), size.reshape(dy.shape)
        return (dy * xh).sum(over), (np.abs(dy) * size).sum(over), terms
    g = (dy * weight).reshape(shape)
    value, scale = g, np.abs(g)
    if not fixed:
        value = value - xh * (g * xh).mean(axes, keepdims=True)
        scale = scale + size * (np.abs(g) * size).mean(axes, keepdims=True)
        if centred:
            value = value - g.mean(axes, keepdims=True)
            scale = scale + np.abs(g).mean(axes, keepdims=True)
    return (rstd * value).reshape(dy.shape), (rstd * scale).reshape(dy.shape), terms


def _three(name):
    def dx(dy, cache):
        return _backward(dy, cache, "dx")

    def dweight(dy, cache):
        return _backward(dy, cache, "dweight")

    def dbias(dy, cache):
        return _backward(dy, cache, "dbias")

    return dx, dweight, dbias


layer_norm_dx, layer_norm_dweight, layer_norm_dbias = _three("layer_norm")
rms_norm_dx, rms_norm_dweight, _ = _three("rms_norm")
group_norm_dx, group_norm_dweight, group_norm_dbias = _three("group_norm")
instance_norm_dx, instance_norm_dweight, instance_norm_dbias = _three("instance_norm")
batch_norm_dx, batch_norm_dweight, batch_norm_dbias = _three("batch_norm")
