"""What CUDA C has and Numba's arrays lack, one function each.

The body of each function is its specification: the simulator runs it. The compiler takes its lowering instead, the
function of the same name in `kernels.core.cuda.lowering`. What the threads of a warp do together is in
`kernels.core.cuda.tensor`.
"""

import importlib
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from kernels.core.cuda.compiler import LOWERED, SIMULATED, device

LOWERINGS = {"operations": "lowering", "tensor": "tensor_lowering"}


def operation(specification: Callable) -> Any:
    """Give a function its lowering, or leave its Python body to the simulator.

    The lowerings are LLVM's, numba-cuda's own. Its successor compiles the body, where it can: the plain rungs need
    no more than that.
    """
    if SIMULATED:
        return specification
    if not LOWERED:
        return device(specification)
    package, _, name = specification.__module__.rpartition(".")
    lowering = importlib.import_module(f"{package}.{LOWERINGS[name]}")
    return getattr(lowering, specification.__name__)


def _ahead(index: Any, step: int) -> Any:
    """`index` moved along its last axis."""
    return (*index[:-1], index[-1] + step) if isinstance(index, tuple) else index + step


@operation
def copy1(source, i, target, j):
    """Copy source[i] to target[j]. The indices are not negative, which an index in brackets has to ask at run time."""
    target[j] = source[i]


@operation
def copy4(source, i, target, j):
    """Copy 4 elements of the last axis, from source[i] on to target[j] on, in accesses of 16 bytes.

    `i` and `j` are an integer or a tuple of them, not negative; both places must lie on a 16-byte boundary, as local
    arrays do, and shared ones made with ``alignment=16``, at multiples of 4.
    """
    for step in range(4):
        target[_ahead(j, step)] = source[_ahead(i, step)]


@operation
def copy16(source, i, target, j):
    """Copy 16 bytes, as `copy4` does: 2 elements of float64, 4 of float32, 8 of float16."""
    for step in range(16 // source.dtype.itemsize):
        target[_ahead(j, step)] = source[_ahead(i, step)]


@operation
def widen(x):
    """Return an element as it is summed: float16, and bfloat16's bits (uint16), as float32; others as they are."""
    if x.dtype.name == "uint16":
        return (x.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return np.float32(x) if x.dtype.name == "float16" else x


@operation
def narrow(value, array):
    """Return a sum as an element of `array`, rounded to nearest, ties to even: what `widen` undoes."""
    if array.dtype.name != "uint16":
        with np.errstate(over="ignore"):
            return array.dtype.type(value)
    bits = int(np.float32(value).view(np.uint32))
    if bits & 0x7FFFFFFF > 0x7F800000:
        return np.uint16(0x7FFF)
    return np.uint16((bits + 0x7FFF + (bits >> 16 & 1)) >> 16)


@operation
def word_of(value):
    """Return the bits of a float32, as uint32."""
    return np.float32(value).view(np.uint32)


@operation
def float_of(word):
    """Return the float32 whose bits a uint32 holds."""
    return np.uint32(word).view(np.float32)


@operation
def narrow2(first, second, target, j):
    """Store two sums into target[j] and the place after it, each as `narrow` rounds it, by one access.

    target[j] must lie on a boundary of two elements. 16-bit elements: compute capability 8.0 and up.
    """
    if (target.ctypes.data + offset(target, j)) % (2 * target.dtype.itemsize):
        raise RuntimeError(f"narrow2: {j} is on no boundary of two elements")
    target[j], target[_ahead(j, 1)] = narrow(first, target), narrow(second, target)


@operation
def load_run(source, i, step, inside, target, j, count):
    """Load `count` (a literal) elements of a flat array of bits, `step` apart from source[i] on, as words.

    Those beyond the first `inside` are zeros, and are not read: i need be no place of the array if there are none.
    All addresses are 64 bits, the comparisons 32.
    """
    for e in range(count):
        target[j + e] = source[i + e * step] if e < inside else 0


def offset(array: Any, index: Any) -> int:
    """Bytes from an array's start to an element, in the simulator."""
    index = index if isinstance(index, tuple) else (index,)
    return sum(int(n) * s for n, s in zip(index, array.strides))


@operation
def copy_async(source, i, target, j, inside):
    """Start to copy 16 bytes from global to shared memory, or zeros where not `inside`; see `copy16`.

    The copy passes no register, and is done once `wait_copies` says so to the thread that started it (and to others
    after a barrier). Both places must lie on a 16-byte boundary; where not `inside`, source[i] is not read, and may lie
    outside of the array. Compute capability 8.0 and up.
    """
    # as late as it may be: what was there is gone at once, what comes is there after the wait
    count = 16 // source.dtype.itemsize
    start = j[-1] if isinstance(j, tuple) else j
    room = (target[j[:-1]] if isinstance(j, tuple) else target)[start : start + count]
    if (source.ctypes.data + offset(source, i)) % 16 or offset(target, j) % 16:
        raise RuntimeError(f"copy_async: {i} or {j} is on no 16-byte boundary")
    room[:] = np.nan if room.dtype.kind == "f" else 0x7FFF
    copies = threading.current_thread().__dict__.setdefault("copies", [[]])
    copies[-1].append((source, i, room, inside))


@operation
def commit_copies():
    """Close a group: the copies that this thread has started since the last."""
    threading.current_thread().__dict__.setdefault("copies", [[]]).append([])


@operation
def wait_copies(pending):
    """Wait until all of this thread's groups are done but the last `pending`, a literal."""
    copies = threading.current_thread().__dict__.setdefault("copies", [[]])
    first = max(0, len(copies) - 1 - pending)
    done, copies[:] = copies[:first], copies[first:]
    for source, i, room, inside in (each for group in done for each in group):
        for step in range(len(room)):
            room[step] = source[_ahead(i, step)] if inside else 0


@operation
def flat(array):
    """View a C-contiguous array along one axis: an offset that is stepped costs less than an index an axis."""
    return array.reshape(array.size)


@operation
def read_where(array, index, condition):
    """Read array[index] where `condition` holds, else zero: a load with a predicate, and no branch around it.

    For global memory that the kernel does not write; `index` is as `copy4` has it, and may lie anywhere where
    the condition does not hold.
    """
    return array[index] if condition else array.dtype.type(0)


@operation
def quotient(a, b):
    """a // b by a division of 32 bits, a few instructions where Numba's takes dozens: 0 ≤ a < 2³¹, 0 < b < 2³¹."""
    return a // b
