"""One element a thread, summed in float32: for groups so small that a tile would be nearly all zeros.

The formulas are those of `kernels.conv.naive`, each product of two elements widened first. A depthwise layer has 2·R·S
FLOPs for each element that it reads and writes, and waits for memory whatever multiplies.
"""

import numpy as np

from kernels.core.cuda.compiler import cuda
from kernels.core.cuda.launch import each, kernel
from kernels.core.cuda.operations import narrow, widen

THREADS, LANES = 256, 32


def _planes(x, w, b, stride, padding, dilation, groups, relu, y):
    """Give a row of blocks to each plane of y."""
    return y.shape[0] * y.shape[1], min(-(-y.shape[2] * y.shape[3] // THREADS), 65535)


@kernel(THREADS, _planes)
def conv2d(x, w, b, stride, padding, dilation, groups, relu, y):
    """Fill y, one output a thread at a time."""
    # divisions of 32 bits are no calls, around which registers would be saved
    plane, wide = np.uint32(cuda.blockIdx.x), np.uint32(y.shape[3])
    n = np.int64(plane // np.uint32(y.shape[1]))
    k = np.int64(cuda.blockIdx.x) - n * y.shape[1]
    first = np.int64(np.uint32(k) // np.uint32(w.shape[0] // groups)) * w.shape[1]
    start, step = cuda.blockIdx.y * THREADS + cuda.threadIdx.x, cuda.gridDim.y * THREADS
    for place in range(start, y.shape[2] * y.shape[3], step):
        oh = np.int64(np.uint32(place) // wide)
        ow = place - oh * y.shape[3]
        total = np.float32(0)
        for c in range(w.shape[1]):
            for r in range(w.shape[2]):
                ih = oh * stride[0] - padding[0] + r * dilation[0]
                for s in range(w.shape[3]):
                    iw = ow * stride[1] - padding[1] + s * dilation[1]
                    if 0 <= ih < x.shape[2] and 0 <= iw < x.shape[3]:
                        total += widen(x[n, first + c, ih, iw]) * widen(w[k, c, r, s])
        total += widen(b[k])
        if relu and total < 0:
            total = np.float32(0)
        y[n, k, oh, ow] = narrow(total, y)


@kernel(THREADS, lambda *args: each(args[-1], THREADS))
def dx(dy, w, stride, padding, dilation, groups, dx):
    """Fill dx, one element of the data a thread."""
    t = cuda.grid(1)
    if t < dx.size:
        rest, iw = divmod(t, dx.shape[3])
        rest, ih = divmod(rest, dx.shape[2])
        n, c = divmod(rest, dx.shape[1])
        group, c = divmod(c, w.shape[1])
        filters = w.shape[0] // groups
        total = np.float32(0)
        for r in range(w.shape[2]):
            oh, left = divmod(ih + padding[0] - r * dilation[0], stride[0])
            if left == 0 and 0 <= oh < dy.shape[2]:
                for s in range(w.shape[3]):
                    ow, left = divmod(iw + padding[1] - s * dilation[1], stride[1])
                    if left == 0 and 0 <= ow < dy.shape[3]:
                        for k in range(group * filters, (group + 1) * filters):
                            total += widen(dy[n, k, oh, ow]) * widen(w[k, c, r, s])
        dx[n, group * w.shape[1] + c, ih, iw] = narrow(total, dx)


@kernel(LANES, lambda dy, x, stride, padding, dilation, groups, dw: (dw.size,))
def dw(dy, x, stride, padding, dilation, groups, dw):
    """Fill dw, one weight a warp: each thread sums every 32nd position, and the sums meet in pairs."""
    sums = cuda.shared.array(LANES, np.float32)
    t = cuda.threadIdx.x
    rest, s = divmod(cuda.blockIdx.x, dw.shape[3])
    rest, r = divmod(rest, dw.shape[2])
    k, c = divmod(rest, dw.shape[1])
    channel = k // (dw.shape[0] // groups) * dw.shape[1] + c
    total = np.float32(0)
    for place in range(t, dy.shape[0] * dy.shape[2] * dy.shape[3], LANES):
        rest, ow = divmod(place, dy.shape[3])
        n, oh = divmod(rest, dy.shape[2])
        ih = oh * stride[0] - padding[0] + r * dilation[0]
        iw = ow * stride[1] - padding[1] + s * dilation[1]
        if 0 <= ih < x.shape[2] and 0 <= iw < x.shape[3]:
            total += widen(dy[n, k, oh, ow]) * widen(x[n, channel, ih, iw])
    sums[t] = total
    cuda.syncthreads()
    step = LANES // 2
    while step:
        if t < step:
            sums[t] += sums[t + step]
        cuda.syncthreads()
        step //= 2
    if t == 0:
        dw[k, c, r, s] = narrow(sums[0], dw)
