"""One step's gates: the row functions at every length and option, gradients by differences, saturation, bad input."""

import numpy as np
import pytest

import kernels
from kernels.core import jit, memory
from kernels.recurrent import gates
from kernels.recurrent.gates import formulas

CLIPS = [None, 0.7]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def differences(function, x, step=1e-6):
    """Gradient of `function`, which gives a number for each row of x, row by row."""
    dx = np.empty_like(x)
    for place in np.ndindex(x.shape[1:]):
        up, down = x.copy(), x.copy()
        up[(slice(None), *place)] += step
        down[(slice(None), *place)] -= step
        dx[(slice(None), *place)] = (function(up) - function(down)) / (2 * step)
    return dx


def lstm_reference(z, c, peepholes=None, clip=None, coupled=False):
    """h, c and gates of z (B, 4, H), in the textbook's words."""
    p = np.zeros((3, c.shape[1])) if peepholes is None else peepholes
    clip = np.inf if clip is None else clip
    zi, zf, zg, zo = z[:, 0] + p[0] * c, z[:, 1] + p[1] * c, z[:, 2], z[:, 3]
    i, g = sigmoid(np.clip(zi, -clip, clip)), np.tanh(np.clip(zg, -clip, clip))
    f = 1 - i if coupled else sigmoid(np.clip(zf, -clip, clip))
    new = f * c + i * g
    o = sigmoid(np.clip(zo + p[2] * new, -clip, clip))
    return o * np.tanh(new), new, np.stack([i, f, g, o], 1)


def gru_reference(z, h, clip=None):
    """h and gates of z (B, 4, H): r, z, n's two parts."""
    clip = np.inf if clip is None else clip
    r, update = sigmoid(np.clip(z[:, 0], -clip, clip)), sigmoid(np.clip(z[:, 1], -clip, clip))
    n = np.tanh(np.clip(z[:, 2] + r * z[:, 3], -clip, clip))
    return (1 - update) * n + update * h, np.stack([r, update, n, z[:, 3]], 1)


