"""Front door of the family: embedding and the gradient of its table."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.core import checks, targets
from kernels.core.ladder import Job
from kernels.lookup.ladder import EMBEDDING
from kernels.lookup.problem import EmbeddingProblem


def embedding(
    indices: Any,
    table: Any,
    *,
    padding_idx: int | None = None,
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Look up rows of a table: ``table[indices]``.

    Parameters
    ----------
    indices : integer array of any shape
        From 0 to V − 1.
    table : array (V, D), float32 or float64
    padding_idx : int, optional
        From −V to V − 1. Here it changes nothing: the row is read as it is. In the gradient that row is zero.
    algorithm : str
        A rung of ``kernels.ladder("embedding")``, or "auto".
    out : numpy.ndarray, optional
        Where to write: exact shape and dtype, C-contiguous, no memory shared with an input.

    Returns
    -------
    numpy.ndarray
        Of shape (\\*indices.shape, D), the table's dtype: N·D moves, N indices.

    Raises
    ------
    TypeError, ValueError
        If the indices are no integers or one of them names no row (the message has the first such, and its
        place), or another argument does not fit.
    """
    table = checks.array("table", table, 2, empty_axes=())
    rows, width = table.shape
    indices = _indices(indices, rows)
    _padding(padding_idx, rows)
    flat = indices.reshape(-1)
    problem = EmbeddingProblem(flat.size, rows, width, table.dtype)
    job = Job("forward", problem, (flat, table), (*indices.shape, width), (flat.size, width))
    return EMBEDDING.compute(job, algorithm=algorithm, out=out)


def embedding_backward(
    dy: Any,
    indices: Any,
    num_embeddings: int,
    *,
    padding_idx: int | None = None,
    algorithm: str = "auto",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Gradient of `embedding` with respect to the table, dense.

    Parameters
    ----------
    dy : array (\\*indices.shape, D), float32 or float64
        Gradient of the loss with respect to the output.
    indices : integer array
        The forward's.
    num_embeddings : int
        V, the rows of the table.
    padding_idx : int, optional
        The forward's.
    algorithm, out
        As `embedding`.

    Returns
    -------
    numpy.ndarray (V, D)
        dy's dtype. Row v is the sum of the rows of dy whose index is v, in their order at any number of
        threads; zero where there is none, and in row `padding_idx`. N·D additions; scratch: N + V
        elements.

    Raises
    ------
    TypeError, ValueError
        As `embedding`.
    """
    rows = checks.integer("num_embeddings", num_embeddings, 1)
    indices = _indices(indices, rows)
    padding = _padding(padding_idx, rows)
    dy = targets.to_numpy("dy", dy)
    if dy.ndim != indices.ndim + 1 or dy.shape[:-1] != indices.shape:
        raise ValueError(
            f"dy: expected shape {(*indices.shape, 'D')}, got {dy.shape}".replace("'", "")
        )
    dy = checks.array("dy", dy, empty_axes=tuple(range(indices.ndim)))
    width = dy.shape[-1]
    problem = EmbeddingProblem(indices.size, rows, width, dy.dtype)
    args = (dy.reshape(indices.size, width), indices.reshape(-1), np.int64(padding))
    job = Job("dtable", problem, args, (rows, width))
    return EMBEDDING.compute(job, algorithm=algorithm, out=out)


def _indices(value: Any, rows: int) -> np.ndarray:
    """Return the indices as int64, each of a row that there is."""
    indices = checks.index_array("indices", value)
    if indices.size and _unsigned(indices).max() >= rows:
        place = tuple(map(int, np.argwhere((indices < 0) | (indices >= rows))[0]))
        raise ValueError(f"indices: expected 0 to {rows - 1}, got {indices[place]} at {place}")
    return indices.astype(np.int64, copy=False)


def _unsigned(x: np.ndarray) -> np.ndarray:
    """The same bits without a sign: what was negative is larger than any row's number."""
    return x.view(x.dtype.str.replace("i", "u"))


def _padding(value: int | None, rows: int) -> int:
    """Return the number of the padding row, −1 where there is none."""
    if value is None:
        return -1
    number = checks.integer("padding_idx", value)
    if not -rows <= number < rows:
        raise ValueError(f"padding_idx: expected {-rows} to {rows - 1}, got {number}")
    return number % rows
