"""The ground family: matrix products, which convolution, recurrent cells and attention stand on."""

from kernels.gemm.api import (
    LinearGradients,
    MatmulGradients,
    linear,
    linear_backward,
    matmul,
    matmul_backward,
)

__all__ = [
    "LinearGradients",
    "MatmulGradients",
    "linear",
    "linear_backward",
    "matmul",
    "matmul_backward",
]
