"""Convolution as a matrix product whose column matrix is never made.

    forward   y[m, p]  = Σ_t w[m, t] · x at (t, p)       m: a filter, t = (c, r, s), p = (n, oh, ow)
    dx        dx[c, p] = Σ_t w[t, c] · dy at (t, p)      t = (k, r, s), p = (n, ih, iw): the same kernel
    dw        dw[m, t] = Σ_p dy[m, p] · x at (t, p)

Shapes and FLOPs are `naive`'s. The CPU's `im2col` writes what stands at (t, p), a matrix R·S times as large as x, panel
by panel; here a block gathers the tile of it that it needs next from x itself, into registers and then shared memory,
while it multiplies the one before. What this changes against `shared`, counted in the compiled code (float32, a tile of
128 × 128): 64 multiply-adds for 4 loads of 16 bytes from shared memory, 512 for 5 loads from memory and one barrier; 8 KB
of x and w are fetched for 131,072 multiply-adds. The only scratch are the weights, repacked so that a tile of
them is read 16 bytes at a time, and the sums of dw's parts. No GPU has timed it yet.

- `blocks`: tiles, slices, and which are taken; `loads`: what is read piece by piece
- `product`: the kernel of forward and dx; `forward`: their launches, and dx's phases; `pack`: the weights
- `dw`: the kernel over positions, and its parts
- `needs`: scratch, cost, what is refused

No atomics: each sum has one order, which hangs on shapes alone. A tap that falls outside of x is a zero that is
multiplied, as in the CPU's `im2col` and `direct`: a NaN or an infinity of w (of dy, for dw) reaches the outputs whose
window holds it on padding too. One of x, or of dy for dx, reaches just those that read it. Filters, channels and
positions past the end of a tile are zeros in both factors, or sums that are not written.

Sources: S. Chetlur et al., "cuDNN: Efficient Primitives for Deep Learning", 2014, section 3 (the product without the
matrix); NVIDIA's CUTLASS, "Implicit GEMM Convolution".
"""

from kernels.conv.cuda.implicit_gemm.dw import dw
from kernels.conv.cuda.implicit_gemm.forward import conv2d, dx
from kernels.conv.cuda.implicit_gemm.needs import refuses, scratch

__all__ = ["conv2d", "dw", "dx", "refuses", "scratch"]
