"""Argument validation: every TypeError and ValueError of the house, before anything is allocated.

A message names the argument, what was expected and what came.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from kernels.core import targets
from kernels.core.device_array import DeviceArray

HALVES = ("float16", "bfloat16")  # on a CUDA device alone
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def is_integer(value: Any) -> bool:
    """Whether `value` is an integer (Python's or NumPy's), and not a bool."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def integer(name: str, value: Any, least: int | None = None) -> int:
    """Return `value` as an int, at least `least`."""
    if not is_integer(value):
        raise TypeError(f"{name}: expected an integer, got {value!r}")
    if least is not None and value < least:
        raise ValueError(f"{name}: expected at least {least}, got {value}")
    return operator.index(value)


def integers(name: str, value: Any, count: int, least: int) -> tuple[int, ...]:
    """Return one int per axis from one int for all axes or a sequence of `count`."""
    if type(value) is int and value >= least:
        return (value,) * count
    if is_integer(value):
        value = (value,) * count
    if isinstance(value, np.ndarray):
        value = tuple(value.tolist())
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise TypeError(f"{name}: expected an integer or {count} of them, got {value!r}")
    if len(value) != count:
        raise ValueError(f"{name}: expected an integer or {count} of them, got {value!r}")
    if not all(map(is_integer, value)):
        raise TypeError(f"{name}: expected integers, got {value!r}")
    if min(value) < least:
        raise ValueError(f"{name}: expected at least {least}, got {value!r}")
    return tuple(map(operator.index, value))


def real(
    name: str,
    value: Any,
    least: float = -math.inf,
    most: float = math.inf,
    *,
    above: float | None = None,
    below: float | None = None,
) -> float:
    """Return `value` as a float in [least, most], or strictly `above` and `below`."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, float | int | np.number):
        raise TypeError(f"{name}: expected a number, got {value!r}")
    if isinstance(value, np.complexfloating):
        raise TypeError(f"{name}: expected a real number, got {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.copysign(math.inf, value)
    if not least <= number <= most or (above is not None and not number > above):
        low = f"above {above}" if above is not None else f"from {least}"
        raise ValueError(f"{name}: expected a number {low} to {most}, got {value!r}")
    if below is not None and not number < below:
        raise ValueError(f"{name}: expected a number from {least} to below {below}, got {value!r}")
    return number


def flag(name: str, value: Any) -> bool:
    """Return `value` as a bool; anything but a bool is a TypeError."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name}: expected True or False, got {value!r}")
    return bool(value)


def choice(name: str, value: Any, options: Sequence[Any]) -> Any:
    """Return `value` if it is one of `options`."""
    if not any(
        value is option or (type(value) is type(option) and value == option) for option in options
    ):
        raise ValueError(f"{name}: expected one of {tuple(options)}, got {value!r}")
    return value


def needs(value: Any, options: tuple[str, ...]) -> tuple[str, ...]:
    """Return the gradients wanted: a non-empty sequence drawn from `options`, each once."""
    if (
        isinstance(value, str)
        or not isinstance(value, Sequence)
        or not all(isinstance(each, str) for each in value)
    ):
        raise TypeError(f"needs: expected a sequence drawn from {options}, got {value!r}")
    if not value or len(set(value)) != len(value) or not set(value) <= set(options):
        raise ValueError(f"needs: expected a choice from {options}, each once, got {value!r}")
    return tuple(value)


def outs(value: Any, needs: tuple[str, ...]) -> dict[str, Any]:
    """Return the caller's output for each gradient wanted, None where there is none.

    `out` is an array where one gradient is wanted, else a sequence in the order of `needs`.
    """
    if value is None:
        return dict.fromkeys(needs)
    if len(needs) == 1 and not isinstance(value, tuple | list):
        return {needs[0]: value}
    if not isinstance(value, tuple | list) or len(value) != len(needs):
        raise TypeError(f"out: expected one array for each of {needs}, got {type(value).__name__}")
    return dict(zip(needs, value))


def array(
    name: str,
    value: Any,
    ndim: int | None = None,
    dtype: Any = None,
    shape: tuple[int, ...] | None = None,
    empty_axes: tuple[int, ...] = (0,),
) -> np.ndarray:
    """Return `value` as a native, aligned, C-contiguous float array; a copy only where it was not.

    Parameters
    ----------
    name : str
        The argument, for the message.
    value : array
        A NumPy array, anything on the CPU with ``__dlpack__``, or a `DeviceArray`, for which float16 and
        bfloat16 will do too.
    ndim : int, optional
        The rank it must have.
    dtype : numpy dtype, optional
        The dtype it must have (in either byte order); float32 or float64 where not given.
    shape : tuple of int, optional
        The shape it must have.
    empty_axes : tuple of int
        The axes that may have extent zero: the batch, unless said otherwise.
    """
    there = isinstance(value, DeviceArray)  # what `targets.gather` made of an array on a device
    x: Any = value if there else targets.to_numpy(name, value)
    native = x.dtype if there else x.dtype.newbyteorder("=")
    if native not in FLOATS and not (there and native.name in HALVES):
        wanted = "float32, float64, float16 or bfloat16" if there else "float32 or float64"
        raise TypeError(f"{name}: expected {wanted}, got {x.dtype}")
    if dtype is not None and native != dtype:
        raise TypeError(f"{name}: expected {np.dtype(dtype)} like the other arrays, got {x.dtype}")
    if ndim is not None and x.ndim != ndim:
        raise ValueError(f"{name}: expected {ndim} dimensions, got {x.ndim} (shape {x.shape})")
    if shape is not None and x.shape != tuple(shape):
        raise ValueError(f"{name}: expected shape {tuple(shape)}, got {x.shape}")
    if shape is None and 0 in x.shape:
        for axis, extent in enumerate(x.shape):
            if extent == 0 and axis not in empty_axes:
                raise ValueError(f"{name}: expected at least 1 along axis {axis}, got {x.shape}")
    if there:
        return contiguous_there(x)
    return native_contiguous(x)


