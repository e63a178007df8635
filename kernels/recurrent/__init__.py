"""Recurrent networks: sequences."""

from kernels.recurrent.api import gru, gru_backward, lstm, lstm_backward, rnn, rnn_backward
from kernels.recurrent.cache import (
    GruCache,
    GruGradients,
    LstmCache,
    LstmGradients,
    RnnCache,
    RnnGradients,
)

__all__ = [
    "GruCache",
    "GruGradients",
    "LstmCache",
    "LstmGradients",
    "RnnCache",
    "RnnGradients",
    "gru",
    "gru_backward",
    "lstm",
    "lstm_backward",
    "rnn",
    "rnn_backward",
]
