"""An encoder and a decoder: a text of any length in, a state of fixed size between, another text out.

    encoder   embedding → LSTM over the text           its last (h, c) is the context: all that goes on
    decoder   embedding → LSTM from that state → linear → softmax      one symbol after the other

Nothing else joins the two, neither attention nor a second look at the text: whatever the decoder is to
write must have gone through the context.

Source: I. Sutskever, O. Vinyals and Q. Le, "Sequence to Sequence Learning with Neural Networks", 2014
(they read the text backwards, so that its beginning lies near the translation's; an ISO date begins with
the year, with which a written one mostly ends, so here it is read as it stands).
"""

from __future__ import annotations

from typing import Any

import numpy as np

import kernels
import layers
from examples import decoding

State = tuple[np.ndarray, np.ndarray]


class Translator(layers.Layer):
    """Encoder and decoder of one LSTM each.

    Parameters
    ----------
    source, target : int
        Size of either alphabet, start and end symbols included.
    hidden, embedded : int
        Size of h and of c (the context is both), and of a symbol's vector.
    rng : seed, numpy.random.Generator or None
    """

    def __init__(
        self, source: int, target: int, hidden: int = 256, embedded: int = 32, *, rng: Any = None
    ) -> None:
        rng = np.random.default_rng(rng)
        self.read = layers.Embedding(source, embedded, rng=rng)
        self.encoder = layers.LSTM(embedded, hidden, rng=rng)
        self.wrote = layers.Embedding(target, embedded, rng=rng)
        self.decoder = layers.LSTM(embedded, hidden, rng=rng)
        self.output = layers.Linear(hidden, target, rng=rng)

    def encode(self, symbols: np.ndarray, lengths: np.ndarray) -> State:
        """Return the context of texts (T, B) of the given lengths: h and c, (1, B, H) each."""
        return self.encoder(self.read(symbols), lengths=lengths)[1]

    def step(self, symbols: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """Return the next symbol's log-probabilities (B, V) after the last ones (B,), and the state."""
        y, state = self.decoder(self.wrote(symbols[None]), state)
        return kernels.log_softmax(self.output(y[0])), state

    def forward(
        self, symbols: np.ndarray, lengths: np.ndarray, before: np.ndarray
    ) -> tuple[np.ndarray, Any]:
        """Return the logits (U·B, V) after each of the right symbols `before` (U, B), and the cache."""
        x, read = self.read.forward(symbols)
        (_, context), encoder = self.encoder.forward(x, lengths=lengths)
        x, wrote = self.wrote.forward(before)
        (y, _), decoder = self.decoder.forward(x, context)
        logits, output = self.output.forward(y.reshape(-1, y.shape[2]))
        return logits, (read, encoder, wrote, decoder, output, y.shape)

    def backward(self, dy: np.ndarray, cache: Any) -> None:
        """Add every parameter's gradient; the decoder's reaches the encoder by the context alone."""
        read, encoder, wrote, decoder, output, shape = cache
        dx, context = self.decoder.backward(
            self.output.backward(dy, output).reshape(shape), decoder
        )
        self.wrote.backward(dx, wrote)
        dx, _ = self.encoder.backward(None, encoder, dstate=context)
        self.read.backward(dx, read)

    def translate(
        self,
        symbols: np.ndarray,
        lengths: np.ndarray,
        *,
        start: int,
        end: int,
        limit: int,
        width: int = 1,
    ) -> list[list[decoding.Hypothesis]]:
        """Return up to `width` translations of each text, likeliest first; greedily where `width` is 1."""
        training = self.training
        self.eval()  # weights are packed once for all the steps
        try:
            state, rows = self.encode(symbols, lengths), symbols.shape[1]
            options = {"start": start, "end": end, "limit": limit}
            if width == 1:
                return [[each] for each in decoding.greedy(self.step, state, rows, **options)]
            return decoding.beam(self.step, state, rows, width=width, **options)
        finally:
            self.train(training)
