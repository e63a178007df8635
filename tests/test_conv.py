"""What is particular to convolution: parity, gradients, NaN, bad input, memory."""

import os
import platform
import subprocess
import sys

import numpy as np
import pytest

import kernels
from bench import check, errors
from kernels.conv.winograd import error
from kernels.core import precision, simd
from kernels.core.simd import width

PARTIAL = ["few", "depthwise"]  # rungs that refuse some problems
RUNGS = [r.name for r in kernels.ladder("conv2d") if r.growth is None and r.name not in PARTIAL]
WINOGRAD = [rung.name for rung in kernels.ladder("conv2d") if rung.growth]

OPTIONS = [
    {},
    {"stride": 2, "padding": 1},
    {"stride": (1, 3), "padding": (2, 0), "dilation": (2, 1)},
    {"groups": 3, "padding": 1},
]


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("options", OPTIONS)
def test_parity_with_pytorch(rung, options, rng):
    torch = pytest.importorskip("torch")
    x = rng.standard_normal((2, 6, 11, 10))
    w = rng.standard_normal((9, 6 // options.get("groups", 1), 3, 2))
    b = rng.standard_normal(9)
    tensors = [torch.from_numpy(a).requires_grad_() for a in (x, w, b)]
    want = torch.nn.functional.conv2d(*tensors, **options)
    got = kernels.conv2d(x, w, b, **options, algorithm=rung)
    np.testing.assert_allclose(got, want.detach(), atol=1e-12)
    dy = rng.standard_normal(got.shape)
    want.backward(torch.from_numpy(dy))
    for name, tensor in zip("xwb", tensors):
        if f"d{name}" in kernels.ladder("conv2d")[rung].run:
            grad = kernels.conv2d_backward(dy, x, w, **options, needs=(name,), algorithm=rung)
            np.testing.assert_allclose(grad, tensor.grad, atol=1e-11)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_named_padding_is_pytorchs(padding, rng):
    torch = pytest.importorskip("torch")
    x, w = rng.standard_normal((1, 2, 7, 6)), rng.standard_normal((3, 2, 4, 3))
    want = torch.nn.functional.conv2d(torch.from_numpy(x), torch.from_numpy(w), padding=padding)
    np.testing.assert_allclose(kernels.conv2d(x, w, padding=padding), want, atol=1e-12)


@pytest.mark.parametrize("rung", RUNGS)
def test_adjoint_identity(rng, rung):
    options = {"stride": (2, 1), "padding": ((1, 2), (0, 1)), "dilation": (1, 2), "groups": 2}
    x, w = rng.standard_normal((3, 4, 9, 8)), rng.standard_normal((6, 2, 3, 2))
    y = kernels.conv2d(x, w, **options, algorithm=rung)
    dy = rng.standard_normal(y.shape)
    dx = kernels.conv2d_backward(dy, x, w, **options, needs=("x",), algorithm=rung)
    assert np.vdot(dy, y) == pytest.approx(np.vdot(dx, x), rel=1e-12)
    if "dw" in kernels.ladder("conv2d")[rung].run:
        dw = kernels.conv2d_backward(dy, x, w, **options, needs=("w",), algorithm=rung)
        assert np.vdot(dy, y) == pytest.approx(np.vdot(dw, w), rel=1e-12)


def test_gradients_by_central_differences(rng):
    options = {"stride": 2, "padding": 1, "groups": 2}
    arrays = [rng.standard_normal(s) for s in ((2, 4, 5, 6), (4, 2, 3, 3), (4,))]
    dy = rng.standard_normal(kernels.conv2d(*arrays, **options).shape)
    grads = kernels.conv2d_backward(dy, *arrays[:2], **options)
    step = 1e-6
    for array, grad in zip(arrays, grads):
        for index in rng.integers(0, array.size, 8):
            kept = array.flat[index]
            sides = []
            for sign in (1, -1):
                array.flat[index] = kept + sign * step
                sides.append(np.vdot(dy, kernels.conv2d(*arrays, **options)))
            array.flat[index] = kept
            assert (sides[0] - sides[1]) / (2 * step) == pytest.approx(
                grad.flat[index], rel=1e-6, abs=1e-7
            )


@pytest.mark.parametrize("rung", RUNGS)
def test_nan_reaches_just_the_outputs_that_read_it(rung):
    x, w = np.ones((1, 1, 6, 6), np.float32), np.ones((1, 1, 3, 3), np.float32)
    x[0, 0, 0, 0] = np.nan
    x[0, 0, 5, 5] = np.inf
    y = kernels.conv2d(x, w, algorithm=rung, activation="relu")[0, 0]
    assert np.isnan(y[0, 0])
    assert np.isinf(y[3, 3])
    assert np.isfinite(y).sum() == 14


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"x": np.ones((3, 5, 5))}, ValueError, "x: expected 4 dimensions, got 3"),
        ({"x": np.ones((1, 2, 5, 5), int)}, TypeError, "x: expected float32 or float64, got int64"),
        ({"x": [[1.0]]}, TypeError, "x: expected an array, got list"),
        ({"w": np.ones((4, 3, 3, 3))}, ValueError, "w: expected 2 channels"),
        ({"w": np.ones((4, 2, 3, 3), np.float32)}, TypeError, "w: expected float64"),
        ({"w": np.ones((4, 2, 0, 3))}, ValueError, "w: expected at least 1 along axis 2"),
        ({"w": np.ones((4, 2, 6, 3))}, ValueError, "kernel: expected at most the padded input"),
        ({"b": np.ones(3)}, ValueError, r"b: expected shape \(4,\), got \(3,\)"),
        (
            {"groups": 3},
            ValueError,
            "groups: expected a divisor of 2 channels and 4 filters, got 3",
        ),
        ({"groups": 0}, ValueError, "groups: expected at least 1, got 0"),
        ({"stride": 0}, ValueError, "stride: expected at least 1, got"),
        ({"stride": (1, -1)}, ValueError, "stride: expected at least 1, got"),
        ({"stride": 1.5}, TypeError, "stride: expected an integer or 2"),
        ({"dilation": (1, 2, 3)}, ValueError, "dilation: expected an integer or 2"),
        ({"padding": -1}, ValueError, "padding: expected nothing negative, got -1"),
        ({"activation": "gelu"}, ValueError, "activation: expected one of"),
        ({"algorithm": "magic"}, ValueError, "algorithm: expected 'auto' or one of"),
    ],
)
def test_bad_input(change, error, message):
    call = {"x": np.ones((1, 2, 5, 5)), "w": np.ones((4, 2, 3, 3)), "b": None, **change}
    with pytest.raises(error, match=message):
        kernels.conv2d(**call)


