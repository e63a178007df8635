"""The protocol that every layer keeps, and how weights go in and out by name.

    y, cache = layer.forward(x)        training: the cache is yours to hand back
    dx = layer.backward(dy, cache)     adds into each parameter's .grad
    y = layer(x)                       inference: nothing is kept

Recurrent layers return and take state beside y, and its gradient beside dx (`layers.stacked`).

A layer has no state between calls but its parameters and buffers (batch norm's running statistics, which its
`forward` moves in training), so that one layer may be applied many times before its backwards, shared
between models, or called from several threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from kernels.core import checks
from layers.buffer import Buffer
from layers.parameter import Parameter


class Keys(NamedTuple):
    """What `load_state_dict` did not find, and what it did not know."""

    missing: list[str]
    unexpected: list[str]


class Layer:
    """Base of all layers. A layer of your own defines `forward` and `backward`.

    Attributes that are a `Parameter`, a `Buffer` or a `Layer` are found by name, in the order in which they
    were set.

    Attributes
    ----------
    training : bool
        Whether `forward` does what only training wants (dropout, a batch's own statistics); `train` and `eval` set it. A plain
        call never does.
    """

    training: bool = True

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """Return the output, and the cache that `backward` needs."""
        raise NotImplementedError

    def backward(self, dy: Any, cache: Any) -> Any:
        """Add each parameter's gradient into its .grad, and return the input's."""
        raise NotImplementedError

    def backward_parameters(self, dy: Any, cache: Any) -> None:
        """Add the parameters' gradients alone: for the layer that data enters by, whose dx nobody wants."""
        self.backward(dy, cache)

    def __call__(self, x: Any) -> np.ndarray:
        """Return the output; nothing is kept.

        This default is `forward` without its cache: a layer of your own that holds a Dropout or a
        BatchNorm defines its call too, out of plain calls.
        """
        return self.forward(x)[0]

    def children(self) -> Iterator[tuple[str, Layer]]:
        """Yield the layers directly inside this one, by name."""
        for name, value in vars(self).items():
            if isinstance(value, Layer):
                yield name, value

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """Yield every parameter with its full name, as ``0.weight``; a shared one under each of its names."""
        for name, value in vars(self).items():
            if isinstance(value, Parameter):
                yield prefix + name, value
        for name, child in self.children():
            yield from child.named_parameters(f"{prefix}{name}.")

    def named_state(self, prefix: str = "") -> Iterator[tuple[str, Parameter | Buffer]]:
        """Yield what `state_dict` holds, in PyTorch's order: a layer's parameters, its buffers, its children's."""
        for kind in (Parameter, Buffer):
            for name, value in vars(self).items():
                if isinstance(value, kind):
                    yield prefix + name, value
        for name, child in self.children():
            yield from child.named_state(f"{prefix}{name}.")

    def parameters(self) -> list[Parameter]:
        """Return every parameter once."""
        return list({id(each): each for _, each in self.named_parameters()}.values())

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters():
            parameter.zero_grad()

    def train(self, mode: bool = True) -> Layer:
        """Set `training` here and in all layers inside; return this layer.

        After ``eval()``, layers keep their weights packed from one plain call to the next, and those arrays
        are read-only; ``train()`` makes them writable again, as do optimisers and `load_state_dict`.
        """
        self.training = checks.flag("mode", mode)
        for value in vars(self).values():
            if isinstance(value, Parameter) and mode:
                value.writable()
        for _, child in self.children():
            child.train(mode)
        return self

    def eval(self) -> Layer:
        """Make `forward` compute what a plain call does: ``train(False)``."""
        return self.train(False)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return a copy of every parameter and buffer under PyTorch's key for it."""
        return {name: each.data.copy() for name, each in self.named_state()}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> Keys:
        """Copy weights in by name; nothing changes unless everything fits.

        Parameters
        ----------
        state : mapping of name to array
            float32 or float64, rounded to the parameter's dtype (integers for a buffer of integers);
            PyTorch's tensors on the CPU will do.
        strict : bool
            Whether every parameter and buffer must be there, and nothing else.

        Returns
        -------
        Keys
            Named tuple of the keys that were missing, and unexpected.

        Raises
        ------
        TypeError, ValueError
            If `state` is no mapping, the keys differ (where strict), or an array does not fit.
        """
        arrays, keys = self.fit_state(state, strict)
        for each, array in arrays:
            each.writable()[...] = array
        return keys

    def fit_state(
        self, state: Mapping[str, Any], strict: bool = True
    ) -> tuple[list[tuple[Parameter | Buffer, np.ndarray]], Keys]:
        """Validate what `load_state_dict` would do, and pair each parameter and buffer with its array."""
        if not isinstance(state, Mapping):
            raise TypeError(
                f"state: expected a mapping of names to arrays, got {type(state).__name__}"
            )
        mine = dict(self.named_state())
        keys = Keys([k for k in mine if k not in state], [k for k in state if k not in mine])
        if strict and (keys.missing or keys.unexpected):
            raise ValueError(
                f"state: expected the keys {list(mine)}; missing {keys.missing}, "
                f"unexpected {keys.unexpected}"
            )
        pairs = [
            (each, each.fit(f"state[{name!r}]", state[name]))
            for name, each in mine.items()
            if name in state
        ]
        return pairs, keys

    def __repr__(self) -> str:
        lines = [
            f"  ({name}): " + repr(each).replace("\n", "\n  ") for name, each in self.children()
        ]
        inside = "\n" + "\n".join(lines) + "\n" if lines else self._options()
        return f"{type(self).__name__}({inside})"

    def _options(self) -> str:
        """Return the constructor's arguments, for `repr`."""
        return ""


def dtype_of(value: Any) -> np.dtype:
    """Return `value` as float32 or float64's dtype, else TypeError."""
    try:
        dtype = np.dtype(value).newbyteorder("=")
    except TypeError:
        raise TypeError(f"dtype: expected float32 or float64, got {value!r}") from None
    if dtype not in checks.FLOATS:
        raise TypeError(f"dtype: expected float32 or float64, got {dtype}")
    return dtype


def generator(rng: Any) -> np.random.Generator:
    """Return a random generator from a seed, a generator (which goes on), or None (unpredictable)."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError):
        raise TypeError(
            f"rng: expected a seed, a numpy.random.Generator or None, got {rng!r}"
        ) from None
