"""Dropout."""

from kernels.dropout.api import dropout, dropout_backward

__all__ = ["dropout", "dropout_backward"]