def test_backward_refuses_what_does_not_fit(rng):
    x, w = rng.standard_normal((1, 2, 5, 5)), rng.standard_normal((4, 2, 3, 3))
    dy = rng.standard_normal((1, 4, 3, 3))
    with pytest.raises(ValueError, match=r"dy: expected shape \(1, 4, 3, 3\)"):
        kernels.conv2d_backward(dy[:, :, :2], x, w)
    with pytest.raises(ValueError, match="needs"):
        kernels.conv2d_backward(dy, x, w, needs=("y",))
    shared = np.empty_like(x)
    with pytest.raises(ValueError, match="out: expected memory of its own"):
        kernels.conv2d_backward(dy, x, w, needs=("x", "w"), out=(x, np.empty_like(w)))
    with pytest.raises(TypeError, match="out"):
        kernels.conv2d_backward(dy, x, w, out=shared)


def test_needs_gives_none_for_the_rest_and_out_is_used(rng):
    x, w = rng.standard_normal((1, 2, 5, 5)), rng.standard_normal((4, 2, 3, 3))
    dy = rng.standard_normal((1, 4, 3, 3))
    out = np.empty_like(w), np.empty(4)
    grads = kernels.conv2d_backward(dy, x, w, needs=("w", "b"), out=out)
    assert grads.x is None
    assert grads.w is out[0]
    assert grads.b is out[1]


