"""Neural-network kernels you can read loop by loop, and that are as fast as the machine."""

from kernels.activation import (
    exp,
    exp_backward,
    gelu,
    gelu_backward,
    leaky_relu,
    leaky_relu_backward,
    log_softmax,
    log_softmax_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    silu,
    silu_backward,
    softmax,
    softmax_backward,
    tanh,
    tanh_backward,
)
from kernels.conv import ConvGradients, conv2d, conv2d_backward
from kernels.core.ladder import Ladder, Rung, ladder, ladders
from kernels.core.memory import clear_memory, set_workspace_limit
from kernels.core.packing import Packed, pack
from kernels.core.precision import precision
from kernels.core.threads import get_num_threads, set_num_threads
from kernels.dropout import dropout, dropout_backward
from kernels.gemm import (
    LinearGradients,
    MatmulGradients,
    linear,
    linear_backward,
    matmul,
    matmul_backward,
)
from kernels.loss import cross_entropy, cross_entropy_backward, mse, mse_backward
from kernels.optim import adam_step, adamw_step, sgd_step
from kernels.pool import avg_pool2d, avg_pool2d_backward, max_pool2d, max_pool2d_backward

__all__ = [
    "ConvGradients",
    "Ladder",
    "LinearGradients",
    "MatmulGradients",
    "Packed",
    "Rung",
    "adam_step",
    "adamw_step",
    "avg_pool2d",
    "avg_pool2d_backward",
    "clear_memory",
    "conv2d",
    "conv2d_backward",
    "cross_entropy",
    "cross_entropy_backward",
    "dropout",
    "dropout_backward",
    "exp",
    "exp_backward",
    "gelu",
    "gelu_backward",
    "get_num_threads",
    "ladder",
    "ladders",
    "leaky_relu",
    "leaky_relu_backward",
    "linear",
    "linear_backward",
    "log_softmax",
    "log_softmax_backward",
    "matmul",
    "matmul_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "mse",
    "mse_backward",
    "pack",
    "precision",
    "relu",
    "relu_backward",
    "set_num_threads",
    "set_workspace_limit",
    "sgd_step",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "softmax",
    "softmax_backward",
    "tanh",
    "tanh_backward",
]
