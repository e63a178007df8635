"""Front doors of the family."""

from kernels.recurrent.api.gates import (
    GruGates,
    GruGatesGradients,
    LstmGates,
    LstmGatesGradients,
    gru_gates,
    gru_gates_backward,
    lstm_gates,
    lstm_gates_backward,
    rnn_gates,
    rnn_gates_backward,
)
from kernels.recurrent.api.gru import gru, gru_backward, pack_gru
from kernels.recurrent.api.lstm import lstm, lstm_backward, pack_lstm
from kernels.recurrent.api.rnn import pack_rnn, rnn, rnn_backward

__all__ = [
    "GruGates",
    "GruGatesGradients",
    "LstmGates",
    "LstmGatesGradients",
    "gru",
    "gru_backward",
    "gru_gates",
    "gru_gates_backward",
    "lstm",
    "lstm_backward",
    "lstm_gates",
    "lstm_gates_backward",
    "pack_gru",
    "pack_lstm",
    "pack_rnn",
    "rnn",
    "rnn_backward",
    "rnn_gates",
    "rnn_gates_backward",
]
