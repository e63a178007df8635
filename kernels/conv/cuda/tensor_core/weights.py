"""The weights, laid out once a call as the tiles read them: each step's piece of A in one run of memory.

    packed[group, block, tap, part, row, word]

Word `word` of row `row` holds channels part·BK + word·E and, of 16 bits, the next (E = 2, BK = 32; of float32 E = 1,
BK = 16, rounded to TF32). Rows beyond the filters and channels beyond the group's are zeros. For dx, rows are channels
and what is summed are filters. Where taps and channels are walked as one index, they are channels, and there is one tap.
"""

import numpy as np

from kernels.conv.cuda.tensor_core.tile import WORDS
from kernels.core.cuda.compiler import cuda
from kernels.core.cuda.launch import kernel
from kernels.core.cuda.tensor import tf32

THREADS = 256  # 16 rows of 16 words


def size(groups, filters, channels, taps, rows, elements):
    """Words of the packed weights: `filters` and `channels` a group, tiles of `rows`, `elements` to a word."""
    return _units(groups, filters, channels, rows, elements) * taps * THREADS


def _units(groups, filters, channels, rows, elements):
    """Pieces of 16 rows and one part."""
    return groups * -(-filters // rows) * (rows // 16) * -(-channels // (WORDS * elements))


def _make(elements, turned):
    depth = WORDS * elements

    def blocks(w, groups, filters, channels, taps, rows, packed):
        return (_units(groups, filters, channels, rows, elements),)

    @kernel(THREADS, blocks)
    def pack(w, groups, filters, channels, taps, rows, packed):
        """Fill `packed`: a block takes 16 rows of one part, for all taps, which are neighbours in w."""
        parts, pieces = (channels + depth - 1) // depth, rows // 16
        rest, piece = divmod(cuda.blockIdx.x, pieces)
        tile, part = divmod(rest, parts)
        group, block = divmod(tile, (filters + rows - 1) // rows)
        t = cuda.threadIdx.x
        m = block * rows + piece * 16 + (t >> 4)
        c = part * depth + (t & 15) * elements
        if turned:
            source, step = ((group * channels + c) * filters + m) * taps, filters * taps
        else:
            source, step = ((group * filters + m) * channels + c) * taps, taps
        target = (tile * taps * parts + part) * rows * WORDS + piece * THREADS + t
        inside = min(elements, channels - c) if m < filters else 0
        for tap in range(taps):
            word = np.uint32(0)
            if inside > 0:
                if elements == 1:
                    word = tf32(w[np.uint64(source + tap)])
                else:
                    word = np.uint32(w[np.uint64(source + tap)])
            if inside > 1:
                word |= np.uint32(w[np.uint64(source + tap + step)]) << np.uint32(16)
            packed[target] = word
            target += parts * rows * WORDS

    return pack


# by elements to a word: of float32 one, of 16 bits two
FORWARD = {1: _make(1, False), 2: _make(2, False)}
TURNED = {1: _make(1, True), 2: _make(2, True)}
