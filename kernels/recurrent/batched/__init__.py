"""Rung 1: one matmul for all inputs, one for each step.

    Z = X·W_ihᵀ + b        all steps at once: rows·D·G·H multiply-adds, at a large product's speed
    for each step:         z = Z[step] + h·W_hhᵀ, then the gates of all batch rows in vectors

`naive` reads every weight again for every batch row of every step; a product reads it once for all rows of a step, and
once for all steps where it meets the inputs, which do not wait for each other. The products are those of
`kernels.gemm`, on as many threads as they use; a step begins when the last has ended, on all threads, so that each
waits for the slowest, and the weights come from the shared cache again at every step: what the rung above avoids.

Where lengths differ, rows take part longest first, and each step has as many rows as there are sequences that long.
Backward is the same walk from the end, dh = dz·W_hh after each step; see `kernels.recurrent.naive` for the formulas.
"""
