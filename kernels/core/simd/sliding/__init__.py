"""Sliding windows: vectors along a row of an image, sums for several rows of outputs in registers.

A row of the image is read once. Each of the R taps above one another belongs to another row of outputs, so R
rows of sums are under way; when a row has been added the oldest is complete, leaves, and the others move
up. Weights are vectors whose lanes are all equal, one for each tap, and stay in registers as well.

Where the window hangs over the image's left or right end, lanes are left out: *lanes* is an integer with a
bit for each lane, and one that is not wanted is read as zero and touches no memory. Where windows move by
two, the even and the odd columns are taken apart as they are read.

As in `tile`, each operation is a plain function that says in NumPy what is meant; `lowering` says what
stands for it in compiled code.
"""

from kernels.core.simd.sliding import lowering as lowering
from kernels.core.simd.sliding.operations import (
    ask,
    at_least,
    bare,
    lanes_for,
    part,
    product_row,
    put_all,
    put_vector_at,
    roll,
    row_of_one,
    rows_in,
    spread_row,
    sums_for,
    take_row,
    taps,
    vector_at,
    zeros,
)

__all__ = [
    "ask",
    "at_least",
    "bare",
    "lanes_for",
    "part",
    "product_row",
    "put_all",
    "put_vector_at",
    "roll",
    "row_of_one",
    "rows_in",
    "spread_row",
    "sums_for",
    "take_row",
    "taps",
    "vector_at",
    "zeros",
]
