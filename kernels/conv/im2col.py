"""Rung 4: convolution lowered to matrix products.

`parallel` loads and stores an output for every multiply. Here the windows of the input become the
columns of a matrix, so that the whole convolution is the product

    y[n, k, p] = Σ_t w[k, t] · col[t, p],    t = (c, r, s), p = (oh, ow)

and gemm's `panel_product`, with its eight multiplies a visit, does the arithmetic. The matrix is R·S
times as large as the input, so it is never written down whole: a panel of it (BK taps × BN outputs)
is made in cache, used, and overwritten by the next. The gradients are the same product transposed:
dw = dy · colᵀ, and dcol = wᵀ · dy, whose entries are added back to where they were read ("col2im").

Measured on a Zen 5, float32 (the README's table): 126 GFLOP/s on two cores for 8×64×56×56 → 64,
3×3, 3.8 times `parallel`; dx 3.6 times, dw 4.3 times. On depthwise problems there is one row of w for
each matrix, nothing to use again, and `parallel` stays ahead.

Source: Chellapilla, Puri and Simard, "High Performance Convolutional Neural Networks for Document
Processing", IWFHR 2006, section 3.
"""

from numba import prange

from kernels.core import jit
from kernels.core.windows import interval
from kernels.gemm.blocked import BK, BM, BN, panel_product

PARTS = 64  # workers at most, each with scratch of its own
REDUCTIONS = (
    8  # pieces at most that the sum over images is cut into, where dw is too small to share
)
PANELS = BM * BK + BK * BN


