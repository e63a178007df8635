"""How recurrent layers over sequences are stacked, in one direction or both, and what goes in and out.

    y, state = layer(x, state)                              inference
    (y, state), cache = layer.forward(x, state)             training
    dx, dstate = layer.backward(dy, cache, dstate)          of the last state in, of the first state out

State stands beside y on the way in and on the way out, and so do the gradients: an encoder hands its last state
to a decoder, and takes from the decoder's `backward` what that state's gradient is.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np

import kernels
from kernels.core import checks
from layers.gated import Gated, State
from layers.layer import dtype_of, generator


class RecurrentCache(NamedTuple):
    """What a recurrent layer's `backward` needs.

    Attributes
    ----------
    caches : list
        The kernel's, of each direction of each layer.
    offsets : list
        The stream of the dropout before each layer; None where there was none.
    batched : bool
    shape : tuple of int
        Of y.
    states : list of tuple of int
        The states' shapes.
    """

    caches: list[Any]
    offsets: list[int | None]
    batched: bool
    shape: tuple[int, ...]
    states: list[tuple[int, ...]]


class Recurrent(Gated):
    """Base of RNN, LSTM and GRU: how layers and directions are stacked."""

    def _build(
        self,
        num_layers: Any,
        batch_first: Any,
        dropout: Any,
        bidirectional: Any,
        dtype: Any,
        rng: Any,
    ) -> None:
        self.num_layers = checks.integer("num_layers", num_layers, 1)
        self.batch_first = checks.flag("batch_first", batch_first)
        self.dropout = checks.real("dropout", dropout, 0, 1)
        self.bidirectional = checks.flag("bidirectional", bidirectional)
        dtype, rng = dtype_of(dtype), generator(rng)
        wide = (self.proj_size or self.hidden_size) * (2 if bidirectional else 1)
        for layer in range(self.num_layers):
            for place in self._places(layer):
                self._draw(place, wide if layer else self.input_size, rng, dtype)
        self.seed = int(rng.integers(0, 2**63))
        self._offsets = itertools.count()  # next() is atomic: threads never share a stream

    def _places(self, layer: int) -> tuple[str, ...]:
        """How the names of a layer's parameters end, for each direction."""
        return (f"_l{layer}", f"_l{layer}_reverse") if self.bidirectional else (f"_l{layer}",)

    def __call__(self, x: Any, state: Any = None, lengths: Any = None) -> Any:
        """Return y and the last state; nothing is kept, nothing dropped out.

        Parameters
        ----------
        x : array (T, B, input_size), or (B, T, input_size) where `batch_first`, or (T, input_size) without a batch
        state : h, or (h, c) of an LSTM, optional
            The state before the first step, (num_layers·directions, B, hidden_size), layer by layer and forward
            before backward; h has proj_size features where there is a projection. Without a batch, no B. Zeros
            where not given.
        lengths : integers (B,), optional
            Steps of each row, from 0 to T: past them y is zero, the state stands still, and the backward
            direction begins at them.

        Returns
        -------
        y : numpy.ndarray (T, B, directions·features), or (B, T, …)
            The last layer's outputs, forward before backward.
        state
            The state after each row's last step, as `state`.
        """
        y, state, _ = self._walk(x, state, lengths, False)
        return y, state

    def forward(self, x: Any, state: Any = None, lengths: Any = None) -> Any:
        """Return (y, state) as a call does, and the cache that `backward` takes. In training, with dropout.

        y and the state may be views of what the cache holds: change neither before the gradient is taken.
        """
        y, state, cache = self._walk(x, state, lengths, True)
        return (y, state), cache

    def backward(self, dy: Any, cache: Any, dstate: Any = None) -> Any:
        """Add the parameters' gradients, return dx and the gradient of the first state.

        Parameters
        ----------
        dy : array of y's shape, or None
            None where only the last state was used.
        cache : RecurrentCache
        dstate : as state, optional
            Gradient of the last state, beside what y brings. Of (dh, dc) one may be None.

        Returns
        -------
        dx : numpy.ndarray
        dstate : as state
            Gradient of the first state, whether or not one was given.
        """
        return self._back(dy, cache, dstate, True)

    def backward_parameters(self, dy: Any, cache: Any, dstate: Any = None) -> None:
        """Add the parameters' gradients; dx of the first layer is not computed."""
        self._back(dy, cache, dstate, False)

    def _walk(self, x: Any, state: Any, lengths: Any, keep: bool) -> tuple[Any, Any, Any]:
        y, batched = self._enter(x, lengths)
        shapes = self._shapes(y.shape[1], batched)
        given = self._each("state", state, shapes)
        lasts: list[State] = []
        caches: list[Any] = []
        offsets: list[int | None] = [None] * self.num_layers
        for layer in range(self.num_layers):
            if layer and keep and self.training and self.dropout:
                offsets[layer] = offset = next(self._offsets)
                y = kernels.dropout(y, self.dropout, seed=self.seed, offset=offset)
            parts = []
            for place in self._places(layer):
                first = _at(given, len(lasts), batched)
                reverse = place.endswith("reverse")
                part, last, cache = self._run(
                    place, y, first, keep, lengths=lengths, reverse=reverse
                )
                parts.append(part)
                lasts.append(last)
                caches.append(cache)
            y = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)
        y = self._leave(y, batched)
        cache = RecurrentCache(caches, offsets, batched, y.shape, shapes) if keep else None
        return y, self._gather(lasts, shapes), cache

    def _back(self, dy: Any, cache: Any, dstate: Any, wants_dx: bool) -> Any:
        if not isinstance(cache, RecurrentCache):
            raise TypeError(f"cache: expected what forward returned, got {type(cache).__name__}")
        if dy is not None:
            dy = checks.array("dy", dy, None, self.dtype, cache.shape)
            dy = self._turned(dy, cache.batched)
        given = self._each("dstate", dstate, cache.states, gaps=True)
        firsts: list[State] = [()] * len(cache.caches)
        directions = 2 if self.bidirectional else 1
        for layer in reversed(range(self.num_layers)):
            below = None
            for direction, place in enumerate(self._places(layer)):
                each = layer * directions + direction
                wide = None if dy is None else dy.shape[2] // directions
                mine = None if wide is None else dy[..., direction * wide : (direction + 1) * wide]
                last = _at(given, each, cache.batched)
                dx, firsts[each] = self._pull(
                    place, mine, cache.caches[each], last, wants_dx or layer > 0
                )
                if below is None:
                    below = dx
                elif dx is not None:
                    below += dx
            dy = below
            offset = cache.offsets[layer]
            if offset is not None:
                dy = kernels.dropout_backward(dy, self.dropout, seed=self.seed, offset=offset)
        dx = self._leave(dy, cache.batched) if wants_dx else None
        return dx, self._gather(firsts, cache.states)

    def _enter(self, x: Any, lengths: Any) -> tuple[np.ndarray, bool]:
        """Return x as (T, B, input_size), and whether it had a batch."""
        dims = getattr(x, "ndim", 3)
        if dims not in (2, 3):
            raise ValueError(f"x: expected 2 or 3 dimensions, got {dims} (shape {x.shape})")
        batch = (0 if self.batch_first else 1,) if dims == 3 else ()
        x = checks.array("x", x, None, self.dtype, empty_axes=batch)
        if x.shape[-1] != self.input_size:
            raise ValueError(f"x: expected {self.input_size} features, got shape {x.shape}")
        if dims == 2 and lengths is not None:
            raise ValueError("lengths: expected None, for x has no batch")
        return self._turned(x, dims == 3), dims == 3

    def _turned(self, x: np.ndarray, batched: bool) -> np.ndarray:
        """(T, B, ·) from what comes in."""
        if not batched:
            return x[:, None]
        return x.swapaxes(0, 1) if self.batch_first else x

    def _leave(self, y: np.ndarray, batched: bool) -> np.ndarray:
        """What goes out from (T, B, ·)."""
        if not batched:
            return y[:, 0]
        return np.ascontiguousarray(y.swapaxes(0, 1)) if self.batch_first else y

    def _shapes(self, batch: int, batched: bool) -> list[tuple[int, ...]]:
        """Of each state, as the caller sees it."""
        lead = (self.num_layers * (2 if self.bidirectional else 1), *((batch,) if batched else ()))
        wide = (self.proj_size or self.hidden_size, self.hidden_size)
        return [(*lead, each) for each in wide[: len(self.STATES)]]

    def _gather(self, states: list[State], shapes: list[tuple[int, ...]]) -> Any:
        """The states of all directions of all layers, as the caller sees them."""
        arrays = (
            each[0][None] if len(states) == 1 else np.stack(each)
            for each in zip(*states, strict=True)
        )
        return self._spelt(tuple(each.reshape(shape) for each, shape in zip(arrays, shapes)))

    def _options(self) -> str:
        words = [str(self.input_size), str(self.hidden_size)]
        usual = {
            "nonlinearity": "tanh", "num_layers": 1, "bias": True, "batch_first": False,
            "dropout": 0.0, "bidirectional": False, "proj_size": 0,
        }  # fmt: skip
        mine = {**{key: getattr(self, key, None) for key in usual}, **self.options}
        words += [
            f"{key}={mine[key]!r}"
            for key, value in usual.items()
            if mine[key] is not None and mine[key] != value
        ]
        return ", ".join(words)


def _at(state: State | None, place: int, batched: bool) -> State | None:
    """One direction's part of a state, each (B, ·)."""
    if state is None:
        return None
    return tuple(
        None if each is None else each[place] if batched else each[place][None] for each in state
    )
