"""The oracle: NumPy only. Philox4x32-10 over whole arrays of counters, in uint64 arithmetic."""

import numpy as np

LOW = np.uint64(0xFFFFFFFF)
SHIFT = np.uint64(32)


def philox(counter, key):
    """Ten rounds on four arrays of 32-bit words (held as uint64), with a key of two words."""
    c0, c1, c2, c3 = (np.asarray(c, np.uint64) & LOW for c in counter)
    k0, k1 = (np.uint64(k) for k in key)
    with np.errstate(over="ignore"):
        for _ in range(10):
            a = np.uint64(0xD2511F53) * c0
            b = np.uint64(0xCD9E8D57) * c2
            c0, c1, c2, c3 = (b >> SHIFT) ^ c1 ^ k0, b & LOW, (a >> SHIFT) ^ c3 ^ k1, a & LOW
            k0 = (k0 + np.uint64(0x9E3779B9)) & LOW
            k1 = (k1 + np.uint64(0xBB67AE85)) & LOW
    return c0, c1, c2, c3


def dropout(x, p, *, seed, offset):
    """x / (1 − p) where the element's random word is at least p·2³², else 0."""
    x = np.asarray(x, np.float64)
    block = np.arange(-(-x.size // 4), dtype=np.uint64)
    counter = (block, block >> SHIFT, np.uint64(offset & 0xFFFFFFFF), np.uint64(offset >> 32))
    words = philox(np.broadcast_arrays(*counter), (seed & 0xFFFFFFFF, seed >> 32))
    words = np.stack(words, -1).reshape(-1)[: x.size].reshape(x.shape)
    keep = words.astype(np.float64) >= p * 2.0**32
    y = np.where(keep, x / (1 - p), 0.0) if p < 1 else np.zeros(x.shape)
    return y, np.abs(y), 0


def dropout_dx(dy, p, *, seed, offset):
    """The same mask on the gradient."""
    return dropout(dy, p, seed=seed, offset=offset)
