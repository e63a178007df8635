"""What is particular to pooling: parity with indices, ties, NaN, gradients, bad input."""

import contextlib
import itertools
import re

import numpy as np
import pytest

import kernels

RUNGS = {
    (ladder, direction): [rung.name for rung in kernels.ladder(ladder) if direction in rung.run]
    for ladder in ("max_pool2d", "avg_pool2d")
    for direction in ("forward", "dx")
}
CASES = list(itertools.product([2, 3, (3, 2)], [None, 1, 2], [0, 1], [1, 2], [False, True]))


@pytest.mark.parametrize("rung", RUNGS["max_pool2d", "forward"])
def test_max_pool_is_pytorchs_to_the_index(rung, rng):
    torch = pytest.importorskip("torch")
    for kernel, stride, padding, dilation, ceil_mode in CASES:
        x = rng.integers(-3, 4, (2, 3, 9, 8)).astype(np.float64)  # many ties
        x[0, 0, 3, 3] = np.nan
        x[0, 0, 3, 4] = np.nan
        x[0, 1] = -np.inf
        options = {
            "stride": stride,
            "padding": padding,
            "dilation": dilation,
            "ceil_mode": ceil_mode,
        }
        y, index = kernels.max_pool2d(x, kernel, **options, return_indices=True, algorithm=rung)
        want = torch.nn.functional.max_pool2d(
            torch.from_numpy(x), kernel, **options, return_indices=True
        )
        np.testing.assert_array_equal(y, want[0])
        np.testing.assert_array_equal(index, want[1])
        assert index.dtype == np.int64
        bare = kernels.max_pool2d(x, kernel, **options, algorithm=rung)
        np.testing.assert_array_equal(bare, y)

        _, tap = kernels.max_pool2d(x, kernel, **options, return_indices="window", algorithm=rung)
        assert tap.dtype == np.uint8
        dy = rng.standard_normal(y.shape)
        back = rung if rung in RUNGS["max_pool2d", "dx"] else "auto"
        grads = [
            kernels.max_pool2d_backward(dy, i, x.shape, kernel, **options, algorithm=back)
            for i in (index, tap)
        ]
        np.testing.assert_array_equal(*grads)
        assert grads[0].sum() == pytest.approx(dy.sum())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3, 5, 8, 8), (1, 2, 41, 70), (40, 30, 4, 4)])
def test_max_pool_rungs_agree_to_the_bit(shape, dtype, rng):
    x = rng.integers(-9, 10, shape).astype(dtype)
    x[x == 9] = np.nan
    x[(x == 0) & (rng.random(shape) < 0.5)] = -0.0
    cases = [(2, 2, 0, 1), (3, 2, 1, 1), (3, 1, 1, 1), (3, 3, 0, 1), ((2, 4), (1, 3), 1, 1)]
    for kernel, stride, padding, dilation in [*cases, (2, 2, 1, 3), (4, 1, ((0, 2), (2, 1)), 1)]:
        for ceil_mode, kind in itertools.product((False, True), (False, True, "window")):
            options = {"stride": stride, "padding": padding, "dilation": dilation}
            options |= {"ceil_mode": ceil_mode, "return_indices": kind}
            want, *others = (
                kernels.max_pool2d(x, kernel, **options, algorithm=rung)
                for rung in RUNGS["max_pool2d", "forward"]
            )
            for got in others:  # where only values are asked, either of two zeros may be given
                for a, b in zip(got, want) if kind else [(got + 0, want + 0)]:
                    assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("rung", RUNGS["avg_pool2d", "forward"])
