"""How a step's operands get to shared memory: packed weights by `cp.async`, images through registers."""

import numpy as np

from kernels.conv.cuda.tensor_core.tile import PITCH, WORDS
from kernels.core.cuda.compiler import cuda, inlined
from kernels.core.cuda.operations import commit_copies, copy4, copy_async, load_run
from kernels.core.cuda.tensor import tf32

BN = 128  # positions of a tile
LISTED = 512  # channels and taps that are walked as one index, at most
NOWHERE = 0x7FFF << 16  # a shift that leaves any image


@inlined
def list_taps(inner, source, window, dilation, first, count, offsets, shifts):
    """List channels and taps as one index, from `first` on, for whole blocks to read.

    `offsets`: elements from where a window starts to its channel's tap; `shifts`: rows (upper half) and columns.
    """
    area = window[0] * window[1]
    for e in range(cuda.threadIdx.x, count, cuda.blockDim.x):
        c, tap = (first + e) // area, (first + e) % area
        r, s = tap // window[1] * dilation[0], tap % window[1] * dilation[1]
        offsets[e] = (c * source[0] + r) * source[1] + s
        shifts[e] = r << 16 | s if c < inner else NOWHERE


def make(rows, elements, threads):
    """Make `start` (A), `gather` and `put` (B by the list, into registers and out) for a block of `product`."""
    share = threads // BN
    own, words = WORDS * elements // share, WORDS // share
    copies = rows * WORDS // 4 // threads
    OF_B = 2 * rows * PITCH

    @inlined
    def start(packed, at, room, buffer):
        """Start a step's piece of A on its way."""
        t = cuda.threadIdx.x
        for i in range(copies):
            piece = t + i * threads
            place = (buffer * rows + (piece >> 2)) * PITCH + (piece & 3) * 4
            copy_async(packed, at + piece * 4, room, place, True)
        commit_copies()

    @inlined
    def put(raw, room, buffer):
        """Store what a thread loaded: neighbours along the sum into words, words by four."""
        t = cuda.threadIdx.x
        made = cuda.local.array(words, np.uint32)
        for i in range(words):
            if elements == 1:
                made[i] = tf32(raw[i])
            else:
                made[i] = raw[2 * i] | (raw[2 * i + 1] << np.uint32(16))
        place = OF_B + (buffer * BN + (t & (BN - 1))) * PITCH + (t >> 7) * words
        for i in range(0, words, 4):
            copy4(made, i, room, place + i)

    @inlined
    def gather(x, at, ih, iw, tall, broad, within, first, offsets, shifts, raw):
        """Load a run of the list; what lies outside the image is zero."""
        for e in range(own):
            shift = shifts[first + e]
            h, v = np.int32(ih + (shift >> 16)), np.int32(iw + (shift & 0xFFFF))
            inside = within and 0 <= h < tall and 0 <= v < broad
            load_run(x, at + offsets[first + e], 0, 1 if inside else 0, raw, e, 1)

    return start, put, gather