def test_empty_batch(rng):
    x, w = np.empty((0, 2, 5, 5)), rng.standard_normal((4, 2, 3, 3))
    assert kernels.conv2d(x, w).shape == (0, 4, 3, 3)
    grads = kernels.conv2d_backward(np.empty((0, 4, 3, 3)), x, w)
    assert not grads.w.any()
    assert not grads.b.any()


PACKERS = [rung.name for rung in kernels.ladder("conv2d") if rung.pack]


@pytest.mark.parametrize("rung", PACKERS)
def test_packed_weights_give_the_same_bits(rung, rng):
    x = rng.standard_normal((2, 20, 9, 10)).astype(np.float32)
    w = rng.standard_normal((36, 10, 3, 3)).astype(np.float32)
    options = {"padding": (1, 2), "groups": 2}
    packed = kernels.pack("conv2d", w, **options)
    assert (packed.shape, packed.dtype, packed.op) == (w.shape, w.dtype, "conv2d")
    y = kernels.conv2d(x, w, **options, algorithm=rung)
    for _ in range(2):
        again = kernels.conv2d(x, packed, **options, algorithm=rung)
        assert y.tobytes() == again.tobytes()
    dx = kernels.conv2d_backward(y, x, w, **options, algorithm=rung, needs=("x",))
    again = kernels.conv2d_backward(y, x, packed, **options, algorithm=rung, needs=("x",))
    assert dx.tobytes() == again.tobytes()
    held = packed.nbytes
    w[:] = 0  # packed weights are a copy
    assert kernels.conv2d(x, packed, **options, algorithm=rung).tobytes() == y.tobytes()
    assert packed.nbytes == held > 2 * w.nbytes


def test_packed_weights_are_for_their_options(rng):
    w = rng.standard_normal((4, 2, 3, 3))
    x = rng.standard_normal((1, 4, 5, 5))
    packed = kernels.pack("conv2d", w, groups=2, padding="same")
    kernels.conv2d(x, packed, groups=2, padding="same_upper")
    kernels.conv2d(x, kernels.pack("conv2d", w, groups=2, padding=(1, 1)), groups=2, padding=1)
    for other in ({"stride": 2}, {"padding": 1}, {"padding": "same_lower"}, {"dilation": 2}):
        with pytest.raises(ValueError, match=r"w: packed for .*'groups': 2.*called with"):
            kernels.conv2d(x, packed, **{"groups": 2, "padding": "same", **other})
    with pytest.raises(TypeError, match="w: expected float32"):
        kernels.conv2d(x.astype(np.float32), packed, groups=2, padding="same")
    with pytest.raises(ValueError, match=r"op: expected 'conv2d'.*'relu'"):
        kernels.pack("relu", w)
    with pytest.raises(ValueError, match="conv3d"):
        kernels.pack("conv3d", w)
    with pytest.raises(ValueError, match="groups: expected a divisor of 4 filters, got 3"):
        kernels.pack("conv2d", w, groups=3)
    with pytest.raises(ValueError, match="stride: expected at least 1"):
        kernels.pack("conv2d", w, stride=0)


def test_strict_precision_leaves_winograd_out(rng):
    x = rng.standard_normal((8, 64, 28, 28)).astype(np.float32)
    w = rng.standard_normal((64, 64, 3, 3)).astype(np.float32)
    ladder = kernels.ladder("conv2d")

    def chosen():
        return ladder.plan(x, w, padding=1).rung.name

    assert chosen() == "winograd_4x4"
    with kernels.precision("strict"):
        assert chosen() == "direct"
        with kernels.precision("default"):
            assert chosen() == "winograd_4x4"
        with pytest.raises(ValueError, match=r"'winograd_2x2' cannot.*precision is 'strict'"):
            kernels.conv2d(x, w, padding=1, algorithm="winograd_2x2")
    assert chosen() == "winograd_4x4"
    try:
        kernels.precision("strict")
        assert chosen() == "direct"
    finally:
        kernels.precision("default")
    with pytest.raises(ValueError, match=r"level: expected one of .*got 'fast'"):
        kernels.precision("fast")


