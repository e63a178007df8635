"""The end of a row: a vector, or what is left of one."""

from kernels.core import jit, simd


@jit.inlined
def part(a, at, left):
    """Read a vector, or what is left of the row and zeros."""
    if left >= simd.lanes(a):
        return simd.vector(a, at)
    return simd.vector_part(a, at, left)


@jit.inlined
def put(value, a, at, left):
    """Write a vector, or what is left of the row."""
    if left >= simd.lanes(a):
        simd.put_vector(value, a, at)
    else:
        simd.put_vector_part(value, a, at, left)
