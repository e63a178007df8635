"""What is particular to activations: parity, ends, NaN, gradients, bad input."""

import numpy as np
import pytest

import kernels

ELEMENTWISE = ("relu", "sigmoid", "tanh")
ALONG_AXIS = ("softmax", "log_softmax")


@pytest.mark.parametrize("name", ELEMENTWISE + ALONG_AXIS)
def test_parity_with_pytorch(name, rng):
    torch = pytest.importorskip("torch")
    x = rng.standard_normal((3, 4, 5)) * 5
    for axis in (0, 1, -1) if name in ALONG_AXIS else (None,):
        options = {} if axis is None else {"axis": axis}
        tensor = torch.from_numpy(x).requires_grad_()
        want = getattr(torch, name)(tensor, *options.values())
        y = getattr(kernels, name)(x, **options)
        np.testing.assert_allclose(y, want.detach(), rtol=1e-13, atol=1e-14)
        dy = rng.standard_normal(x.shape)
        want.backward(torch.from_numpy(dy))
        kept = x if name == "relu" else y
        dx = getattr(kernels, f"{name}_backward")(dy, kept, **options)
        np.testing.assert_allclose(dx, tensor.grad, atol=1e-13)


@pytest.mark.parametrize("name", ELEMENTWISE + ALONG_AXIS)
def test_gradient_by_central_differences(name, rng):
    x, dy = rng.standard_normal((2, 3, 7))
    function = getattr(kernels, name)
    kept = x if name == "relu" else function(x)
    dx = getattr(kernels, f"{name}_backward")(dy, kept)
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


def test_softmax_of_impossible_rows_is_nan():
    rows = np.array([[-np.inf, -np.inf], [np.inf, 0], [np.nan, 0], [0, -np.inf]])
    y = kernels.softmax(rows)
    assert np.isnan(y[:3]).all()
    np.testing.assert_array_equal(y[3], [1, 0])
    assert kernels.log_softmax(rows)[3, 1] == -np.inf


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
