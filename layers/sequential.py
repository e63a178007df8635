"""Layers one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, overload

import numpy as np

from layers.layer import Layer


class Sequential(Layer):
    """Apply layers in order. Indexing gives a layer, a slice a Sequential of the same layers.

    Parameters
    ----------
    *layers : Layer
        Named "0", "1", … in `state_dict`.
    """

    def __init__(self, *layers: Layer) -> None:
        for i, layer in enumerate(layers):
            if not isinstance(layer, Layer):
                raise TypeError(f"layers[{i}]: expected a Layer, got {layer!r}")
        self._layers = list(layers)

    def __call__(self, x: Any) -> np.ndarray:
        """Return the last layer's output."""
        for layer in self._layers:
            x = layer(x)
        return x

    def forward(self, x: Any) -> tuple[np.ndarray, Any]:
        """Return the last layer's output, and the list of all layers' caches."""
        caches = []
        for layer in self._layers:
            x, cache = layer.forward(x)
            caches.append(cache)
        return x, caches

    def backward(self, dy: Any, cache: Any) -> np.ndarray:
        """Return the first layer's dx."""
        for layer, each in self._reversed(cache):
            dy = layer.backward(dy, each)
        return dy

    def backward_parameters(self, dy: Any, cache: Any) -> None:
        """Add the parameters' gradients; below the first layer that has some nothing is computed."""
        first = next((i for i, each in enumerate(self._layers) if each.parameters()), len(self))
        pairs = self._reversed(cache)
        for layer, each in pairs[: len(self) - first - 1]:
            dy = layer.backward(dy, each)
        if first < len(self):
            layer, each = pairs[len(self) - first - 1]
            layer.backward_parameters(dy, each)

    def _reversed(self, cache: Any) -> list[tuple[Layer, Any]]:
        if len(cache) != len(self._layers):
            raise ValueError(f"cache: expected {len(self._layers)} of them, got {len(cache)}")
        return list(zip(reversed(self._layers), reversed(cache)))

    def children(self) -> Iterator[tuple[str, Layer]]:
        """Yield the layers with their numbers as names."""
        for i, layer in enumerate(self._layers):
            yield str(i), layer

    @overload
    def __getitem__(self, index: int) -> Layer: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> Layer:
        """Return one layer, or a Sequential of some."""
        if isinstance(index, slice):
            return Sequential(*self._layers[index])
        return self._layers[index]

    def __len__(self) -> int:
        return len(self._layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self._layers)