def test_a_refused_precision_changes_nothing(rng):
    kernels.precision("strict")
    try:
        with pytest.raises(ValueError, match="level"):
            kernels.precision("exact")
        w = rng.standard_normal((8, 8, 3, 3))
        with pytest.raises(ValueError, match="strict"):
            kernels.conv2d(rng.standard_normal((1, 8, 8, 8)), w, algorithm="winograd_4x4")
    finally:
        kernels.precision("default")


@pytest.mark.parametrize("rung", WINOGRAD)
@pytest.mark.parametrize("options", [{}, {"padding": (1, 2)}, {"groups": 3, "padding": 1}])
def test_winograd_and_its_gradient_as_pytorch(rung, options, rng):
    torch = pytest.importorskip("torch")
    x = rng.standard_normal((2, 6, 11, 10))
    w = rng.standard_normal((9, 6 // options.get("groups", 1), 3, 3))
    b = rng.standard_normal(9)
    xt = torch.from_numpy(x).requires_grad_()
    want = torch.nn.functional.conv2d(xt, torch.from_numpy(w), torch.from_numpy(b), **options)
    got = kernels.conv2d(x, w, b, **options, algorithm=rung)
    np.testing.assert_allclose(got, want.detach(), atol=1e-12)
    dy = rng.standard_normal(got.shape)
    want.backward(torch.from_numpy(dy))
    dx = kernels.conv2d_backward(dy, x, w, **options, needs=("x",), algorithm=rung)
    np.testing.assert_allclose(dx, xt.grad, atol=1e-11)
    assert np.vdot(dy, got - b[:, None, None]) == pytest.approx(np.vdot(dx, x), rel=1e-11)


@pytest.mark.parametrize(
    ("shape", "options", "reason"),
    [
        ((4, 3, 5, 5), {}, "3×3 filters, not 5×5"),
        ((4, 3, 3, 3), {"stride": 2}, "stride 1 and dilation 1"),
        ((4, 3, 3, 3), {"dilation": (1, 2)}, "stride 1 and dilation 1"),
    ],
)
def test_winograd_says_what_it_is_not_for(shape, options, reason, rng):
    x, w = rng.standard_normal((1, 3, 9, 9)), rng.standard_normal(shape)
    with pytest.raises(ValueError, match=reason):
        kernels.conv2d(x, w, **options, algorithm="winograd_4x4")


@pytest.mark.parametrize("rung", WINOGRAD)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_winograd_spreads_what_is_not_finite_over_its_tile_and_no_further(rung, bad, rng):
    m = int(rung[-1])
    x = rng.standard_normal((2, 5, 4 * m, 5 * m)).astype(np.float32)
    x[1, 2, m + 1, 2 * m + 1] = bad  # inside tile (1, 2): no other output reads it
    w = rng.standard_normal((3, 5, 3, 3)).astype(np.float32)
    y = kernels.conv2d(x, w, padding=1, algorithm=rung)
    wild = ~np.isfinite(y)
    inside = np.zeros_like(wild)
    low = (m if m == 4 else 0), (2 * m if m == 4 else m)
    inside[1, :, low[0] : 3 * m, low[1] : 4 * m] = True
    assert wild[1, :, m : m + 3, 2 * m : 2 * m + 3].all()  # what the formula makes so
    assert not (wild & ~inside).any()


def test_a_workspace_limit_leaves_what_needs_less(rng):
    x = rng.standard_normal((2, 16, 14, 14)).astype(np.float32)
    w = rng.standard_normal((16, 16, 3, 3)).astype(np.float32)
    want = kernels.conv2d(x, w, algorithm="naive")
    out = np.full_like(want, 7)
    kernels.set_workspace_limit(0)
    try:
        got = kernels.conv2d(x, w, out=out)
        np.testing.assert_allclose(got, want, atol=1e-4)
        out[:] = 7
        for rung in PACKERS:
            with pytest.raises(ValueError, match=r"bytes of scratch, and the workspace limit is 0"):
                kernels.conv2d(x, w, out=out, algorithm=rung)
        assert (out == 7).all()
    finally:
        kernels.set_workspace_limit(None)


def test_the_rule_reads_the_error_that_is_measured():
    for (dtype, m), row in error.MEASURED.items():
        for channels in (1, 16, 256):
            worst = max(
                errors.measure(f"winograd_{m}x{m}", dtype, channels, seed) for seed in range(3)
            )
            assert row[channels] / 6 < worst <= row[channels]


def test_winograd_refuses_where_its_error_would_pass_the_limit(monkeypatch, rng):
    monkeypatch.setitem(error.MEASURED, ("float32", 4), {1: 1e-6, 64: 2e-5})
    assert error.expected(4, "float32", 2) == 2e-5
    assert error.expected(4, "float32", 6400) == pytest.approx(2e-4)
    x = rng.standard_normal((1, 6400, 4, 4)).astype(np.float32)
    w = rng.standard_normal((2, 6400, 3, 3)).astype(np.float32)
    with pytest.raises(ValueError, match="its error is expected to be 2e-04 of the output's scale"):
        kernels.conv2d(x, w, algorithm="winograd_4x4")


NARROWER = """
import sys
import numpy as np
import kernels
from bench import calls, check
from kernels.core import memory, simd

assert simd.BITS == int(sys.argv[1]), simd.BITS
kernels.set_num_threads(1)  # the serial twins alone: half the compiling
ladder, rng = kernels.ladder("conv2d"), np.random.default_rng(0)
for dtype in ("f4", "f8") if simd.BITS > 128 else ("f4",):
    for channels, filters in ((38, 42), (4, 10)):
        x = rng.standard_normal((2, channels, 9, 7)).astype(dtype)
        w = rng.standard_normal((filters, channels // 2, 3, 3)).astype(dtype)
        options = {"padding": ((1, 2), (0, 1)), "groups": 2}
        for rung in list(ladder)[4:]:
            for direction in set(rung.run) - {"db"}:
                inputs, given = calls.inputs("conv2d", direction, (x, w), options)
                problem = ladder.plan(*inputs, direction=direction, **given).problem
                if ladder.refusal(rung, problem, direction):
                    continue
                with memory.poisoned():
                    got = calls.ours("conv2d", direction, inputs, given, algorithm=rung.name)
                judged = calls.reference("conv2d", direction, inputs, given)
                error = check.ratio(got, judged, calls.growth(rung, problem, direction))
                assert error <= 1, (rung.name, direction, dtype, error)
print("same")
"""


@pytest.mark.parametrize(("bits", "name"), [(256, "haswell"), (128, "nehalem")])
def test_rungs_of_register_tiles_with_narrower_vectors(bits, name):
    if platform.machine() not in ("x86_64", "AMD64") or width.bits(None, None) < bits:
        pytest.skip(f"this host has no vectors of {bits} bits")
    done = subprocess.run(
        [sys.executable, "-c", NARROWER, str(bits)],
        env={**os.environ, "NUMBA_CPU_NAME": name},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "same\n", done.stderr


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "options",
    [
        {"padding": 1},
        {"stride": 2, "padding": 3},
        {"stride": (3, 2), "padding": ((2, 0), (0, 3)), "dilation": (2, 1), "groups": 3},
        {"stride": (1, 4), "dilation": (1, 3), "activation": "relu"},
    ],
)
@pytest.mark.parametrize("width", [9, 33, 70])
def test_few_channels_as_the_formula(dtype, options, width, rng):
    x = rng.standard_normal((2, 3, 23, width)).astype(dtype)
    w = rng.standard_normal((21, 3 // options.get("groups", 1), 4, 3)).astype(dtype)
    b = rng.standard_normal(21).astype(dtype)
    want = kernels.conv2d(*(a.astype(float) for a in (x, w, b)), **options, algorithm="naive")
    got = kernels.conv2d(x, w, b, **options, algorithm="few")
    close = 1e-4 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(got, want, atol=close)
    dy, close = rng.standard_normal(got.shape).astype(dtype), 2 * close
    call = {k: v for k, v in options.items() if k != "activation"} | {"needs": ("x",)}
    want = kernels.conv2d_backward(
        *(a.astype(float) for a in (dy, x, w)), **call, algorithm="naive"
    )
    got = kernels.conv2d_backward(dy, x, w, **call, algorithm="few")
    np.testing.assert_allclose(got, want, atol=close)


def test_few_channels_keep_a_nan_where_it_is_read(rng):
    x, w = rng.standard_normal((2, 3, 9, 40)), rng.standard_normal((9, 3, 3, 3))
    x[1, 2, 4, 20] = np.nan
    y = kernels.conv2d(x, w, algorithm="few")
    wild = np.zeros(y.shape, bool)
    wild[1, :, 2:5, 18:21] = True
    np.testing.assert_array_equal(np.isnan(y), wild)


def test_few_channels_spread_a_nan_of_dy_over_its_block_and_no_further(rng):
    x, w = rng.standard_normal((2, 1, 40, 40)), rng.standard_normal((9, 1, 3, 3))
    dy = rng.standard_normal((2, 9, 40, 40))
    dy[1, 3, 20, 20] = np.nan
    options = {"padding": 1, "needs": ("x",)}
    wild = np.isnan(kernels.conv2d_backward(dy, x, w, **options, algorithm="few"))
    assert wild[1, 0, 19:22, 19:22].all()  # what the formula makes so
    rows, columns = wild[1, 0].any(1).nonzero()[0], wild[1, 0].any(0).nonzero()[0]
    assert not wild[0].any()
    assert list(columns) == [19, 20, 21]
    assert len(rows) <= 2 * simd.ROWS


def test_few_channels_says_what_it_is_not_for(rng):
    x, w = rng.standard_normal((1, 17, 5, 5)), rng.standard_normal((4, 17, 3, 3))
    with pytest.raises(ValueError, match="few channels, up to 16 in a group, not 17"):
        kernels.conv2d(x, w, algorithm="few")


def test_strict_precision_multiplies_no_zeros(rng):
    dy, w = rng.standard_normal((1, 4, 8, 8)), rng.standard_normal((4, 1, 3, 3))
    x = rng.standard_normal((1, 1, 10, 10))
    with kernels.precision("strict"):
        kernels.conv2d(x, w, algorithm="few")
        with pytest.raises(ValueError, match=r"spreads a NaN.*'strict'"):
            kernels.conv2d_backward(dy, x, w, needs=("x",), algorithm="few")


def test_blocks_of_precision_that_threads_open_at_once_leave_no_trace():
    one, other = (
        kernels.precision("strict"),
        kernels.precision("strict"),
    )  # both before either's block
    with one, other:
        assert precision.strict()
    assert not precision.strict()


DEPTHWISE = [  # images, channels, size, filters a channel, side, options
    (2, 3, (9, 20), 1, 3, {"padding": 1}),
    (1, 2, (30, 28), 2, 5, {"padding": ((2, 1), (0, 3)), "stride": 2}),
    (2, 2, (8, 35), 1, 7, {"padding": 3, "stride": 2}),
    (3, 1, (7, 7), 3, 7, {"padding": (5, 2)}),
]


@pytest.mark.parametrize(("n", "c", "size", "many", "side", "options"), DEPTHWISE)
def test_depthwise_is_pytorchs(n, c, size, many, side, options, rng):
    torch = pytest.importorskip("torch")
    x, w = rng.standard_normal((n, c, *size)), rng.standard_normal((c * many, 1, side, side))
    b, options = rng.standard_normal(c * many), {**options, "groups": c}
    tensors = [torch.from_numpy(a).requires_grad_() for a in (x, w, b)]
    padding = options["padding"]
    above, left = padding if isinstance(padding, tuple) else (padding, padding)
    around = [
        p for each in (left, above) for p in (each if isinstance(each, tuple) else (each,) * 2)
    ]
    padded = torch.nn.functional.pad(tensors[0], around)
    want = torch.nn.functional.conv2d(
        padded, *tensors[1:], stride=options.get("stride", 1), groups=c
    )
    got = kernels.conv2d(x, w, b, **options, algorithm="depthwise")
    np.testing.assert_allclose(got, want.detach(), atol=1e-12)
    dy = rng.standard_normal(got.shape)
    want.backward(torch.from_numpy(dy))
    grads = kernels.conv2d_backward(dy, x, w, **options, needs=("x", "w"), algorithm="depthwise")
    for grad, tensor in zip(grads, tensors[:2]):
        np.testing.assert_allclose(grad, tensor.grad, atol=1e-11)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("side", [3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", [0, 1])
def test_depthwise_keeps_what_is_not_finite_in_its_own_windows(bad, side, stride, padding, rng):
    options = {"stride": stride, "padding": padding, "groups": 3}
    w = rng.standard_normal((3, 1, side, side)).astype(np.float32)
    direction, reference = {}, kernels.ladder("conv2d").reference
    for place in ((0, 0, 0), (1, 0, 19), (2, 20, 0), (0, 9, 16), (1, 20, 34), (2, 1, 33)):
        x = rng.standard_normal((2, 3, 21, 35)).astype(np.float32)
        x[(1, *place)] = bad
        y = kernels.conv2d(x, w, **options, algorithm="depthwise")
        dy = rng.standard_normal(y.shape).astype(np.float32)
        wild = rng.standard_normal(y.shape).astype(np.float32)
        wild[(0, *(i % n for i, n in zip(place, y.shape[1:])))] = bad
        direction["forward"] = y, (x, w)
        call = {**options, "algorithm": "depthwise"}
        direction["dx"] = kernels.conv2d_backward(wild, x, w, **call, needs=("x",)), (wild, x, w)
        direction["dw"] = kernels.conv2d_backward(dy, x, w, **call, needs=("w",)), (dy, x, w)
        for name, (got, arrays) in direction.items():
            with np.errstate(invalid="ignore"):
                judged = reference(name)(*arrays, **options)
                assert check.ratio(got, judged) <= 1, (name, place)


def test_depthwise_weights_of_large_planes_in_float32(rng):
    dy, x = (rng.uniform(0, 1, (8, 2, 112, 112)).astype(np.float32) for _ in range(2))
    w, options = np.zeros((2, 1, 3, 3), np.float32), {"padding": 1, "groups": 2}
    got = kernels.conv2d_backward(dy, x, w, **options, needs=("w",), algorithm="depthwise")
    assert check.ratio(got, kernels.ladder("conv2d").reference("dw")(dy, x, w, **options)) <= 1


@pytest.mark.parametrize(
    ("x", "w", "options", "reason"),
    [
        ((1, 4, 9, 9), (4, 2, 3, 3), {"groups": 2}, "a channel a group, not 2"),
        ((1, 4, 9, 9), (4, 1, 3, 5), {"groups": 4}, r"7×7, not 3×5"),
        ((1, 4, 9, 9), (4, 1, 3, 3), {"groups": 4, "stride": (1, 2)}, r"not 1×2"),
        ((1, 4, 9, 9), (4, 1, 3, 3), {"groups": 4, "dilation": 2}, r"not dilated by 2×2"),
    ],
)
def test_depthwise_says_what_it_is_not_for(x, w, options, reason):
    with pytest.raises(ValueError, match=reason):
        kernels.conv2d(np.zeros(x), np.zeros(w), **options, algorithm="depthwise")


@pytest.mark.parametrize("direction", ["forward", "dx", "dw"])
def test_depthwise_is_what_auto_takes_for_a_channel_a_group(direction, rng):
    x, w = rng.standard_normal((2, 8, 28, 28)), rng.standard_normal((8, 1, 3, 3))
    args = (x, w) if direction == "forward" else (np.zeros((2, 8, 26, 26)), x, w)
    plan = kernels.ladder("conv2d").plan(*args, groups=8, direction=direction)
    assert plan.rung.name == "depthwise"
