"""Lines copied to a pitch of whole 16 bytes, for what reads by chunks of 16 bytes.

    y[l, e] = x[l, e],  0 past the end of a line

A matrix is read and written once more for it. Without, each of its elements is loaded by itself, and the threads wait
for that where `cp.async` lets them multiply.
"""

from kernels.core.cuda.compiler import cuda
from kernels.core.cuda.launch import kernel

LINES = 8  # of a block: one for each warp


def pitch(elements: int, size: int) -> int:
    """Elements from line to line, whole chunks of 16 bytes."""
    count = 16 // size
    return -(-elements // count) * count


@kernel(32 * LINES, lambda x, lines, elements, pitch, y: (-(-lines // LINES),))
def copy(x, lines, elements, pitch, y):
    """Copy the lines of the flat x into the flat y, `pitch` elements apart."""
    line = cuda.blockIdx.x * LINES + (cuda.threadIdx.x >> 5)
    if line < lines:
        for e in range(cuda.threadIdx.x & 31, pitch, 32):
            y[line * pitch + e] = x[line * elements + e] if e < elements else x.dtype.type(0)
