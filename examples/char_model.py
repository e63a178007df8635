"""The network of `char_lstm`: what it computes, how well it predicts, how it writes, what its gates do."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import kernels
import layers
from examples import text

State = tuple[np.ndarray, np.ndarray]


class CharLSTM(layers.Layer):
    """Embedding → LSTM → dropout → fully connected: logits of the next character.

    Parameters
    ----------
    characters : int
        How many there are.
    embedding, hidden : int
        Features of a character, and units of the LSTM.
    dropout : float
        Share of the LSTM's outputs that training hides from the last layer.
    seed : int
        Of the weights, and of what is dropped.
    """

    def __init__(
        self, characters: int, embedding: int, hidden: int, dropout: float, seed: int = 0
    ) -> None:
        self.sizes = {
            "characters": characters,
            "embedding": embedding,
            "hidden": hidden,
            "dropout": dropout,
        }
        self.dropout, self.seed = dropout, seed
        rng = np.random.default_rng(seed)
        self.embedding = layers.Embedding(characters, embedding, rng=rng)
        self.lstm = layers.LSTM(embedding, hidden, rng=rng)
        self.head = layers.Linear(hidden, characters, rng=rng)

    def __call__(self, x: Any, state: State | None = None) -> Any:
        """Return the logits of what follows x (T, B), (T, B, characters), and the state after it."""
        y, state = self.lstm(self.embedding(x), state)
        return self.head(y), state

    def forward(self, x: Any, state: State | None = None, stream: int = 0) -> Any:
        """Return logits and state, and the cache. Each `stream` drops other outputs, the same each time."""
        embedded, of_embedding = self.embedding.forward(x)
        (y, state), of_lstm = self.lstm.forward(embedded, state)
        y = kernels.dropout(y, self._share(), seed=self.seed, offset=stream)
        logits, of_head = self.head.forward(y)
        return (logits, state), (of_embedding, of_lstm, of_head, stream)

    def _share(self) -> float:
        """Return how much is dropped: nothing after ``eval()``."""
        return self.dropout if self.training else 0.0

    def backward(self, dy: Any, cache: Any) -> None:
        """Add the gradients; none goes on, neither to characters nor to the state before."""
        of_embedding, of_lstm, of_head, stream = cache
        dy = self.head.backward(dy, of_head)
        dy = kernels.dropout_backward(dy, self._share(), seed=self.seed, offset=stream)
        dx, _ = self.lstm.backward(dy, of_lstm)
        self.embedding.backward(dx, of_embedding)


def perplexity(model: CharLSTM, numbers: np.ndarray, batch: int = 8, length: int = 256) -> float:
    """Return e to the mean cross-entropy over a text, read in `batch` parts of it with a state each."""
    state, total, count = None, 0.0, 0
    for x, y in text.windows(numbers, batch, length):
        logits, state = model(x, state)
        loss = kernels.cross_entropy(logits.reshape(y.size, -1), y.reshape(-1))
        total += float(loss) * y.size
        count += y.size
    return math.exp(total / count)


def choose(
    logits: np.ndarray, temperature: float, rng: np.random.Generator | None = None
) -> np.ndarray:
    """Draw one index a row from softmax(logits / temperature); at 0 take the likeliest.

    Below 1 the likely becomes likelier still. Source: D. Ackley, G. Hinton and T. Sejnowski, "A
    Learning Algorithm for Boltzmann Machines", Cognitive Science 9(1), 1985.
    """
    if temperature == 0:
        return logits.argmax(-1)
    scaled = logits.astype(np.float64)
    scaled -= scaled.max(-1, keepdims=True)
    with np.errstate(over="ignore"):  # −∞, of which exp makes 0
        sums = np.exp(scaled / temperature).cumsum(-1)
    draws = np.random.default_rng(rng).random((len(logits), 1)) * sums[:, -1:]
    return np.minimum((sums <= draws).sum(-1), logits.shape[-1] - 1)


def sample(
    model: CharLSTM,
    prompt: np.ndarray,
    size: int,
    temperature: float,
    seed: int,
    rows: int = 1,
) -> np.ndarray:
    """Go on from a prompt by `size` characters, `rows` times at once: numbers (rows, size)."""
    rng = np.random.default_rng(seed)
    logits, state = model(np.repeat(prompt[:, None], rows, axis=1))
    written = np.empty((size, rows), np.int64)
    for i in range(size):
        if i:
            logits, state = model(written[i - 1 : i], state)
        written[i] = choose(logits[-1], temperature, rng)
    return np.ascontiguousarray(written.T)


def activations(model: CharLSTM, numbers: np.ndarray) -> dict[str, np.ndarray]:
    """Return what each unit does at each character: i, f, o from 0 to 1, g from −1 to 1, and c; (T, H)."""
    lstm = model.lstm
    weights = (lstm.weight_ih_l0, lstm.weight_hh_l0, lstm.bias_ih_l0, lstm.bias_hh_l0)
    arrays = [each.data for each in weights]
    x = model.embedding(numbers[:, None])
    # the rung that training compiled; alone, one row would be worth another
    _, _, cache = kernels.lstm(x, *arrays, return_cache=True, algorithm="fused")
    steps, hidden = len(numbers), lstm.hidden_size
    gates = cache.gates.reshape(steps, 4, hidden)
    found = dict(zip("ifgo", gates.transpose(1, 0, 2)))
    found["c"] = cache.c[1:]  # the first is the one before the text
    return found
