"""Explicit vectors and register tiles.

A core multiplies and adds whole vectors, two of them in each cycle, and the answer of one comes four
cycles later: so at least eight sums must be under way, or the unit waits. And each sum should find its
operands in registers, for a load feeds one vector where the unit wants four. A *register tile* settles
both: a block of C, ROWS × VECTORS vectors of sums, that stays in registers while k runs,

    for k:   C[i, v] += A[i, k] · B[k, v]        ROWS · VECTORS multiply-adds for ROWS + VECTORS loads

Of 32 registers of AVX-512, 16 hold sums (8 × 2), two hold B's row, and A's elements are broadcast as they
are read. Of AVX2's 16, twelve hold sums (6 × 2), and one is left for A. NEON has 32 again (8 × 2).

A's elements may lie side by side (packed), evenly apart, or at ROWS places of their own: a convolution's
tile takes the pixels of any ROWS outputs. Where the tile's rows are what lies side by side in memory, it is
turned round in registers on its way out, by perfect shuffles.

Each operation is a plain Python function on NumPy arrays, which says what is meant and runs where Numba
is switched off; in compiled code the same name stands for the vectors.

Source: Van Zee and van de Geijn, "BLIS: A Framework for Rapidly Instantiating BLAS Functionality", ACM
TOMS 41(3), 2015, sections 4 and 5.
"""

from kernels.core.simd.elementwise import (
    absolute,
    any_of,
    constant,
    copysign,
    fma,
    maximum,
    minimum,
    rint,
    select,
    sqrt,
    unordered,
)
from kernels.core.simd.tile import (
    alike,
    columns,
    load,
    load_part,
    multiply_add,
    multiply_add_at,
    places_of,
    prefetch,
    relu,
    row_of,
    rows_of,
    store,
    store_columns,
    store_columns_part,
    store_part,
    zero,
    zero_of,
)
from kernels.core.simd.vector import (
    deinterleave,
    interleave,
    lanes,
    largest_of,
    numbers,
    put_integers,
    put_vector,
    put_vector_apart,
    put_vector_between,
    put_vector_part,
    shifted,
    splat,
    sum_of,
    transpose,
    vector,
    vector_apart,
    vector_between,
    vector_part,
)
from kernels.core.simd.width import BITS, QUAD_ROWS, ROWS, VECTORS, columns_of, lanes_of

__all__ = [
    "BITS",
    "QUAD_ROWS",
    "ROWS",
    "VECTORS",
    "absolute",
    "alike",
    "any_of",
    "columns",
    "columns_of",
    "constant",
    "copysign",
    "deinterleave",
    "fma",
    "interleave",
    "lanes",
    "lanes_of",
    "largest_of",
    "load",
    "load_part",
    "maximum",
    "minimum",
    "multiply_add",
    "multiply_add_at",
    "numbers",
    "places_of",
    "prefetch",
    "put_integers",
    "put_vector",
    "put_vector_apart",
    "put_vector_between",
    "put_vector_part",
    "relu",
    "rint",
    "row_of",
    "rows_of",
    "select",
    "shifted",
    "splat",
    "sqrt",
    "store",
    "store_columns",
    "store_columns_part",
    "store_part",
    "sum_of",
    "transpose",
    "unordered",
    "vector",
    "vector_apart",
    "vector_between",
    "vector_part",
    "zero",
    "zero_of",
]
