"""How wide this machine's vectors are, and the tile that fills its registers."""

from __future__ import annotations

import platform
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from numba.core import config

# bits of a vector: rows and vectors of the tile. 16 sums are twice what the units need to stay busy, and
# networks' channels come in multiples of 32. On a Zen 5 8 × 2, 8 × 3, 12 × 2 and 6 × 4 all run at 98 % of
# what the units can do; 8 × 1 at 75 %. Of 16 registers, 6 × 2 leaves one for A after two of B.
TILES = {512: (8, 2), 256: (6, 2), 128: (6, 2)}
NEON = (8, 2)  # 128 bits, but 32 registers
# rows of a tile four vectors wide (a recurrent cell's four gates side by side): as fast as 8 × 2 on a Zen 4
FOUR_WIDE = {512: 4, 256: 2, 128: 2}

X86 = platform.machine().lower() in ("x86_64", "amd64")

# Processors that NUMBA_CPU_NAME may ask for by a name, without their features.
NARROW = ("generic", "x86-64", "x86-64-v2", "nehalem", "westmere", "sandybridge", "ivybridge")


def bits(name: str | None, features: str | None) -> int:
    """Return the width of a vector for a processor: 512, 256 or 128 bits.

    Parameters
    ----------
    name, features : str or None
        As NUMBA_CPU_NAME and NUMBA_CPU_FEATURES give them; the host's where None.
    """
    if not X86:
        return 128
    if name is None and features is None:
        found = llvm.get_host_cpu_features()
        return (
            512 if found.get("avx512f") else 256 if found.get("avx2") and found.get("fma") else 128
        )
    asked = features or ""
    if "+avx512f" in asked or (name or "").endswith("avx512"):
        return 512
    if "+avx2" in asked:
        return 256
    return 128 if name in NARROW else 256


BITS = bits(*(getattr(config, each) for each in ("CPU_NAME", "CPU_FEATURES")))
ROWS, VECTORS = TILES[BITS] if X86 else NEON
QUAD_ROWS = FOUR_WIDE[BITS] if X86 else 4


def lanes_of(dtype: Any) -> int:
    """Elements of this dtype in one vector."""
    return BITS // 8 // np.dtype(dtype).itemsize


def columns_of(dtype: Any) -> int:
    """Columns of the tile: VECTORS vectors of this dtype."""
    return VECTORS * lanes_of(dtype)
