"""Padding and output sizes: plain integers.

A window of `k` taps, `d` apart, spans d·(k − 1) + 1 elements. Sliding it by `s` over `n` elements
with `before` and `after` of padding gives ⌊(before + n + after − span) / s⌋ + 1 positions (Dumoulin
and Visin, "A guide to convolution arithmetic for deep learning", 2016, section 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kernels.core import checks

Pads = tuple[tuple[int, int], ...]

NAMED_PADDING = ("valid", "same", "same_upper", "same_lower")


def span(kernel: int, dilation: int) -> int:
    """Extent of `kernel` taps that stand `dilation` apart."""
    return dilation * (kernel - 1) + 1


def padding(
    value: Any,
    size: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    name: str = "padding",
) -> Pads:
    """Turn any of the forms of `padding` into ((before, after), …), one pair an axis.

    Parameters
    ----------
    value : int, sequence of int, sequence of pairs, or str
        One number for all sides; one an axis; ((before, after), …); "valid" (none); "same" or
        "same_upper" (⌈n / stride⌉ outputs, an odd element more after), "same_lower" (before).
    size, kernel, stride, dilation : sequences of int, one an axis
    name : str
        The argument to name in errors.

    Raises
    ------
    TypeError, ValueError
        If `value` is none of these, or negative.
    """
    axes = len(size)
    if type(value) is int and value >= 0:
        return ((value, value),) * axes
    if isinstance(value, str):
        return _named(value, size, kernel, stride, dilation, name)
    expected = f"an int, {axes} ints, {axes} (before, after) pairs or one of {NAMED_PADDING}"
    if checks.is_integer(value):
        sides: Any = ((value, value),) * axes
    elif isinstance(value, Sequence) and len(value) == axes:
        sides = tuple((v, v) if checks.is_integer(v) else v for v in value)
    elif isinstance(value, Sequence):
        raise ValueError(f"{name}: expected {expected}, got {value!r}")
    else:
        raise TypeError(f"{name}: expected {expected}, got {value!r}")
    for side in sides:
        if not (
            isinstance(side, Sequence)
            and not isinstance(side, str)
            and len(side) == 2
            and all(map(checks.is_integer, side))
        ):
            raise TypeError(f"{name}: expected {expected}, got {value!r}")
        if min(side) < 0:
            raise ValueError(f"{name}: expected nothing negative, got {value!r}")
    return tuple((int(before), int(after)) for before, after in sides)


def _named(value, size, kernel, stride, dilation, name) -> Pads:
    if value == "valid":
        return ((0, 0),) * len(size)
    if value not in NAMED_PADDING:
        raise ValueError(f"{name}: expected one of {NAMED_PADDING}, got {value!r}")
    pads = []
    for n, k, s, d in zip(size, kernel, stride, dilation):
        outputs = -(-n // s)
        total = max(0, (outputs - 1) * s + span(k, d) - n)
        small = total // 2
        large = total - small
        pads.append((large, small) if value == "same_lower" else (small, large))
    return tuple(pads)


def output_size(
    n: int, kernel: int, stride: int, pad: tuple[int, int], dilation: int, ceil_mode: bool = False
) -> int:
    """Count the positions of the window along one axis.

    With `ceil_mode` a last window may hang over the end, provided that it starts inside the input
    or its leading padding, as PyTorch counts.

    Raises
    ------
    ValueError
        If the window is larger than the padded axis.
    """
    reach = n + pad[0] + pad[1] - span(kernel, dilation)
    if reach < 0:
        raise ValueError(
            f"kernel: expected at most the padded input, {n + pad[0] + pad[1]} elements, got "
            f"{kernel} taps with dilation {dilation}, which span {span(kernel, dilation)}"
        )
    if not ceil_mode:
        return reach // stride + 1
    outputs = -(-reach // stride) + 1
    if (outputs - 1) * stride >= n + pad[0]:
        outputs -= 1
    return outputs
