"""Compiled kernels kept on disk: numba-cuda's cache, fresh as long as all the sources below a kernel are.

As for the CPU (`kernels.core.jit`), an edit to any file that a kernel can depend on makes its entries stale, and a
disk that refuses, or an entry that cannot be read, costs a compilation and nothing else.
"""

from __future__ import annotations

import hashlib
import inspect
from typing import Any

from numba.cuda.dispatcher import CUDACache, CUDACacheImpl

from kernels.core.jit import sources_stamp


class _StampedImpl(CUDACacheImpl):
    def __init__(self, py_func: Any) -> None:
        super().__init__(py_func)
        family = (*py_func.__module__.split("."), "core")[1]  # a script's own kernel has none
        own_stamp = self._locator.get_source_stamp
        self._locator.get_source_stamp = lambda: (own_stamp(), sources_stamp(family))


class _StampedCache(CUDACache):
    _impl_class = _StampedImpl

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        """Name what a kernel closes over, where Numba would pickle it: a device function differs each time."""
        key = (sig, codegen.magic_tuple(), _version(), _described(self._py_func))
        if self._launch_config_key is None:
            return key
        return (*key, ("launch_config", self._launch_config_key))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # a damaged entry, whatever it raises, is a miss
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except Exception:  # what cannot be kept is compiled again
            return


def _version() -> str:
    import numba_cuda

    return numba_cuda.__version__


def _described(value: Any) -> str:
    """Digest of a function and what it closes over; the files it calls into are in the stamp."""
    function = getattr(value, "py_func", value)
    if not inspect.isfunction(function):
        return repr(value)
    digest = hashlib.sha256(f"{function.__module__}.{function.__qualname__}".encode())
    digest.update(function.__code__.co_code)
    for cell in function.__closure__ or ():
        digest.update(_described(cell.cell_contents).encode())
    return digest.hexdigest()


def keep(dispatcher: Any) -> None:
    """Let a kernel's dispatcher read and write the disk cache, where there is a folder for it."""
    try:
        dispatcher._cache = _StampedCache(dispatcher.py_func)
    except (OSError, RuntimeError):
        return
