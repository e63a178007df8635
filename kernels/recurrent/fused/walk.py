"""Which batch rows a share takes, and where each of their steps lies."""

import numpy as np

from kernels.core import jit, simd, threads

PAD = simd.ROWS  # places are read a tile at a time


def shares(batch, rows):
    """Pieces of a batch: one a thread, each of whole tiles where it can be."""
    return max(1, min(threads.most(), (batch + rows - 1) // rows))


@jit.exact
def longest_first(lengths):
    """Numbers of the batch rows by falling length, equals in their order: a counting sort."""
    batch = lengths.shape[0]
    longest = 0
    for b in range(batch):
        longest = max(longest, lengths[b])
    place = np.zeros(longest + 2, np.int64)
    for b in range(batch):
        place[longest - lengths[b] + 1] += 1
    for i in range(longest + 1):
        place[i + 1] += place[i]
    order = np.empty(batch, np.int64)
    for b in range(batch):
        order[place[longest - lengths[b]]] = b
        place[longest - lengths[b]] += 1
    return order


@jit.exact
def dealt(lengths, share, count):
    """The rows of a share: every `count`-th, longest first, so that shares have as much to do."""
    return longest_first(lengths)[share::count].copy()


@jit.inlined
def still_walking(lengths, mine, active, step):
    """How many of the first `active` rows have a step of this number."""
    while active > 0 and lengths[mine[active - 1]] <= step:
        active -= 1
    return active


@jit.inlined
def places(mine, active, first, step, stride, shift, width, into):
    """Write where the rows' states or inputs begin; past the last, the last once more."""
    for i in range(into.shape[0]):
        b = mine[min(i, active - 1)]
        into[i] = (first[b] + step * stride + shift) * width


@jit.inlined
def begin(mine, first_states, width, first, before, states):
    """Copy each row's initial state to where its walk begins."""
    for i in range(mine.shape[0]):
        start = (first[mine[i]] + before) * width
        for u in range(width):
            states[start + u] = first_states[mine[i] * width + u]
