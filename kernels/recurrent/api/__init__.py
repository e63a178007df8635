"""Front doors of the family."""

from kernels.recurrent.api.gru import gru, gru_backward, pack_gru
from kernels.recurrent.api.lstm import lstm, lstm_backward, pack_lstm
from kernels.recurrent.api.rnn import pack_rnn, rnn, rnn_backward

__all__ = [
    "gru",
    "gru_backward",
    "lstm",
    "lstm_backward",
    "pack_gru",
    "pack_lstm",
    "pack_rnn",
    "rnn",
    "rnn_backward",
]
