"""The only place that spells Numba's flags, and the disk cache's stamp.

Two spellings, and a third word for threads:

``fast``
    The compiler may reassociate a sum (so that a dot product can use vector lanes), contract a
    multiply and an add into one fused instruction, and ignore the sign of zero. It may never assume
    that NaN and infinity do not happen.
``exact``
    IEEE arithmetic in the order written: for variance, transforms, random bits, anything whose
    answer depends on the order.
``parallel``
    The same loop compiled twice: once with `prange` spread over threads, once plain, kept beside it
    as ``.serial``. `kernels.core.threads` chooses between them at each call. The loop body must be a
    function of its own (one of the first two), so that both twins run the very same machine code and
    give the same bits. A `prange` index is unsigned: ``np.int64(i)`` before it is handed on, lest the
    callee be compiled once for each twin.

All compile lazily, at the first call with a dtype, and keep the result on disk.
"""

from __future__ import annotations

import functools
import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

from numba import njit
from numba.core import caching, config

FAST_MATH = frozenset({"reassoc", "contract", "nsz"})

_PACKAGE = Path(__file__).resolve().parents[1]


@functools.cache
def sources_stamp(family: str) -> str:
    """Digest of every source file that a kernel of `family` can depend on: family, gemm, core."""
    digest = hashlib.sha256()
    for room in sorted({family, "gemm", "core"}):
        for path in sorted((_PACKAGE / room).rglob("*.py")):
            digest.update(str(path.relative_to(_PACKAGE)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


class _StampedImpl(caching.CompileResultCacheImpl):
    """Numba's cache entry, whose freshness is that of all the sources below the function."""

    def __init__(self, py_func: Callable) -> None:
        super().__init__(py_func)
        family = py_func.__module__.split(".")[1]
        own_stamp = self._locator.get_source_stamp
        self._locator.get_source_stamp = lambda: (own_stamp(), sources_stamp(family))


class _StampedCache(caching.FunctionCache):
    _impl_class = _StampedImpl


class _LazyCache(caching._Cache):
    """Opens the disk cache at the first compilation, so that importing touches no disk.

    Where no folder can be written, or the disk refuses later, compilation goes on without a cache
    and one warning says so.
    """

    _warned = False

    def __init__(self, py_func: Callable) -> None:
        self._py_func = py_func
        self._enabled = True

    @functools.cached_property
    def _cache(self) -> caching._Cache:
        try:
            return _StampedCache(self._py_func)
        except (RuntimeError, OSError) as error:
            self._warn(error)
            return caching.NullCache()

    @classmethod
    def _warn(cls, error: Exception) -> None:
        if not _LazyCache._warned:
            _LazyCache._warned = True
            warnings.warn(
                f"loopwise keeps no compiled code on disk, so each process compiles anew: {error}. "
                "Set NUMBA_CACHE_DIR to a folder that can be written.",
                RuntimeWarning,
                stacklevel=2,
            )

    @property
    def cache_path(self) -> str | None:
        return self._cache.cache_path

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        if not self._enabled:
            return None
        try:
            return self._cache.load_overload(sig, target_context)
        except Exception:  # a damaged entry, whatever it raises, is a miss
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        if not self._enabled:
            return
        try:
            self._cache.save_overload(sig, data)
        except OSError as error:
            self._warn(error)

    def enable(self) -> None:
        self._enabled = True

    def disable(self) -> None:
        self._enabled = False

    def flush(self) -> None:
        self._cache.flush()


def _compile(
    py_func: Callable, *, fastmath: Any, parallel: bool = False, inline: bool = False
) -> Any:
    flags: dict[str, Any] = {"fastmath": fastmath, "parallel": parallel, "forceinline": inline}
    if inline:
        flags["_nrt"] = False  # what allocates nothing need not count who holds its arrays
    dispatcher: Any = njit(nogil=True, error_model="numpy", **flags)(py_func)
    if not getattr(
        config, "DISABLE_JIT", False
    ):  # with NUMBA_DISABLE_JIT=1 the loops run as plain Python
        dispatcher._cache = _LazyCache(py_func)
    return dispatcher


def fast(py_func: Callable) -> Any:
    """Compile a loop whose sums may be reassociated and contracted."""
    return _compile(py_func, fastmath=set(FAST_MATH))


def inlined(py_func: Callable) -> Any:
    """Compile as `exact`, into each of its callers.

    For what returns or takes a register tile, whose vectors a call would pass through memory, and for what
    is called once a vector. It must allocate nothing: it does not count who holds its arrays, for which a
    call wants locked instructions (50 ns a call on a Zen 5), in a loop at every turn. Exact, for
    what the compiler contracts depends on what stands around it, and the callers are many: tiles multiply
    and add by one instruction anyway.
    """
    return _compile(py_func, fastmath=False, inline=True)


def exact(py_func: Callable) -> Any:
    """Compile a loop in IEEE arithmetic, in the order written."""
    return _compile(py_func, fastmath=False)


def parallel(py_func: Any) -> Any:
    """Compile a `prange` loop over threads, with its serial twin as ``.serial``."""
    dispatcher = _compile(py_func, fastmath=False, parallel=True)
    dispatcher.serial = _compile(_twin(py_func), fastmath=False)
    return dispatcher


def _twin(py_func: FunctionType) -> Callable:
    """Give the same function another name, so that the two keep separate cache entries."""
    twin = FunctionType(
        py_func.__code__, py_func.__globals__, py_func.__name__, py_func.__defaults__
    )
    twin.__qualname__ = py_func.__qualname__ + "_serial"
    twin.__module__ = py_func.__module__
    twin.__doc__ = py_func.__doc__
    return twin
