"""Convolution."""

from kernels.conv.api import ConvGradients, conv2d, conv2d_backward

__all__ = ["ConvGradients", "conv2d", "conv2d_backward"]
