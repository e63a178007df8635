"""What is kept on a device from call to call: scratch, and zeros."""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from typing import Any

import numpy as np

from kernels.core.cuda import arrays
from kernels.core.cuda.compiler import SIMULATED, cuda, standing_for
from kernels.core.device_array import DeviceArray

# One buffer for each device, stream and thread: what one thread queues on one stream uses it in turn. The kernels of
# two threads' calls may come to one stream in any order.
_scratch: dict[tuple[int, int, int], DeviceArray] = {}
_zeros: dict[int, DeviceArray] = {}


def scratch(elements: int | tuple[int, ...], dtype: Any, like: DeviceArray) -> DeviceArray:
    """Return scratch for one call: a buffer kept for the device, stream and thread, made anew only to grow."""
    shape = (elements,) if isinstance(elements, int | np.integer) else tuple(elements)
    dtype = np.dtype(dtype)
    nbytes = math.prod(shape) * dtype.itemsize
    if standing_for():
        return DeviceArray.packed(like.pointer, shape, dtype, None)
    place = (like.device, like.stream, threading.get_ident())
    held = _scratch.get(place)
    if held is None or held.size < nbytes:
        with arrays.on_device(like.device):
            made = cuda.device_array(nbytes, np.uint8)
        held = _scratch[place] = replace(arrays.view("scratch", made), stream=like.stream)
    part = DeviceArray.packed(
        held.pointer, shape, dtype, held.owner, device=like.device, stream=like.stream
    )
    arrays.poison(part)
    return part


def zeros(count: int, dtype: Any, like: DeviceArray) -> DeviceArray:
    """Return zeros that are made once: what stands for a bias that was not given."""
    dtype = np.dtype(dtype)
    if standing_for():
        return DeviceArray.packed(like.pointer, (count,), dtype, None)
    nbytes, place = count * dtype.itemsize, like.device
    held = _zeros.get(place)
    if held is None or held.size < nbytes:
        with arrays.on_device(like.device):
            held = arrays.view("zeros", cuda.to_device(np.zeros(nbytes, np.uint8)))
            if not SIMULATED:
                cuda.synchronize()  # streams that do not wait for the default one read it as well
            _zeros[place] = held
    return DeviceArray.packed(
        held.pointer, (count,), dtype, held.owner, device=like.device, stream=like.stream
    )


def clear() -> None:
    """Give what is kept from call to call back, once all work is done."""
    if _scratch and not SIMULATED:
        cuda.synchronize()
    _scratch.clear()
    _zeros.clear()
