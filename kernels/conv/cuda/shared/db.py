"""db by blocks: a block a filter, its threads' sums added as a tree in shared memory."""

import functools

import numpy as np

from kernels.conv.cuda.indices import split
from kernels.core.cuda.compiler import cuda
from kernels.core.cuda.launch import kernel
from kernels.core.cuda.operations import flat, narrow, read_where, widen

THREADS = 512
LOADS = 4  # that a thread starts before it waits for the first


def db(dy, db):
    """db[k] = Σ dy[:, k, :, :]; float16 and bfloat16 are summed in float32."""
    tree(np.float64 if dy.dtype.itemsize == 8 else np.float32)(dy, db)


@functools.cache
def tree(DTYPE):
    """Make the kernel that sums in DTYPE."""

    @kernel(THREADS, lambda dy, db: (db.size, 1, 1))
    def shared_db(dy, db):
        shared = cuda.shared.array(THREADS, DTYPE)
        held = cuda.local.array(LOADS, DTYPE)
        dys = flat(dy)
        N, K, OH, OW = dy.shape
        k, t = cuda.blockIdx.x, cuda.threadIdx.x
        area = OH * OW
        # thread t takes elements t, t + 512, … of the filter's planes; where a plane ends, the next begins
        few = min(area, THREADS + 1)  # a plane may have more than 2³² elements
        n, place = split(t, few)
        planes, step = split(THREADS, few)
        at = (n * K + k) * area + place
        ahead = planes * K * area + step
        total = DTYPE(0)
        for i in range(t, N * area, LOADS * THREADS):
            for load in range(LOADS):
                there = i + load * THREADS < N * area
                held[load] = widen(read_where(dys, at, there))
                at += ahead
                place += step
                if place >= area:
                    place -= area
                    at += (K - 1) * area
            for load in range(LOADS):
                total += held[load]
        shared[t] = total
        half = THREADS // 2
        while half > 0:
            cuda.syncthreads()
            if t < half:
                shared[t] += shared[t + half]
            half //= 2
        if t == 0:
            db[k] = narrow(shared[0], db)

    return shared_db
