"""What is particular to losses: parity, targets that do not count, gradients, bad input."""

import itertools

import numpy as np
import pytest

import kernels

OPTIONS = list(itertools.product(["mean", "sum", "none"], [0.0, 0.2], [(), (3,)]))


@pytest.mark.parametrize(("reduction", "smoothing", "inner"), OPTIONS)
def test_cross_entropy_is_pytorchs(reduction, smoothing, inner, rng):
    torch = pytest.importorskip("torch")
    x = rng.standard_normal((6, 5, *inner)) * 4
    labels = rng.integers(0, 5, (6, *inner))
    labels.flat[2] = -100
    options = {"reduction": reduction, "label_smoothing": smoothing}
    tensor = torch.from_numpy(x).requires_grad_()
    want = torch.nn.functional.cross_entropy(tensor, torch.from_numpy(labels), **options)
    got = kernels.cross_entropy(x, labels, **options)
    np.testing.assert_allclose(got, want.detach(), rtol=1e-12, atol=1e-14)
    dy = rng.standard_normal(got.shape) if reduction == "none" else 0.7
    want.backward(torch.as_tensor(dy, dtype=torch.float64))
    dx = kernels.cross_entropy_backward(dy, x, labels, **options)
    np.testing.assert_allclose(dx, tensor.grad, atol=1e-13)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_mse_is_pytorchs(reduction, rng):
    torch = pytest.importorskip("torch")
    y, target = rng.standard_normal((2, 4, 5))
    tensor = torch.from_numpy(y).requires_grad_()
    want = torch.nn.functional.mse_loss(tensor, torch.from_numpy(target), reduction=reduction)
    got = kernels.mse(y, target, reduction=reduction)
    np.testing.assert_allclose(got, want.detach(), rtol=1e-13)
    dy = rng.standard_normal(got.shape) if reduction == "none" else 1.0
    want.backward(torch.as_tensor(dy, dtype=torch.float64))
    dx = kernels.mse_backward(dy, y, target, reduction=reduction)
    np.testing.assert_allclose(dx, tensor.grad, atol=1e-14)


def test_no_row_that_counts():
    x, labels = np.zeros((2, 3)), np.array([-100, -100])
    assert np.isnan(kernels.cross_entropy(x, labels))
    assert kernels.cross_entropy(x, labels, reduction="sum") == 0
    assert not kernels.cross_entropy_backward(1.0, x, labels).any()
    assert np.isnan(kernels.cross_entropy(np.zeros((0, 3)), np.zeros(0, int)))


def test_large_logits_do_not_overflow():
    x = np.array([[1e4, 0.0], [0.0, 1e4]], np.float32)
    np.testing.assert_array_equal(
        kernels.cross_entropy(x, np.array([0, 0]), reduction="none"), [0, 1e4]
    )


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"logits": np.ones(3)}, ValueError, r"logits: expected \(N, C\)"),
        ({"targets": np.ones(2)}, TypeError, "targets: expected integers, got float64"),
        ({"targets": np.array([0])}, ValueError, r"targets: expected shape \(2,\)"),
        ({"targets": np.array([0, 3])}, ValueError, r"targets: expected 0 to 2 .* got 3 at \(1,\)"),
        ({"label_smoothing": 2}, ValueError, "label_smoothing: expected"),
        ({"reduction": "max"}, ValueError, "reduction: expected one of"),
        ({"ignore_index": 0.5}, TypeError, "ignore_index: expected an integer"),
    ],
)
def test_bad_input(change, error, message):
    call = {"logits": np.ones((2, 3)), "targets": np.array([0, 1]), **change}
    with pytest.raises(error, match=message):
        kernels.cross_entropy(**call)


def test_mse_bad_input():
    with pytest.raises(ValueError, match=r"target: expected shape \(3,\), got \(2,\)"):
        kernels.mse(np.ones(3), np.ones(2)[:2])
    with pytest.raises(TypeError, match="dy: expected a number, got 'one'"):
        kernels.mse_backward("one", np.ones(3), np.ones(3))
