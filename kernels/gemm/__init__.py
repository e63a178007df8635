"""The ground family: matrix products, which convolution, recurrent cells and attention stand on."""

from kernels.gemm.api import LinearGradients, linear, linear_backward, matmul

__all__ = ["LinearGradients", "linear", "linear_backward", "matmul"]
