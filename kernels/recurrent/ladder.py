"""The rungs of the recurrent family: sequences."""

from kernels.core.ladder import Ladder, Rung
from kernels.recurrent import naive

# "backward" is the sweep through time alone: the products that follow it are linear's.
SEQUENCE = ("forward", "backward")


def _per_flop(ns):
    """Cost in ns: so much for each operation of the sweep, forward or back."""
    return lambda problem, direction: ns * problem.work(direction)


NAIVE = "the formula: one gate, one unit, one loop an index"

LSTM = Ladder(
    "lstm",
    "recurrent",
    SEQUENCE,
    [
        Rung(
            "naive",
            NAIVE,
            None,
            {"forward": naive.lstm, "backward": naive.lstm_dz},
            _per_flop(0.1),
        ),
    ],
)

GRU = Ladder(
    "gru",
    "recurrent",
    SEQUENCE,
    [
        Rung(
            "naive",
            NAIVE,
            None,
            {"forward": naive.gru, "backward": naive.gru_dz},
            _per_flop(0.1),
        ),
    ],
)

RNN = Ladder(
    "rnn",
    "recurrent",
    SEQUENCE,
    [
        Rung(
            "naive",
            NAIVE,
            None,
            {"forward": naive.rnn, "backward": naive.rnn_dz},
            _per_flop(0.1),
        ),
    ],
)
