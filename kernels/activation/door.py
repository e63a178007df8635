"""What all of the family's front doors do: validate, describe the problem, run."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kernels.activation.ladder import LADDERS
from kernels.activation.problem import ActivationProblem
from kernels.core import checks
from kernels.core.ladder import Job

# Functions that take an exponential, and how many additions it is worth.
EXPONENTIAL = {
    *((name, "forward") for name in LADDERS if name not in ("relu", "leaky_relu")),
    *((name, "dx") for name in ("log_softmax", "silu", "gelu")),
}
WEIGHT = 8


def float_array(name: str, value: Any) -> np.ndarray:
    """Return the argument as a kernel takes it; any axis may be empty."""
    x = checks.targets.to_numpy(name, value)
    return checks.array(name, x, empty_axes=tuple(range(x.ndim)))


def run(
    name: str,
    direction: str,
    arrays: tuple[np.ndarray, ...],
    axis: int | None = None,
    *,
    option: Any = None,
    algorithm: str,
    out: np.ndarray | None,
) -> np.ndarray:
    """Flatten elementwise functions; see (outer, length, inner) where there is an axis."""
    shape = arrays[0].shape
    weight = WEIGHT if (name, direction) in EXPONENTIAL else 1
    if axis is None:
        view: tuple[int, ...] = (arrays[0].size,)
        problem = ActivationProblem(1, view[0], 1, len(arrays) + 1, arrays[0].dtype, weight)
    else:
        axis = checks.integer("axis", axis)
        if not -len(shape) <= axis < len(shape):
            raise ValueError(f"axis: expected one of the {len(shape)} axes, got {axis}")
        axis %= len(shape)
        if shape[axis] == 0:
            raise ValueError(f"axis: expected at least 1 element along it, got shape {shape}")
        view = (math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :]))
        problem = ActivationProblem(*view, len(arrays) + 1, arrays[0].dtype, weight)
    args: tuple[Any, ...] = tuple(a.reshape(view) for a in arrays)
    if option is not None:
        args = (*args, option)
    job = Job(direction, problem, args, shape, view)
    return LADDERS[name].compute(job, algorithm=algorithm, out=out)
