"""What is particular to activations: parity, ends, NaN, gradients, bad input."""

import math

import numpy as np
import pytest

import kernels
from bench.calls import FROM_OUTPUT

ALONG_AXIS = ("softmax", "log_softmax")
CASES = [
    *((name, {}) for name in ("relu", "exp", "sigmoid", "tanh", "silu", "gelu", "leaky_relu")),
    ("leaky_relu", {"negative_slope": -0.3}),
    ("gelu", {"approximate": "tanh"}),
    *((name, {"axis": axis}) for name in ALONG_AXIS for axis in (0, 1, -1)),
]
FUNCTIONS = pytest.mark.parametrize(("name", "options"), CASES)
RUNGS = ("naive", "vectorised", "parallel")


def peer(torch, name, options):
    """PyTorch's function."""
    if "axis" in options:
        return lambda x: getattr(torch, name)(x, options["axis"])
    module = torch if name in ("relu", "exp", "sigmoid", "tanh") else torch.nn.functional
    return lambda x: getattr(module, name)(x, **options)


@FUNCTIONS
def test_parity_with_pytorch(name, options, rng):
    torch = pytest.importorskip("torch")
    x = rng.standard_normal((3, 4, 5)) * 5
    function = peer(torch, name, options)
    for algorithm in RUNGS:
        tensor = torch.from_numpy(x).requires_grad_()
        want = function(tensor)
        y = getattr(kernels, name)(x, **options, algorithm=algorithm)
        np.testing.assert_allclose(y, want.detach(), rtol=1e-13, atol=1e-14)
        dy = rng.standard_normal(x.shape)
        want.backward(torch.from_numpy(dy))
        kept = y if name in FROM_OUTPUT else x
        backward = getattr(kernels, f"{name}_backward")
        dx = backward(dy, kept, **options, algorithm=algorithm)
        np.testing.assert_allclose(dx, tensor.grad, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(("name", "options"), [each for each in CASES if "axis" not in each[1]])
def test_infinities_and_nan_as_pytorch(name, options):
    torch = pytest.importorskip("torch")
    x = np.array([-np.inf, np.inf, np.nan, -0.0, 0.0] * 5)
    tensor = torch.from_numpy(x).requires_grad_()
    want = peer(torch, name, options)(tensor)
    want.backward(torch.ones_like(tensor))
    for algorithm in RUNGS:
        y = getattr(kernels, name)(x, **options, algorithm=algorithm)
        np.testing.assert_array_equal(y, want.detach())
        kept = y if name in FROM_OUTPUT else x
        backward = getattr(kernels, f"{name}_backward")
        dx = backward(np.ones_like(x), kept, **options, algorithm=algorithm)
        np.testing.assert_array_equal(dx[3:], tensor.grad[3:])
        if name not in ("exp", "gelu"):  # its own at infinity: inf·1 + … and ∞·0
            np.testing.assert_array_equal(dx, tensor.grad)


@FUNCTIONS
def test_gradient_by_central_differences(name, options, rng):
    x, dy = rng.standard_normal((2, 3, 3, 7))

    def function(x):
        return getattr(kernels, name)(x, **options)

    kept = function(x) if name in FROM_OUTPUT else x
    dx = getattr(kernels, f"{name}_backward")(dy, kept, **options)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = 1e-6
        slope = np.vdot(dy, function(x + step) - function(x - step)) / 2e-6
        assert slope == pytest.approx(dx[i], rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ends(dtype):
    x = np.array([-np.inf, -1000, -100, 0, 100, 1000, np.inf, np.nan], dtype)
    np.testing.assert_array_equal(kernels.relu(x), [0, 0, 0, 0, 100, 1000, np.inf, np.nan])
    np.testing.assert_array_equal(kernels.tanh(x)[[0, 1, 3, 6, 7]], [-1, -1, 0, 1, np.nan])
    y = kernels.sigmoid(x)
    np.testing.assert_array_equal(y[[0, 1, 3, 4, 6, 7]], [0, 0, 0.5, 1, 1, np.nan])
    assert y[2] == pytest.approx(np.exp(-100.0), rel=0.05)  # denormal in float32, not zero
    big = kernels.softmax(np.array([1e30, 1e30, -1e30], dtype))
    np.testing.assert_array_equal(big, [0.5, 0.5, 0])


def test_gelu_and_silu_keep_their_digits_on_the_left():
    """What 1 + erf and 1 + tanh lose; the bound is what rounding x alone does to the result."""
    for dtype, low in ((np.float32, -14.5), (np.float64, -26.0)):
        x = np.linspace(low, 0, 3001, dtype=dtype)[:-1]
        wide, eps = x.astype(np.float64), np.finfo(dtype).eps
        phi = np.array([0.5 * math.erfc(-z * math.sqrt(0.5)) for z in wide])
        u = 2 * math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3)
        least = 4 * float(np.finfo(dtype).smallest_subnormal)
        tanh = wide / (1 + np.exp(np.minimum(-u, 700)))
        for y, want, growth in (
            (kernels.gelu(x), wide * phi, wide**2),
            (kernels.gelu(x, approximate="tanh")[u > -700], tanh[u > -700], np.abs(u)[u > -700]),
            (kernels.silu(x), wide / (1 + np.exp(-wide)), np.abs(wide)),
        ):
            assert np.all(np.abs(y - want) <= 4 * eps * np.abs(want) * (1 + growth) + least)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_far_from_zero(dtype):
    x = np.array([-1e30, -1e4, -800, -200, 200, 1e4, 1e30] * 3, dtype)
    dy = np.ones_like(x)
    for algorithm in RUNGS:
        for name, options in (("silu", {}), ("gelu", {}), ("gelu", {"approximate": "tanh"})):
            y = getattr(kernels, name)(x, **options, algorithm=algorithm)
            np.testing.assert_allclose(y, np.maximum(x, 0), atol=1e-80)
            if algorithm != "naive":  # where x³ does not overflow either
                dx = getattr(kernels, f"{name}_backward")(dy, x, **options, algorithm=algorithm)
                np.testing.assert_allclose(dx, x > 0, atol=1e-80)


def test_softmax_across_panels_and_rows_longer_than_a_block(rng):
    for shape, axis in (((2, 70, 133), 1), ((3, 5, 64), 1), ((2, 9000), 1), ((40, 3), 0)):
        for dtype in (np.float32, np.float64):
            x = rng.standard_normal(shape).astype(dtype)
            e = np.exp(x.astype(np.float64) - x.max(axis, keepdims=True))
            want = e / e.sum(axis, keepdims=True)
            rtol = 40 * np.finfo(dtype).eps
            for algorithm in RUNGS:
                y = kernels.softmax(x, axis, algorithm=algorithm)
                np.testing.assert_allclose(y, want, rtol=rtol)
                y = kernels.log_softmax(x, axis, algorithm=algorithm)
                np.testing.assert_allclose(y, np.log(want), rtol=rtol, atol=rtol)


def test_outputs_that_are_streamed(rng):
    """Past the size from which vectors go to memory by themselves; an odd size and an odd row length."""
    x = rng.standard_normal((1025, 4099)).astype(np.float32)
    for name in ("relu", "softmax"):
        for algorithm in ("vectorised", "parallel"):
            got = getattr(kernels, name)(x, algorithm=algorithm)
            want = getattr(kernels, name)(x, algorithm="naive")
            np.testing.assert_allclose(got, want, rtol=1e-5)
    rows = x[:, :4096].copy()
    got = kernels.softmax(rows, algorithm="vectorised")
    np.testing.assert_allclose(got, kernels.softmax(rows, algorithm="naive"), rtol=1e-5)


def test_softmax_of_impossible_rows_is_nan():
    rows = np.array([[-np.inf, -np.inf], [np.inf, 0], [np.nan, 0], [0, -np.inf]])
    y = kernels.softmax(rows)
    assert np.isnan(y[:3]).all()
    np.testing.assert_array_equal(y[3], [1, 0])
    assert kernels.log_softmax(rows)[3, 1] == -np.inf
    for algorithm in RUNGS:
        y = kernels.softmax(rows.T.copy(), axis=0, algorithm=algorithm)
        assert np.isnan(y[:, :3]).all()
        np.testing.assert_array_equal(y[:, 3], [1, 0])


def test_bad_input():
    with pytest.raises(TypeError, match="x: expected float32 or float64, got int64"):
        kernels.relu(np.arange(3))
    with pytest.raises(ValueError, match="axis: expected one of the 2 axes, got 2"):
        kernels.softmax(np.ones((2, 2)), axis=2)
    with pytest.raises(TypeError, match=r"axis: expected an integer, got 0\.5"):
        kernels.softmax(np.ones((2, 2)), axis=0.5)
    with pytest.raises(ValueError, match="axis: expected at least 1 element"):
        kernels.softmax(np.ones((2, 0)))
    with pytest.raises(ValueError, match=r"dy: expected shape \(3,\), got \(2,\)"):
        kernels.tanh_backward(np.ones(2), np.ones(3))
    with pytest.raises(TypeError, match="dy: expected float64"):
        kernels.sigmoid_backward(np.ones(3, np.float32), np.ones(3))
    for value in ("erf", True, None):
        with pytest.raises(ValueError, match=r"approximate: expected one of .*none.*tanh"):
            kernels.gelu(np.ones(3), approximate=value)
    with pytest.raises(ValueError, match="negative_slope: expected a number"):
        kernels.leaky_relu(np.ones(3), negative_slope=np.nan)
    with pytest.raises(TypeError, match="negative_slope: expected a number, got 'steep'"):
        kernels.leaky_relu_backward(np.ones(3), np.ones(3), negative_slope="steep")
    with pytest.raises(ValueError, match="dy: expected shape"):
        kernels.gelu_backward(np.ones(2), np.ones(3))
