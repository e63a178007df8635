"""What is particular to normalisations: parity, cancellation, statistics, gradients, bad input."""

import numpy as np
import pytest

import kernels
from kernels.core.rows import BLOCK, moments
from kernels.core.simd import streaming

NORMS = ("layer_norm", "rms_norm", "group_norm", "instance_norm", "batch_norm")
SHAPES = [(4, 6), (3, 6, 5), (2, 6, 5, 4), (2, 6, 3, 2, 4)]


def rungs(name):
    return [each.name for each in kernels.ladder(name)]


def problem(name, shape, rng, affine=True):
    """The arguments of a forward call, its options, and PyTorch's function of (x, weight, bias)."""
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    x = rng.standard_normal(shape) * 2 + 1
    if name in ("layer_norm", "rms_norm"):
        over = shape[-2:] if len(shape) > 2 else shape[-1:]
        w, b = rng.standard_normal(over), rng.standard_normal(over)
        peer = F.layer_norm if name == "layer_norm" else F.rms_norm
        arrays = (x, over, w, b) if name == "layer_norm" else (x, over, w)
        return arrays, {}, lambda x, *weights: peer(x, over, *weights)
    w, b = rng.standard_normal(shape[1]), rng.standard_normal(shape[1])
    w, b = (w, b) if affine else (None, None)
    if name == "group_norm":
        return (x, 3, w, b), {}, lambda x, w, b: F.group_norm(x, 3, w, b)
    if name == "instance_norm":
        return (x, w, b), {}, lambda x, w, b: F.instance_norm(x, weight=w, bias=b)
    return (
        (x, w, b, None, None),
        {"training": True},
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
    )


def floats(arrays):
    return [each for each in arrays if isinstance(each, np.ndarray)]


