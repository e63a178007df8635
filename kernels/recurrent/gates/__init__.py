"""The gates, in vectors: what stands between a step's matmul and its output.

A *row* function walks over `count` units of one batch row: pre-activations lie in `z` at iz + k·gap + u, one stretch
a gate, gates are kept at ig + k·hidden + u where `saved`, and may be written over the pre-activations they came
from. Arrays are flat. Whole vectors, then what is left of one. All of it is compiled into its callers.
"""

from kernels.recurrent.gates.formulas import (
    bounded,
    candidate,
    candidate_end,
    gate,
    gate_end,
    give,
    gru_mix,
    lstm_state,
    rectified,
    take,
    through_candidate,
    through_gate,
)
from kernels.recurrent.gates.gru import (
    gru_finish_row,
    gru_finish_row_backward,
    gru_pair_row,
    gru_reset_row,
    gru_reset_row_backward,
    gru_row_backward,
)
from kernels.recurrent.gates.lstm import (
    lstm_row,
    lstm_row_backward,
    lstm_step_backward,
)
from kernels.recurrent.gates.rnn import (
    rnn_row,
    rnn_row_backward,
)

__all__ = [
    "bounded",
    "candidate",
    "candidate_end",
    "gate",
    "gate_end",
    "give",
    "gru_finish_row",
    "gru_finish_row_backward",
    "gru_mix",
    "gru_pair_row",
    "gru_reset_row",
    "gru_reset_row_backward",
    "gru_row_backward",
    "lstm_row",
    "lstm_row_backward",
    "lstm_state",
    "lstm_step_backward",
    "rectified",
    "rnn_row",
    "rnn_row_backward",
    "take",
    "through_candidate",
    "through_gate",
]
