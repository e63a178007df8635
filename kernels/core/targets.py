"""Where an array lives, and the only door to the CUDA package.

A NumPy array, or anything with ``__dlpack__`` on the CPU (a PyTorch tensor, a JAX array), runs on the
CPU; an array with ``__cuda_array_interface__``, or with CUDA DLPack, on its GPU. Nothing moves between
them behind the caller's back.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_DLPACK_CPU = (1, 3)  # kDLCPU, kDLCUDAHost (pinned memory: the CPU reads it)
_DLPACK_CUDA = (2, 13)  # kDLCUDA, kDLCUDAManaged


def of(value: Any) -> str:
    """Return "cpu" or "cuda": where `value` lives.

    Raises
    ------
    TypeError
        If `value` is no array, or lives on another kind of device.
    """
    if isinstance(value, np.ndarray):
        return "cpu"
    if hasattr(value, "__cuda_array_interface__"):
        return "cuda"
    if hasattr(value, "__dlpack_device__"):
        kind = int(value.__dlpack_device__()[0])
        if kind in _DLPACK_CPU:
            return "cpu"
        if kind in _DLPACK_CUDA:
            return "cuda"
        raise TypeError(f"expected an array on the CPU or a CUDA device, got DLPack device {kind}")
    raise TypeError(f"expected an array, got {type(value).__name__}")


def to_numpy(name: str, value: Any) -> np.ndarray:
    """Return a CPU array as a `numpy.ndarray`, without a copy; `name` is the argument, for errors."""
    if type(value) is np.ndarray:
        return value
    try:
        place = of(value)
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None
    if place == "cuda":
        raise TypeError(
            f"{name}: expected an array on the CPU, got one on a CUDA device; this operation has no "
            "CUDA rung yet. Copy it to the host first"
        )
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{name}: expected a plain array, got a masked one (its mask would be lost)"
        )
    if isinstance(value, np.ndarray):
        return value.view(np.ndarray)
    try:
        return np.from_dlpack(value)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise TypeError(
            f"{name}: {type(value).__name__} cannot be read through DLPack: {error}"
        ) from None


def cuda() -> Any:
    """Return Numba's CUDA module, from the package numba-cuda.

    Raises
    ------
    RuntimeError
        If the package is not installed, or no device answers; the message says what to install.
    """
    try:
        from numba import cuda as module
    except ImportError as error:
        raise RuntimeError(
            f"CUDA kernels need the package numba-cuda ({error}): "
            "python -m pip install 'loopwise[cuda]'"
        ) from None
    if not module.is_available():
        raise RuntimeError(
            "no CUDA device answers: CUDA kernels need an NVIDIA GPU, its driver, and "
            "python -m pip install 'loopwise[cuda]'"
        )
    return module
