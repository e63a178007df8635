"""Losses."""

from kernels.loss.api import cross_entropy, cross_entropy_backward, mse, mse_backward

__all__ = ["cross_entropy", "cross_entropy_backward", "mse", "mse_backward"]
