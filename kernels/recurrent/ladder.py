"""The rungs of the recurrent family: sequences."""

from functools import partial

import numpy as np

from kernels.core.ladder import Ladder, Pack, Rung
from kernels.recurrent import naive
from kernels.recurrent.batched import gru as gru_steps
from kernels.recurrent.batched import lstm as lstm_steps
from kernels.recurrent.batched import rnn as rnn_steps
from kernels.recurrent.batched.steps import scratch_of
from kernels.recurrent.fused import gru, lstm, rnn, units
from kernels.recurrent.fused.tile import ROWS, pack, packed_size
from kernels.recurrent.fused.walk import shares

# "backward" is the sweep through time alone: the products that follow it are linear's.
SEQUENCE = ("forward", "backward")


def _per_flop(ns):
    """Cost in ns: so much for each operation of the sweep, forward or back."""
    return lambda problem, direction: ns * problem.work(direction)


def _resets_first(problem, direction):
    if not problem.linear_before_reset:
        return "it multiplies before it resets: linear_before_reset=False needs all of r·h before any n"
    return None


def _fused(cell, refuses=lambda problem, direction: None):
    gates = np.int64({"lstm": 4, "gru": 3, "rnn": 1}[cell.__name__.rsplit(".", 1)[1]])
    return Rung(
        "fused",
        "all gates of some units in one tile, applied as it leaves the registers; threads split the batch",
        "batched",
        {"forward": cell.forward, "backward": cell.backward},
        _per_flop(0.01),
        refuses=refuses,
        scratch=lambda problem, direction: (shares(problem.b, ROWS), 1),
        pack={
            direction: Pack(packed_size, pack, (gates, np.bool_(back)))
            for direction, back in (("forward", False), ("backward", True))
        },
    )


def _units(arguments, gates, refuses=lambda problem, direction: None):
    return Rung(
        "units",
        "few rows: threads split the units, and meet after each step inside one region",
        "fused",
        {"forward": partial(arguments, units.forward)},
        _per_flop(0.005),
        refuses=lambda problem, direction: (
            refuses(problem, direction) or units.refuses(problem, direction)
        ),
        scratch=units.scratch,
        pack={"forward": Pack(packed_size, pack, (np.int64(gates), np.bool_(False)))},
    )


def _batched(steps):
    """Some 40 µs a step for what Python does between the products."""

    def cost(problem, direction):
        return 0.012 * problem.work(direction) + 40_000 * problem.t

    return Rung(
        "batched",
        "one matmul for all inputs, one for each step; the gates of all rows in vectors",
        "naive",
        {"forward": steps.forward, "backward": steps.backward},
        cost,
        scratch=scratch_of,
    )


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
            _per_flop(0.5),
        ),
        _batched(lstm_steps),
        _fused(lstm),
        _units(units.lstm, 4),
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
            _per_flop(0.5),
        ),
        _batched(gru_steps),
        _fused(gru, _resets_first),
        _units(units.gru, 3, _resets_first),
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
            _per_flop(0.5),
        ),
        _batched(rnn_steps),
        _fused(rnn),
        _units(units.rnn, 1),
    ],
)
