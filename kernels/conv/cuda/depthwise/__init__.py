"""A channel a group: strips of a column, with rows, sums and filter in registers, and no barrier.

    y[n, k, oh, ow] = b[k] + Σ_r Σ_s w[k, r, s] · x[n, c, oh·stride + r·dilation − pad, …],    c = k / (K/C)

x (N, C, H, W), w (K, 1, R, S), y (N, K, OH, OW), K a multiple of C; 2·N·K·OH·OW·R·S FLOPs. At 3×3 that is 2.3 for
each byte that x and y must move: memory bounds it, if only the instructions beside the multiply-adds are few. `naive`
makes two loads, an address, a test and a turn of a loop for each.

Here a thread computes 7 or 14 neighbouring outputs of a column, next to the neighbours of a warp, so each load is of
neighbouring addresses. The filter is read once into registers. A row of x is read S times (a column further each
time, from the first cache) and serves all of the R rows of y that it meets: for 3×3 and 14 rows 48 loads of x for 126
multiply-adds. The loads of a few rows are started before the first is used. All indices of registers are constants,
so a kernel is compiled for each size of filter, stride and dilation, when it is first met; larger filters than 49
taps go through in pieces.

`dx` gathers the same way over dy: with a stride, the rows and columns of dy that meet a tap are known from the
position's remainder, and no multiply is by a zero between them. In `dw` a block sums all taps of a filter; threads take
strips of y whose taps all lie inside x's width, and test tap by tap at the edges; their sums are added in shared memory
in a fixed order, then those of at most 8 blocks. A tap on padding is left out, as in `naive`: a NaN reaches
those elements that read it.

No GPU has timed it yet. Compiled for compute capability 9.0, the text of the forward has 86 instructions for each
output of a strip at 3×3 with stride 1 (9 of them multiply-adds), 115 at 5×5, 191 at 7×7.

Source: P. Zhang, E. Lo and B. Lu, "High Performance Depthwise and Pointwise Convolutions on Mobile Devices", AAAI 2020
(rows reused in registers).
"""

from kernels.conv.cuda.depthwise.dw import dw
from kernels.conv.cuda.depthwise.dx import dx
from kernels.conv.cuda.depthwise.forward import conv2d
from kernels.conv.cuda.depthwise.strip import refuses, scratch

__all__ = ["conv2d", "dw", "dx", "refuses", "scratch"]
