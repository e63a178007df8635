"""The tile: a few filters × some neighbouring outputs, all channels and taps summed in registers.

    y[n, k, f] = b[k] + Σ_t w[k, t] · x[f + offsets[t]],    t = (c, r, s), f an output's number in a band

`parallel` loads and stores an output for every multiply. Here ROWS × COLUMNS of them are summed in small
arrays on the stack (`kernels.core.stack`) over all t, as gemm's `register` sums a tile of C, and leave
once. One inner loop of constant length serves the four rows: each x that is loaded is used four times. A
step of float32 with AVX-512 is 2 loads of x, 4 broadcasts of w and 8 fused multiply-adds; no sum is
loaded or stored.

A filter that is left over, or has a group of its own, has no neighbours to share x with, so it takes
ROWS · COLUMNS outputs: as many sums under way, a load for each multiply-add. (COLUMNS alone would be two
sums; and the compiler unrolls so short a loop before it has made vectors of it: twelve times slower.)

One core of a Zen 5, float32, x in the second cache: 215 GFLOP/s; a lone filter 108.

Source: Georganas et al., "Anatomy of High-Performance Deep Learning Convolutions on SIMD Architectures",
SC 2018, section II.
"""

from kernels.core import jit, stack

ROWS = 4  # filters of a tile: written out below
COLUMNS = 32  # neighbouring outputs
LONE = ROWS * COLUMNS  # those of a filter by itself


@jit.fast
def tile(w, k, x, first, offsets, bias, relu, sums):
    """Fill sums (ROWS, COLUMNS): filters from k on, outputs from `first` on."""
    taps = offsets.shape[0]
    w0, w1 = w[k * taps : (k + 1) * taps], w[(k + 1) * taps : (k + 2) * taps]
    w2, w3 = w[(k + 2) * taps : (k + 3) * taps], w[(k + 3) * taps : (k + 4) * taps]
    sums0 = stack.empty(COLUMNS, x)
    sums1 = stack.empty(COLUMNS, x)
    sums2 = stack.empty(COLUMNS, x)
    sums3 = stack.empty(COLUMNS, x)
    for j in range(COLUMNS):
        sums0[j] = bias[k]
        sums1[j] = bias[k + 1]
        sums2[j] = bias[k + 2]
        sums3[j] = bias[k + 3]
    for t in range(taps):
        row = x[first + offsets[t] : first + offsets[t] + COLUMNS]
        left0, left1, left2, left3 = w0[t], w1[t], w2[t], w3[t]
        for j in range(COLUMNS):
            sums0[j] += left0 * row[j]
            sums1[j] += left1 * row[j]
            sums2[j] += left2 * row[j]
            sums3[j] += left3 * row[j]
    zero = x.dtype.type(0)
    for j in range(COLUMNS):
        sums[j] = zero if relu and sums0[j] < 0 else sums0[j]
        sums[COLUMNS + j] = zero if relu and sums1[j] < 0 else sums1[j]
        sums[2 * COLUMNS + j] = zero if relu and sums2[j] < 0 else sums2[j]
        sums[3 * COLUMNS + j] = zero if relu and sums3[j] < 0 else sums3[j]


@jit.fast
def lone(w, k, x, first, offsets, bias, relu, sums):
    """Fill sums (LONE,): filter k, outputs from `first` on."""
    own = stack.empty(LONE, x)
    for j in range(LONE):
        own[j] = bias[k]
    weights = w[k * offsets.shape[0] : (k + 1) * offsets.shape[0]]
    for t in range(offsets.shape[0]):
        row = x[first + offsets[t] : first + offsets[t] + LONE]
        left = weights[t]
        for j in range(LONE):
            own[j] += left * row[j]
    zero = x.dtype.type(0)
    for j in range(LONE):
        sums[j] = zero if relu and own[j] < 0 else own[j]
