"""Every CUDA rung against its reference, in Numba's simulator: found through the ladder, as the CPU's are."""

import os
import time

import ml_dtypes
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import kernels
from bench import calls, check
from tests import simulator, strategies

# Rungs that the simulator cannot run, with the reason. None so far: what CUDA C has and Numba's arrays lack has a
# Python body that says what it does (kernels.core.cuda.operations), and the simulator runs that.
NOT_SIMULATED: dict[tuple[str, str], str] = {}

LADDERS = kernels.ladders("cuda")
RUNGS = [
    pytest.param(ladder.name, rung.name, direction, id=f"{ladder.name}-{rung.name}-{direction}")
    for ladder in LADDERS
    for rung in ladder
    for direction in rung.run
    if (ladder.name, rung.name) not in NOT_SIMULATED
]
# A case takes a second, and so would every step of shrinking it.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


@pytest.fixture(scope="module")
def device():
    worker = simulator.Simulator()
    yield worker
    worker.close()


def judge(device, ladder, rung, direction, arrays, options, **how):
    """Run a rung in the simulator, and hold it to the reference."""
    arrays = tuple(None if each is None else strategies.on_device(each) for each in arrays)
    parcels = tuple(None if each is None else simulator.parcel(each) for each in arrays)
    got, growth = device.ask(simulator.call, ladder, direction, rung, parcels, options, **how)
    with np.errstate(invalid="ignore"):  # where an infinity meets another
        judged = calls.reference(ladder, direction, arrays, options)
    assert got.dtype == arrays[0].dtype
    assert check.ratio(got, judged, growth) <= 1
    return got


def drawn(data, ladder, rung, direction):
    """Draw a problem of a rung; return the arguments of a direction."""
    arrays, options = data.draw(strategies.small_problems(ladder, rung))
    seed = data.draw(st.integers(0, 2**32 - 1))
    return calls.inputs(ladder, direction, arrays, options, seed)


def test_what_is_not_simulated_is_a_rung_with_a_reason():
    there = {(ladder.name, rung.name) for ladder in LADDERS for rung in ladder}
    assert set(NOT_SIMULATED) <= there
    assert all(NOT_SIMULATED.values())
    assert {param.values[:2] for param in RUNGS} == there - set(NOT_SIMULATED)


@pytest.mark.parametrize(("ladder", "rung", "direction"), RUNGS)
@settings(max_examples=2, phases=PHASES)
@given(data=st.data())
def test_rung_agrees_with_reference(device, ladder, rung, direction, data):
    judge(device, ladder, rung, direction, *drawn(data, ladder, rung, direction))


@pytest.mark.parametrize(("ladder", "rung", "direction"), RUNGS)
@settings(max_examples=1, phases=PHASES)
@given(data=st.data())
def test_same_bits_again_and_with_out(device, ladder, rung, direction, data):
    judge(device, ladder, rung, direction, *drawn(data, ladder, rung, direction), twice=True)


# Shapes past a warp in some extent, and their options; a channel a group, which every rung of conv2d takes.
ODD = {
    "matmul": (((2, 33, 9), (9, 35)), {}),
    "linear": (((9, 21), (13, 21), (13,)), {}),
    "conv2d": (((2, 3, 7, 6), (3, 1, 3, 3), (3,)), {"padding": (0, 1), "groups": 3}),
}


def odd(ladder, direction, rng, batch=None):
    """Draw arguments of the odd problem, of another batch where one is given."""
    (first, *others), options = ODD[ladder]
    first = first if batch is None else (batch, *first[1:])
    arrays = tuple(rng.standard_normal(shape, np.float32) for shape in (first, *others))
    return calls.inputs(ladder, direction, arrays, options, 1)


@pytest.mark.parametrize(("ladder", "rung", "direction"), RUNGS)
def test_empty_batch(device, ladder, rung, direction, rng):
    got = judge(device, ladder, rung, direction, *odd(ladder, direction, rng, 0))
    assert not got.any()  # a gradient of weights is the sum of nothing


@pytest.mark.parametrize(("ladder", "rung", "direction"), RUNGS)
def test_nan_and_infinity_reach_what_reads_them_and_no_other(device, ladder, rung, direction, rng):
    arrays, options = odd(ladder, direction, rng)
    image = arrays[
        1 if direction == "dw" else 0
    ]  # a rung may pass over taps in the padding, or not
    image[(0, *(extent // 2 for extent in image.shape[1:]))] = np.nan
    image[(-1,) * image.ndim] = -np.inf
    got = judge(device, ladder, rung, direction, arrays, options)
    assert np.isnan(got).any()
    assert direction in ("dw", "db") or np.isfinite(got).any()


@pytest.mark.parametrize("size", [(128, 128), (64, 64)])
@pytest.mark.parametrize("direction", ["forward", "dx"])
@pytest.mark.parametrize("window", [(1, 1), (2, 1)])
def test_tiles_that_small_problems_do_not_take(device, size, direction, window, rng):
    shapes = (2, 9, 2, 4), (5, 9, *window), (5,)
    arrays = tuple(rng.standard_normal(shape, np.float32) for shape in shapes)
    arrays, options = calls.inputs("conv2d", direction, arrays, {}, 1)
    arrays = tuple(None if each is None else strategies.on_device(each) for each in arrays)
    parcels = tuple(None if each is None else simulator.parcel(each) for each in arrays)
    how = "conv2d", direction, "implicit_gemm", parcels, options
    got, growth = device.ask(simulator.call_in_tile, size, *how)
    assert check.ratio(got, calls.reference("conv2d", direction, arrays, options), growth) <= 1


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_gradient_of_a_broadcast_matrix_is_rounded_once(device, dtype, rng):
    a, b, dy = (rng.standard_normal(shape) for shape in ((4, 6), (2, 6, 5), (2, 4, 5)))
    b[1], dy[1] = -1.03 * b[0], dy[0]  # the two products all but cancel
    arrays = tuple(each.astype(dtype) for each in (dy, a, b))
    judge(device, "matmul", "tensor_core", "da", arrays, {})


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_bias_is_added_before_rounding(device, dtype, rng):
    x, w = rng.standard_normal((1, 40)).astype(dtype), rng.standard_normal((9, 40)).astype(dtype)
    bias = (-1.03 * x.astype(np.float32) @ w.astype(np.float32).T)[0].astype(dtype)
    judge(device, "linear", "tensor_core", "forward", (x, w, bias), {})


def test_worker_that_dies_or_hangs_fails_the_test_with_its_stderr(device):
    with pytest.raises(AssertionError, match="died or hung"):
        device.ask(os._exit, 3)
    with pytest.raises(AssertionError, match=r"(?s)Timeout.*File .*tests.simulator.py"):
        device.ask(time.sleep, 60, patience=1)
    with pytest.raises(AssertionError, match=r"(?s)Traceback.*'nowhere'"):
        device.ask(os.chdir, "nowhere")
    assert device.ask(abs, -3) == 3


def test_misaligned_copy_fails_as_it_would_on_a_device(device):
    with pytest.raises(AssertionError, match="copy4: misaligned"):
        device.ask(simulator.misaligned)
