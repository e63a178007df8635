"""Rung 0: the formula, one thread an element.

    y[n, k, oh, ow] = b[k] + Σ_c Σ_r Σ_s x[n, c, oh·stride + r·dilation − pad, …] · w[k, c, r, s]

x (N, C, H, W), w (K, C/groups, R, S), y (N, K, OH, OW); 2·N·K·OH·OW·C/groups·R·S FLOPs. The functions of one element
are the CPU's own (`kernels.conv.naive`), compiled for the device: only who computes which element is new. There
loops visit them in turn; here thread t computes element t and none other, in whatever order the device takes the
blocks. They gather, so no two threads write one address, and the bits are the same each time.

Neighbouring threads compute neighbouring outputs of a row: with stride 1 they read neighbouring x (one transaction
for a warp) and the same w (a broadcast). Yet each multiply-add asks memory for both of its factors, 8 bytes for 2
FLOPs, with a test and an address of its own: the caches and the units for integers are what this waits for. dw and
db have few elements and long sums: most of the device idles.
"""

from kernels.conv import naive
from kernels.core.cuda.compiler import cuda, device
from kernels.core.cuda.launch import each, kernel

THREADS = 256

y_point, dx_point, dw_point = map(device, (naive.y_point, naive.dx_point, naive.dw_point))


@kernel(THREADS, lambda *args: each(args[-1], THREADS))
def conv2d(x, w, b, stride, padding, dilation, groups, relu, y):
    """Fill y, one output a thread."""
    t = cuda.grid(1)
    if t < y.size:
        rest, ow = t // y.shape[3], t % y.shape[3]
        rest, oh = rest // y.shape[2], rest % y.shape[2]
        n, k = rest // y.shape[1], rest % y.shape[1]
        value = b[k] + y_point(x, w, n, k, oh, ow, stride, padding, dilation, groups)
        y[n, k, oh, ow] = y.dtype.type(0) if relu and value < 0 else value


@kernel(THREADS, lambda *args: each(args[-1], THREADS))
def dx(dy, w, stride, padding, dilation, groups, dx):
    """Fill dx, one element of the data a thread."""
    t = cuda.grid(1)
    if t < dx.size:
        rest, iw = t // dx.shape[3], t % dx.shape[3]
        rest, ih = rest // dx.shape[2], rest % dx.shape[2]
        n, c = rest // dx.shape[1], rest % dx.shape[1]
        dx[n, c, ih, iw] = dx_point(dy, w, n, c, ih, iw, stride, padding, dilation, groups)


@kernel(THREADS, lambda *args: each(args[-1], THREADS))
def dw(dy, x, stride, padding, dilation, groups, dw):
    """Fill dw, one weight a thread."""
    t = cuda.grid(1)
    if t < dw.size:
        channels = dw.shape[1]
        rest, s = t // dw.shape[3], t % dw.shape[3]
        rest, r = rest // dw.shape[2], rest % dw.shape[2]
        k, c = rest // channels, rest % channels
        dw[k, c, r, s] = dw_point(dy, x, k, c, r, s, channels, stride, padding, dilation, groups)


@kernel(THREADS, lambda *args: each(args[-1], THREADS))
def db(dy, db):
    """db[k] = Σ dy[:, k, :, :], one k a thread."""
    k = cuda.grid(1)
    if k < db.size:
        total = dy.dtype.type(0)
        for n in range(dy.shape[0]):
            for oh in range(dy.shape[2]):
                for ow in range(dy.shape[3]):
                    total += dy[n, k, oh, ow]
        db[k] = total
