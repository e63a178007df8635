"""Register tiles over the images themselves, with no column matrix.

`im2col` writes every element of x once for each tap that reads it. A tile needs no such matrix: ROWS outputs
× COLUMNS filters are fed, term after term, by one element of x for each output, broadcast, and one row of
packed weights. Broadcasts come from anywhere, so only three things are seen to first:

- *Padding* is written down: a band of x (some rows of an image, or some images) is copied into the second
  cache with its zeros around it; then tap (r, s) of an output lies a fixed distance behind its first, whatever
  stride and dilation are. See `band`.
- *Channels* are laid side by side in that copy, 16 to a pixel, turned round in registers on the way: a pixel
  is a cache line, and a tile's inner loop runs along it. See `tiles`.
- *Outputs* leave the tile turned round as well: a filter's outputs are neighbours in memory.

The gradient of the data is the same walk over dy: dx[ih] gathers dy[(ih + pad − r·d) / u] over the taps that
divide, and for the rows ih = a + u·q of one phase these are fixed taps. The gradient of the weights sums over
positions; see `dw`.

Measured on a Zen 5, float32 (the README's table): 8×64×56×56 → 64, 3×3: 3.6 times `im2col` forward, 3.8 for
dx, 7.2 for dw; one core runs at 250 of the 270 GFLOP/s that its units can do. An earlier design laid vectors
along outputs: no transposition, but rows of 7 or 14 outputs left up to a third of a vector empty, and it ran at
half of this there.

Weights are packed in panels of COLUMNS filters (channels for dx): each call, or once with `kernels.pack`.

Source: Georganas et al., "Anatomy of High-Performance Deep Learning Convolutions on SIMD Architectures", SC
2018; Zhang, Franchetti and Low, "High Performance Zero-Memory Overhead Direct Convolutions", ICML 2018.
"""

from kernels.conv.direct.dw import dw
from kernels.conv.direct.dx import dx
from kernels.conv.direct.dx import pack as pack_dx
from kernels.conv.direct.forward import conv2d
from kernels.conv.direct.forward import pack as pack_forward
from kernels.conv.direct.scratch import packed, scratch

__all__ = ["conv2d", "dw", "dx", "pack_dx", "pack_forward", "packed", "scratch"]
