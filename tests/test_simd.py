"""The register tile: compiled against its own NumPy body, at each width, and what the compiler made."""

import os
import platform
import re
import subprocess
import sys

import numpy as np
import pytest
from numba import njit, types

from kernels.core import simd
from kernels.core.simd import width
from kernels.gemm import microkernel

CHECK = """
import sys
import numpy as np
from numba import njit
from kernels.core import simd
from kernels.gemm import microkernel
assert simd.BITS == int(sys.argv[1]), simd.BITS

@njit(error_model="numpy")
def run(numbers, a, ia, step, b, ib, depth, c, start, stride, rows, columns, fresh):
    microkernel.tile(
        a, simd.places_of(numbers, 0), ia, step, b, ib, depth, c, start, stride, rows, columns, fresh
    )

rng = np.random.default_rng(0)
for dtype in ("f4", "f8"):
    wide, high = simd.columns_of(dtype), simd.ROWS
    for rows in {high, high - 1, 1}:
        for columns in {wide, wide - 1, wide // 3 + 1, 1}:
            for fresh in (True, False):
                depth, stride = int(rng.integers(0, 40)), wide + 3
                pa = rng.standard_normal(5 + depth * high).astype(dtype)
                pb = rng.standard_normal(7 + depth * wide).astype(dtype)
                start = 2
                end = start + (rows - 1) * stride + columns
                c = rng.standard_normal(end).astype(dtype)  # a read or write past the tile would show
                guarded = np.full(end + 200, np.nan, dtype)
                guarded[:end] = c
                expected = c.copy()
                numbers = rng.permutation(high)
                args = (pa, 5, high, pb, 7, depth), (start, stride, rows, columns, fresh)
                run(numbers, *args[0], guarded, *args[1])
                run.py_func(numbers, *args[0], expected, *args[1])
                scale = 1e-5 if dtype == "f4" else 1e-13
                np.testing.assert_allclose(guarded[:end], expected, rtol=0, atol=scale * (depth + 1))
                assert np.isnan(guarded[end:]).all()
                outside = np.ones(end, bool)
                for i in range(rows):
                    outside[start + i * stride : start + i * stride + columns] = False
                np.testing.assert_array_equal(guarded[:end][outside], c[outside])
print("same")
"""

# A processor that is asked for by name, and the width that its vectors have.
PROCESSORS = {512: {}, 256: {"NUMBA_CPU_NAME": "haswell"}, 128: {"NUMBA_CPU_NAME": "nehalem"}}


