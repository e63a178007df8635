"""Kernel: a loop for one thread, the block it runs in, and the grid that covers a problem.

A call converts its arrays, launches on their stream, and returns at once: CUDA queues the work. What a kernel was
compiled for (dtypes, ranks) is kept by Numba; an array costs a launch about as much as all else together, so
kernels take few.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from kernels.core import targets
from kernels.core.cuda import arrays
from kernels.core.cuda.arrays import described as described
from kernels.core.cuda.compiler import SIMULATED, cuda, standing_for, standing_in
from kernels.core.device_array import DeviceArray

MOST_BLOCKS = (2**31 - 1, 65535, 65535)  # along x, y, z, from compute capability 3.0 on
DRIVERS = ("CudaDriverError", "CUDAError")  # Numba's, and cuda.core's, by which Numba launches


class Launched(NamedTuple):
    """What a launch would have been, inside `compile_only`."""

    name: str
    ptx: str
    blocks: tuple[int, int, int]
    threads: tuple[int, int, int]


_compiled: contextvars.ContextVar[list[Launched] | None] = contextvars.ContextVar(
    "compiled", default=None
)


@contextlib.contextmanager
def compile_only(capability: tuple[int, int]) -> Iterator[list[Launched]]:
    """Compile for `capability` what a block of calls would launch, and launch nothing: no device is needed.

    Yields
    ------
    list of Launched
        Filled as the calls are made.
    """
    launched: list[Launched] = []
    token = _compiled.set(launched)
    try:
        with standing_in(capability):
            yield launched
    finally:
        _compiled.reset(token)


def each(output: DeviceArray, threads: int) -> tuple[int, int, int]:
    """Grid of one axis with a thread for each element of `output`."""
    return (-(-output.size // threads), 1, 1)


class Kernel:
    """A CUDA kernel with its launch: called with a rung's arguments, it covers the output.

    Parameters
    ----------
    py_func : function
        What one thread does.
    threads : int or tuple of int
        The block.
    blocks : callable (*args) -> tuple of int
        The grid, one to three extents, from the arguments of the call.
    resident : int, optional
        Blocks that a multiprocessor is to hold at once, at least: a bound on the registers of a thread.
    """

    def __init__(
        self,
        py_func: Callable,
        threads: Any,
        blocks: Callable,
        resident: int | None = None,
        **options: Any,
    ) -> None:
        functools.update_wrapper(self, py_func)
        self.py_func, self.name = py_func, py_func.__name__
        self.threads = _three((threads,) if isinstance(threads, int) else threads)
        self.blocks = blocks
        self.options = options
        most = int(np.prod(self.threads))
        bounds = most if resident is None else (most, resident)
        self._bounds = {} if SIMULATED else {"launch_bounds": bounds}
        self._dispatcher: Any = None

    def __call__(self, *args: Any) -> None:
        """Launch over the output, on the stream of the first array.

        Raises
        ------
        ValueError
            If the problem needs more blocks than one launch can have.
        RuntimeError
            If the launch fails; for a fault inside the kernel, where `kernels.debug_sync` is on.
        """
        blocks = self.grid(args)
        if 0 in blocks:
            return
        lead = next(each for each in args if isinstance(each, DeviceArray))
        launched = _compiled.get()
        if launched is not None:
            ptx = self.ptx(args, standing_for())
            launched.append(Launched(self.name, ptx, blocks, self.threads))
            return
        with arrays.on_device(lead.device):
            flat = [arrays.argument(a) if isinstance(a, DeviceArray) else a for a in args]
            stream = 0 if SIMULATED else arrays.external_stream(lead.stream)
            try:
                if SIMULATED:  # which keeps what was configured last
                    self.dispatcher[blocks, self.threads, stream](*flat)
                else:
                    _configured(self.dispatcher, blocks, self.threads, stream)(*flat)
                if targets.synchronous:
                    cuda.synchronize()
            except Exception as error:
                if SIMULATED or not _is_drivers(error):
                    raise
                raise RuntimeError(
                    f"{self.name}: the launch of {blocks} blocks of {self.threads} threads failed: "
                    f"{error}"
                ) from error
            arrays.awaited([each for each in args if isinstance(each, DeviceArray)])

    def grid(self, args: tuple[Any, ...]) -> tuple[int, int, int]:
        """Blocks along x, y and z for these arguments."""
        blocks = _three(self.blocks(*args))
        for axis, count, most in zip("xyz", blocks, MOST_BLOCKS):
            if count > most:
                raise ValueError(
                    f"{self.name}: the problem needs {count:,} blocks along {axis}, and a launch can "
                    f"have {most:,}"
                )
        return blocks

    @property
    def dispatcher(self) -> Any:
        """Numba's dispatcher, made at the first launch."""
        if self._dispatcher is None:
            self._dispatcher = cuda.jit(**self._bounds, **self.options)(self.py_func)
            if not SIMULATED and cuda.__name__ == "numba.cuda":
                from kernels.core.cuda import cache

                cache.keep(self._dispatcher)
        return self._dispatcher

    def ptx(self, args: tuple[Any, ...], capability: tuple[int, int] | None) -> str:
        """PTX for these arguments and a compute capability."""
        types = tuple(_type_of(each) for each in args)
        text, _ = cuda.compile_ptx(
            self.py_func, cuda.types.void(*types), cc=capability, **self._bounds
        )
        return text


@functools.lru_cache(maxsize=1024)
def _configured(dispatcher: Any, blocks: Any, threads: Any, stream: Any) -> Any:
    """Configure a launch, without Numba's warning that a small problem has few blocks: it can have no more."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Grid size")
        return dispatcher[blocks, threads, stream]


def _three(extents: Any) -> tuple[int, int, int]:
    """Extents along x, y and z, those not given 1."""
    x, y, z = (*(int(n) for n in extents), 1, 1)[:3]
    return x, y, z


def kernel(threads: Any, blocks: Callable, **options: Any) -> Callable[[Callable], Kernel]:
    """Make a `Kernel` of the function below it."""

    def make(py_func: Callable) -> Kernel:
        return Kernel(py_func, threads, blocks, **options)

    return make


def _is_drivers(error: Exception) -> bool:
    """Whether an exception came from the CUDA driver, whose message a user can act on."""
    return any(each.__name__ in DRIVERS for each in type(error).__mro__)


def _type_of(value: Any) -> Any:
    """Type of a kernel's argument, as Numba would find it."""
    if isinstance(value, DeviceArray):
        name = "uint16" if value.dtype.name == "bfloat16" else value.dtype.name
        return cuda.types.Array(
            getattr(cuda.types, name), value.ndim, "C" if value.flags.c_contiguous else "A"
        )
    if isinstance(value, tuple):
        return cuda.types.UniTuple(cuda.types.int64, len(value))
    if isinstance(value, bool | np.bool_):
        return cuda.types.boolean
    if isinstance(value, float):
        return cuda.types.float64
    return cuda.types.int64
