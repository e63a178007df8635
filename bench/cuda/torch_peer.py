"""PyTorch's own operations on the tensors that our rungs read: cuBLAS and cuDNN, in the same process and stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.cuda import device
from bench.peers import CannotDo, pair

PEERS = ("torch", "torch channels_last")
GRADIENTS = {"dx": 0, "dw": 1, "db": 2}


def prepare(tf32: bool) -> None:
    """Let cuDNN search for its fastest, and neither it nor cuBLAS round float32 to TF32 unless asked."""
    torch = device.torch()
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cuda.matmul.allow_tf32 = tf32


def call(name: str, ladder: str, direction: str, arrays: tuple, options: dict) -> Callable[[], Any]:
    """Return a call that computes what our rungs compute from the same arguments.

    Raises
    ------
    CannotDo
        If the peer has no such operation.
    """
    torch = device.torch()
    if name != "torch" and ladder != "conv2d":
        raise CannotDo("its layout is for images")
    if ladder == "conv2d":
        return _conv2d(torch, name != "torch", direction, arrays, options)
    if ladder == "matmul":
        return _matmul(torch, direction, arrays)
    return _linear(torch, direction, arrays)


def _matmul(torch: Any, direction: str, arrays: tuple) -> Callable[[], Any]:
    if direction == "forward":
        return lambda: torch.matmul(*arrays)
    dy, a, b = arrays
    if direction == "da":
        return lambda: torch.matmul(dy, b.mT)
    return lambda: torch.matmul(a.mT, dy)


def _linear(torch: Any, direction: str, arrays: tuple) -> Callable[[], Any]:
    if direction == "forward":
        return lambda: torch.nn.functional.linear(*arrays)
    dy, x, w = arrays
    rows, columns = dy.reshape(-1, dy.shape[-1]), x.reshape(-1, x.shape[-1])
    return {
        "dx": lambda: torch.matmul(dy, w),
        "dw": lambda: torch.matmul(rows.mT, columns),
        "db": lambda: rows.sum(0),
    }[direction]


def _conv2d(
    torch: Any, last: bool, direction: str, arrays: tuple, options: dict
) -> Callable[[], Any]:
    if last:
        layout = {"memory_format": torch.channels_last}
        arrays = tuple(each.contiguous(**layout) if each.ndim == 4 else each for each in arrays)
    stride, padding, dilation = (
        pair(options.get(key, default))
        for key, default in (("stride", 1), ("padding", 0), ("dilation", 1))
    )
    groups = options.get("groups", 1)
    if direction == "forward":
        return lambda: torch.nn.functional.conv2d(*arrays, stride, padding, dilation, groups)
    dy, x, w = arrays
    place = GRADIENTS[direction]
    mask = [place == each for each in range(3)]
    backward = torch.ops.aten.convolution_backward
    return lambda: backward(
        dy, x, w, [len(w)], stride, padding, dilation, False, [0, 0], groups, mask
    )[place]  # fmt: skip
