"""Rung 7, a channel a group: rows of x in vectors, rows of y in registers.

    y[n, k, oh, ow] = b[k] + Σ_r Σ_s w[k, r, s] · x[n, c, oh·u + r − p, ow·u + s − p],    c = k / (K/C)

x (N, C, H, W), w (K, 1, R, S), y (N, K, OH, OW), K a multiple of C; 2·N·K·OH·OW·R·S FLOPs.

With one channel there is no sum over channels for a matrix product to speed up, and few FLOPs for each byte: 2·R·S
for an x read and a y written. A 3×3 filter multiplies for about as long as memory takes to bring x and take y
away; so x must be read once, y written once, and nothing copied, packed or turned round. What is left to save are
loads: a row of x serves the R rows of y that hold it in their windows (`forward`), a row of dy the R rows of dx
(`dx`), and for dw R rows of dy wait in registers for the rows of x (`dw`).

Squares of 3, 5 and 7 taps, strides 1 and 2.
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
