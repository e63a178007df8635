"""Greedy and beam search over any model that gives the next symbol's log-probabilities.

    step(symbols (N,), state) -> log-probabilities (N, V), next state

A state is a tuple of arrays with one row a hypothesis on their last axis but one: (N, H), or a recurrent
layer's (layers, N, H). Greedy search takes the likeliest symbol and never looks back; beam search keeps
the `width` likeliest beginnings, so that a symbol which looked second best may still lead.

Source: A. Graves, "Sequence Transduction with Recurrent Neural Networks", 2012, and I. Sutskever,
O. Vinyals and Q. Le, "Sequence to Sequence Learning with Neural Networks", 2014, section 3.2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

State = tuple[np.ndarray, ...]
Step = Callable[[np.ndarray, Any], tuple[np.ndarray, Any]]


class Hypothesis(NamedTuple):
    """Symbols up to and with the end (or up to the limit), and the logarithm of their probability."""

    symbols: list[int]
    log_probability: float


def rows_of(state: State, rows: np.ndarray) -> State:
    """Return a state made of the given rows, of which some may come twice and others not at all."""
    return tuple(each[..., rows, :] for each in state)


def greedy(
    step: Step, state: State, rows: int, *, start: int, end: int, limit: int
) -> list[Hypothesis]:
    """Decode `rows` rows, each symbol the likeliest after those before it, up to `limit` symbols."""
    symbols = np.full(rows, start, np.int64)
    score, written, live = np.zeros(rows), [], np.full(rows, True)
    for _ in range(limit):
        log_p, state = step(symbols, state)
        symbols = np.where(live, log_p.argmax(1), end)
        score += np.where(live, log_p[np.arange(rows), symbols], 0)
        live &= symbols != end
        written.append(symbols)
        if not live.any():
            break
    history = np.array(written, np.int64).reshape(-1, rows).T
    return [_hypothesis(*pair, end) for pair in zip(history, score)]


def beam(
    step: Step, state: State, rows: int, *, start: int, end: int, limit: int, width: int
) -> list[list[Hypothesis]]:
    """Decode `rows` rows, and return up to `width` hypotheses of each, likeliest first.

    All hypotheses of all rows go through the model as one batch of rows·width. A finished one stays
    among its row's `width` for as long as no more of the others are likelier.
    """
    first = np.arange(rows)[:, None]
    state = rows_of(state, np.repeat(np.arange(rows), width))
    symbols = np.full((rows, width), start, np.int64)
    score = np.full((rows, width), -np.inf)
    score[:, 0] = 0  # one empty beginning; the other places of the beam are still free
    live = np.full((rows, width), True)
    history = np.empty((rows, width, 0), np.int64)
    for _ in range(limit):
        log_p, state = step(symbols.ravel(), state)
        log_p = log_p.reshape(rows, width, -1).astype(np.float64)
        count = log_p.shape[2]
        log_p[~live] = -np.inf  # a finished one goes on in one way only, at no price
        log_p[~live, end] = 0
        total = (score[..., None] + log_p).reshape(rows, -1)
        best = np.argsort(-total, 1, kind="stable")[:, :width]
        parent, symbols = np.divmod(best, count)
        score, history = total[first, best], history[first, parent]
        history = np.concatenate((history, symbols[..., None]), 2)
        live = live[first, parent] & (symbols != end)
        state = rows_of(state, (first * width + parent).ravel())
        if not live.any():
            break
    return [
        [_hypothesis(*pair, end) for pair in zip(*each) if pair[1] > -np.inf]
        for each in zip(history, score)
    ]


def _hypothesis(symbols: np.ndarray, score: float, end: int) -> Hypothesis:
    written = symbols.tolist()
    if end in written:
        written = written[: written.index(end) + 1]
    return Hypothesis(written, float(score))
