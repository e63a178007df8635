"""How much room each direction needs."""

from kernels.conv.direct.dw import dw_axis
from kernels.conv.direct.dx import dx_axis
from kernels.conv.direct.forward import forward_axis
from kernels.conv.direct.tiles import ROWS, SHARES
from kernels.core import simd


def scratch(problem, direction):
    """Elements of scratch: what is packed, the copy of the images, and a tile for each worker."""
    p = problem
    width = simd.columns_of(p.dtype)
    c, k = p.c // p.groups, p.k // p.groups
    if direction == "forward":
        (a, high), (b, wide) = (
            forward_axis(o, r, u, d)
            for o, r, u, d in zip((p.oh, p.ow), (p.r, p.s), p.stride, p.dilation)
        )
        copy = p.c * a * b * high * wide
        rows, depth = k, c * p.r * p.s
    elif direction == "dw":
        high, wide = (
            dw_axis(o, r, u, d)
            for o, r, u, d in zip((p.oh, p.ow), (p.r, p.s), p.stride, p.dilation)
        )
        panels = p.groups * -(-k // ROWS) * ROWS
        return panels * (p.n * p.oh * p.ow + p.taps) + p.n * p.c * high * wide + width
    else:
        (_, high), (_, wide) = (
            dx_axis(n, r, u, d, pad[0])
            for n, r, u, d, pad in zip((p.h, p.w), (p.r, p.s), p.stride, p.dilation, p.padding)
        )
        copy = p.k * high * wide
        rows, depth = c, k * p.r * p.s
    packed = p.groups * -(-rows // ROWS) * ROWS * depth
    return packed + p.n * copy + width + SHARES * ROWS * width