CASES = [
    (name, shape)
    for name in NORMS
    for shape in SHAPES
    if not (name == "instance_norm" and len(shape) == 2)
]


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_parity_with_pytorch(name, shape, rng):
    torch = pytest.importorskip("torch")
    arrays, options, peer = problem(name, shape, rng)
    tensors = [torch.tensor(each, requires_grad=True) for each in floats(arrays)]
    want = peer(*tensors)
    dy = rng.standard_normal(shape)
    want.backward(torch.tensor(dy))
    for rung in rungs(name):
        y = getattr(kernels, name)(*arrays, **options, algorithm=rung)
        np.testing.assert_allclose(y, want.detach(), rtol=1e-11, atol=1e-12)
    y, cache = getattr(kernels, name)(*arrays, **options, return_cache=True)
    backward = getattr(kernels, f"{name}_backward")
    for rung in rungs(name):
        if "dx" in kernels.ladder(name)[rung].run:
            gradients = backward(dy, cache, algorithm=rung)
            assert gradients._fields == ("x", "weight", "bias")[: len(gradients)]
            for got, tensor in zip(gradients, tensors):
                np.testing.assert_allclose(got, tensor.grad, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("name", NORMS)
def test_gradients_by_central_differences(name, rng):
    arrays, options, _ = problem(name, (3, 6, 4), rng)
    function = getattr(kernels, name)
    y, cache = function(*arrays, **options, return_cache=True)
    dy = rng.standard_normal(y.shape)
    gradients = getattr(kernels, f"{name}_backward")(dy, cache)
    h = 1e-6
    for array, gradient in zip(floats(arrays), gradients):
        for place in np.ndindex(array.shape):
            kept = array[place]
            array[place] = kept + h
            above = function(*arrays, **options)
            array[place] = kept - h
            below = function(*arrays, **options)
            array[place] = kept
            slope = np.vdot(dy, above - below) / (2 * h)
            assert slope == pytest.approx(gradient[place], rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("name", NORMS)
def test_any_choice_of_gradients_is_the_same(name, rng):
    arrays, options, _ = problem(name, (5, 6, 7), rng)
    y, cache = getattr(kernels, name)(*arrays, **options, return_cache=True)
    dy = rng.standard_normal(y.shape)
    backward = getattr(kernels, f"{name}_backward")
    whole = backward(dy, cache)
    fields = whole._fields
    for mask in range(1, 2 ** len(fields)):
        needs = tuple(each for i, each in enumerate(fields) if mask >> i & 1)
        got = backward(dy, cache, needs=needs[::-1])
        got = {needs[0]: got} if len(needs) == 1 else got._asdict()
        for each in fields:
            if each in needs:
                np.testing.assert_allclose(got[each], getattr(whole, each), rtol=1e-12, atol=1e-13)
            else:
                assert got.get(each) is None
    outs = [np.full_like(each, np.nan) for each in whole]
    got = backward(dy, cache, out=outs)
    for mine, field, wanted in zip(outs, got, whole):
        assert mine is field
        np.testing.assert_array_equal(mine, wanted)


@pytest.mark.parametrize("name", NORMS)
def test_weights_may_be_left_out(name, rng):
    arrays, options, _ = problem(name, (3, 6, 5), rng, affine=False)
    if name in ("layer_norm", "rms_norm"):
        arrays = arrays[:2]
    y, cache = getattr(kernels, name)(*arrays, **options, return_cache=True)
    assert cache.weight is None
    shape = arrays[1] if name in ("layer_norm", "rms_norm") else (6,)
    ones, zeros = np.ones(shape), np.zeros(shape)
    given = {"weight": ones} if name == "rms_norm" else {"weight": ones, "bias": zeros}
    if name == "batch_norm":
        full = kernels.batch_norm(arrays[0], ones, zeros, None, None, training=True)
    else:
        kept = arrays[:1] if name == "instance_norm" else arrays[:2]
        full = getattr(kernels, name)(*kept, **given)
    np.testing.assert_array_equal(y, full)
    gradients = getattr(kernels, f"{name}_backward")(y, cache)
    assert all(each is not None for each in gradients)


def one_pass(x):
    """The trap: E[x²] − E[x]², in the data's own precision."""
    return (x * x).mean(dtype=x.dtype) - x.mean(dtype=x.dtype) ** 2


@pytest.mark.parametrize("rung", ["naive", "welford", "vectors", "parallel"])
@pytest.mark.parametrize(("offset", "digits"), [(1e2, 1e-6), (1e4, 1e-6), (1e6, 1e-6)])
def test_variance_far_from_zero(rung, offset, digits, rng):
    rows = (rng.standard_normal((8, 5000)) + offset).astype(np.float32)
    exact = rows.astype(np.float64)
    want = 1 / np.sqrt(exact.var(1) + 1e-5)
    y, cache = kernels.layer_norm(rows, 5000, return_cache=True, algorithm=rung)
    np.testing.assert_allclose(cache.rstd, want, rtol=digits)
    np.testing.assert_allclose(cache.mean, exact.mean(1), rtol=1e-9)
    centred = (exact - exact.mean(1, keepdims=True)) * want[:, None]
    np.testing.assert_allclose(y, centred, rtol=2e-6, atol=2e-6)
    images = rows.reshape(8, 4, 1250)
    _, cache = kernels.batch_norm(
        images, None, None, None, None, training=True, return_cache=True, algorithm=rung
    )
    want = 1 / np.sqrt(images.astype(np.float64).var((0, 2)) + 1e-5)
    np.testing.assert_allclose(cache.rstd, want, rtol=digits)
    _, cache = kernels.batch_norm(
        rows.T, None, None, None, None, training=True, return_cache=True, algorithm=rung
    )
    np.testing.assert_allclose(cache.rstd, 1 / np.sqrt(exact.var(1) + 1e-5), rtol=digits)
    if offset == 1e4:
        assert abs(one_pass(rows[0]) - exact[0].var()) > 0.5  # what all of this is about


@pytest.mark.parametrize("rung", ["naive", "welford", "vectors", "parallel"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_constant_rows_have_no_variance(rung, dtype):
    for value in (0.1, 1e-30, 12345.678, -3e7):
        for length in (1, 7, 100, 5000, 10001):
            rows = np.full((2, length), value, dtype)
            y, cache = kernels.layer_norm(rows, length, eps=1e-5, return_cache=True, algorithm=rung)
            np.testing.assert_allclose(cache.rstd, 1 / np.sqrt(1e-5), rtol=1e-6)
            assert np.abs(y).max() <= 1e-3 * abs(value) * np.finfo(dtype).eps / 1e-10 + 1e-12
            if rung in ("vectors", "parallel"):
                assert np.abs(y).max() == 0
                assert (cache.rstd == 1 / np.sqrt(1e-5)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_moments_against_two_passes(dtype, rng):
    """Stretches of every length, and a first quarter that is nowhere near the mean."""
    for strips, stride, length in [
        (1, 0, 1),
        (1, 0, 9001),
        (5, 300, 49),
        (3, 9000, 5000),
        (700, 9, 7),
    ]:
        for shape in ("normal", "steps", "outlier"):
            x = rng.standard_normal(strips * max(stride, length) + 40).astype(dtype)
            if shape == "steps":
                x += (np.arange(x.size) * 4 // x.size * 1000).astype(dtype)
            if shape == "outlier":
                x[3] = 1e4
            taken = np.concatenate([x[3 + k * stride :][:length] for k in range(strips)])
            exact = taken.astype(np.float64)
            mean, squares = moments(x, 3, strips, stride, length, True)
            room = (4 + np.sqrt(len(exact))) * float(np.finfo(dtype).eps)
            spread = exact.std() + abs(exact.mean()) * (dtype == np.float64)
            assert abs(mean - exact.mean()) <= room * spread
            wanted = np.square(exact - exact.mean()).sum()
            assert abs(squares - wanted) <= room * wanted + len(exact) * (room * spread) ** 2
            _, squares = moments(x, 3, strips, stride, length, False)
            assert squares == pytest.approx(np.square(exact).sum(), rel=room)
    assert BLOCK % 64 == 0


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_spread_over_their_set_and_no_further(name, bad, rng):
    arrays, options, _ = problem(name, (4, 6, 40), rng)
    x = arrays[0].astype(np.float32)
    x[1, 2, 33] = bad
    arrays = (x, *(a.astype(np.float32) if isinstance(a, np.ndarray) else a for a in arrays[1:]))
    touched = np.zeros(x.shape, bool)
    where = {
        "layer_norm": np.s_[1],
        "rms_norm": np.s_[1],
        "group_norm": np.s_[1, 2:4],
        "instance_norm": np.s_[1, 2],
        "batch_norm": np.s_[:, 2],
    }
    touched[where[name]] = True
    for rung in rungs(name):
        y, cache = getattr(kernels, name)(*arrays, **options, return_cache=True, algorithm=rung)
        broken = ~np.isfinite(y)
        if name == "rms_norm" and np.isinf(bad):  # x / ∞ is 0, ∞ / ∞ is NaN
            assert np.argwhere(broken).tolist() == [[1, 2, 33]]
        else:
            np.testing.assert_array_equal(np.isnan(y), touched)
        if "dx" in kernels.ladder(name)[rung].run:
            dx = getattr(kernels, f"{name}_backward")(
                np.ones_like(x), cache, needs=("x",), algorithm=rung
            )
            assert np.isfinite(dx[~touched]).all()
            assert not np.isfinite(dx[1, 2, 33])


@pytest.mark.parametrize("shape", [(7, 5), (3, 5, 4), (2, 5, 6, 7)])
@pytest.mark.parametrize("rung", rungs("batch_norm"))
def test_running_statistics_as_pytorch(shape, rung, rng):
    torch = pytest.importorskip("torch")
    mean, var = rng.standard_normal(5), rng.random(5) + 0.5
    means, variances = torch.tensor(mean), torch.tensor(var)
    w, b = rng.standard_normal((2, 5))
    for momentum in (0.1, 0.9, 0.0, 1.0):
        x = rng.standard_normal(shape) + 3
        y = kernels.batch_norm(x, w, b, mean, var, training=True, momentum=momentum, algorithm=rung)
        want = torch.nn.functional.batch_norm(
            torch.tensor(x), means, variances, torch.tensor(w), torch.tensor(b), True, momentum
        )
        np.testing.assert_allclose(y, want, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(mean, means, rtol=1e-12)
        np.testing.assert_allclose(var, variances, rtol=1e-12)
    before = mean.copy(), var.copy()
    tensors = [torch.tensor(each, requires_grad=True) for each in (x, w, b)]
    want = torch.nn.functional.batch_norm(tensors[0], means, variances, *tensors[1:], False)
    y, cache = kernels.batch_norm(
        x, w, b, mean, var, training=False, return_cache=True, algorithm=rung
    )
    np.testing.assert_allclose(y, want.detach(), rtol=1e-12)
    np.testing.assert_array_equal((mean, var), before)
    dy = rng.standard_normal(shape)
    want.backward(torch.tensor(dy))
    if rung != "welford":
        for got, tensor in zip(kernels.batch_norm_backward(dy, cache, algorithm=rung), tensors):
            np.testing.assert_allclose(got, tensor.grad, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", NORMS)
def test_empty_batch(name):
    x = np.empty((0, 6, 4), np.float32)
    mean, var = np.full(6, 2, np.float32), np.full(6, 3, np.float32)
    w, b = np.ones((2, 6), np.float32)
    arrays = {
        "layer_norm": (x, (6, 4)),
        "rms_norm": (x, 4),
        "group_norm": (x, 2, w, b),
        "instance_norm": (x, w, b),
        "batch_norm": (x, w, b, mean, var),
    }[name]
    options = {"training": True} if name == "batch_norm" else {}
    for rung in rungs(name):
        y, cache = getattr(kernels, name)(*arrays, **options, return_cache=True, algorithm=rung)
        assert y.shape == x.shape
        if rung != "welford":
            gradients = getattr(kernels, f"{name}_backward")(y, cache, algorithm=rung)
            assert gradients.x.shape == x.shape
            for each in gradients[1:]:
                np.testing.assert_array_equal(each, np.zeros(each.shape))
    np.testing.assert_array_equal((mean, var), ([2] * 6, [3] * 6))


@pytest.mark.parametrize("length", [1024, 1040, 1025])
def test_outputs_that_are_streamed_have_the_same_values(length, rng):
    rows = streaming.FROM // 4 // length + 5
    x = rng.standard_normal((rows, length), dtype=np.float32)
    w, b = rng.standard_normal((2, length), dtype=np.float32)
    y, cache = kernels.layer_norm(x, length, w, b, return_cache=True)
    gradients = kernels.layer_norm_backward(x[::-1], cache)
    dx = kernels.layer_norm_backward(x[::-1], cache, needs=("x",))
    some = np.s_[:: rows // 7]
    np.testing.assert_array_equal(y[some], kernels.layer_norm(x[some], length, w, b))
    _, small = kernels.layer_norm(x[some], length, w, b, return_cache=True)
    wanted = kernels.layer_norm_backward(x[::-1][some], small, needs=("x",))
    np.testing.assert_array_equal(dx[some], wanted)
    np.testing.assert_array_equal(gradients.x, dx)
    images = x[: rows // 8 * 8].reshape(8, -1, length)[:, :500]
    y = kernels.batch_norm(images, None, None, None, None, training=True)
    some = np.s_[:, ::100]
    part = kernels.batch_norm(images[some], None, None, None, None, training=True)
    np.testing.assert_array_equal(y[some], part)


BAD = [
    (lambda k, x: k.layer_norm(x, 5), ValueError, r"normalized_shape: .*\(2, 6, 4\), got \(5,\)"),
    (lambda k, x: k.layer_norm(x, ()), ValueError, r"normalized_shape: .*got \(\)"),
    (lambda k, x: k.layer_norm(x, "4"), TypeError, "normalized_shape"),
    (lambda k, x: k.layer_norm(x, 4.0), TypeError, "normalized_shape"),
    (lambda k, x: k.rms_norm(x, (2, 2, 6, 4)), ValueError, "normalized_shape"),
    (lambda k, x: k.layer_norm(x[..., :0], 0), ValueError, "normalized_shape"),
    (lambda k, x: k.layer_norm(x, 4, np.ones(3)), ValueError, r"weight: expected shape \(4,\)"),
    (lambda k, x: k.layer_norm(x, 4, None, np.ones(4, "f4")), TypeError, "bias: expected float64"),
    (lambda k, x: k.layer_norm(x, 4, eps=-1.0), ValueError, r"eps: .*got -1\.0"),
    (lambda k, x: k.layer_norm(x, 4, eps=np.nan), ValueError, "eps: .*got nan"),
    (lambda k, x: k.rms_norm(x, 4, eps=np.inf), ValueError, "eps: .*got inf"),
    (lambda k, x: k.rms_norm(x, 4, eps="1"), TypeError, "eps"),
    (lambda k, x: k.group_norm(x, 4), ValueError, "num_groups: expected a divisor of 6.*got 4"),
    (lambda k, x: k.group_norm(x, 0), ValueError, "num_groups: expected at least 1, got 0"),
    (lambda k, x: k.group_norm(x[0, 0], 1), ValueError, "x: expected"),
    (lambda k, x: k.group_norm(x[:1, :, 0], 6), ValueError, "x: expected more than 1 value per"),
    (lambda k, x: k.group_norm(x, 2, np.ones(2)), ValueError, r"weight: expected shape \(6,\)"),
    (lambda k, x: k.instance_norm(x[..., :1]), ValueError, "more than 1 spatial element"),
    (lambda k, x: k.instance_norm(x.astype("i4")), TypeError, "x: expected float32 or float64"),
    (lambda k, x: k.layer_norm(x, 4, out=np.empty(3)), ValueError, "out"),
    (lambda k, x: k.layer_norm(x, 4, out=x), ValueError, "out.*overlaps"),
    (lambda k, x: k.layer_norm(x, 4, algorithm="fast"), ValueError, "algorithm"),
    (lambda k, x: k.layer_norm(x, 4, return_cache=1), TypeError, "return_cache"),
]


@pytest.mark.parametrize(("call", "kind", "match"), BAD)
def test_bad_input(call, kind, match, rng):
    with pytest.raises(kind, match=match):
        call(kernels, rng.standard_normal((2, 6, 4)))


def test_bad_batch_norm_touches_nothing(rng):
    x = rng.standard_normal((2, 6, 4))
    mean, var = np.zeros(6), np.ones(6)

    def call(x=x, w=None, b=None, mean=mean, var=var, training=True, **options):
        return kernels.batch_norm(x, w, b, mean, var, training=training, **options)

    for kind, match, options in [
        (ValueError, "more than 1 value per channel", {"x": x[:1, :, :1]}),
        (ValueError, "both or neither", {"var": None}),
        (ValueError, "running_mean: expected the running", {"mean": None, "var": None, "training": False}),
        (ValueError, r"running_mean: .*\(6,\)", {"mean": np.zeros(5)}),
        (ValueError, "running_var: expected float64", {"var": np.ones(6, "f4")}),
        (ValueError, "running_var: .*overlaps", {"var": mean}),
        (ValueError, "running_mean: .*overlaps", {"w": mean}),
        (TypeError, "running_mean: .*update in place", {"mean": [0.0] * 6}),
        (TypeError, "momentum", {"momentum": None}),
        (ValueError, r"momentum: .*got 1\.5", {"momentum": 1.5}),
        (ValueError, "momentum: .*got nan", {"momentum": np.nan}),
        (TypeError, "training: expected True or False", {"training": None}),
        (ValueError, "eps", {"eps": -1e-5}),
        (ValueError, "out", {"out": np.empty(3)}),
        (ValueError, "algorithm", {"algorithm": "fast"}),
        (ValueError, r"bias: expected shape \(6,\)", {"b": np.ones(4)}),
    ]:  # fmt: skip
        with pytest.raises(kind, match=match):
            call(**options)
        np.testing.assert_array_equal(mean, np.zeros(6))
        np.testing.assert_array_equal(var, np.ones(6))
    out = np.empty(x.shape)
    shared = out.reshape(-1)[:6]
    shared[:] = 1
    with pytest.raises(ValueError, match=r"out: .*overlaps"):
        call(var=shared, out=out)
    np.testing.assert_array_equal(shared, np.ones(6))


def test_bad_backward(rng):
    x = rng.standard_normal((2, 6, 4))
    y, cache = kernels.group_norm(x, 3, return_cache=True)
    with pytest.raises(TypeError, match=r"cache: expected what layer_norm returned.*group_norm"):
        kernels.layer_norm_backward(y, cache)
    with pytest.raises(TypeError, match=r"cache: .*tuple"):
        kernels.group_norm_backward(y, (x,))
    with pytest.raises(ValueError, match=r"dy: expected shape \(2, 6, 4\)"):
        kernels.group_norm_backward(y[:1], cache)
    with pytest.raises(TypeError, match="dy: expected float64"):
        kernels.group_norm_backward(y.astype("f4"), cache)
    with pytest.raises(ValueError, match="needs"):
        kernels.group_norm_backward(y, cache, needs=("w",))
    with pytest.raises(ValueError, match="needs"):
        kernels.rms_norm_backward(y, kernels.rms_norm(x, 4, return_cache=True)[1], needs=("bias",))
    same = np.empty(6)
    with pytest.raises(ValueError, match="overlaps"):
        kernels.group_norm_backward(y, cache, needs=("weight", "bias"), out=(same, same))
    with pytest.raises(ValueError, match="overlaps"):
        kernels.group_norm_backward(y, cache, needs=("x",), out=x)
