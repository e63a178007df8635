"""How much room each direction needs."""

from kernels.conv.direct.band import band, extent, room
from kernels.conv.direct.dw import scratch as dw_scratch
from kernels.conv.direct.dx import dx_reach
from kernels.core import simd, threads


def packed(problem, direction):
    """Elements that the weights take, packed into panels."""
    p = problem
    width = simd.columns_of(p.dtype)
    filters, channels = p.k // p.groups, p.c // p.groups
    outs, sums = (filters, channels) if direction == "forward" else (channels, filters)
    return p.groups * -(-outs // width) * width * sums * p.r * p.s


def scratch(problem, direction):
    """Elements of scratch: a band and a tile for each thread."""
    p = problem
    width = simd.columns_of(p.dtype)
    filters, channels = p.k // p.groups, p.c // p.groups
    if direction == "dw":
        return dw_scratch(p, direction)
    if direction == "forward":
        sums, lines, more = channels, p.oh, p.stride[0]
        wide = extent(p.ow, p.s, p.stride[1], p.dilation[1])
        behind = extent(1, p.r, p.stride[0], p.dilation[0])
    else:
        sums, lines, more = filters, -(-p.h // p.stride[0]), 1
        _, behind = dx_reach(p.r, p.stride[0], p.dilation[0], p.padding[0][0])
        _, reach = dx_reach(p.s, p.stride[1], p.dilation[1], p.padding[1][0])
        wide = -(-p.w // p.stride[1]) + reach - 1
    images, rows = band(p.n, lines, sums, wide, behind, more)
    return threads.most(), room(images, sums, behind + (rows - 1) * more, wide, width)
