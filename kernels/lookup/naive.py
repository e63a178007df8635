"""Rung 0: the formulas, one element at a time.

    y[i, d] = table[indices[i], d]        dtable[v, d] = Σ dy[i, d] over all i with indices[i] = v

indices (N,), table (V, D), y (N, D). A look-up is a product with a matrix of zeros and ones, a one in
each row, that nobody writes down; its gradient is the transposed product, so a row that is named twice gathers
two rows of dy, in the order of i. The gradient of row `padding` is zero (−1: there is none). Nothing is
multiplied: N·D moves or additions, and what costs is bytes.

The caller has checked the indices: a compiled loop reads and writes wherever it is told.

Source: Bengio, Ducharme, Vincent and Jauvin, "A Neural Probabilistic Language Model", JMLR 3, 2003, section 2
(the matrix C).
"""

from kernels.core import jit


@jit.exact
def embedding(indices, table, y):
    """Fill y."""
    for i in range(y.shape[0]):
        for d in range(y.shape[1]):
            y[i, d] = table[indices[i], d]


@jit.exact
def embedding_dtable(dy, indices, padding, dtable):
    """Fill dtable."""
    dtable[:] = 0
    for i in range(dy.shape[0]):
        if indices[i] != padding:
            for d in range(dy.shape[1]):
                dtable[indices[i], d] += dy[i, d]