def test_avg_pool_is_pytorchs(rung, rng):
    torch = pytest.importorskip("torch")
    for (kernel, stride, padding, _, ceil_mode), include in itertools.product(CASES, (True, False)):
        x = rng.standard_normal((2, 3, 9, 8))
        options = {
            "stride": stride,
            "padding": padding,
            "ceil_mode": ceil_mode,
            "count_include_pad": include,
        }
        tensor = torch.from_numpy(x).requires_grad_()
        want = torch.nn.functional.avg_pool2d(tensor, kernel, **options)
        y = kernels.avg_pool2d(x, kernel, **options, algorithm=rung)
        np.testing.assert_allclose(y, want.detach(), atol=1e-14)
        dy = rng.standard_normal(y.shape)
        want.backward(torch.from_numpy(dy))
        dx = kernels.avg_pool2d_backward(dy, x.shape, kernel, **options, algorithm=rung)
        np.testing.assert_allclose(dx, tensor.grad, atol=1e-13)


def test_max_gradient_by_central_differences(rng):
    x = rng.permutation(2 * 6 * 7).reshape(1, 2, 6, 7).astype(np.float64)
    y, index = kernels.max_pool2d(x, 3, stride=2, padding=1, return_indices=True)
    dy = rng.standard_normal(y.shape)
    dx = kernels.max_pool2d_backward(dy, index, x.shape, 3, stride=2, padding=1)
    for i in range(x.size):
        sides = []
        for step in (0.25, -0.25):
            moved = x.copy()
            moved.flat[i] += step
            sides.append(np.vdot(dy, kernels.max_pool2d(moved, 3, stride=2, padding=1)))
        assert (sides[0] - sides[1]) / 0.5 == pytest.approx(dx.flat[i], abs=1e-9)


def test_avg_adjoint(rng):
    options = {"stride": 2, "padding": ((1, 0), (0, 1)), "dilation": (1, 2)}
    x = rng.standard_normal((2, 3, 8, 9))
    y = kernels.avg_pool2d(x, (3, 2), **options)
    dy = rng.standard_normal(y.shape)
    dx = kernels.avg_pool2d_backward(dy, x.shape, (3, 2), **options)
    assert np.vdot(dy, y) == pytest.approx(np.vdot(dx, x), rel=1e-12)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"x": np.ones((3, 5))}, ValueError, "x: expected 4 dimensions"),
        ({"x": np.ones((1, 1, 5, 5), int)}, TypeError, "x: expected float32"),
        ({"kernel_size": 0}, ValueError, "kernel_size: expected at least 1"),
        ({"kernel_size": 2.0}, TypeError, "kernel_size: expected an integer"),
        ({"kernel_size": 6}, ValueError, "kernel: expected at most the padded input"),
        ({"stride": 0}, ValueError, "stride: expected at least 1"),
        ({"padding": 2}, ValueError, "padding: expected at most half"),
        ({"kernel_size": 2, "dilation": 8, "padding": 4}, ValueError, "sees only padding"),
        ({"ceil_mode": 1}, TypeError, "ceil_mode: expected True or False, got 1"),
        ({"return_indices": "flat"}, ValueError, "return_indices: expected one of"),
        ({"algorithm": "magic"}, ValueError, "algorithm"),
    ],
)
def test_bad_input(change, error, message):
    call = {"x": np.ones((1, 1, 5, 5)), "kernel_size": 3, **change}
    with pytest.raises(error, match=message):
        kernels.max_pool2d(**call)


def test_window_indices_need_small_windows():
    with pytest.raises(ValueError, match="at most 256 taps"):
        kernels.max_pool2d(np.ones((1, 1, 20, 20)), 17, return_indices="window")


@pytest.mark.parametrize("value", [-1, 25, 24, 2**40])
def test_indices_are_checked_before_anything_is_written(value):
    x = np.arange(25.0).reshape(1, 1, 5, 5)
    y, index = kernels.max_pool2d(x, 2, return_indices=True)
    index[0, 0, 0, 1] = value
    out = np.full_like(x, 7)
    with pytest.raises(ValueError, match=rf"indices: .*position \(0, 0, 0, 1\), got {value}"):
        kernels.max_pool2d_backward(np.ones_like(y), index, x.shape, 2, out=out)
    assert (out == 7).all()
    with pytest.raises(TypeError, match="indices: expected int64 or uint8"):
        kernels.max_pool2d_backward(np.ones_like(y), index.astype(np.int32), x.shape, 2)
    with pytest.raises(ValueError, match="dy: expected shape"):
        kernels.max_pool2d_backward(np.ones((1, 1, 3, 2)), index, x.shape, 2)


