"""What a problem needs: scratch, steps; and what is refused."""

from kernels.conv.cuda.implicit_gemm.dw import cut
from kernels.conv.cuda.implicit_gemm.forward import choice, phases
from kernels.conv.cuda.implicit_gemm.pack import width
from kernels.core.cuda import choices

PHASES = 256  # of dx with strides, a launch each, at most: beyond, hardly any tap meets a position


def refuses(problem, direction):
    """Refuse what only tensor cores take, and what its integers do not count."""
    p = problem
    if p.itemsize < 4:
        return choices.halves(p, direction)
    if p.n * max(p.h * p.w, p.oh * p.ow) >= 2**31 - 128:
        return "it counts the positions of all images in 31 bits"
    count = min(p.stride[0], p.h) * min(p.stride[1], p.w)
    if direction == "dx" and count > PHASES:
        return f"it launches each of {count:,} phases of the stride, and takes at most {PHASES}"
    return None


def _dw(p):
    positions = p.n * p.oh * p.ow
    filters, channels = p.k // p.groups, p.c // p.groups
    return cut(filters, channels, p.r * p.s, p.groups, positions, p.h * p.w, p.itemsize)


def scratch(problem, direction):
    """Elements: the repacked weights, or the sums of dw's parts."""
    p = problem
    if direction == "dw":
        parts = _dw(p)[2]
        return 0 if parts == 1 else parts * p.k * p.taps
    rows, terms = p.k // p.groups, p.c // p.groups
    if direction == "dx":
        rows, terms = terms, rows
    return p.groups * p.r * p.s * terms * width(rows)


def work(problem, direction):
    """Return what `costs` weighs: steps on all multiprocessors, of so many FLOPs each, and launches."""
    p = problem
    filters, channels = p.k // p.groups, p.c // p.groups
    if direction == "dw":
        parts, taken = _dw(p)[2], _dw(p)[4]
        return taken, 1 + (parts > 1)
    if direction == "forward":
        found = choice(filters, channels, p.groups, p.n * p.oh * p.ow, p.r * p.s, "few", p.itemsize)
        return found[3], 2
    downs = phases(p.h, p.r, p.stride[0], p.padding[0][0], p.dilation[0])
    acrosses = phases(p.w, p.s, p.stride[1], p.padding[1][0], p.dilation[1])
    gather = "few" if len(downs) == len(acrosses) == 1 else "taps"
    taken = 0.0
    for down in downs:
        for across in acrosses:
            positions, taps = p.n * down.outputs * across.outputs, down.taps * across.taps
            taken += choice(channels, filters, p.groups, positions, taps, gather, p.itemsize)[3]
    return taken, 1 + len(downs) * len(acrosses)
