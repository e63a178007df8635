"""Stack arrays: what they hold, and that the compiler keeps the sums of `register` rungs in registers."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from numba import njit, types
from numba.core.errors import TypingError

from kernels.conv.register import tile as conv
from kernels.core import simd, stack
from kernels.gemm import register as gemm

SIZE = 5


def backwards(source):
    first = stack.empty(SIZE, source)
    second = stack.empty(SIZE, source)
    for i in range(SIZE):
        first[i] = source[i]
    for i in range(SIZE):
        second[i] = first[SIZE - 1 - i]
    out = np.empty(SIZE, source.dtype)
    for i in range(SIZE):
        out[i] = 10 * first[i] + second[i]
    return out


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_two_arrays_of_one_frame(dtype):
    source = np.arange(SIZE, dtype=dtype)
    expected = 10 * source + source[::-1]
    for function in (backwards, njit(backwards)):
        got = function(source)
        assert got.dtype == source.dtype
        np.testing.assert_array_equal(got, expected)


def test_a_loop_needs_no_more_stack_than_one_pass():
    @njit
    def many(source, times):
        total = source[0]
        for i in range(times):
            room = stack.empty(1024, source)
            room[i % 1024] = 1
            total += room[i % 1024]
        return total

    assert many(np.zeros(1), 1_000_000) == 1_000_000  # 8 GB, were it made anew each time


def test_size_must_be_a_constant():
    with pytest.raises(TypingError):
        njit(lambda source, size: stack.empty(size, source)[0])(np.ones(3), 3)


def loops(text):
    """Yield the code of each loop: from a label to the last jump back to it."""
    parts = re.split(r"^(\.LBB\d+_\d+):\n", text, flags=re.M)
    labels, bodies = parts[1::2], parts[2::2]
    for i, label in enumerate(labels):
        for j in range(i, len(bodies)):
            if re.search(rf"\sj\w+\s+{re.escape(label)}\n", bodies[j]):
                yield "".join(bodies[i : j + 1])


@pytest.mark.parametrize("dtype", [types.float32, types.float64])
@pytest.mark.parametrize("name", ["matmul", "conv2d", "lone"])
def test_sums_stay_in_registers(name, dtype):
    if simd.BITS != 512:
        pytest.skip("ROWS × COLUMNS sums fill the 32 registers of AVX-512, and overfill AVX2's 16")
    array, places = types.Array(dtype, 1, "C"), types.Array(types.int64, 1, "C")
    count = types.int64
    filters = (array, count, array, count, places, array, types.boolean, array)
    function, signature = {
        "matmul": (gemm.tile, (array, array, count, array, count, count)),
        "conv2d": (conv.tile, filters),
        "lone": (conv.lone, filters),
    }[name]
    flags = function.targetoptions
    kernel = njit(fastmath=flags["fastmath"], error_model="numpy")(function.py_func)
    kernel.compile(signature)
    found = [body for body in loops(kernel.inspect_asm(kernel.signatures[0])) if "vfmadd" in body]
    body = min(found, key=len)
    if "zmm" not in body and dtype == types.float64:
        pytest.skip(
            "where 256 bits are preferred, the sums of float64 alone would fill all registers"
        )
    suffix = "ps" if dtype == types.float32 else "pd"
    assert len(re.findall(rf"vfmadd\w+{suffix}\s.*%[yz]mm", body)) >= 8, body
    assert not re.search(rf"(vmov|vfmadd)\w+{suffix}\s.*\(%r[sb]p", body), body


CHECK = """
import numpy as np, kernels
rng = np.random.default_rng(0)
a, b = rng.standard_normal((6, 9)), rng.standard_normal((9, 37))
np.testing.assert_allclose(kernels.matmul(a, b, algorithm="register"), a @ b)
x, w = rng.standard_normal((1, 2, 5, 6)), rng.standard_normal((5, 2, 3, 2))
for options in ({"padding": 1}, {"stride": 2, "padding": 2}):
    y, z = (kernels.conv2d(x, w, **options, algorithm=each) for each in ("register", "naive"))
    np.testing.assert_allclose(y, z)
print("same")
"""


def test_runs_as_plain_python():
    done = subprocess.run(
        [sys.executable, "-c", CHECK],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "same\n", done.stderr