def test_every_bad_index_is_found(rng):
    """The count over rectangles agrees with the test of one index, tap by tap and beyond."""
    cases = [(2, 2, 0, 1), (3, 2, 1, 1), (3, 1, 1, 2), ((2, 4), (1, 3), 1, 1)]
    for (kernel, stride, padding, dilation), kind in itertools.product(cases, (True, "window")):
        options = {"stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": True}
        x = rng.standard_normal((1, 1, 8, 7))
        y, good = kernels.max_pool2d(x, kernel, **options, return_indices=kind)
        rows, columns = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        for at in np.ndindex(y.shape):
            wanted = set()
            for r, s in itertools.product(range(rows), range(columns)):
                u, v = np.broadcast_to(stride, 2)
                ih = at[2] * u - padding + r * dilation
                iw = at[3] * v - padding + s * dilation
                if 0 <= ih < x.shape[2] and 0 <= iw < x.shape[3]:
                    wanted.add(r * columns + s if kind == "window" else ih * x.shape[3] + iw)
            for value in range(-1 if kind is True else 0, x.size + 2):
                index = good.copy()
                index[at] = value
                expected = contextlib.nullcontext()
                if value not in wanted:
                    message = re.escape(f"position {at}, got {value}")
                    expected = pytest.raises(ValueError, match=message)
                with expected:
                    kernels.max_pool2d_backward(y, index, x.shape, kernel, **options)


