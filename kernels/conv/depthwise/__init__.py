"""Rung 7, a channel a group: rows of x in vectors, rows of y in registers.

    y[n, k, oh, ow] = b[k] + Σ_r Σ_s w[k, r, s] · x[n, c, oh·u + r − p, ow·u + s − p],    c = k / (K/C)

x (N, C, H, W), w (K, 1, R, S), y (N, K, OH, OW), K a multiple of C; 2·N·K·OH·OW·R·S FLOPs.

With one channel there is no sum over channels for a matrix product to speed up, and few FLOPs for each byte: 2·R·S
for an x read and a y written. A 3×3 filter multiplies for about as long as memory takes to bring x and take y
away; so x must be read once, y written once, and nothing copied, packed or turned round. What is left to save are
loads: a row of x serves the R rows of y that hold it in their windows (`forward`), a row of dy the R rows of dx
(`dx`), and for dw R rows of dy wait in registers for the rows of x (`dw`).

Squares of 3, 5 and 7 taps, strides 1 and 2.

Measured on one thread of a Zen 4, float32, against the rung that was fastest before (the README has more): forward
and dx 5 times `register` at 3×3 on planes of 112×112, 4.3 at 5×5 on 28×28, 2.3 at 7×7 on 56×56, 10 at 3×3 on
14×14; with stride 2 6 times `few` and 8 times `register`; dw 7 to 28 times `parallel`. 5×5 multiplies at 95 % of
the units' rate; 3×3 on large planes takes 1.5 times as long as copying x to y.

Source: P. Zhang, E. Lo and B. Lu, "High Performance Depthwise and Pointwise Convolutions on Mobile Devices", AAAI
2020.
"""

from kernels.conv.depthwise.dw import dw
from kernels.conv.depthwise.dx import dx
from kernels.conv.depthwise.forward import conv2d

__all__ = ["conv2d", "dw", "dx", "refuses"]

SIDES = (3, 5, 7)


def refuses(problem, direction):
    """Why a problem cannot be done so, or None."""
    p = problem
    if p.groups != p.c:
        return f"it is for a channel a group, not {p.c // p.groups}"
    if p.r != p.s or p.r not in SIDES:
        return f"its windows are 3×3, 5×5 and 7×7, not {p.r}×{p.s}"
    if p.stride not in ((1, 1), (2, 2)):
        return f"its strides are 1 and 2, the same both ways, not {p.stride[0]}×{p.stride[1]}"
    if p.dilation != (1, 1):
        return f"its taps are neighbours, not dilated by {p.dilation[0]}×{p.dilation[1]}"
    return None
