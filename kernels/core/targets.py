"""Where an array lives, and the only door to the CUDA package.

A NumPy array, or anything with ``__dlpack__`` on the CPU (a PyTorch tensor, a JAX array), runs on the
CPU; an array with ``__cuda_array_interface__``, or with CUDA DLPack, on its GPU. Nothing moves between
them behind the caller's back.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import numba
import numpy as np

from kernels.core.device_array import DeviceArray

# what is installed, and the module to import: Numba itself still carries an old numba.cuda of its own
PACKAGES = {"numba_cuda": "numba.cuda", "numba_cuda_mlir": "numba_cuda_mlir.cuda"}
INSTALL = "python -m pip install 'loopwise[cuda]'"

synchronous = False  # what debug_sync set

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
    if isinstance(value, DeviceArray) or hasattr(value, "__cuda_ndarray__"):  # ours, Numba's
        return "cuda"
    if hasattr(value, "__dlpack_device__"):  # first: PyTorch's other property raises for some
        kind = int(value.__dlpack_device__()[0])
        if kind in _DLPACK_CPU:
            return "cpu"
        if kind in _DLPACK_CUDA:
            return "cuda"
        raise TypeError(f"expected an array on the CPU or a CUDA device, got DLPack device {kind}")
    if hasattr(value, "__cuda_array_interface__"):
        return "cuda"
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


def package() -> Any:
    """Return the CUDA module: Numba's, from numba-cuda, or that of its successor numba-cuda-mlir.

    Raises
    ------
    RuntimeError
        If neither is installed; the message says what to install.
    """
    for installed, module in PACKAGES.items():
        if importlib.util.find_spec(installed) is not None:
            try:
                return importlib.import_module(module)
            except ImportError as error:
                raise RuntimeError(f"{module} cannot be imported ({error}): {INSTALL}") from error
    raise RuntimeError(
        f"CUDA kernels need the package numba-cuda, which is not installed: {INSTALL}"
    )


def simulated() -> bool:
    """Whether kernels run in Numba's simulator (NUMBA_ENABLE_CUDASIM=1): in Python, on the CPU."""
    return bool(getattr(numba.config, "ENABLE_CUDASIM", False))


def cuda() -> Any:
    """Return the CUDA module of a machine that can run kernels.

    Raises
    ------
    RuntimeError
        If the package is not installed, or no device answers; the message says what to install.
    """
    module = package()
    if not module.is_available():
        raise RuntimeError(
            "no CUDA device answers: CUDA kernels need an NVIDIA GPU, its driver, and " + INSTALL
        )
    return module


def gather(**arrays: Any) -> tuple[Any, ...]:
    """Bring the arrays of one call to one place, without a copy: all on the CPU, or all on one CUDA device.

    Parameters
    ----------
    **arrays
        By the argument's name; None, and what is no array, goes through as it is.

    Returns
    -------
    tuple
        In their order: as they were, or each CUDA array as a `DeviceArray` on the stream of the first.

    Raises
    ------
    TypeError
        If some live on the CPU and some on a CUDA device.
    ValueError
        If they live on different CUDA devices.
    """
    if all(value is None or type(value) is np.ndarray for value in arrays.values()):
        return tuple(arrays.values())
    there = {name: value for name, value in arrays.items() if on_cuda(value)}
    if not there:
        return tuple(arrays.values())
    from kernels.core.cuda import arrays as foreign

    first = next(iter(there))
    for name, value in arrays.items():
        if value is not None and name not in there:
            wanted = f"{name}: expected an array on the CUDA device like {first}, got {type(value).__name__}"
            is_array = isinstance(value, np.ndarray) or hasattr(value, "__dlpack__")
            raise TypeError(
                f"{wanted} on the CPU; kernels.to_device copies it there" if is_array else wanted
            )
    return foreign.gather(arrays)


def owner(array: Any) -> Any:
    """Return what a caller is to be given: a NumPy array itself, the owner of a `DeviceArray`."""
    return array.owner if isinstance(array, DeviceArray) else array


def capability(array: Any) -> tuple[int, int] | None:
    """Compute capability of the device where `array` lives; None on the CPU."""
    if not isinstance(array, DeviceArray):
        return None
    from kernels.core.cuda import compiler

    return compiler.capability(array.device)


def on_cuda(value: Any) -> bool:
    """Whether `value` is an array on a CUDA device; False for what is no array."""
    try:
        return of(value) == "cuda"
    except TypeError:
        return False


def to_device(array: Any) -> Any:
    """Copy an array from the CPU to the current CUDA device.

    Parameters
    ----------
    array : array on the CPU
        float16, float32, float64, or integers.

    Returns
    -------
    Numba device array
        C-contiguous, of the same shape and dtype; `to_host` brings one back.

    Raises
    ------
    RuntimeError
        If there is no CUDA package or no device; the message says what to install.
    TypeError
        If `array` is not on the CPU, or has another dtype.
    """
    if on_cuda(array):
        raise TypeError("array: expected an array on the CPU, got one on a CUDA device already")
    host = to_numpy("array", array)
    if host.dtype.kind not in "fiu" or host.dtype.itemsize > 8:
        raise TypeError(f"array: expected floats or integers, got {host.dtype}")
    native = np.ascontiguousarray(host, dtype=host.dtype.newbyteorder("=")).reshape(host.shape)
    return cuda().to_device(native)


def to_host(array: Any) -> np.ndarray:
    """Copy an array from a CUDA device to the CPU, after all work queued before it on its stream.

    Parameters
    ----------
    array : array on a CUDA device
        Numba's, CuPy's, PyTorch's, or another with ``__cuda_array_interface__`` or CUDA DLPack.

    Returns
    -------
    numpy.ndarray
        C-contiguous; bfloat16 comes as `ml_dtypes.bfloat16`.

    Raises
    ------
    RuntimeError
        If there is no CUDA package or no device; the message says what to install.
    TypeError
        If `array` is not on a CUDA device.
    """
    if not on_cuda(array):
        where = "one on the CPU" if hasattr(array, "__array__") else type(array).__name__
        raise TypeError(f"array: expected an array on a CUDA device, got {where}")
    cuda()
    from kernels.core.cuda import arrays as foreign

    return foreign.to_host(foreign.view("array", array))


def debug_sync(enabled: bool) -> None:
    """Wait for each kernel after its launch, so that one that fails raises at the call that made it.

    Parameters
    ----------
    enabled : bool
        False at first: launches are queued, and a fault shows at some later call.

    Raises
    ------
    TypeError
        If `enabled` is not a bool.
    """
    global synchronous
    if not isinstance(enabled, bool | np.bool_):
        raise TypeError(f"enabled: expected True or False, got {enabled!r}")
    synchronous = bool(enabled)
