"""Arrays of others in, without a copy; the same kind out.

PyTorch's, CuPy's and Numba's own arrays are known by name: outputs are made by their library, from its memory
pool. Any other kind with ``__cuda_array_interface__`` or CUDA DLPack is read as well; its outputs are Numba's.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from kernels.core import memory, targets
from kernels.core.cuda.compiler import SIMULATED, cuda, standing_for
from kernels.core.device_array import DeviceArray

_addresses = itertools.count(1 << 50, 1 << 50)  # of arrays that are only described


def library(value: Any) -> str:
    """Name of the package that an array's class comes from."""
    return type(value).__module__.partition(".")[0]


def view(name: str, value: Any) -> DeviceArray:
    """Describe a foreign CUDA array, on the stream its library works on; `name` is the argument, for errors.

    Raises
    ------
    TypeError
        If it cannot be read, for instance because it requires gradients.
    ValueError
        If its elements lie on no multiples of their size, which a device cannot read.
    """
    if isinstance(value, DeviceArray):
        return value
    if SIMULATED:
        if not hasattr(value, "_ary"):
            raise TypeError(
                f"{name}: expected an array of kernels.to_device in the simulator, got {type(value).__name__}"
            )
        array = value._ary
        return DeviceArray(array.ctypes.data, array.shape, array.strides, array.dtype, value)
    found = _own(value) if library(value) in ("numba", "numba_cuda_mlir") else _foreign(name, value)
    size = found.dtype.itemsize
    if found.pointer % size or any(step % size for step in found.strides):
        raise ValueError(
            f"{name}: expected {found.dtype} at multiples of {size} bytes, got address {found.pointer:#x}, "
            f"strides {found.strides}"
        )
    return found


def _foreign(name: str, value: Any) -> DeviceArray:
    """Describe an array of another library than Numba, by DLPack or its interface."""
    from cuda.core.utils import StridedMemoryView

    # work on PyTorch's and CuPy's arrays goes to the stream that they use now; any other library is asked to
    # have its array ready for the default stream, whose handle in these protocols is 1
    stays = library(value) in CURRENT_STREAM
    try:
        found = StridedMemoryView.from_any_interface(value, stream_ptr=-1 if stays else 1)
        dtype = np.dtype(found.dtype)
    except (AttributeError, BufferError, RuntimeError, TypeError, ValueError) as error:
        targets.cuda()  # where no device answers, that is why
        raise TypeError(f"{name}: {type(value).__name__} cannot be read: {error}") from None
    if library(value) == "torch" and value.is_neg():  # a sign that PyTorch has yet to apply
        raise TypeError(f"{name}: Tensor has its negative bit set, use tensor.resolve_neg()")
    shape = tuple(map(int, found.shape))
    strides = found.strides  # in elements, None where they are packed
    device = int(found.device_id)
    where: dict[str, Any] = {
        "device": device,
        "stream": CURRENT_STREAM[library(value)](device) if stays else 0,
        "writeable": not found.readonly,
    }
    if strides is None:
        return DeviceArray.packed(int(found.ptr), shape, dtype, value, **where)
    steps = tuple(int(step) * dtype.itemsize for step in strides)
    return DeviceArray(int(found.ptr), shape, steps, dtype, value, **where)


def _own(value: Any) -> DeviceArray:
    """Describe an array of Numba's."""
    interface = value.__cuda_array_interface__
    context = getattr(value.gpu_data, "context", None)
    # a kernel is given bfloat16 as its bits: see `argument`
    native = value if value.is_c_contiguous() and value.dtype.name != "bfloat16" else None
    return DeviceArray(
        int(interface["data"][0] or 0),
        value.shape,
        value.strides,
        value.dtype,
        value,
        0 if context is None else context.device.id,
        _handle(value.stream),
        native,
    )


def _handle(stream: Any) -> int:
    """Number of a Numba stream."""
    return int(getattr(stream, "handle", stream) or 0)


def _torch_stream(device: int) -> int:
    import torch

    return int(torch.cuda.current_stream(device).cuda_stream)


def _cupy_stream(device: int) -> int:
    import cupy

    with cupy.cuda.Device(device):
        return int(cupy.cuda.get_current_stream().ptr)


# libraries that have a current stream, and how it is asked for
CURRENT_STREAM = {"torch": _torch_stream, "cupy": _cupy_stream}


def gather(arrays: Mapping[str, Any]) -> tuple[Any, ...]:
    """Describe the arrays of one call, all on the stream of the first; see `targets.gather`."""
    found = {name: view(name, value) for name, value in arrays.items() if value is not None}
    first, *others = found
    lead = found[first]
    for name in others:
        each = found[name]
        if each.device != lead.device:
            raise ValueError(
                f"{name}: expected an array on CUDA device {lead.device} like {first}, got one on "
                f"device {each.device}"
            )
        if each.stream != lead.stream:
            _after(lead.stream, each.stream, lead.device)
            found[name] = replace(each, stream=lead.stream, home=each.stream)
    return tuple(found.get(name) for name in arrays)


def awaited(used: list[DeviceArray]) -> None:
    """Let the streams where the arrays of a launch are at home wait for it."""
    for home in {each.home for each in used}:
        if home is not None and home != used[0].stream:
            _after(home, used[0].stream, used[0].device)


