"""Weights packed once: the order in which a rung reads them, kept between calls."""

from __future__ import annotations

import importlib
import inspect
import threading
from collections.abc import Callable, Sequence
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
    arrays : tuple of numpy.ndarray
        The copies, read-only; `array` is the first.
    options : dict
        The options it is for.
    """

    def __init__(
        self, op: str, w: np.ndarray | Sequence[np.ndarray], options: dict[str, Any]
    ) -> None:
        self.op, self.options = op, options
        self.arrays = tuple(each.copy() for each in ((w,) if isinstance(w, np.ndarray) else w))
        for each in self.arrays:
            each.flags.writeable = False
        self._forms: dict[Any, np.ndarray] = {}
        self._lock = threading.Lock()

    @property
    def array(self) -> np.ndarray:
        """The weights, or the first of them."""
        return self.arrays[0]

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
        """Bytes held: the copies, and every form made so far."""
        return sum(each.nbytes for each in (*self.arrays, *self._forms.values()))

    def form(self, key: Any, make: Callable[[], np.ndarray]) -> np.ndarray:
        """Return the form under `key`, made by `make` the first time."""
        form = self._forms.get(key)
        if form is None:
            with self._lock:
                form = self._forms.get(key)
                if form is None:
                    form = self._forms[key] = make()
        return form

    def check(self, op: str, options: dict[str, Any], name: str = "w") -> None:
        """Raise ValueError if it is for another operation, or for other options; `name` is the argument."""
        if op != self.op:
            raise ValueError(f"{name}: expected weights packed for {op}, got some for {self.op}")
        if options != self.options:
            raise ValueError(f"{name}: packed for {self.options}, called with {options}")

    def __getstate__(self) -> dict[str, Any]:
        return {
            **vars(self),
            "_forms": {},
            "_lock": None,
        }  # forms are made anew, a lock is not copied

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=threading.Lock())
        for array in self.arrays:
            array.flags.writeable = False

    def __repr__(self) -> str:
        return f"Packed({self.op!r}, shape={self.shape}, dtype={self.dtype}, {self.options})"


def pack(op: str, w: Any, **options: Any) -> Packed:
    """Prepare weights for many calls of one operation.

    Parameters
    ----------
    op : {"conv2d", "lstm", "gru", "rnn"}
    w : array, or tuple of arrays
        As the operation takes it; it is copied. For a sequence (w_ih, w_hh), and w_proj third where an LSTM
        has one.
    **options
        Those of the operation that say how the weights are used: for conv2d `stride`, `padding`,
        `dilation`, `groups`. The calls must have the same. A sequence has none.

    Returns
    -------
    Packed
        To be given to the operation, or its backward, as `w`; to a sequence as `w_ih`, whose cache then
        holds it for the backward. The bits of the result are the same.

    Raises
    ------
    TypeError, ValueError
        If `op` cannot be packed for, or `w` or an option does not fit.
    """
    family = ladder.ladder(op).family
    packer = getattr(importlib.import_module(f"kernels.{family}.api"), f"pack_{op}", None)
    if packer is None:
        raise ValueError(
            f"op: expected 'conv2d', 'lstm', 'gru' or 'rnn', got {op!r}, whose weights need no packing"
        )
    known = set(inspect.signature(packer).parameters)
    for name in options:
        if name not in known:
            raise TypeError(f"{name}: not an option of packing for {op}")
    return packer(w, **options)
