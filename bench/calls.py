"""How each ladder is called, and its reference: what tests and bench need to run any rung.

A forward call is ``kernels.NAME(*arrays, **options)``; a gradient ``kernels.NAME_backward`` with dy
first and then what the operation keeps: its inputs, its output, its cache, or the winners of a maximum.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any

import numpy as np

import kernels
from kernels.core.ladder import Rung

FROM_OUTPUT = ("exp", "sigmoid", "tanh", "softmax", "log_softmax")
FROM_CACHE = ("layer_norm", "rms_norm", "group_norm", "instance_norm", "batch_norm")
NOT_IN_BACKWARD = ("activation",)


def inputs(
    name: str, direction: str, arrays: tuple, options: dict[str, Any], seed: int = 0
) -> tuple[tuple, dict[str, Any]]:
    """Turn the arguments of the forward into those of `direction`, drawing dy afresh."""
    if direction == "forward":
        return arrays, options
    if name in FROM_CACHE:
        y, cache = getattr(kernels, name)(*arrays, **options, return_cache=True)
        rng = np.random.default_rng((seed, 1))  # with x's own seed, dy would be x, and dx nothing
        return (rng.standard_normal(y.shape).astype(y.dtype), cache), {}
    y = ours(name, "forward", arrays, options)
    dy = np.random.default_rng(seed).standard_normal(y.shape).astype(y.dtype)
    options = {key: v for key, v in options.items() if key not in NOT_IN_BACKWARD}
    if name in FROM_OUTPUT:
        return (dy, y), options
    if name == "max_pool2d":
        kind = (True, "window")[seed % 2]
        forward: Any = getattr(kernels, name)
        _, winners = forward(*arrays, **options, return_indices=kind)
        return (dy, winners, arrays[0].shape, arrays[1]), options
    if name == "avg_pool2d":
        return (dy, arrays[0].shape, arrays[1]), options
    if name == "lp_pool2d":
        return (dy, arrays[0], y, arrays[1]), options
    if name == "adaptive_avg_pool2d":
        return (dy, arrays[0].shape), options
    if name == "adaptive_max_pool2d":
        _, winners = kernels.adaptive_max_pool2d(*arrays, return_indices=True)
        return (dy, winners, arrays[0].shape), options
    if name == "max_unpool2d":
        return (dy, arrays[1]), options
    if name == "dropout":
        return (dy, arrays[1]), options
    if name == "embedding":
        return (dy, arrays[0], arrays[1].shape[0]), options
    if name in ("conv2d", "linear"):
        return (dy, *arrays[:2]), options
    return (dy, *arrays), options


@functools.cache
def _asks_for_needs(function: Any) -> bool:
    """Whether it computes several gradients. Looked up once: a look takes longer than a small call."""
    return "needs" in inspect.signature(function).parameters


def ours(
    name: str,
    direction: str,
    arrays: tuple,
    options: dict[str, Any],
    *,
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Call the public function."""
    function = getattr(kernels, name if direction == "forward" else f"{name}_backward")
    if _asks_for_needs(function):
        options = {**options, "needs": (direction.removeprefix("d"),)}
    return function(*arrays, **options, algorithm=algorithm, out=out)


def packed(name: str, direction: str, arrays: tuple, options: dict[str, Any]) -> tuple:
    """Return the arguments with the weights packed."""
    place = 1 if direction == "forward" else 2
    return (*arrays[:place], kernels.pack(name, arrays[place], **options), *arrays[place + 1 :])


def reference(name: str, direction: str, arrays: tuple, options: dict[str, Any]) -> tuple:
    """Call the family's oracle: (value, scale, terms)."""
    return kernels.ladder(name).reference(direction)(*arrays, **options)


def growth(rung: Rung, problem: Any, direction: str) -> float | None:
    """By how much the rung says that it may exceed the bound of a plain sum; None if it does not."""
    return None if rung.growth is None else rung.growth(problem, direction)
