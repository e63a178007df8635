"""The plain cell over the units of one batch row."""

from kernels.core import jit, simd
from kernels.core.simd.bits import of
from kernels.recurrent.gates.formulas import (
    bounded,
    candidate,
    candidate_end,
    give,
    rectified,
    take,
    through_candidate,
)


@jit.inlined
def rnn_block(z, iz, clip, relu, h, ih, left):
    """One vector of units."""
    bound = simd.splat(clip, z)
    if relu:
        give(rectified(bounded(take(z, iz, left), bound)), h, ih, left)
    else:
        give(candidate(take(z, iz, left), bound), h, ih, left)


@jit.inlined
def rnn_row(z, iz, clip, relu, h, ih, count):
    """Fill h; it may be z."""
    step = simd.lanes(z)
    whole = count // step * step
    for u in range(0, whole, step):
        rnn_block(z, iz + u, clip, relu, h, ih + u, 0)
    if whole < count:
        rnn_block(z, iz + whole, clip, relu, h, ih + whole, count - whole)


@jit.inlined
def rnn_block_backward(dh, idh, h, ih, clip, end, relu, dz, iz, left):
    """One vector of units."""
    d, y = take(dh, idh, left), take(h, ih, left)
    if relu:
        zero = of(y, 0.0)
        give(simd.select(y <= zero, zero, simd.select(y >= clip, zero, d)), dz, iz, left)
    else:
        give(through_candidate(d, y, end), dz, iz, left)


@jit.inlined
def rnn_row_backward(dh, idh, h, ih, clip, relu, dz, iz, count):
    """Fill dz, which may be dh."""
    step = simd.lanes(dz)
    whole = count // step * step
    bound = simd.splat(clip, dz)
    end = candidate_end(bound)
    for u in range(0, whole, step):
        rnn_block_backward(dh, idh + u, h, ih + u, bound, end, relu, dz, iz + u, 0)
    if whole < count:
        u = whole
        rnn_block_backward(dh, idh + u, h, ih + u, bound, end, relu, dz, iz + u, count - whole)
