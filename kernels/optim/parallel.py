"""The same loops in chunks over threads: elements do not know of each other, so nothing else changes."""

from numba import prange

from kernels.core import jit
from kernels.optim import naive

CHUNK = 1 << 14


@jit.parallel
def sgd(param, grad, lr, decay):
    """Take one step without momentum."""
    for chunk in prange((param.shape[0] + CHUNK - 1) // CHUNK):
        a, b = chunk * CHUNK, min((chunk + 1) * CHUNK, param.shape[0])
        naive.sgd(param[a:b], grad[a:b], lr, decay)


@jit.parallel
def momentum(param, grad, velocity, lr, mu, share, decay, nesterov):
    """Take one step with momentum."""
    for chunk in prange((param.shape[0] + CHUNK - 1) // CHUNK):
        a, b = chunk * CHUNK, min((chunk + 1) * CHUNK, param.shape[0])
        naive.momentum(param[a:b], grad[a:b], velocity[a:b], lr, mu, share, decay, nesterov)


@jit.parallel
def adam(param, grad, m, v, beta1, beta2, rest1, rest2, size, root, eps, decay, keep):
    """Take one step."""
    for chunk in prange((param.shape[0] + CHUNK - 1) // CHUNK):
        a, b = chunk * CHUNK, min((chunk + 1) * CHUNK, param.shape[0])
        naive.adam(
            param[a:b], grad[a:b], m[a:b], v[a:b],
            beta1, beta2, rest1, rest2, size, root, eps, decay, keep,
        )  # fmt: skip
