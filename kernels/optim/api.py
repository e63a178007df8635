"""Front door of the family: update steps, in place."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kernels.core import checks, threads
from kernels.optim import parallel


def sgd_step(
    param: np.ndarray,
    grad: Any,
    velocity: np.ndarray | None = None,
    *,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    first: bool = False,
) -> None:
    """Take one step of gradient descent, as PyTorch's SGD: `param` and `velocity` are updated in place.

    Parameters
    ----------
    param : numpy.ndarray
        Any shape, float32 or float64, C-contiguous.
    grad : array
        Gradient of the loss, of param's shape and dtype.
    velocity : numpy.ndarray, optional
        The moving sum of gradients, of param's shape and dtype; needed where momentum is not 0.
        Starts as zeros.
    lr : float
        Learning rate η.
    momentum, dampening, weight_decay : float
        μ, τ and λ.
    nesterov : bool
        Look ahead by one velocity; needs momentum and no dampening.
    first : bool
        Whether this is the first step, in which the velocity becomes the gradient, without dampening.

    Raises
    ------
    TypeError, ValueError
        If an array does not fit or a number is out of its range; nothing was changed.
    """
    lr = checks.real("lr", lr, 0)
    momentum = checks.real("momentum", momentum, 0)
    dampening = checks.real("dampening", dampening)
    weight_decay = checks.real("weight_decay", weight_decay, 0)
    nesterov, first = checks.flag("nesterov", nesterov), checks.flag("first", first)
    if nesterov and (momentum == 0 or dampening != 0):
        raise ValueError(
            "nesterov: expected a momentum above 0 and no dampening with it, "
            f"got momentum {momentum} and dampening {dampening}"
        )
    if momentum and velocity is None:
        raise ValueError(
            f"velocity: expected an array where momentum is not 0 (it is {momentum}), got None"
        )
    states = {} if not momentum else {"velocity": velocity}
    arrays = _flat(param, grad, states)
    kind = arrays[0].dtype.type
    if not momentum:
        threads.run(parallel.sgd, (*arrays, kind(lr), kind(weight_decay)), 3 * param.nbytes // 8)
        return
    if first:
        arrays[2].fill(0)
    share = 1.0 if first else 1 - dampening
    args = (*arrays, kind(lr), kind(momentum), kind(share), kind(weight_decay), nesterov)
    threads.run(parallel.momentum, args, 5 * param.nbytes // 8)


def adam_step(
    param: np.ndarray,
    grad: Any,
    m: np.ndarray,
    v: np.ndarray,
    *,
    step: int,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> None:
    """Take one step of Adam, as PyTorch's: `param`, `m` and `v` are updated in place.

    Parameters
    ----------
    param : numpy.ndarray
        Any shape, float32 or float64, C-contiguous.
    grad : array
        Gradient of the loss, of param's shape and dtype.
    m, v : numpy.ndarray
        Moving means of the gradient and of its square, of param's shape and dtype. Start as zeros.
    step : int
        Number of this step, from 1: it corrects the means for their start at zero.
    lr, eps, weight_decay : float
        η, ε and λ; the decay is added to the gradient.
    betas : (float, float)
        How slowly the two means forget, from 0 to below 1.

    Raises
    ------
    TypeError, ValueError
        If an array does not fit or a number is out of its range; nothing was changed.
    """
    _adam(param, grad, m, v, step, lr, betas, eps, weight_decay, decoupled=False)


def adamw_step(
    param: np.ndarray,
    grad: Any,
    m: np.ndarray,
    v: np.ndarray,
    *,
    step: int,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.01,
) -> None:
    """Take one step of AdamW: as `adam_step`, but the decay shrinks the parameter itself.

    Parameters
    ----------
    param, grad, m, v, step, lr, betas, eps
        As `adam_step`.
    weight_decay : float
        λ: param is multiplied by 1 − ηλ first.

    Raises
    ------
    TypeError, ValueError
        As `adam_step`.
    """
    _adam(param, grad, m, v, step, lr, betas, eps, weight_decay, decoupled=True)


def _adam(param, grad, m, v, step, lr, betas, eps, weight_decay, *, decoupled) -> None:
    step = checks.integer("step", step, 1)
    lr = checks.real("lr", lr, 0)
    if not isinstance(betas, tuple | list) or len(betas) != 2:
        raise TypeError(f"betas: expected two numbers, got {betas!r}")
    beta1, beta2 = (checks.real("betas", beta, 0, below=1) for beta in betas)
    eps = checks.real("eps", eps, 0)
    weight_decay = checks.real("weight_decay", weight_decay, 0)
    arrays = _flat(param, grad, {"m": m, "v": v})
    numbers = (
        beta1,
        beta2,
        1 - beta1,
        1 - beta2,
        lr / (1 - beta1**step),
        1 / math.sqrt(1 - beta2**step),
        eps,
        0.0 if decoupled else weight_decay,
        1 - lr * weight_decay if decoupled else 1.0,
    )
    kind = arrays[0].dtype.type
    threads.run(
        parallel.adam, (*arrays, *map(kind, numbers)), max(20 * param.size, 7 * param.nbytes // 8)
    )


def _flat(param: Any, grad: Any, states: dict[str, Any]) -> list[np.ndarray]:
    """Validate, and return param, grad and the states as vectors."""
    param = checks.state("param", param)
    empty = tuple(range(param.ndim))
    arrays = [param, checks.array("grad", grad, None, param.dtype, param.shape, empty)]
    for name, value in states.items():
        arrays.append(checks.state(name, value, param.shape, param.dtype, arrays))
    checks.state("param", param, inputs=arrays[1:])
    return [each.reshape(-1) for each in arrays]
