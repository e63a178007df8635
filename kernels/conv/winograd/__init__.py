"""Fewer multiplies: Winograd's algorithm for 3×3 filters and stride one.

    Y = Aᵀ [ Σ_c (G g Gᵀ) ⊙ (Bᵀ d B) ] A

m × m outputs from (m + 2)² multiplies for each channel: 4 instead of 9 an output for m = 2, 2.25 for m = 4. The
README derives it. `transforms` holds the matrices, written out on vectors; `weights` packs G g Gᵀ; `tiles`
does one unit of work (some rows of tiles: into the domain, a matrix product for each point, and back), all of
it in one thread's cache; `run` deals units out; `dw` transposes everything. `error` says how exact it is.

Two rungs, one for each m, and one compiled code for both. Measured on a Zen 5, float32, two cores (the
README's table), against `direct`, 3×3: 8×64×56×56 → 64 1.6 times with m = 2 and 2.5 with m = 4 (dw 2.4);
8×128×28×28 → 128 2.0 and 3.0; 8×512×7×7 → 512, where 7 is no multiple of 4 and the weights in the domain outgrow
the caches, 1.4 and 1.3.

Memory: the packed weights, (m + 2)²/9 times as large as w, and for each thread a unit's tiles, about
(m + 2)²·64·(C + K) elements. Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR
2016, sections 4 and 5.
"""

from kernels.conv.winograd.dw import dw_4x4
from kernels.conv.winograd.dw import scratch as dw_scratch
from kernels.conv.winograd.rungs import (
    dx_2x2,
    dx_4x4,
    forward_2x2,
    forward_4x4,
    growth,
    packed,
    refuses,
    scratch,
)
from kernels.conv.winograd.weights import pack

__all__ = [
    "dw_4x4",
    "dw_scratch",
    "dx_2x2", "dx_4x4", "forward_2x2", "forward_4x4", "growth", "pack", "packed", "refuses", "scratch",
]  # fmt: skip
