"""Pooling."""

from kernels.pool.api import avg_pool2d, avg_pool2d_backward, max_pool2d, max_pool2d_backward

__all__ = ["avg_pool2d", "avg_pool2d_backward", "max_pool2d", "max_pool2d_backward"]
