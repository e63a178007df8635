"""Explicit vectors and register tiles.

A core multiplies and adds whole vectors, two of them in each cycle, and the answer of one comes four
cycles later: so at least eight sums must be under way, or the unit waits. And each sum should find its
operands in registers, for a load feeds one vector where the unit wants four. A *register tile* settles
both: a block of C, ROWS × VECTORS vectors of sums, that stays in registers while k runs,

    for k:   C[i, v] += A[i, k] · B[k, v]        ROWS · VECTORS multiply-adds for ROWS + VECTORS loads

Of 32 registers of AVX-512, 24 hold sums (8 × 3), three hold B's row, and A's elements are broadcast as
they are read. Of AVX2's 16, twelve hold sums (4 × 3), and one is left for A.

Each operation is a plain Python function on NumPy arrays, which says what is meant and runs where Numba
is switched off; in compiled code the same name stands for the vectors.

Source: Van Zee and van de Geijn, "BLIS: A Framework for Rapidly Instantiating BLAS Functionality", ACM
TOMS 41(3), 2015, sections 4 and 5.
"""

from kernels.core.simd.tile import (
    columns,
    load,
    load_part,
    multiply_add,
    prefetch,
    relu,
    rows_of,
    store,
    store_part,
    zero,
)
from kernels.core.simd.width import BITS, ROWS, VECTORS, columns_of

__all__ = [
    "BITS",
    "ROWS",
    "VECTORS",
    "columns",
    "columns_of",
    "load",
    "load_part",
    "multiply_add",
    "prefetch",
    "relu",
    "rows_of",
    "store",
    "store_part",
    "zero",
]
