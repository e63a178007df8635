"""Rung 6, few channels: register tiles whose vectors lie along the outputs of a row.

    y[n, k, oh, ow] = b[k] + Σ_c Σ_r Σ_s x[n, c, oh·u + r·d − p, ow·u + s·d − p] · w[k, c, r, s]

x (N, C, H, W), w (K, C/groups, R, S), y (N, K, OH, OW); 2·N·K·OH·OW·C/groups·R·S FLOPs;
in dx (below) zeros are multiplied beside them.

`direct` lays its vectors along filters. For that x is turned round into pixels, the weights are packed, and each
tile is turned round on its way out; where the sum has 9 or 27 terms, all that costs more than the multiplies.
Here a tile is ROWS filters × COLUMNS neighbouring outputs of a row. Its vectors are neighbours in x, its
rows are rows of y, its weights are broadcast from w as it lies. What remains is a copy of x with its padding
written down (and its columns sorted by their remainder where the stride is not one), which is small: there are
few channels. Rows of less than COLUMNS outputs leave lanes empty; many channels make the copy outgrow the
cache.

The gradient of the data writes few channels: a tile of COLUMNS neighbours in a row of dx × (channel, row) pairs
of a block of its rows (see `dx`).

Measured on one thread of a Zen 5, float32: 32×1×28×28 → 32, 3×3 from 0.175 to 0.120 ms; 16×3×32×32 → 16, 3×3
from 0.299 to 0.082 ms; 8×3×224×224 → 64, 3×3 from 16.4 to 6.1 ms. With 147 terms (7×7 of 3 channels)
`direct` is ahead, 8.4 to 9.0 ms. dx: 8×3×224×224 from 64, 7×7, stride 2 from 118 to 16 ms; 32×1×28×28 from 32, 3×3 from 2.0 to 0.39 ms.

Source: Zhang, Franchetti and Low, "High Performance Zero-Memory Overhead Direct Convolutions", ICML 2018,
section 3, for the choice of the axis that vectors lie along.
"""

from kernels.conv.few.dx import dx, panels
from kernels.conv.few.dx import room as dx_room
from kernels.conv.few.forward import conv2d
from kernels.conv.few.forward import room as forward_room
from kernels.core import precision, threads

MOST = 16  # channels of a group

__all__ = ["conv2d", "dx", "panels", "refuses", "scratch"]


def refuses(problem, direction):
    """Why a problem cannot be done so, or None."""
    channels = problem.c // problem.groups
    if channels > MOST:
        return f"it is for few channels, up to {MOST} in a group, not {channels}"
    if direction == "dx" and precision.strict():
        return (
            "it multiplies by zeros, which spreads a NaN over its block, and precision is 'strict'"
        )
    return None


def scratch(problem, direction):
    """Elements of scratch: a band for each thread."""
    room = dx_room if direction == "dx" else forward_room
    return threads.most(), room(problem)
