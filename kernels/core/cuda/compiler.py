"""The CUDA package, device functions, and a device that only says how capable it is.

Numba's compiler asks the current device for its compute capability whenever one function calls another. Where
kernels are compiled for their PTX alone, on a machine that has no device, `standing_in` answers in its place.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from kernels.core import targets

cuda = targets.package()
SIMULATED = targets.simulated()

_capability: contextvars.ContextVar[tuple[int, int] | None] = contextvars.ContextVar(
    "capability", default=None
)


# Numba's own compiler takes the lowerings of `operations`, which are LLVM's; its successor has another.
LOWERED = SIMULATED or cuda.__name__ == "numba.cuda"


def lowered(refuses: Callable) -> Callable:
    """Let a rung refuse, before its own reasons, where its operations have no lowering."""

    def refused(problem: Any, direction: str) -> str | None:
        if not LOWERED:
            return f"its operations are spelled for numba-cuda, and {cuda.__name__} is installed"
        return refuses(problem, direction)

    return refused


def device(function: Any) -> Any:
    """Compile a function for the device, to be called by kernels: the CPU's own point functions among them.

    Parameters
    ----------
    function : function, or a function compiled for the CPU
        Its Python source is compiled anew; it may call what `device` returned, and nothing else of ours.
    """
    return cuda.jit(device=True)(getattr(function, "py_func", function))


def inlined(function: Callable) -> Any:
    """Compile as `device`, into each of its callers: for what takes registers (local arrays) of its caller."""
    if SIMULATED:
        return cuda.jit(device=True)(function)
    return cuda.jit(device=True, forceinline=True)(function)


def standing_for() -> tuple[int, int] | None:
    """Compute capability that is compiled for without a device, inside `standing_in`; None outside."""
    return _capability.get()


@contextlib.contextmanager
def standing_in(capability: tuple[int, int]) -> Iterator[None]:
    """Compile for `capability`, whatever device there is, or none."""
    modules: list[tuple[Any, Any]] = []
    importlib.import_module(
        cuda.jit.__module__
    )  # what asks is imported by now, under whatever name
    for name in ("api", "compiler", "dispatcher"):
        module = getattr(cuda, name, None)
        if module is not None and hasattr(module, "get_current_device"):
            modules.append((module, module.get_current_device))
    stand_in = SimpleNamespace(compute_capability=capability)
    token = _capability.set(capability)
    for module, _ in modules:
        module.get_current_device = lambda: stand_in
    try:
        yield
    finally:
        for module, before in modules:
            module.get_current_device = before
        _capability.reset(token)


def capability(ordinal: int = 0) -> tuple[int, int]:
    """Compute capability of a device; the simulator can do all that a Hopper can."""
    stands = _capability.get()
    if stands is not None:
        return stands
    return (9, 0) if SIMULATED else _asked(ordinal)


@functools.cache
def _asked(ordinal: int) -> tuple[int, int]:
    major, minor = cuda.gpus[ordinal].compute_capability
    return int(major), int(minor)


def _align_in_simulator() -> None:
    """Let the simulator take ``alignment=``, which it refuses: its arrays are NumPy's, and need none."""
    from numba.cuda.simulator import kernelapi

    def ignoring(allocate: Callable) -> Callable:
        def array(self: Any, shape: Any, dtype: Any, alignment: int | None = None) -> Any:
            return allocate(self, shape, dtype)

        return array

    local: Any = kernelapi.FakeCUDALocal
    shared: Any = kernelapi.FakeCUDAShared
    local.array = ignoring(local.array)
    shared.array = _shared_array


def _shared_array(self: Any, shape: Any, dtype: Any, alignment: int | None = None) -> Any:
    """One array for each call in the source, the same for all threads of a block; NaN at first."""
    block = threading.current_thread()._manager  # type: ignore[attr-defined]
    caller = sys._getframe(1)
    place = (caller.f_code.co_filename, caller.f_lineno)
    dtype = np.dtype(getattr(dtype, "name", dtype))
    array = np.full(shape, np.nan if dtype.kind == "f" else 0xA5, dtype)
    return block.__dict__.setdefault("shared_arrays", {}).setdefault(place, array)


if SIMULATED:
    _align_in_simulator()
