"""The oracle: NumPy only, float64. Each function returns the new (param, *state)."""

import numpy as np


def sgd_step(
    param,
    grad,
    velocity=None,
    *,
    lr,
    momentum=0.0,
    dampening=0.0,
    weight_decay=0.0,
    nesterov=False,
    first=False,
):
    """θ − η(g + λθ), or with momentum θ − ηv, or with Nesterov's θ − η(g + μv)."""
    param, grad = np.asarray(param, np.float64), np.asarray(grad, np.float64)
    grad = grad + weight_decay * param
    if not momentum:
        return param - lr * grad, velocity
    velocity = np.asarray(velocity, np.float64)
    velocity = grad if first else momentum * velocity + (1 - dampening) * grad
    return param - lr * (grad + momentum * velocity if nesterov else velocity), velocity


def adam_step(param, grad, m, v, *, step, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    """Adam, with weight decay in the gradient."""
    param = np.asarray(param, np.float64)
    return _adam(
        param, np.asarray(grad, np.float64) + weight_decay * param, m, v, step, lr, betas, eps
    )


def adamw_step(
    param, grad, m, v, *, step, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01
):
    """Adam, with weight decay on the parameter itself."""
    param = np.asarray(param, np.float64) * (1 - lr * weight_decay)
    return _adam(param, np.asarray(grad, np.float64), m, v, step, lr, betas, eps)


def _adam(param, grad, m, v, step, lr, betas, eps):
    m = betas[0] * np.asarray(m, np.float64) + (1 - betas[0]) * grad
    v = betas[1] * np.asarray(v, np.float64) + (1 - betas[1]) * grad**2
    root = np.sqrt(v / (1 - betas[1] ** step))
    return param - lr / (1 - betas[0] ** step) * m / (root + eps), m, v
