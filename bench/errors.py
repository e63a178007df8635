"""How far Winograd's convolution is from float64, beside the plain sum's: ``python -m bench.errors``.

It writes the table in convolution's README. The rungs' rule reads the same measurements, rounded up, from
`kernels.conv.winograd.error.MEASURED`; a test holds the two together.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

import kernels
from bench import check
from kernels.conv import reference
from kernels.conv.winograd.error import MEASURED

README = Path(kernels.__file__).parent / "conv" / "README.md"
RUNGS = ("direct", "winograd_2x2", "winograd_4x4")


def measure(rung: str, dtype: str, channels: int, seed: int = 0) -> float:
    """Return the largest error of a convolution of normal data, as a share of the largest output."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((4, channels, 12, 12)).astype(dtype)
    w = rng.standard_normal((32, channels, 3, 3)).astype(dtype)
    y = kernels.conv2d(x, w, padding=1, algorithm=rung)
    return check.max_error(y, reference.conv2d(x, w, padding=1))


def table() -> str:
    """Measure everything, worst of three draws, as a table in Markdown."""
    lines = ["| dtype | channels | " + " | ".join(RUNGS) + " |", "|---" * (2 + len(RUNGS)) + "|"]
    for dtype in ("float32", "float64"):
        for channels in MEASURED[dtype, 4]:
            worst = [
                max(measure(rung, dtype, channels, seed) for seed in range(3)) for rung in RUNGS
            ]
            cells = " | ".join(f"{error:.1e}" for error in worst)
            lines.append(f"| {dtype} | {channels} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    """Put the table between its markers."""
    text = README.read_text()
    begin, end = "<!-- errors -->", "<!-- end errors -->"
    made = f"{begin}\nMade by `python -m bench.errors`.\n\n{table()}\n{end}"
    README.write_text(re.sub(f"{begin}.*?{end}", lambda _: made, text, flags=re.S))
    print(f"written: {README}")


if __name__ == "__main__":
    main()