VECTORS = """
import sys
import numpy as np
from numba import njit
from kernels.core import simd
assert simd.BITS == int(sys.argv[1]), simd.BITS

@njit(error_model="numpy")
def columns(a, c, start, stride, low, high, width, part):
    tile = simd.load(a, 0, simd.columns(a))
    if part:
        simd.store_columns_part(tile, c, start, stride, low, high, width)
    else:
        simd.store_columns(tile, c, start, stride)

@njit(error_model="numpy")
def transpose(a, c, rows, width, keep):
    simd.transpose(a, 3, 40, rows, width, c, 5, 37, keep)

@njit(error_model="numpy")
def places(a, b, c, numbers):
    tile, at = simd.row_of(b, 1) + simd.rows_of(b, 3), simd.places_of(numbers, 2)
    for k in range(5):
        tile = simd.multiply_add_at(tile, a, at, k, b, k * simd.columns(b))
        tile = simd.multiply_add(tile, a, k, 3, b, k * simd.columns(b))
    simd.prefetch(c, 0, 70)
    simd.store(simd.relu(tile), c, 0, simd.columns(c))

QUAD = simd.QUAD_ROWS  # a constant must be a name of the module's own

@njit(error_model="numpy")
def quad(a, b, c, numbers):
    at = simd.places_of(numbers, 1)
    alike, empty = simd.alike(b, 3, QUAD, 4), simd.zero_of(b, 2, 3)
    for k in range(5):
        alike = simd.multiply_add_at(alike, a, at, k, b, k * 4 * simd.lanes(b))
        empty = simd.multiply_add_at(empty, a, at, k, b, k * 3 * simd.lanes(b))
    simd.store(alike, c, 2, 4 * simd.lanes(c) + 1)
    simd.store(empty, c, 1000, 3 * simd.lanes(c))

@njit(error_model="numpy")
def vectors(a, b, c):
    x, y = simd.vector(a, 1), simd.vector(b, 2)
    simd.put_vector(simd.fma(x + y, 2.5, (x - y) * 3), c, 4)

rng = np.random.default_rng(0)
for dtype in ("f4", "f8"):
    rows, width, lanes = simd.ROWS, simd.columns_of(dtype), simd.lanes_of(dtype)
    a, b = (rng.standard_normal(2000).astype(dtype) for _ in range(2))
    def check(function, *args, exact=True):
        got = np.full(2000, np.nan, dtype)  # a write past the end would show
        want = got.copy()
        function(*[got if each is None else each for each in args])
        function.py_func(*[want if each is None else each for each in args])
        np.testing.assert_allclose(got, want, rtol=0 if exact else 1e-5, atol=0 if exact else 1e-5)
    for bounds in ((0, 0, 0, False), (1, rows - 1, width - 1, True), (0, rows, width, True), (2, 4, 0, True)):
        check(columns, a, None, 7, rows + 5, *bounds)
    for block in ((lanes, lanes, lanes), (lanes - 1, lanes - 1, lanes), (1, lanes, 1), (-3, 2, lanes)):
        check(transpose, a, None, *block)
    check(places, a, b, None, rng.integers(0, 900, 30), exact=False)
    check(quad, a, b, None, rng.integers(0, 900, 30), exact=False)
    check(vectors, a, b, None, exact=False)
print("same")
"""