def parts(problem, direction):
    """Workers, each with its own scratch: a number that does not depend on the threads."""
    p = problem
    if direction == "forward":
        strips = -(-p.oh * p.ow // BN)
        return max(1, min(PARTS, p.n * p.groups * strips))
    if direction == "dx":
        return max(1, min(PARTS, p.n * p.groups * blocks_of_channels(p.c // p.groups, p.r, p.s)))
    return max(1, min(REDUCTIONS, p.n))


def blocks_of_channels(channels, r, s):
    """Pieces that the channels of a group are cut into for dx, about BM taps each."""
    return -(-channels // max(1, BM // (r * s)))


def scratch(problem, direction):
    """Elements of scratch: the panels of each worker, and what it sums into."""
    p = problem
    if direction == "forward":
        own = PANELS
    elif direction == "dx":
        own = dx_own(p.r, p.s)
    else:
        own = PANELS + p.k * p.taps
    return parts(problem, direction) * own


def dx_own(r, s):
    """Scratch of one worker of dx: a panel of wᵀ, one of dy, and the product."""
    rows = max(BM, r * s)
    return rows * BK + BK * BN + rows * BN


@jit.fast
def copy(source, target):
    """target = source, as a plain loop: NumPy's assignment brings its shape errors' code along."""
    for i in range(target.shape[0]):
        target[i] = source[i]


@jit.fast
def zero(target):
    """target = 0."""
    for i in range(target.shape[0]):
        target[i] = 0


@jit.fast
def column_row(x_plane, r, s, p0, count, width, stride, padding, dilation, row):
    """row[p − p0] = what tap (r, s) reads at output p, zero on padding, for `count` outputs."""
    offset = s * dilation[1] - padding[1]
    low, high = interval(width, x_plane.shape[1], stride[1], offset)
    done = 0
    while done < count:
        oh = (p0 + done) // width
        start = (p0 + done) % width
        stop = min(width, start + count - done)
        piece = row[done : done + stop - start]
        ih = oh * stride[0] - padding[0] + r * dilation[0]
        if ih < 0 or ih >= x_plane.shape[0]:
            zero(piece)
        else:
            first, last = min(max(start, low), stop), max(min(stop, high), start)
            last = max(first, last)
            zero(piece[: first - start])
            inner = piece[first - start : last - start]
            x_row = x_plane[ih]
            begin = first * stride[1] + offset
            if stride[1] == 1:
                copy(x_row[begin : begin + inner.shape[0]], inner)
            else:
                for i in range(inner.shape[0]):
                    inner[i] = x_row[begin + i * stride[1]]
            zero(piece[last - start :])
        done += stop - start


@jit.fast
def y_strip(x, w, b, unit, stride, padding, dilation, groups, relu, y, panels):
    """Fill the strip of y numbered `unit`: BN outputs of one image and group, all its filters."""
    pixels = y.shape[2] * y.shape[3]
    strips = (pixels + BN - 1) // BN
    n = unit // strips // groups
    g = unit // strips % groups
    p0 = unit % strips * BN
    count = min(BN, pixels - p0)
    filters = w.shape[0] // groups
    area = w.shape[2] * w.shape[3]
    taps = w.shape[1] * area
    flat_w = w.reshape(w.size)
    flat_y = y.reshape(y.size)
    pa = panels[: BM * BK]
    pb = panels[BM * BK :]
    for k in range(g * filters, (g + 1) * filters):
        start = (n * w.shape[0] + k) * pixels + p0
        row = flat_y[start : start + count]
        for p in range(count):
            row[p] = b[k]
    for t0 in range(0, taps, BK):
        depth = min(BK, taps - t0)
        for t in range(depth):
            c = g * w.shape[1] + (t0 + t) // area
            r = (t0 + t) % area // w.shape[3]
            s = (t0 + t) % w.shape[3]
            row = pb[t * count : (t + 1) * count]
            column_row(x[n, c], r, s, p0, count, y.shape[3], stride, padding, dilation, row)
        for k0 in range(g * filters, (g + 1) * filters, BM):
            rows = min(BM, (g + 1) * filters - k0)
            for k in range(rows):
                from_w = (k0 + k) * taps + t0
                copy(flat_w[from_w : from_w + depth], pa[k * depth : (k + 1) * depth])
            start = (n * w.shape[0] + k0) * pixels + p0
            panel_product(pa, pb, rows, count, depth, flat_y, start, pixels)
    if relu:
        for k in range(g * filters, (g + 1) * filters):
            start = (n * w.shape[0] + k) * pixels + p0
            row = flat_y[start : start + count]
            for p in range(count):
                row[p] = row.dtype.type(0) if row[p] < 0 else row[p]


@jit.fast
def y_share(x, w, b, part, count, stride, padding, dilation, groups, relu, y, panels):
    """Fill every `count`-th strip from `part` on."""
    strips = y.shape[0] * groups * ((y.shape[2] * y.shape[3] + BN - 1) // BN)
    for unit in range(part, strips, count):
        y_strip(x, w, b, unit, stride, padding, dilation, groups, relu, y, panels)


@jit.parallel
def conv2d(x, w, b, stride, padding, dilation, groups, relu, y, scratch):
    """Fill y, its strips over threads; `scratch` holds `PANELS` elements a part."""
    count = scratch.size // PANELS
    for part in prange(count):
        panels = scratch[part * PANELS : (part + 1) * PANELS]
        y_share(x, w, b, part, count, stride, padding, dilation, groups, relu, y, panels)


@jit.fast
def add_column_row(row, r, s, p0, width, stride, padding, dilation, dx_plane):
    """Add row[p − p0] to the element of dx that tap (r, s) read at output p: col2im."""
    offset = s * dilation[1] - padding[1]
    low, high = interval(width, dx_plane.shape[1], stride[1], offset)
    done = 0
    while done < row.shape[0]:
        oh = (p0 + done) // width
        start = (p0 + done) % width
        stop = min(width, start + row.shape[0] - done)
        ih = oh * stride[0] - padding[0] + r * dilation[0]
        first, last = max(start, low), min(stop, high)
        if 0 <= ih < dx_plane.shape[0] and first < last:
            values = row[done + first - start : done + last - start]
            begin = first * stride[1] + offset
            dx_row = dx_plane[ih]
            if stride[1] == 1:
                target = dx_row[begin : begin + values.shape[0]]
                for i in range(values.shape[0]):
                    target[i] += values[i]
            else:
                for i in range(values.shape[0]):
                    dx_row[begin + i * stride[1]] += values[i]
        done += stop - start


@jit.fast
def dx_block(dy, w, unit, stride, padding, dilation, groups, dx, own):
    """Fill dx for the block of channels numbered `unit`, one image's."""
    channels = w.shape[1]
    area = w.shape[2] * w.shape[3]
    step = max(1, BM // area)
    blocks = (channels + step - 1) // step
    n = unit // blocks // groups
    g = unit // blocks % groups
    c0 = unit % blocks * step
    rows = min(step, channels - c0) * area
    filters = w.shape[0] // groups
    pixels = dy.shape[2] * dy.shape[3]
    most = max(BM, area)
    pa = own[: most * BK]
    pb = own[most * BK : most * BK + BK * BN]
    product = own[most * BK + BK * BN :]
    flat_dy = dy.reshape(dy.size)
    flat_w = w.reshape(w.size)
    for c in range(rows // area):
        for ih in range(dx.shape[2]):
            zero(dx[n, g * channels + c0 + c, ih])
    for p0 in range(0, pixels, BN):
        count = min(BN, pixels - p0)
        zero(product[: rows * count])
        for k0 in range(0, filters, BK):
            depth = min(BK, filters - k0)
            for k in range(depth):
                filter_start = ((g * filters + k0 + k) * channels + c0) * area
                for t in range(rows):
                    pa[t * depth + k] = flat_w[filter_start + t]
                start = (n * w.shape[0] + g * filters + k0 + k) * pixels + p0
                copy(flat_dy[start : start + count], pb[k * count : (k + 1) * count])
            panel_product(pa, pb, rows, count, depth, product, 0, count)
        for t in range(rows):
            row = product[t * count : (t + 1) * count]
            plane = dx[n, g * channels + c0 + t // area]
            r, s = t % area // w.shape[3], t % w.shape[3]
            add_column_row(row, r, s, p0, dy.shape[3], stride, padding, dilation, plane)


@jit.fast
def dx_share(dy, w, part, count, stride, padding, dilation, groups, dx, own):
    """Fill every `count`-th block of channels from `part` on."""
    step = max(1, BM // (w.shape[2] * w.shape[3]))
    blocks = dx.shape[0] * groups * ((w.shape[1] + step - 1) // step)
    for unit in range(part, blocks, count):
        dx_block(dy, w, unit, stride, padding, dilation, groups, dx, own)


@jit.parallel
def dx(dy, w, stride, padding, dilation, groups, dx, scratch):
    """Fill dx, its blocks of channels over threads."""
    most = max(BM, w.shape[2] * w.shape[3])
    own = most * BK + BK * BN + most * BN
    count = scratch.size // own
    for part in prange(count):
        mine = scratch[part * own : (part + 1) * own]
        dx_share(dy, w, part, count, stride, padding, dilation, groups, dx, mine)


@jit.fast
def dw_image(dy, x, n, stride, padding, dilation, groups, shape, own):
    """Add image n's share to the sum that stands behind the panels in `own`."""
    filters = shape[0] // groups
    area = shape[2] * shape[3]
    taps = shape[1] * area
    pixels = dy.shape[2] * dy.shape[3]
    flat_dy = dy.reshape(dy.size)
    pa = own[: BM * BK]
    pb = own[BM * BK : PANELS]
    total = own[PANELS:]
    for g in range(groups):
        for t0 in range(0, taps, BK):
            columns = min(BK, taps - t0)
            for p0 in range(0, pixels, BN):
                count = min(BN, pixels - p0)
                line = pa[:count]
                for t in range(columns):  # colᵀ: a tap's outputs go down a column of the panel
                    c = g * shape[1] + (t0 + t) // area
                    r, s = (t0 + t) % area // shape[3], (t0 + t) % shape[3]
                    column_row(
                        x[n, c], r, s, p0, count, dy.shape[3], stride, padding, dilation, line
                    )
                    for p in range(count):
                        pb[p * columns + t] = line[p]
                for k0 in range(g * filters, (g + 1) * filters, BM):
                    rows = min(BM, (g + 1) * filters - k0)
                    for k in range(rows):
                        start = (n * shape[0] + k0 + k) * pixels + p0
                        copy(flat_dy[start : start + count], pa[k * count : (k + 1) * count])
                    panel_product(pa, pb, rows, columns, count, total, k0 * taps + t0, taps)


@jit.fast
def dw_share(dy, x, part, count, stride, padding, dilation, groups, shape, own):
    """Sum the images part, part + count, … in that order."""
    zero(own[PANELS:])
    for n in range(part, dy.shape[0], count):
        dw_image(dy, x, n, stride, padding, dilation, groups, shape, own)


@jit.fast
def dw_total(scratch, count, own, dw):
    """Add the parts' sums in their order."""
    flat = dw.reshape(dw.size)
    zero(flat)
    for part in range(count):
        sums = scratch[part * own + PANELS : (part + 1) * own]
        for i in range(flat.shape[0]):
            flat[i] += sums[i]


@jit.parallel
def dw(dy, x, stride, padding, dilation, groups, dw, scratch):
    """Fill dw: images in at most `REDUCTIONS` parts over threads, the parts added in order."""
    own = PANELS + dw.size
    count = scratch.size // own
    for part in prange(count):
        mine = scratch[part * own : (part + 1) * own]
        dw_share(dy, x, part, count, stride, padding, dilation, groups, dw.shape, mine)
    dw_total(scratch, count, own, dw)
