"""Matrix products and linear: PyTorch's answers, gradients, layouts, and bad input."""

import numpy as np
import pytest

import kernels

SHAPES = [
    ((3, 4), (4, 5)),
    ((2, 3, 4), (2, 4, 5)),
    ((2, 3, 4), (4, 5)),
    ((3, 4), (2, 4, 5)),
    ((2, 1, 3, 4), (5, 4, 6)),
    ((1, 3, 4), (7, 4, 2)),
    ((4,), (4, 5)),
    ((3, 4), (4,)),
    ((4,), (4,)),
    ((4,), (2, 4, 5)),
    ((2, 3, 4), (4,)),
    ((0, 3, 4), (4, 5)),
    ((3, 0), (0, 5)),
    ((70, 300), (300, 90)),
]
RUNGS = [rung.name for rung in kernels.ladder("matmul")]


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("turned", ["", "a", "b", "ab"])
@pytest.mark.parametrize(("left", "right"), SHAPES)
def test_matmul_and_gradients_as_pytorch(left, right, turned, rung, rng):
    torch = pytest.importorskip("torch")
    a, b = rng.standard_normal(left), rng.standard_normal(right)
    if "a" in turned and a.ndim > 1:
        a = np.ascontiguousarray(a.swapaxes(-1, -2)).swapaxes(-1, -2)
    if "b" in turned and b.ndim > 1:
        b = np.ascontiguousarray(b.swapaxes(-1, -2)).swapaxes(-1, -2)
    at, bt = (torch.tensor(x, requires_grad=True) for x in (a, b))
    y, yt = kernels.matmul(a, b, algorithm=rung), at @ bt
    np.testing.assert_allclose(y, yt.detach().numpy(), rtol=1e-12, atol=1e-12)
    dy = np.asarray(rng.standard_normal(y.shape))
    yt.backward(torch.tensor(dy))
    grads = kernels.matmul_backward(dy, a, b, algorithm=rung)
    np.testing.assert_allclose(grads.a, at.grad.numpy(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(grads.b, bt.grad.numpy(), rtol=1e-12, atol=1e-12)
    for name in ("a", "b"):
        assert getattr(grads, name).flags.c_contiguous
        out = np.full_like(getattr(grads, name), np.nan, order="C")
        assert kernels.matmul_backward(dy, a, b, needs=(name,), algorithm=rung, out=out) is out
        np.testing.assert_array_equal(out, getattr(grads, name))


def test_matmul_adjoint_identity(rng):
    a, v, b = rng.standard_normal((5, 7)), rng.standard_normal((5, 7)), rng.standard_normal((7, 3))
    dy = rng.standard_normal((5, 3))
    da = kernels.matmul_backward(dy, a, b, needs=("a",))
    assert np.vdot(dy, kernels.matmul(v, b)) == pytest.approx(np.vdot(da, v), rel=1e-12)


@pytest.mark.parametrize("activation", [None, "relu"])
def test_linear_as_pytorch(activation, rng):
    torch = pytest.importorskip("torch")
    x, w, b = (rng.standard_normal(s) for s in ((2, 3, 17), (9, 17), (9,)))
    y = kernels.linear(x, w, b, activation=activation)
    xt, wt, bt = (torch.tensor(v, requires_grad=True) for v in (x, w, b))
    yt = torch.nn.functional.linear(xt, wt, bt)
    yt = torch.relu(yt) if activation else yt
    np.testing.assert_allclose(y, yt.detach().numpy(), rtol=1e-12, atol=1e-12)
    if activation is None:
        dy = rng.standard_normal(y.shape)
        yt.backward(torch.tensor(dy))
        grads = kernels.linear_backward(dy, x, w)
        for name, theirs in (("x", xt), ("w", wt), ("b", bt)):
            np.testing.assert_allclose(
                getattr(grads, name), theirs.grad.numpy(), rtol=1e-12, atol=1e-12
            )


def test_nan_and_infinity_reach_just_what_reads_them(rng):
    for rung in RUNGS:
        a, b = rng.standard_normal((40, 50)), rng.standard_normal((50, 60))
        a[3, 7], b[9, 11] = np.nan, np.inf
        c = kernels.matmul(a, b, algorithm=rung)
        expected = a @ b
        np.testing.assert_array_equal(np.isfinite(c), np.isfinite(expected))


BAD = [
    (lambda a, b: kernels.matmul(a, b[:3]), ValueError, r"b: expected 4 rows.*got 3"),
    (lambda a, b: kernels.matmul(a, b.astype("f4")), TypeError, r"b: expected float64.*float32"),
    (lambda a, b: kernels.matmul(a.astype(int), b), TypeError, r"a: expected float32.*int64"),
    (lambda a, b: kernels.matmul(np.float64(1), b), TypeError, r"a: "),
    (
        lambda a, b: kernels.matmul(np.ones((2, 3, 4)), np.ones((5, 4, 2))),
        ValueError,
        r"b: .*broadcast",
    ),
    (
        lambda a, b: kernels.matmul(a, b, out=np.empty((3, 4))),
        ValueError,
        r"out: .*\(3, 5\).*\(3, 4\)",
    ),
    (
        lambda a, b: kernels.matmul(a, b, algorithm="fast"),
        ValueError,
        r"algorithm: .*naive.*'fast'",
    ),
    (lambda a, b: kernels.matmul_backward(np.ones((3, 4)), a, b), ValueError, r"dy: .*\(3, 5\)"),
    (
        lambda a, b: kernels.matmul_backward(np.ones((3, 5)), a, b, needs=("x",)),
        ValueError,
        "needs",
    ),
    (
        lambda a, b: kernels.matmul_backward(np.ones((3, 5)), a, b, needs=("a",), out=a),
        ValueError,
        "out: .*overlap",
    ),
    (lambda a, b: kernels.linear(a, b), ValueError, r"x: expected 5 features.*got 4"),
    (lambda a, b: kernels.linear(a, b.T, np.ones(3)), ValueError, r"b: .*\(5,\).*\(3,\)"),
    (lambda a, b: kernels.linear(a, b.T, activation="gelu"), ValueError, "activation.*gelu"),
    (lambda a, b: kernels.linear_backward(np.ones((3, 4)), a, b.T), ValueError, r"dy: .*\(3, 5\)"),
]


@pytest.mark.parametrize(("call", "error", "match"), BAD)
def test_bad_input(call, error, match):
    with pytest.raises(error, match=match):
        call(np.ones((3, 4)), np.ones((4, 5)))


@pytest.mark.parametrize(
    "shapes", [((3, 2, 0), (3, 0, 4)), ((2, 3, 0), (0, 4)), ((0, 2, 3), (0, 3, 4))]
)
def test_a_sum_over_nothing_is_zero_in_a_batch_too(shapes):
    a, b = (np.ones(shape) for shape in shapes)
    np.testing.assert_array_equal(kernels.matmul(a, b), a @ b)
