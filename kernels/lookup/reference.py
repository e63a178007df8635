"""The oracle: NumPy only, float64, imports nothing of ours; (value, scale, terms) as elsewhere."""

import numpy as np


def embedding(indices, table, *, padding_idx=None):
    """table[indices]; `padding_idx` is a matter of the gradient."""
    value = np.asarray(table, np.float64)[np.asarray(indices)]
    return value, np.abs(value), 0


def embedding_dtable(dy, indices, num_embeddings, *, padding_idx=None):
    """Each row of dy added to the row that its index names; the padding row stays zero."""
    dy = np.asarray(dy, np.float64)
    width, flat = dy.shape[-1], np.asarray(indices).reshape(-1)
    value, scale = np.zeros((2, num_embeddings, width))
    np.add.at(value, flat, dy.reshape(-1, width))
    np.add.at(scale, flat, np.abs(dy.reshape(-1, width)))
    if padding_idx is not None:
        value[padding_idx] = scale[padding_idx] = 0
    return value, scale, int(np.bincount(flat, minlength=1).max()) if flat.size else 0
