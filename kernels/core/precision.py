"""How far a kernel may bend rounding to be faster: one setting for the process, or for a `with` block."""

from __future__ import annotations

import contextvars
from typing import Any

from kernels.core import checks

LEVELS = ("default", "strict", "tf32")
REMEMBERED = 64  # settings that may still turn out to be blocks

# What the process was set to: the last counts. A call that turns out to open a block takes its own back,
# and only its own, for another thread may have called in between.
_settings: list[precision] = []
_inside: contextvars.ContextVar[str | None] = contextvars.ContextVar("precision", default=None)


class precision:
    """Set how exact kernels must be; as a context manager, for the block alone.

        kernels.precision("strict")            from now on, in all threads
        with kernels.precision("strict"): …    in this block, in this thread

    Parameters
    ----------
    level : {"default", "strict", "tf32"}
        "default" lets ``algorithm="auto"`` take a rung that trades accuracy for fewer multiplies, where its
        error stays below 1e-4 of the output's scale (Winograd convolution). "strict" leaves those out: every
        result is the formula's sum of products and nothing else (no zeros multiplied, which would spread a
        NaN), and a rung that does otherwise, asked for by name, is refused. "tf32" lets a CUDA device multiply
        float32 arrays on its tensor cores, which read 10 bits of each mantissa (an error near 1e-3 of what is
        summed) and sum in float32; on the CPU it is "default".

    Raises
    ------
    ValueError
        If `level` is none of these.
    """

    def __init__(self, level: str) -> None:
        self.level = checks.choice("level", level, LEVELS)
        _settings.append(self)
        del _settings[:-REMEMBERED]

    def __enter__(self) -> precision:
        if self in _settings:
            _settings.remove(self)
        self._token = _inside.set(self.level)
        return self

    def __exit__(self, *error: Any) -> None:
        _inside.reset(self._token)


def level() -> str:
    """Return the level that is in force now."""
    return _inside.get() or (_settings[-1].level if _settings else LEVELS[0])


def strict() -> bool:
    """Whether rungs that trade accuracy for speed are left out now."""
    return level() == "strict"


def tf32() -> bool:
    """Whether tensor cores may multiply float32 arrays now."""
    return level() == "tf32"