@jit.exact
def lstm_rows(z, units, c_prev, peepholes, clip, coupled, saved, kept, c, h):
    for b in range(h.size // units):
        at = b * units
        gates.lstm_row(
            z, 4 * at, units, c_prev, at, peepholes, units, 0, clip, coupled,
            saved, kept, 4 * at, c, at, h, at, units,
        )  # fmt: skip


@jit.exact
def lstm_rows_backward(dh, kept, units, c, peepholes, clip, coupled, dc, dz):
    """c holds the states before, then those after."""
    for b in range(dh.size // units):
        at = b * units
        gates.lstm_row_backward(
            dh, at, kept, 4 * at, units, c, at, dh.size + at, peepholes, 0, clip, coupled,
            dc, at, dz, 4 * at, units, units,
        )  # fmt: skip


@jit.exact
def gru_rows(z, units, h_prev, clip, saved, kept, h):
    zh = np.zeros(3 * units, h.dtype)
    for b in range(h.size // units):
        at = b * units
        zh[2 * units :] = z[4 * at + 3 * units : 4 * at + 4 * units]
        gates.gru_pair_row(
            z, 4 * at, zh, 0, units, h_prev, at, clip, saved, kept, 4 * at, units, h, at, units
        )


@jit.exact
def gru_rows_backward(dh, kept, units, h_prev, clip, drz, dn, dq):
    for b in range(dh.size // units):
        at = b * units
        gates.gru_row_backward(
            dh, at, kept, 4 * at, units, h_prev, at, clip, drz, 2 * at, units, dn, at, dq, at, units
        )


@jit.exact
def gru_resets(z, units, h_prev, clip, saved, kept, met):
    for b in range(met.size // units):
        at = b * units
        gates.gru_reset_row(
            z, 4 * at, units, h_prev, at, clip, saved, kept, 4 * at, units, met, at, units
        )


@jit.exact
def gru_finishes(z, units, h_prev, clip, saved, kept, h):
    for b in range(h.size // units):
        at = b * units
        gates.gru_finish_row(
            z, 4 * at, units, h_prev, at, clip, saved, kept, 4 * at, units, h, at, units
        )


@jit.exact
def gru_halves_backward(dh, kept, units, h_prev, clip, drz, dn, u, dmet):
    """Both halves, with the product between them."""
    for b in range(dh.size // units):
        at = b * units
        gates.gru_finish_row_backward(
            dh, at, kept, 4 * at, units, h_prev, at, clip, drz, 2 * at, units, dn, at, units
        )
        for k in range(units):
            dmet[at + k] = 0
            for j in range(units):
                dmet[at + k] += dn[at + j] * u[j, k]
        gates.gru_reset_row_backward(
            dmet, at, kept, 4 * at, h_prev, at, clip, drz, 2 * at, dh, at, units
        )


@jit.exact
def rnn_rows(z, units, clip, relu, h):
    for b in range(h.size // units):
        gates.rnn_row(z, b * units, clip, relu, h, b * units, units)


@jit.exact
def rnn_rows_backward(dh, h, units, clip, relu, dz):
    for b in range(h.size // units):
        at = b * units
        gates.rnn_row_backward(dh, at, h, at, clip, relu, dz, at, units)


def bound(clip):
    return float("inf") if clip is None else clip


UNITS = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 40]


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("coupled", [False, True])
@pytest.mark.parametrize("peeping", [False, True])
def test_lstm_rows(rng, clip, coupled, peeping):
    for units in UNITS:
        z, c = rng.standard_normal((3, 4, units)), rng.standard_normal((3, units))
        p = rng.standard_normal((3, units)) if peeping else None
        flat_p = np.empty(0) if p is None else p.reshape(-1)
        kept, cell, h = np.full(z.size, np.nan), np.full(c.size, np.nan), np.full(c.size, np.nan)
        args = (units, c.reshape(-1), flat_p, bound(clip), coupled)
        lstm_rows(z.reshape(-1), *args, True, kept, cell, h)
        want = lstm_reference(z, c, p, clip, coupled)
        for got, right in zip((h, cell, kept), want):
            np.testing.assert_allclose(got, right.reshape(-1), rtol=2e-15, atol=2e-15)
        again, alone = c.reshape(-1).copy(), np.full(c.size, np.nan)
        lstm_rows(
            z.reshape(-1), units, again, flat_p, bound(clip), coupled, False, kept[:0], again, alone
        )
        np.testing.assert_array_equal(again, cell)  # in place, with nothing kept: the same bits
        np.testing.assert_array_equal(alone, h)

        dh, dc = rng.standard_normal((2, 3, units))
        back, dz = dc.reshape(-1).copy(), kept.copy()  # dz over the gates
        both = np.concatenate([c.reshape(-1), cell])
        lstm_rows_backward(dh.reshape(-1), dz, units, both, flat_p, bound(clip), coupled, back, dz)

        def loss(z, c, dh=dh, dc=dc, p=p):
            h, new, _ = lstm_reference(z, c, p, clip, coupled)
            return (h * dh).sum(1) + (new * dc).sum(1)

        got = differences(lambda z, c=c: loss(z, c), z), differences(lambda c, z=z: loss(z, c), c)
        np.testing.assert_allclose(dz, got[0].reshape(-1), atol=1e-8)
        np.testing.assert_allclose(back, got[1].reshape(-1), atol=1e-8)


@pytest.mark.parametrize("clip", CLIPS)
def test_gru_rows(rng, clip):
    for units in UNITS:
        z, h_prev = rng.standard_normal((3, 4, units)), rng.standard_normal((3, units))
        kept, h = np.full(z.size, np.nan), np.full(h_prev.size, np.nan)
        gru_rows(z.reshape(-1), units, h_prev.reshape(-1), bound(clip), True, kept, h)
        for got, right in zip((h, kept), gru_reference(z, h_prev, clip)):
            np.testing.assert_allclose(got, right.reshape(-1), rtol=2e-15, atol=2e-15)
        dh = rng.standard_normal((3, units))
        back, drz, dn, dq = (
            dh.reshape(-1).copy(),
            *(np.full(k * dh.size, np.nan) for k in (2, 1, 1)),
        )
        gru_rows_backward(back, kept, units, h_prev.reshape(-1), bound(clip), drz, dn, dq)

        def loss(z, h, dh=dh):
            return (gru_reference(z, h, clip)[0] * dh).sum(1)

        dz = differences(lambda z, h=h_prev: loss(z, h), z)
        np.testing.assert_allclose(drz, dz[:, :2].reshape(-1), atol=1e-8)
        np.testing.assert_allclose(dn, dz[:, 2].reshape(-1), atol=1e-8)
        np.testing.assert_allclose(dq, dz[:, 3].reshape(-1), atol=1e-8)
        want = differences(lambda h, z=z: loss(z, h), h_prev)
        np.testing.assert_allclose(back, want.reshape(-1), atol=1e-8)


@pytest.mark.parametrize("clip", CLIPS)
def test_gru_rows_in_halves(rng, clip):
    """linear_before_reset=False: the product stands between the reset and the candidate."""
    for units in UNITS:
        z, h_prev = rng.standard_normal((3, 4, units)), rng.standard_normal((3, units))
        u = rng.standard_normal((units, units)) / units**0.5

        def reference(z, h, u=u):
            met = sigmoid(np.clip(z[:, 0], -bound(clip), bound(clip))) * h
            whole = np.stack([z[:, 0], z[:, 1], z[:, 2] + met @ u.T, np.zeros_like(h)], 1)
            return gru_reference(whole, h, clip)[0], met

        work, flat = z.copy(), h_prev.reshape(-1)
        kept, met, h = (np.full(k * h_prev.size, np.nan) for k in (4, 1, 1))
        gru_resets(work.reshape(-1), units, flat, bound(clip), True, kept, met)
        work[:, 2] += met.reshape(3, units) @ u.T
        gru_finishes(work.reshape(-1), units, flat, bound(clip), True, kept, h)
        for got, right in zip((h, met), reference(z, h_prev)):
            np.testing.assert_allclose(got, right.reshape(-1), rtol=1e-13, atol=1e-14)
        np.testing.assert_array_equal(kept.reshape(3, 4, units)[:, 3], met.reshape(3, units))
        dh = rng.standard_normal((3, units))
        back, drz, dn, dmet = (
            dh.reshape(-1).copy(),
            *(np.full(k * dh.size, np.nan) for k in (2, 1, 1)),
        )
        gru_halves_backward(back, kept, units, flat, bound(clip), drz, dn, u, dmet)

        def loss(z, h, dh=dh, reference=reference):
            return (reference(z, h)[0] * dh).sum(1)

        dz = differences(lambda z, h=h_prev, loss=loss: loss(z, h), z)
        np.testing.assert_allclose(drz, dz[:, :2].reshape(-1), atol=1e-8)
        np.testing.assert_allclose(dn, dz[:, 2].reshape(-1), atol=1e-8)
        want = differences(lambda h, z=z, loss=loss: loss(z, h), h_prev)
        np.testing.assert_allclose(back, want.reshape(-1), atol=1e-8)


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("relu", [False, True])
def test_rnn_rows(rng, clip, relu):
    for units in UNITS:
        z, dh = rng.standard_normal((2, 3, units))

        def cell(z):
            z = np.clip(z, -bound(clip), bound(clip))
            return np.maximum(z, 0) if relu else np.tanh(z)

        h, dz = np.full(z.size, np.nan), np.full(z.size, np.nan)
        rnn_rows(z.reshape(-1), units, bound(clip), relu, h)
        np.testing.assert_allclose(h, cell(z).reshape(-1), rtol=2e-15, atol=2e-15)
        rnn_rows_backward(dh.reshape(-1), h, units, bound(clip), relu, dz)
        want = differences(lambda z, dh=dh: (cell(z) * dh).sum(1), z)
        np.testing.assert_allclose(dz, want.reshape(-1), atol=1e-8)


@jit.exact
def each_gate(z, bounds, gate_of, candidate_of):
    for u in range(z.size):
        gate_of[u] = formulas.gate(z[u], bounds[0])
        candidate_of[u] = formulas.candidate(z[u], bounds[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_formulas_are_accurate(rng, dtype):
    z = np.concatenate([rng.standard_normal(4000) * s for s in (0.01, 1, 5, 30)]).astype(dtype)
    gate_of, candidate_of = np.empty_like(z), np.empty_like(z)
    each_gate(z, np.full(1, np.inf, dtype), gate_of, candidate_of)
    wide, eps = z.astype(np.longdouble), np.finfo(dtype).eps
    assert np.abs(gate_of - 1 / (1 + np.exp(-wide))).max() < 0.8 * eps
    right = np.tanh(wide)
    assert (np.abs(candidate_of - right) / np.spacing(np.abs(right).astype(dtype))).max() < 4


def arguments(rng, name, b=3, h=21, dtype=np.float64):
    wide = {"lstm_gates": (4, 1), "gru_gates": (3, 3, 1), "rnn_gates": (1,)}[name]
    return [rng.standard_normal((b, k * h)).astype(dtype) for k in wide]


NAMES = ["lstm_gates", "gru_gates", "rnn_gates"]
RUNGS = ["naive", "vectorised", "parallel"]


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_saturation_is_exact(rung, dtype):
    z = np.concatenate([np.concatenate([np.full(20, s, dtype) for s in signs])[None] for signs in
                        ((1e30, 1e30, -1e30, 1e30), (-1e30, 1e30, 1e30, -1e30))])  # fmt: skip
    h, c, kept = kernels.lstm_gates(z, np.full((2, 20), 0.5, dtype), algorithm=rung)
    np.testing.assert_array_equal(kept.reshape(2, 4, 20)[:, :, 0], [[1, 1, -1, 1], [0, 1, 1, 0]])
    np.testing.assert_array_equal(c[:, 0], [-0.5, 0.5])
    assert np.isfinite(h).all()
    assert (h[1] == 0).all()
    dz, dc = kernels.lstm_gates_backward(h, c, kept, c, c, algorithm=rung)
    np.testing.assert_array_equal(dz, 0)
    np.testing.assert_array_equal(dc[1], c[1])
    zx = np.concatenate([np.full((2, 20), s, dtype) for s in (1e30, 1e30, -1e30)], 1)
    h, kept = kernels.gru_gates(
        zx, np.zeros_like(zx), np.full((2, 20), 0.25, dtype), algorithm=rung
    )
    np.testing.assert_array_equal(h, 0.25)
    np.testing.assert_array_equal(kept[:, :60], np.sign(zx) * [[1] * 60])
    np.testing.assert_array_equal(kernels.rnn_gates(z, algorithm=rung), np.sign(z))


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("name", NAMES)
def test_nan_stays_in_its_row(rng, name, rung):
    given = arguments(rng, name)
    given[0][1, 5] = np.nan
    made = getattr(kernels, name)(*given, algorithm=rung)
    for each in [made] if name == "rnn_gates" else made:
        found = np.isnan(each).any(1)
        np.testing.assert_array_equal(found, [False, True, False])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("b", [0, 1])
def test_empty_batch_and_wide_rows(rng, name, b):
    given = arguments(rng, name, b, 3000)
    function = getattr(kernels, name)
    for rung in RUNGS:
        made = function(*given, algorithm=rung)
        first = made if name == "rnn_gates" else made[0]
        assert first.shape == (b, 3000)
        naive = function(*given, algorithm="naive")
        np.testing.assert_allclose(first, naive if name == "rnn_gates" else naive[0], atol=1e-14)


def test_absent_gradients_are_zero(rng):
    z, c_prev = arguments(rng, "lstm_gates")
    _, c, kept = kernels.lstm_gates(z, c_prev)
    dh, zero = rng.standard_normal(c.shape), np.zeros_like(c)
    for given in ((dh, None), (None, dh)):
        want = kernels.lstm_gates_backward(
            *(zero if d is None else d for d in given), kept, c_prev, c
        )
        got = kernels.lstm_gates_backward(*given, kept, c_prev, c)
        for one, other in zip(got, want):
            np.testing.assert_array_equal(one, other)


def test_out_is_filled(rng):
    z, c_prev = arguments(rng, "lstm_gates")
    out = np.empty_like(c_prev), np.empty_like(c_prev), np.empty_like(z)
    with memory.poisoned():
        made = kernels.lstm_gates(z, c_prev, out=out)
    assert all(a is b for a, b in zip(made, out))
    for one, other in zip(made, kernels.lstm_gates(z, c_prev)):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="overlaps"):
        kernels.lstm_gates(z, c_prev, out=(out[0], out[0], out[2]))
    with pytest.raises(TypeError, match="out: expected one array for each"):
        kernels.lstm_gates(z, c_prev, out=out[0])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda z, c: kernels.lstm_gates(z[:, 1:], c), ValueError, r"z: expected shape \(3, 84\)"),
        (lambda z, c: kernels.lstm_gates(z[:2], c), ValueError, "z: expected shape"),
        (lambda z, c: kernels.lstm_gates(z, c[0]), ValueError, "c_prev: expected 2 dimensions"),
        (lambda z, c: kernels.lstm_gates(z, c[:, :0]), ValueError, "c_prev: expected at least 1"),
        (lambda z, c: kernels.lstm_gates(z.astype("f4"), c), TypeError, "z: expected float64"),
        (lambda z, c: kernels.lstm_gates(z, c.astype(int)), TypeError, "c_prev: expected float32"),
        (lambda z, c: kernels.lstm_gates(z, c, algorithm="fast"), ValueError, "algorithm"),
        (lambda z, c: kernels.lstm_gates_backward(c, c[:1], z, c, c), ValueError, "dc: expected"),
        (lambda z, c: kernels.lstm_gates_backward(c, c, z, c, c[:1]), ValueError, "c: expected"),
        (lambda z, c: kernels.gru_gates(z[:, :63], z, c), ValueError, "zh: expected shape"),
        (lambda z, c: kernels.gru_gates_backward(c[1:], z, c), ValueError, "dh: expected shape"),
        (lambda z, c: kernels.rnn_gates(z[0]), ValueError, "z: expected 2 dimensions"),
        (
            lambda z, c: kernels.rnn_gates(z, nonlinearity="sigmoid"),
            ValueError,
            r"nonlinearity: expected one of \('tanh', 'relu'\), got 'sigmoid'",
        ),
    ],
)
def test_bad_input(rng, call, error, message):
    with pytest.raises(error, match=message):
        call(*arguments(rng, "lstm_gates"))


def test_the_same_as_pytorch(rng):
    torch = pytest.importorskip("torch")
    x, h = (torch.from_numpy(rng.standard_normal((5, 21))) for _ in range(2))
    c = torch.from_numpy(rng.standard_normal((5, 21)))
    cell = torch.nn.LSTMCell(21, 21, dtype=torch.float64)
    with torch.no_grad():
        want = cell(x, (h, c))
        z = x @ cell.weight_ih.T + cell.bias_ih + h @ cell.weight_hh.T + cell.bias_hh
    got = kernels.lstm_gates(z.numpy(), c.numpy())
    for one, other in zip(got[:2], want):
        np.testing.assert_allclose(one, other.numpy(), atol=1e-14)
    cell = torch.nn.GRUCell(21, 21, dtype=torch.float64)
    with torch.no_grad():
        zx, zh = x @ cell.weight_ih.T + cell.bias_ih, h @ cell.weight_hh.T + cell.bias_hh
        got = kernels.gru_gates(zx.numpy(), zh.numpy(), h.numpy())
        np.testing.assert_allclose(got.h, cell(x, h).numpy(), atol=1e-14)
