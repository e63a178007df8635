"""Rung 1, shared memory: what a block's threads read alike is brought once for all of them.

    y[n, k, oh, ow] = b[k] + Σ_c Σ_r Σ_s x[n, c, oh·stride + r·dilation − pad, …] · w[k, c, r, s]

x (N, C, H, W), w (K, C/groups, R, S), y (N, K, OH, OW); 2·N·K·OH·OW·C/groups·R·S FLOPs.

In `naive` each multiply-add asks memory for both of its factors. Here a block makes a tile of outputs, 8 × 32 positions
of 16 filters or as many in another shape. What all of it reads of a few channels, the *patch* of x under the tile
with its halo and the 16 filters' weights, is copied to shared memory, a barrier lets all threads finish copying, and
then each thread sums 16 filters at its position in registers: one x and four vectors of four weights read from
shared memory for 16 multiply-adds, 5 loads instead of 32. From device memory a 3×3 tile takes 10·34 x and 16·9
weights for a channel, 484 loads for 36,864 multiply-adds: 76 to a load, where `naive` has a half.

`dx` is the same over dy, with the filter's taps taken backwards; where the stride leaves nothing of dy under a tap the
thread waits. In `dw` a thread owns a tap of a channel for 16 filters, and a block walks over pieces of rows of y; the
sum over images and rows is split into at most 8 parts where dw is small, and added in their order. `db` is a
tree. No atomics anywhere: the same bits each time. A tap on padding is left out, as in `naive`: a weight (or in
dw a gradient) that is NaN reaches the elements that read it alone.

Tile and patch must fit 48 KB: filters that reach too far are refused. No GPU has timed it yet.

Source: the blocking is that of "Programming Massively Parallel Processors" (Kirk and Hwu, 3rd edition, 2017,
chapters 4 and 7).
"""

from kernels.conv.cuda.shared.db import db
from kernels.conv.cuda.shared.dw import dw
from kernels.conv.cuda.shared.dx import dx
from kernels.conv.cuda.shared.forward import conv2d
from kernels.conv.cuda.shared.tiles import refuses, scratch

__all__ = ["conv2d", "db", "dw", "dx", "refuses", "scratch"]