class _Readable:
    """A read-only array's memory, without the mark: to Numba that would be another type, compiled anew."""

    def __init__(self, x: np.ndarray) -> None:
        self._x = x
        self.__array_interface__ = {**x.__array_interface__, "data": (x.ctypes.data, False)}


def native_contiguous(x: np.ndarray) -> np.ndarray:
    """Return `x` itself if a kernel can read it as it lies, else a native C-contiguous copy.

    A read-only array comes back as a view that looks writable; kernels write to no input.
    """
    flags = x.flags
    if flags.c_contiguous and flags.aligned and x.dtype.isnative:
        return x if flags.writeable else np.asarray(_Readable(x))
    return np.array(x, dtype=x.dtype.newbyteorder("="), order="C", copy=True, subok=False)


def contiguous_there(x: DeviceArray) -> Any:
    """Return a `DeviceArray` itself if it is C-contiguous, else a copy on the device that is."""
    if x.flags.c_contiguous:
        return x
    from kernels.core.cuda import arrays

    return arrays.contiguous(x)


def broadcast(x: Any, shape: tuple[int, ...]) -> Any:
    """Return a C-contiguous array, x repeated to `shape`."""
    if isinstance(x, DeviceArray):
        return contiguous_there(x.broadcast_to(shape))
    return native_contiguous(np.broadcast_to(x, shape))


def index_array(
    name: str, value: Any, shape: tuple[int, ...] | None = None, ndim: int | None = None
) -> np.ndarray:
    """Return `value` as a native C-contiguous integer array, in the dtype it came in."""
    x = targets.to_numpy(name, value)
    if x.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected integers, got {x.dtype}")
    if ndim is not None and x.ndim != ndim:
        raise ValueError(f"{name}: expected {ndim} dimensions, got {x.ndim} (shape {x.shape})")
    if shape is not None and x.shape != tuple(shape):
        raise ValueError(f"{name}: expected shape {tuple(shape)}, got {x.shape}")
    return native_contiguous(x)


def out(
    value: Any,
    shape: tuple[int, ...],
    dtype: Any,
    inputs: Sequence[np.ndarray | None] = (),
    name: str = "out",
) -> np.ndarray:
    """Return the caller's output array if it fits exactly, else ValueError."""
    if any(isinstance(x, DeviceArray) for x in inputs):
        return _out_there(value, tuple(shape), np.dtype(dtype), inputs, name)
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name}: expected a NumPy array, got {type(value).__name__}")
    if value.shape != tuple(shape) or value.dtype != dtype or not value.dtype.isnative:
        raise ValueError(
            f"{name}: expected {np.dtype(dtype)} of shape {tuple(shape)}, "
            f"got {value.dtype} of shape {value.shape}"
        )
    if not (value.flags.c_contiguous and value.flags.aligned and value.flags.writeable):
        raise ValueError(
            f"{name}: expected a C-contiguous, aligned, writeable array, got strides "
            f"{value.strides}, aligned={value.flags.aligned}, writeable={value.flags.writeable}"
        )
    for x in inputs:
        if x is not None and _overlap(value, x):
            raise ValueError(
                f"{name}: expected memory of its own, got an array that overlaps another"
            )
    return value


def _out_there(value: Any, shape: Any, dtype: Any, inputs: Sequence[Any], name: str) -> Any:
    """As `out`, for an array on the device of `inputs`."""
    if not targets.on_cuda(value):
        raise TypeError(
            f"{name}: expected an array on the CUDA device, got {type(value).__name__} on the CPU"
        )
    given = [x for x in inputs if x is not None]
    _, value = targets.gather(**{"the inputs": given[0], name: value})
    if value.shape != shape or value.dtype != dtype:
        raise ValueError(
            f"{name}: expected {dtype} of shape {shape}, got {value.dtype} of shape {value.shape}"
        )
    if not value.flags.c_contiguous:
        raise ValueError(f"{name}: expected a C-contiguous array, got strides {value.strides}")
    if not value.writeable:
        raise ValueError(f"{name}: expected a writeable array, got a read-only one")
    low, high = value.span()
    for each in given:
        start, end = each.span()
        if max(low, start) < min(high, end):
            raise ValueError(
                f"{name}: expected memory of its own, got an array that overlaps another"
            )
    return value


def _overlap(a: np.ndarray, b: np.ndarray) -> bool:
    if not np.may_share_memory(a, b):
        return False
    try:
        return np.shares_memory(a, b, max_work=1000)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


def state(
    name: str,
    value: Any,
    shape: tuple[int, ...] | None = None,
    dtype: Any = None,
    inputs: Sequence[np.ndarray] = (),
) -> np.ndarray:
    """Return an array that a kernel updates in place: it must fit as it lies, for a copy would not be seen."""
    if not isinstance(value, np.ndarray):
        raise TypeError(
            f"{name}: expected a NumPy array to update in place, got {type(value).__name__}"
        )
    if value.dtype not in FLOATS or not value.dtype.isnative:
        raise TypeError(f"{name}: expected native float32 or float64, got {value.dtype}")
    shape = value.shape if shape is None else shape
    return out(value, shape, dtype or value.dtype, inputs, name)
