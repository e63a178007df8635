"""Rung 4: register tiles over the images themselves, with no column matrix.

`im2col` writes every element of x once for each tap that reads it. A tile needs no such matrix: ROWS
filters × COLUMNS neighbouring outputs are fed, tap after tap, by COLUMNS neighbouring elements of x, and
those lie in a row of memory already, if two things are seen to first.

- *Padding* is written down: x is copied once into planes with its zeros around it. Then outputs are
  numbered along the padded rows, p = oh·WQ + ow, and tap (r, s) of output p reads element
  p + shift(r)·WQ + shift(s): one number added, whatever p is. A tile may run over the end of a row; the few
  outputs between the rows are computed and thrown away.
- *Stride* is taken apart: with stride u, tap r reads rows o·u + r·d = (o + ⌊r·d / u⌋)·u + (r·d mod u). So
  the copy sorts rows (and columns) by their remainder, and each tap reads one of these *phases* with
  stride one.

The gradient of the data is the same walk. dx[ih] gathers dy[(ih + pad − r·d) / u] over the taps that divide:
for the rows ih = a + u·q of one phase these are fixed taps, each at a fixed shift of q, over a padded dy.

The gradient of the weights sums over positions, so its vectors lie along taps and channels: see `dw`.

Measured on a Zen 5, float32, two cores (the README's table): 8×64×56×56 → 64, 3×3 at 392 GFLOP/s forward,
3.1 times `im2col`; dx 377, 3.2 times; dw 344, 5.9 times. 1×1 layers gain less, for there the copies weigh more
(2.2, 1.7 and 1.1 times); with few channels dx leaves most of a tile's rows empty, and `im2col` is ahead.

The weights are packed once a call, ROWS filters side by side for each tap (channels for dx).

Source: Zhang, Franchetti and Low, "High Performance Zero-Memory Overhead Direct Convolutions", ICML 2018;
Georganas et al., "Anatomy of High-Performance Deep Learning Convolutions on SIMD Architectures", SC 2018.
"""

from kernels.conv.direct.dw import dw
from kernels.conv.direct.dx import dx
from kernels.conv.direct.dx import pack as pack_dx
from kernels.conv.direct.forward import conv2d
from kernels.conv.direct.forward import pack as pack_forward
from kernels.conv.direct.scratch import packed, scratch

__all__ = ["conv2d", "dw", "dx", "pack_dx", "pack_forward", "packed", "scratch"]