@pytest.mark.parametrize("rung", ["naive", "rows", "parallel", "register"])
def test_max_gradient_takes_what_comes(rung, rng):
    """A NaN or infinity in dy goes where its window's winner was, and nowhere else."""
    x = rng.standard_normal((1, 2, 9, 20)).astype(np.float32)
    for kernel, stride, padding in [(3, 1, 1), (3, 2, 1), (2, 2, 0), (4, 3, 2)]:
        options = {"stride": stride, "padding": padding}
        for kind in (True, "window"):
            y, index = kernels.max_pool2d(x, kernel, **options, return_indices=kind)
            dy = np.ones_like(y)
            dy[0, 0, 1, 1], dy[0, 1, 0, 2] = np.nan, np.inf
            args = (dy, index, x.shape, kernel)
            got = kernels.max_pool2d_backward(*args, **options, algorithm=rung)
            want = kernels.max_pool2d_backward(*args, **options, algorithm="naive")
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    "shape", [(2, 3, 6, 130), (1, 1, 150, 7), (1, 2, 90, 90), (40, 3, 1, 1), (1, 1, 1, 300)]
)
def test_planes_of_all_sizes(shape, rng):
    """Strips, streams and bands, their edges among them, agree with the formula."""
    x = rng.standard_normal(shape).astype(np.float32)
    x[0, 0, shape[2] // 2, shape[3] // 2] = np.nan
    cases = [(1, 1, 0), (2, 1, 1), (2, 2, 0), (3, 1, 1), (3, 2, 1), ((1, 3), 2, (0, 1)), (5, 4, 2)]
    for (kernel, stride, padding), ceil_mode in itertools.product(cases, (False, True)):
        options = {"stride": stride, "padding": padding, "ceil_mode": ceil_mode}
        high, wide = np.broadcast_to(kernel, 2)
        if shape[2] + 2 * np.broadcast_to(padding, 2)[0] < high:
            continue
        if shape[3] + 2 * np.broadcast_to(padding, 2)[1] < wide:
            continue
        for kind in (False, True):
            got, want = (
                kernels.max_pool2d(x, kernel, **options, return_indices=kind, algorithm=rung)
                for rung in ("register", "naive")
            )
            np.testing.assert_array_equal(got, want)
        y, index = want
        dy = rng.standard_normal(y.shape).astype(np.float32)
        for name, args in (("max_pool2d", (dy, index)), ("avg_pool2d", (dy,))):
            got, want = (
                getattr(kernels, f"{name}_backward")(
                    *args, shape, kernel, **options, algorithm=rung
                )
                for rung in ("register", "naive")
            )
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
        got, want = (
            kernels.avg_pool2d(x, kernel, **options, algorithm=rung)
            for rung in ("register", "naive")
        )
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("p", [1, 2, 3, 2.5])
def test_lp_pool_is_pytorchs(p, rng):
    torch = pytest.importorskip("torch")
    for kernel, stride, ceil_mode in [(2, None, False), (3, 2, True), ((3, 2), 1, False)]:
        x = rng.standard_normal((2, 3, 9, 8))
        x = x if p <= 2 and p == int(p) else np.abs(x)
        x[0, 0, :4, :4] = 0  # whole windows of nothing: no derivative there
        tensor = torch.from_numpy(x).requires_grad_()
        want = torch.nn.functional.lp_pool2d(tensor, p, kernel, stride, ceil_mode)
        options = {"p": p, "stride": stride, "ceil_mode": ceil_mode}
        y = kernels.lp_pool2d(x, kernel, **options)
        np.testing.assert_allclose(y, want.detach(), rtol=1e-12, atol=1e-14)
        dy = rng.standard_normal(y.shape)
        want.backward(torch.from_numpy(dy))
        dx = kernels.lp_pool2d_backward(dy, x, y, kernel, **options)
        good = ~np.isnan(tensor.grad.numpy())  # PyTorch's own is NaN at some zeros
        np.testing.assert_allclose(dx[good], tensor.grad.numpy()[good], rtol=1e-10, atol=1e-12)
        assert np.isfinite(dx).all()


@pytest.mark.parametrize("rung", ["naive", "rows"])
@pytest.mark.parametrize("size", [1, (3, 5), (None, 4), 7, (12, 1)])
def test_adaptive_pools_are_pytorchs(size, rung, rng):
    torch = pytest.importorskip("torch")
    x = rng.integers(-3, 4, (2, 3, 11, 70)).astype(np.float64)
    tensor = torch.from_numpy(x).requires_grad_()
    want = torch.nn.functional.adaptive_avg_pool2d(tensor, size)
    y = kernels.adaptive_avg_pool2d(x, size, algorithm=rung)
    np.testing.assert_allclose(y, want.detach(), atol=1e-13)
    dy = rng.standard_normal(y.shape)
    want.backward(torch.from_numpy(dy))
    dx = kernels.adaptive_avg_pool2d_backward(dy, x.shape, algorithm=rung)
    np.testing.assert_allclose(dx, tensor.grad, atol=1e-13)

    x[0, 0, 3, 4] = x[0, 0, 3, 5] = np.nan
    tensor = torch.from_numpy(x).requires_grad_()
    want, places = torch.nn.functional.adaptive_max_pool2d(tensor, size, return_indices=True)
    y, index = kernels.adaptive_max_pool2d(x, size, return_indices=True, algorithm=rung)
    np.testing.assert_array_equal(y, want.detach())
    np.testing.assert_array_equal(index, places)
    np.testing.assert_array_equal(kernels.adaptive_max_pool2d(x, size, algorithm=rung), y)
    want.backward(torch.from_numpy(dy))
    dx = kernels.adaptive_max_pool2d_backward(dy, index, x.shape, algorithm=rung)
    np.testing.assert_allclose(dx, tensor.grad, atol=1e-13)


def test_global_pools_are_adaptive_to_one(rng):
    x = rng.standard_normal((2, 3, 5, 7))
    np.testing.assert_allclose(
        kernels.global_avg_pool2d(x), x.mean((2, 3), keepdims=True), atol=1e-15
    )
    y, index = kernels.global_max_pool2d(x, return_indices=True)
    np.testing.assert_array_equal(y, x.max((2, 3), keepdims=True))
    np.testing.assert_array_equal(index[..., 0, 0], x.reshape(2, 3, -1).argmax(2))


def test_unpool_puts_maxima_back(rng):
    torch = pytest.importorskip("torch")
    x = rng.standard_normal((2, 3, 8, 10))
    y, index = kernels.max_pool2d(x, 2, return_indices=True)
    back = kernels.max_unpool2d(y, index, x.shape)
    want = torch.nn.functional.max_unpool2d(torch.from_numpy(y), torch.from_numpy(index), 2)
    np.testing.assert_array_equal(back, want)
    np.testing.assert_array_equal(kernels.max_unpool2d(y, index, (8, 10)), back)
    dx = rng.standard_normal(x.shape)
    dy = kernels.max_unpool2d_backward(dx, index)
    assert np.vdot(dx, back) == pytest.approx(np.vdot(dy, y))
    for value in (-1, 80, 2**40):
        bad = index.copy()
        bad[1, 2, 3, 4] = value
        out = np.full_like(x, 7)
        with pytest.raises(
            ValueError, match=rf"expected 0 to 79 at position \(1, 2, 3, 4\), got {value}"
        ):
            kernels.max_unpool2d(y, bad, x.shape, out=out)
        assert (out == 7).all()
        with pytest.raises(ValueError, match="expected 0 to 79"):
            kernels.max_unpool2d_backward(dx, bad)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda x: kernels.adaptive_avg_pool2d(x, 0),
            ValueError,
            "output_size: expected at least 1",
        ),
        (lambda x: kernels.adaptive_avg_pool2d(x, (1, 2, 3)), ValueError, "output_size: expected"),
        (lambda x: kernels.adaptive_avg_pool2d(x, 1.5), TypeError, "output_size: expected"),
        (
            lambda x: kernels.adaptive_max_pool2d(x, 2, return_indices=1),
            TypeError,
            "return_indices",
        ),
        (
            lambda x: kernels.adaptive_avg_pool2d_backward(x, (2, 1, 5, 5)),
            ValueError,
            "input_shape: expected .* N and C",
        ),
        (
            lambda x: kernels.adaptive_max_pool2d_backward(x, np.full(x.shape, 25), x.shape),
            ValueError,
            r"indices: expected one inside its own window at position \(0, 0, 0, 0\), got 25",
        ),
        (lambda x: kernels.lp_pool2d(x, 2, p=0.5), ValueError, r"p: expected a number from 1.0"),
        (lambda x: kernels.lp_pool2d(x, 2, p="2"), TypeError, "p: expected a number"),
        (lambda x: kernels.lp_pool2d(x, 2, p=np.nan), ValueError, "p: expected a number"),
        (
            lambda x: kernels.lp_pool2d(x, 2, p=3, algorithm="register"),
            ValueError,
            "its power is 2, not 3",
        ),
        (lambda x: kernels.max_unpool2d(x, np.zeros(x.shape), x.shape), TypeError, "indices"),
        (
            lambda x: kernels.max_unpool2d(x, np.zeros(x.shape, np.int32), x.shape),
            TypeError,
            "indices: expected int64, got int32",
        ),
        (
            lambda x: kernels.max_unpool2d(x, np.zeros(x.shape, int), (1, 2, 5, 5)),
            ValueError,
            "output_shape: expected",
        ),
        (lambda x: kernels.max_unpool2d(x, np.zeros(x.shape, int), 5), TypeError, "output_shape"),
    ],
)
def test_bad_input_of_the_others(call, error, message):
    with pytest.raises(error, match=message):
        call(np.ones((1, 1, 5, 5)))


def test_empty_batch():
    y, index = kernels.max_pool2d(np.empty((0, 2, 6, 6)), 2, return_indices=True)
    assert y.shape == index.shape == (0, 2, 3, 3)
    assert kernels.avg_pool2d_backward(y, (0, 2, 6, 6), 2).shape == (0, 2, 6, 6)