def _after(stream: int, other: int, ordinal: int) -> None:
    """Let what is queued on `stream` from now on wait for what is queued on `other`, both of device `ordinal`."""
    if SIMULATED or standing_for():
        return
    with on_device(ordinal):
        event = cuda.event(timing=False)
        event.record(external_stream(other))
        event.wait(external_stream(stream))


@functools.lru_cache(maxsize=64)  # Numba keeps a launch's configuration by the object
def external_stream(handle: int) -> Any:
    """Numba's object for a stream, or 0 for the default one."""
    return cuda.external_stream(handle) if handle else 0


def on_device(ordinal: int) -> Any:
    """Context in which `ordinal` is the current device."""
    if SIMULATED or standing_for() or cuda.get_current_device().id == ordinal:
        return contextlib.nullcontext()
    return cuda.gpus[ordinal]


def described(shape: tuple[int, ...], dtype: Any = np.float32) -> DeviceArray:
    """Describe an array that does not exist, far from all others: what is compiled for without a device."""
    return DeviceArray.packed(next(_addresses), shape, dtype, None)


def empty(shape: tuple[int, ...], dtype: Any, like: DeviceArray) -> DeviceArray:
    """Return an uninitialised C-contiguous array of the kind of `like.owner`, on its device and stream."""
    shape, dtype = tuple(map(int, shape)), np.dtype(dtype)
    if standing_for():
        return described(shape, dtype)
    kind = library(like.owner)
    if SIMULATED:
        made = view("out", cuda.to_device(np.empty(shape, dtype)))
    elif kind == "torch":
        import torch

        names = getattr(torch, "bfloat16" if dtype.name == "bfloat16" else dtype.name)
        tensor = torch.empty(shape, dtype=names, device=like.owner.device)
        made = DeviceArray.packed(
            tensor.data_ptr(),
            shape,
            dtype,
            tensor,
            device=like.device,
            stream=like.stream,
            home=like.home,
        )
    elif kind == "cupy":
        import cupy

        with cupy.cuda.Device(like.device):
            array = cupy.empty(shape, dtype)
        made = DeviceArray.packed(
            array.data.ptr,
            shape,
            dtype,
            array,
            device=like.device,
            stream=like.stream,
            home=like.home,
        )
    else:
        with on_device(like.device):
            # bound to the stream that fills it, for which Numba's own copies wait, and keeping that alive
            theirs = getattr(like.owner, "stream", 0) if kind.startswith("numba") else 0
            bound = theirs if _handle(theirs) == like.stream else external_stream(like.stream)
            array = cuda.device_array(shape, dtype, stream=bound)
            made = replace(_own(array), stream=like.stream, home=like.home)
    poison(made)
    return made


def poison(array: DeviceArray) -> None:
    """Fill with NaN where `memory.poisoned` says so: what tests and the bench run in."""
    if not memory.poisons() or array.size == 0 or standing_for():
        return
    host = np.empty(array.shape, array.dtype)
    host.fill(np.nan)
    copy_from_host(host, array)


def copy_from_host(host: np.ndarray, array: DeviceArray) -> None:
    """Overwrite a C-contiguous device array, after what is queued on its stream."""
    bits = host.view(f"u{host.dtype.itemsize}")
    with on_device(array.device):
        argument(replace(array, dtype=bits.dtype, native=None)).copy_to_device(
            bits, stream=external_stream(array.stream)
        )


def argument(array: DeviceArray) -> Any:
    """Turn a view into what a kernel is launched with. bfloat16 arrives as its bits, uint16."""
    if array.native is not None:
        return array.native
    dtype = np.dtype(np.uint16) if array.dtype.name == "bfloat16" else array.dtype
    interface = {
        "shape": array.shape,
        "strides": None if array.flags.c_contiguous else array.strides,
        "typestr": dtype.str,
        "data": (array.pointer, False),
        "version": 3,
    }
    if SIMULATED:
        host = np.asarray(_Interface(interface, array.owner))
        return cuda.simulator.cudadrv.devicearray.FakeCUDAArray(host)
    return cuda.from_cuda_array_interface(interface, owner=array.owner, sync=False)


class _Interface:
    """Memory of the simulator's, as NumPy reads it."""

    def __init__(self, interface: dict[str, Any], owner: Any) -> None:
        self.__array_interface__ = interface
        self._owner = owner


def to_host(array: DeviceArray) -> np.ndarray:
    """Copy to the CPU, after what is queued on the array's stream."""
    whole = contiguous(array)
    if standing_for():
        raise RuntimeError("there is no device, only its compiler: nothing can be read")
    with on_device(array.device):
        host = argument(whole).copy_to_host(stream=external_stream(array.stream))
        if not SIMULATED and array.stream:
            external_stream(array.stream).synchronize()
    return host.view(array.dtype)


def contiguous(array: DeviceArray) -> DeviceArray:
    """Return the array itself where it is C-contiguous, else a copy that is."""
    if array.flags.c_contiguous:
        return array
    from kernels.core.cuda import gathering

    made = empty(array.shape, array.dtype, array)
    gathering.contiguous(array, made)
    return made
