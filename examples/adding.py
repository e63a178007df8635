"""The adding problem: two numbers of a long sequence are marked; what is their sum?

    x (T, B, 2)   a number from U(0, 1) and a mark, 1 at one step of either half, 0 elsewhere
    y (B, 1)      the sum of the two marked numbers

To guess 1 always costs 1/6 in the mean square (either number's variance is 1/12). To do better, a network
must carry the first number over T/2 steps on average, and learn that from gradients which came as far.

Source: S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", 1997, experiment 4 (here with numbers
from 0 to 1 and no other marks, as Le, Jaitly and Hinton have it, 2015).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import kernels
import layers

BASELINE = 1 / 6
SOLVED = 0.01  # mean square on held-out sequences, below which we call it solved
HIDDEN, BATCH = 64, 32
EVERY = 50  # steps from one look at the held-out sequences to the next

KINDS = {  # and the rate at which each learns; a higher one throws the RNN about
    "RNN": 0.001,
    "LSTM, forget bias 1": 0.01,
    "LSTM, chrono bias": 0.01,
    "GRU": 0.01,
}


@dataclass
class Curve:
    """What one training gave: the error on held-out sequences every so many steps."""

    kind: str
    length: int
    steps: list[int] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)  # of the gradient, before clipping, every step
    losses: list[float] = field(default_factory=list)  # every step
    solved: int | None = None
    seconds: float = 0.0
    cut: bool = False  # by the clock


def sequences(length: int, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw `count` sequences of `length` steps, and their sums."""
    x = np.zeros((length, count, 2), np.float32)
    x[..., 0] = rng.random((length, count))
    rows = np.arange(count)
    first, second = rng.integers(length // 2, size=count), rng.integers(length // 2, length, count)
    x[first, rows, 1] = x[second, rows, 1] = 1
    return x, (x[first, rows, 0] + x[second, rows, 0])[:, None]


class Adder(layers.Layer):
    """A recurrent layer, and a linear one on its last state."""

    def __init__(self, recurrent: layers.Layer, hidden: int, *, rng: Any = None) -> None:
        self.recurrent = recurrent
        self.output = layers.Linear(hidden, 1, dtype=recurrent.dtype, rng=rng)

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, Any]:
        """Return the sums (B, 1) and the cache."""
        (_, state), recurrent = self.recurrent.forward(x)
        sums, output = self.output.forward(last(state))
        return sums, (recurrent, output, isinstance(state, tuple))

    def backward(self, dy: np.ndarray, cache: Any) -> None:
        """Add every parameter's gradient."""
        recurrent, output, pair = cache
        dh = self.output.backward(dy, output)[None]
        self.recurrent.backward_parameters(None, recurrent, (dh, None) if pair else dh)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the sums."""
        return self.output(last(self.recurrent(x)[1]))


def last(state: Any) -> np.ndarray:
    """Return h (B, H) of a recurrent layer's state, which is h or (h, c)."""
    return (state[0] if isinstance(state, tuple) else state)[0]


def bias(layer: layers.Layer, gate: int, value: Any) -> None:
    """Set one gate's bias: of an LSTM i, f, g, o are 0 to 3, of a GRU r, z, n are 0 to 2."""
    rows = slice(gate * layer.hidden_size, (gate + 1) * layer.hidden_size)
    layer.bias_ih_l0.data[rows] = value
    layer.bias_hh_l0.data[rows] = 0


def adder(kind: str, length: int, seed: int, hidden: int = HIDDEN) -> Adder:
    """Build one of KINDS.

    Forget bias 1: F. Gers, J. Schmidhuber and F. Cummins, "Learning to Forget", 2000. Chrono bias: the
    gates' biases drawn so that the units' memories span all times up to the length of the sequence, C. Tallec
    and Y. Ollivier, "Can Recurrent Neural Networks Warp Time?", 2018.
    """
    rng = np.random.default_rng([seed, length, list(KINDS).index(kind)])
    recurrent: Any
    if kind == "RNN":
        recurrent = layers.RNN(2, hidden, rng=rng)
    elif kind == "GRU":
        recurrent = layers.GRU(2, hidden, rng=rng)
    else:
        recurrent = layers.LSTM(2, hidden, rng=rng)
        if kind == "LSTM, forget bias 1":
            bias(recurrent, 1, 1)
        else:
            reach = np.log(rng.uniform(1, length - 1, hidden))
            bias(recurrent, 1, reach)
            bias(recurrent, 0, -reach)
    return Adder(recurrent, hidden, rng=rng)


def train(
    model: Adder,
    optimizer: layers.Optimizer,
    curve: Curve,
    *,
    steps: int,
    clip: float | None = 1.0,
    batch: int = BATCH,
    seed: int = 0,
    deadline: float = np.inf,
    stop: bool = True,
) -> Curve:
    """Train on fresh sequences until the problem is solved, if it should `stop` then, or the steps are over."""
    loss = layers.MSELoss()
    rng = np.random.default_rng([seed, curve.length])
    held = sequences(curve.length, 1024, rng)
    start = time.perf_counter()
    for step in range(1, steps + 1):
        x, y = sequences(curve.length, batch, rng)
        sums, cache = model.forward(x)
        value, loss_cache = loss.forward(sums, y)
        optimizer.zero_grad()
        model.backward(loss.backward(1.0, loss_cache), cache)
        norm = layers.clip_grad_norm_(model.parameters(), np.inf if clip is None else clip)
        curve.losses.append(float(value))
        curve.norms.append(norm)
        if not np.isfinite(norm):  # nothing follows from here but more of it
            curve.steps.append(step)
            curve.errors.append(np.inf)
            break
        optimizer.step()
        if step % EVERY == 0 or step == steps:
            curve.steps.append(step)
            curve.errors.append(float(kernels.mse(model(held[0]), held[1])))
            if curve.errors[-1] < SOLVED and curve.solved is None:
                curve.solved = step
                if stop:
                    break
            if step < steps and time.perf_counter() > deadline:
                curve.cut = True
                break
    curve.seconds = time.perf_counter() - start
    return curve
