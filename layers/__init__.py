"""Thin layers over the kernels, with PyTorch's names: parameters, forward, backward; optimisers; saving."""

from layers.activation import GELU, LeakyReLU, ReLU, Sigmoid, SiLU, Softmax, Tanh
from layers.buffer import Buffer
from layers.cells import GRUCell, LSTMCell, RNNCell
from layers.clip import clip_grad_norm_, clip_grad_value_
from layers.conv import Conv2d
from layers.dropout import Dropout
from layers.embedding import Embedding
from layers.flatten import Flatten
from layers.layer import Layer
from layers.linear import Linear
from layers.loss import CrossEntropyLoss, MSELoss
from layers.normalization import (
    BatchNorm1d,
    BatchNorm2d,
    GroupNorm,
    InstanceNorm2d,
    LayerNorm,
    RMSNorm,
)
from layers.optimizer import SGD, Adam, AdamW, Optimizer
from layers.parameter import Parameter
from layers.pool import AdaptiveAvgPool2d, AvgPool2d, LPPool2d, MaxPool2d
from layers.recurrent import GRU, LSTM, RNN
from layers.saving import load, save
from layers.sequential import Sequential

__all__ = [
    "GELU",
    "GRU",
    "LSTM",
    "RNN",
    "SGD",
    "Adam",
    "AdamW",
    "AdaptiveAvgPool2d",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Buffer",
    "Conv2d",
    "CrossEntropyLoss",
    "Dropout",
    "Embedding",
    "Flatten",
    "GRUCell",
    "GroupNorm",
    "InstanceNorm2d",
    "LPPool2d",
    "LSTMCell",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "MSELoss",
    "MaxPool2d",
    "Optimizer",
    "Parameter",
    "RMSNorm",
    "RNNCell",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "clip_grad_norm_",
    "clip_grad_value_",
    "load",
    "save",
]
