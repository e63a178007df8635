"""Weights packed once: the order in which a rung reads them, kept between calls."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from kernels.core import ladder


class Packed:
    """What `pack` returns: weights that an operation takes in place of the array.

    It holds a copy, so a later change of the array does not reach it. Each rung's form of it is made when
    that rung first runs, and kept.

    Attributes
    ----------
    op : str
        The operation it is for.
    array : numpy.ndarray
        The copy, read-only.
    options : dict
        The options it is for.
    """

    def __init__(self, op: str, array: np.ndarray, options: dict[str, Any]) -> None:
        self.op, self.options = op, options
        self.array = array.copy()
        self.array.flags.writeable = False
        self._forms: dict[Any, np.ndarray] = {}
        self._lock = threading.Lock()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the weights."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the weights."""
        return self.array.dtype

    @property
    def nbytes(self) -> int:
        """Bytes held: the copy, and every form made so far."""
        return self.array.nbytes + sum(form.nbytes for form in self._forms.values())

    def form(self, key: Any, make: Callable[[], np.ndarray]) -> np.ndarray:
        """Return the form under `key`, made by `make` the first time."""
        form = self._forms.get(key)
        if form is None:
            with self._lock:
                form = self._forms.get(key)
                if form is None:
                    form = self._forms[key] = make()
        return form

    def check(self, op: str, options: dict[str, Any]) -> None:
        """Raise ValueError if it is for another operation, or for other options."""
        if op != self.op:
            raise ValueError(f"w: expected weights packed for {op}, got some for {self.op}")
        if options != self.options:
            raise ValueError(f"w: packed for {self.options}, called with {options}")

    def __repr__(self) -> str:
        return f"Packed({self.op!r}, shape={self.shape}, dtype={self.dtype}, {self.options})"


def pack(op: str, w: Any, **options: Any) -> Packed:
    """Prepare weights for many calls of one operation.

    Parameters
    ----------
    op : {"conv2d"}
    w : array
        As the operation takes it; it is copied.
    **options
        Those of the operation that say how the weights are used: for conv2d `stride`, `padding`,
        `dilation`, `groups`. The calls must have the same.

    Returns
    -------
    Packed
        To be given to the operation, or its backward, as `w`. The bits of the result are the same.

    Raises
    ------
    TypeError, ValueError
        If `op` cannot be packed for, or `w` or an option does not fit.
    """
    family = ladder.ladder(op).family
    packer = getattr(importlib.import_module(f"kernels.{family}.api"), f"pack_{op}", None)
    if packer is None:
        raise ValueError(f"op: expected 'conv2d', got {op!r}, whose weights need no packing")
    return packer(w, **options)