ARITHMETIC = """
import sys
import numpy as np
from numba import njit
from kernels.core import simd
assert simd.BITS == int(sys.argv[1]), simd.BITS

@njit(error_model="numpy")
def formula(x, y):
    third = simd.constant(1 / 3, x)
    low = simd.minimum(simd.rint(x * third), simd.copysign(simd.sqrt(simd.absolute(y)), x))
    high = simd.maximum(x, y) / simd.fma(x, x, 1.0) - (-y)
    return simd.select(x > y, simd.select(x == low, 5.0, low), simd.select(y != y, x, high))

@njit(error_model="numpy")
def masks(x, y):
    within = (x >= -1) & (x < 2) | ~(y <= 0) | simd.unordered(x, y)
    return simd.select(within, 1 + x, 2 - y)

@njit(error_model="numpy")
def by_vector(a, b, c):
    for i in range(0, a.size, simd.lanes(a)):
        x, y = simd.vector(a, i), simd.vector(b, i)
        simd.put_vector(formula(x, y), c, i)
        if simd.any_of((x == x) | (y > 0)):
            simd.put_vector(masks(x, y), c, a.size + i)
        else:
            simd.put_vector(simd.splat(7, a), c, a.size + i)

@njit(error_model="numpy")
def by_number(a, b, c):
    for i in range(a.size):
        c[i] = formula(a[i], b[i])

@njit(error_model="numpy")
def memory(a, c, ints, small, count):
    even, odd = simd.deinterleave(simd.vector(a, 3), simd.vector(a, 3 + simd.lanes(a)))
    low, high = simd.interleave(odd, even)
    simd.put_vector(low, c, 0)
    simd.put_vector(high, c, simd.lanes(a))
    low, high = simd.deinterleave(simd.shifted(low, high, 1), simd.shifted(low, high, -1))
    simd.put_vector(low, c, 150)
    simd.put_vector_between(high, c, 180, 2 - count, count - 1)
    simd.put_vector(simd.vector_between(a, 60 - count, 2 - count, count, -np.inf), c, 200)
    simd.put_vector(simd.vector_apart(a, 3, 3, 2 - count, count, 9), c, 230)
    simd.put_vector_apart(low, c, 260, 4, count - 3, count)
    part = simd.vector_part(a, 5, count)
    at = 2 * simd.lanes(a)
    simd.put_vector_part(part * simd.splat(3, a), c, at, count - 1)
    c[at + 70], c[at + 71] = simd.sum_of(part), simd.largest_of(part)
    simd.put_vector(simd.numbers(ints, 4, count, 100, 7, a), c, at + 80)
    simd.put_vector(simd.numbers(small, 9, count, 1, 0, a), c, at + 100)
    simd.put_integers(simd.rint(part), ints, 200, count, 10**12, 3)
    simd.put_integers(simd.absolute(simd.rint(part)), small, 200, count, 2, 1)

rng = np.random.default_rng(0)
ends = [0.0, -0.0, np.inf, -np.inf, np.nan, 0.5, 1.5, 2.5, -1.0, 2.0, 1e30, 3e-41]
for dtype in ("f4", "f8"):
    a, b = (x.ravel().astype(dtype) for x in np.meshgrid(ends, ends))
    extra = -a.size % 16
    a, b = (np.concatenate([x, rng.standard_normal(extra + 64).astype(dtype)]) for x in (a, b))
    with np.errstate(all="ignore"):
        want = formula.py_func(a, b), masks.py_func(a, b)
    got = np.full(2 * a.size, np.nan, dtype)
    by_vector(a, b, got)
    tolerance = {"rtol": 4e-7 if dtype == "f4" else 1e-15}
    np.testing.assert_allclose(got[: a.size], want[0], **tolerance)
    nothing = ~((a == a) | (b > 0)).reshape(-1, simd.lanes_of(dtype)).any(1)
    want[1][np.repeat(nothing, simd.lanes_of(dtype))] = 7
    np.testing.assert_array_equal(got[a.size :], want[1])
    one = np.full(a.size, np.nan, dtype)
    by_number(a, b, one)
    assert one.tobytes() == got[: a.size].tobytes()
    big = rng.standard_normal(100).astype(dtype) * 9
    for count in (0, 1, 3, simd.lanes_of(dtype), simd.lanes_of(dtype) + 2):
        results = []
        for function in (memory, memory.py_func):
            c = np.full(400, np.nan, dtype)
            ints = np.arange(300) * 5 + 2**40 * (np.arange(300) == 5)
            small = np.arange(300).astype("u1")
            function(big, c, ints, small, count)
            results.append((c, ints, small))
        np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-5 if dtype == "f4" else 1e-13)
        for x, y in zip(results[0][1:], results[1][1:]):
            np.testing.assert_array_equal(x, y)
print("same")
"""


