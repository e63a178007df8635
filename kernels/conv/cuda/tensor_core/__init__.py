"""Rung: implicit GEMM in tiles that a warp multiplies at once, on its tensor core.

    y[n, k, oh, ow] = b[k] + Σ_{r, s} Σ_c w[k, c, r, s] · x[n, c, oh·stride + r·dilation − pad, …]

x (N, C, H, W), w (K, C/groups, R, S), y (N, K, OH, OW), of float16, bfloat16, or float32 read as TF32; sums in float32.
2·N·K·OH·OW·C/groups·R·S FLOPs in each direction, in whole tiles and whole steps of 64 bytes a row. For a tile of 128
filters × 128 positions a step reads 8 KB of packed weights and 8 KB of the image for 128 · 128 · 32 multiply-adds of
16-bit elements: 64 FLOPs a byte.

Against the product out of registers the inner loop changes hands: one `mma` does 2048 multiply-adds (1024 of TF32) for a
warp, out of fragments that `ldmatrix` loads, 4 of them for 1.5 loads. What is left to do between two products is to
bring the next operands, and this folder is about that: positions lie side by side in memory and channels far apart, but
a tensor core wants the summed index inside. So weights are packed once a call (`weights`), images on their way through
registers (`loads`, `product`, `dw`), and both wait in rows of 64 bytes in which no access meets another in a bank
(`tile`). dx is a product of the same form: with strides, one for each phase (`walk`). Groups so small that less than a
thirty-second of a tile would be used are summed by one thread an element (`points`).

Taps in the padding, channels and positions beyond the last are zeros in B, and in A too where the tile invents them;
so a NaN in x or dy reaches the outputs whose windows it lies in, and no others. One in w (for dw: in dy) reaches all
outputs of its filter, those whose tap lies in the padding as well: 0 · NaN, as in the reference; `points` skips those.

TF32 keeps 10 of 23 bits of each factor, so float32 comes here only when asked to: ``algorithm="tensor_core"`` or
``kernels.precision("tf32")``. No GPU has timed this rung yet.

Sources: S. Chetlur et al., "cuDNN: Efficient Primitives for Deep Learning", 2014, section 3 (a product whose matrix is
made on the fly); PTX ISA 8.7, "Warp-level matrix instructions" and "cp.async"; the README's derivation of the gradients.
"""

from kernels.conv.cuda.tensor_core.run import conv2d, cost, dw, dx, growth, refuses, scratch

__all__ = ["conv2d", "cost", "dw", "dx", "growth", "refuses", "scratch"]
