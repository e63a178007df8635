"""Sliding windows: compiled against their own NumPy bodies, at each width of vectors."""

import os
import subprocess
import sys

import pytest

from kernels.core.simd import width
from tests.test_simd import PROCESSORS

CHECK = """
import sys
import numpy as np
from numba import njit
from kernels.core import simd
from kernels.core.simd import sliding
assert simd.BITS == int(sys.argv[1]), simd.BITS

@njit(error_model="numpy")
def forward(window, w, x, numbers, c, mask):
    x, numbers = sliding.bare(x), sliding.bare(numbers)
    weights = sliding.taps(window, w, 60, -1)
    sums, lanes = sliding.sums_for(weights, 0.5, 1), sliding.lanes_for(weights, numbers, 1)
    sums = sliding.take_row(sums, weights, x, 3, lanes, 1, 0, 1)
    sums = sliding.roll(sums, sliding.row_of_one(2.0, x))
    sums = sliding.take_row(sums, weights, x, 9, lanes, 1, 0, 1)
    sliding.ask(x, 5)
    sliding.put_all(sums, c, 0)
    last = sliding.part(sums, 1)
    sliding.put_vector_at(sliding.at_least(last, 0.25) + sliding.vector_at(x, 4, mask), c, 900, mask)

@njit(error_model="numpy")
def by_two(window, w, x, numbers, c):
    weights = sliding.taps(window, w, 2, 1)
    sums, lanes = sliding.sums_for(weights, 0.5, 2), sliding.lanes_for(weights, numbers, 0)
    sums = sliding.take_row(sums, weights, x, 3, lanes, 2, 0, 2)
    sums = sliding.take_row(sums, weights, x, 99, lanes, 2, 1, 2)
    sliding.put_all(sums, c, 0)

@njit(error_model="numpy")
def spread(window, w, x, numbers, c):
    weights = sliding.taps(window, w, 2, 1)
    sums, lanes = sliding.zeros(x, window, (0, 0)), sliding.lanes_for(weights, numbers, 0)
    sums = sliding.spread_row(sums, weights, x, 20, lanes)
    sliding.put_all(sums, c, 0)

@njit(error_model="numpy")
def products(window, group, half, x, numbers, c):
    sums, lanes = sliding.zeros(x, window, group), sliding.lanes_for(sliding.zeros(x, window, group), numbers, 0)
    rows = sliding.zeros(x, half, (0,))
    for i in range(len(half)):
        rows = sliding.roll(rows, sliding.vector_at(x, 300 + 50 * i, -1))
    sums = sliding.product_row(sums, rows, x, 3, lanes, 2, 1, 2)
    sliding.put_all(sums, c, 0)

rng = np.random.default_rng(0)
for dtype in ("f4", "f8"):
    lanes = simd.lanes_of(dtype)
    x, w = (rng.standard_normal(2000).astype(dtype) for _ in range(2))
    numbers = rng.integers(0, 1 << lanes, 20)
    def compare(function, *args):
        got = np.full(1000, np.nan, dtype)  # a write too much would show
        want = got.copy()
        function(*[got if each is None else each for each in args])
        function.py_func(*[want if each is None else each for each in args])
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    for side in (3, 7):
        window = (0,) * side
        compare(forward, window, w, x, numbers, None, int(numbers[-1]))
        compare(by_two, window, w, x, numbers, None)
        compare(spread, window, w, x, numbers, None)
        compare(products, window, (0,) * min(side, 5), (0,) * -(-side // 2), x, numbers, None)
print("same")
"""

DIRECTIONS = """
import sys
import numpy as np
import kernels
from bench import calls, check
from kernels.core import simd
assert simd.BITS == int(sys.argv[1]), simd.BITS
rng = np.random.default_rng(0)
for dtype in ("f4",):
    for stride in (1, 2):
        for side, many in ((3, 2), (5, 1), (7, 1)):
            x = rng.standard_normal((2, 3, 11, 19)).astype(dtype)
            w = rng.standard_normal((3 * many, 1, side, side)).astype(dtype)
            options = {"groups": 3, "stride": stride, "padding": ((1, 3), (2, 0))}
            for direction in ("forward", "dx", "dw"):
                args, given = calls.inputs("conv2d", direction, (x, w), options)
                got = calls.ours("conv2d", direction, args, given, algorithm="depthwise")
                judged = calls.reference("conv2d", direction, args, given)
                assert check.ratio(got, judged) <= 1, (dtype, stride, side, direction)
print("same")
"""


def _run(program, bits):
    if bits > width.bits(None, None) or not width.X86:
        pytest.skip(f"no vectors of {bits} bits here, or no processors to ask for by name")
    chosen = {} if bits == width.bits(None, None) else PROCESSORS[bits]
    done = subprocess.run(
        [sys.executable, "-c", program, str(bits)],
        env={**os.environ, **chosen},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "same\n", done.stderr[-3000:]


@pytest.mark.parametrize("bits", [512, 256, 128])
def test_compiled_does_what_its_body_says(bits):
    _run(CHECK, bits)


def test_depthwise_in_narrow_vectors():
    _run(DIRECTIONS, 256)