@pytest.mark.parametrize(
    "program", [CHECK, VECTORS, ARITHMETIC], ids=["tile", "vectors", "arithmetic"]
)
@pytest.mark.parametrize("bits", [512, 256, 128])
def test_compiled_does_what_its_body_says(bits, program):
    host = width.bits(None, None)
    if bits > host or platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip(f"this host has vectors of {host} bits")
    chosen = {} if bits == host else PROCESSORS[bits]
    done = subprocess.run(
        [sys.executable, "-c", program, str(bits)],
        env={**os.environ, **chosen},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "same\n", done.stderr


@pytest.mark.parametrize("dtype", [types.float32, types.float64])
def test_the_loop_is_all_multiply_adds_and_no_spill(dtype):
    if width.bits(None, None) == 128:
        pytest.skip("written for AVX2 and AVX-512")
    array = types.Array(dtype, 1, "C")
    count = types.int64
    kernel = njit(fastmath=microkernel.tile.targetoptions["fastmath"], error_model="numpy")(
        microkernel.tile.py_func
    )
    places = types.UniTuple(count, simd.ROWS)
    sizes = [count] * 4
    signature = (
        array, places, count, types.int64, array, count, count, array, *sizes, types.boolean
    )  # fmt: skip
    kernel.compile(signature)
    text = kernel.inspect_asm(kernel.signatures[0])
    loops = re.findall(r"^(\.LBB\d+_\d+):\n((?:(?!^\.LBB).*\n)*?)\s+jn?e\s+\1$", text, re.M)
    bodies = [body for _, body in loops if "vfmadd" in body]
    assert bodies, "no loop of multiply-adds"
    suffix = "ps" if dtype == types.float32 else "pd"
    register = "zmm" if simd.BITS == 512 else "ymm"
    steps = [len(re.findall(rf"vfmadd\d+{suffix}.*%{register}", body)) for body in bodies]
    tile = simd.ROWS * simd.VECTORS
    assert all(count and count % tile == 0 for count in steps), steps
    for body in bodies:
        assert not re.search(r"vmov\w+.*\(%r[sb]p\)", body), body


@pytest.mark.parametrize(
    ("name", "features", "bits"),
    [
        ("haswell", None, 256),
        ("generic", None, 128),
        ("znver4", "+avx512f,+avx2", 512),
        (None, "+avx2,+fma", 256),
        ("nehalem", "", 128),
    ],
)
def test_width_of_a_named_processor(name, features, bits):
    if platform.machine() in ("x86_64", "AMD64"):
        assert width.bits(name, features) == bits


def test_specification_on_plain_arrays():
    a, b = np.arange(1.0, 40), np.arange(2.0, 100)
    tile = simd.multiply_add(simd.zero(a), a, 1, 1, b, 2)
    np.testing.assert_array_equal(tile, np.outer(a[1 : 1 + simd.ROWS], b[2 : 2 + simd.columns(b)]))
    c = np.zeros(simd.ROWS * 50)
    simd.store_part(tile, c, 3, 50, 2, 5)
    assert np.count_nonzero(c) == 10
    np.testing.assert_array_equal(simd.load_part(c, 3, 50, 2, 5)[:2, :5], tile[:2, :5])


NEON = """
import platform
import re
platform.machine = lambda: "aarch64"  # before the width is chosen
import llvmlite.binding as llvm
from numba import njit, types
from kernels.core import simd
from kernels.gemm import microkernel
assert (simd.BITS, simd.ROWS, simd.VECTORS) == (128, 8, 2)
tile = njit(fastmath=microkernel.tile.targetoptions["fastmath"], error_model="numpy")(
    microkernel.tile.py_func
)
array, count = types.Array(types.float32, 1, "C"), types.int64
places, sizes = types.UniTuple(count, simd.ROWS), [count] * 4
tile.compile((array, places, count, count, array, count, count, array, *sizes, types.boolean))
source = tile.inspect_llvm(tile.signatures[0])
source = re.sub(r"^target .*$", "", source, flags=re.M)
# the host's own way of counting references is no part of the loop
source = re.sub(r"^define [^\\n]*@(NRT_\\w+)\\(.*?^}$", r"declare void @\\1(ptr)", source, flags=re.M | re.S)
llvm.initialize_all_targets()
llvm.initialize_all_asmprinters()
target = llvm.Target.from_triple("aarch64-unknown-linux-gnu")
machine = target.create_target_machine(cpu="neoverse-n1", opt=3)
module = llvm.parse_assembly(source)
module.triple, module.data_layout = "aarch64-unknown-linux-gnu", str(machine.target_data)
print(machine.emit_assembly(module))
"""


def test_neon_by_its_assembly():
    """No NEON machine runs these tests: the loop is compiled for one, and read."""
    done = subprocess.run(
        [sys.executable, "-c", NEON],
        env={**os.environ, "NUMBA_CPU_NAME": "generic"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    blocks = re.split(r"^\.LBB\w+:", done.stdout, flags=re.M)
    counts = [len(re.findall(r"\bfmla\s+v\d+\.4s", block)) for block in blocks]
    hot = [block for block, count in zip(blocks, counts) if count]
    assert hot
    assert all(count % 16 == 0 for count in counts), counts  # 8 × 2 vectors a step
    for block in hot:
        assert not re.search(r"\b(str|stp|ldr|ldp)\s+q\d+.*\[sp", block), block  # nothing spilled
