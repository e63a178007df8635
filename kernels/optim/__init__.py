"""Update steps of stochastic gradient descent and Adam, in place."""

from kernels.optim.api import adam_step, adamw_step, sgd_step

__all__ = ["adam_step", "adamw_step", "sgd_step"]
