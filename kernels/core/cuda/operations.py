"""What CUDA C has and Numba's arrays lack, one function each.

The body of each function is its specification: the simulator runs it. The compiler takes its lowering instead, the
function of the same name in `kernels.core.cuda.lowering`.
"""

from collections.abc import Callable
from typing import Any

from kernels.core.cuda.compiler import SIMULATED


def operation(specification: Callable) -> Any:
    """Give a function its lowering, or leave its Python body to the simulator."""
    if SIMULATED:
        return specification
    from kernels.core.cuda import lowering

    return getattr(lowering, specification.__name__)


def _ahead(index: Any, step: int) -> Any:
    """`index` moved along its last axis."""
    return (*index[:-1], index[-1] + step) if isinstance(index, tuple) else index + step


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
