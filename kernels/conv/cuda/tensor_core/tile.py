"""What a warp multiplies out of shared memory, in words, the same for TF32, float16 and bfloat16.

Both operands lie with the summed index inside: a row of A (a filter) and a row of B (a position) are 16 words of 32
bits a step, 32 elements of 16 bits or 16 of float32. `mma` takes 8 of those words at a time in either case, and thread
T of a warp wants word T % 4 of row T // 4, which is what `ldmatrix` gives.

A row takes 20 words, so that the 16-byte pieces of 8 rows, which one access reads or writes, lie in 8 different groups
of 4 banks: 20·i mod 32 = 0, 20, 8, 28, 16, 4, 24, 12.
"""

from kernels.core.cuda.compiler import cuda, inlined
from kernels.core.cuda.operations import word_of
from kernels.core.cuda.tensor import ldmatrix, mma

WORDS = 16  # of a row, a step
PITCH = WORDS + 4
SPREAD = 64 + 8  # words from row to row of the sums on their way out: 8 rows in 4 groups of 8 banks


def make(rows, columns):
    """Make the step of one warp for `rows` × 16 rows of A and `columns` × 8 rows of B."""

    @inlined
    def multiply(like, room, a, b, fa, fb, sums):
        """Add the products of one step to a warp's sums; its first rows of A and B lie at words `a` and `b` of `room`."""
        lane = cuda.threadIdx.x & 31
        a += (lane & 15) * PITCH + (lane >> 4) * 4
        b += ((lane & 7) + (lane >> 4) * 8) * PITCH + ((lane >> 3) & 1) * 4
        for k in range(0, WORDS, 8):
            for i in range(rows):
                ldmatrix(room, a + i * 16 * PITCH + k, fa, i * 4)
            for j in range(0, columns, 2):
                ldmatrix(room, b + j * 8 * PITCH + k, fb, j * 2)
            for i in range(rows):
                for j in range(columns):
                    mma(like, fa, i * 4, fb, j * 2, sums, (i * columns + j) * 4)

    @inlined
    def spread(sums, room, row, column):
        """Put a warp's sums into a matrix in shared memory whose rows are `SPREAD` words apart."""
        lane = cuda.threadIdx.x & 31
        at = (row + (lane >> 2)) * SPREAD + column + (lane & 3) * 2
        for i in range(rows):
            for j in range(columns):
                for e in range(4):
                    place = at + (i * 16 + (e >> 1) * 8) * SPREAD + j * 8 + (e & 1)
                    room[place] = word_of(sums[(i * columns + j) * 4 + e])

    return multiply, spread
