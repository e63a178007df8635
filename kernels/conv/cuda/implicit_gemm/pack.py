"""Weights, repacked so that a tile of them is read in accesses of 16 bytes along the product's rows."""

from kernels.core.cuda.compiler import cuda
from kernels.core.cuda.launch import kernel
from kernels.core.cuda.operations import copy1, flat, quotient

# threads of a block: a warp writes 32 neighbours, and eight of them read all of each sector of w
ROWS, DEEP = 32, 8


def width(rows: int) -> int:
    """Elements that a packed term takes: the rows, so many that each term starts on a 16-byte boundary."""
    return -(-rows // 4) * 4


def _grid(w, sizes, packed):
    rows, terms, groups = sizes[:3]
    return -(-width(rows) // ROWS) * -(-terms // DEEP) * groups, 1, 1


@kernel((ROWS, DEEP), _grid)
def pack(w, sizes, packed):
    """packed[g, term, m] = w[g, m, term] for each tap; zeros at m past the rows.

    sizes: rows, terms, groups; taps; in w the steps of a row and of a term; in packed the steps of a term and of a
    tap, in terms.
    """
    M, TERMS, GROUPS, TAPS, row_step, term_step, to_term, to_tap = sizes
    MP = (M + 3) // 4 * 4
    tiles = (MP + 31) // 32
    rest = quotient(cuda.blockIdx.x, tiles)
    m = (cuda.blockIdx.x - rest * tiles) * 32 + cuda.threadIdx.x
    deep = quotient(rest, GROUPS)
    g = rest - deep * GROUPS
    i = deep * 8 + cuda.threadIdx.y
    filters = flat(w)
    if m < MP and i < TERMS:
        source = g * M * TERMS * TAPS + m * row_step + i * term_step
        target = (g * TERMS * TAPS + i * to_term) * MP + m
        for tap in range(TAPS):
            if m < M:
                copy1(filters, source + tap, packed, target)
            else:
                packed[target] = 0
            target += to_tap * MP
