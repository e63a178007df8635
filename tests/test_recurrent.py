"""What is particular to sequences: parity, lengths, every option's gradient, bad input."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

import kernels
from bench import calls, check
from kernels.core import memory
from kernels.recurrent.layout import layout
from tests.strategies import laid_out

GATES = {"lstm": 4, "gru": 3, "rnn": 1}
NAMES = tuple(GATES)
VARIANTS = [
    ("lstm", {}),
    ("lstm", {"peepholes": True}),
    ("lstm", {"w_proj": True}),
    ("lstm", {"coupled": True, "peepholes": True}),
    ("lstm", {"clip": 0.6, "peepholes": True}),
    ("lstm", {"coupled": True, "clip": 0.6, "w_proj": True, "peepholes": True}),
    ("gru", {}),
    ("gru", {"linear_before_reset": False}),
    ("gru", {"clip": 0.6}),
    ("gru", {"clip": 0.6, "linear_before_reset": False}),
    ("rnn", {}),
    ("rnn", {"nonlinearity": "relu"}),
    ("rnn", {"clip": 0.6}),
    ("rnn", {"clip": 0.6, "nonlinearity": "relu"}),
]
LENGTHS = np.array([3, 0, 5, 2])
T, B, D, H, P = 5, 4, 4, 7, 3  # as few rows as every rung takes


def variants(test):
    ids = [name + "".join(f"-{key}" for key in options) for name, options in VARIANTS]
    return pytest.mark.parametrize(("name", "options"), VARIANTS, ids=ids)(test)


def problem(name, options, rng, dtype=np.float64, t=T, b=B, d=D, h=H):
    """The arrays of a call, and its options with arrays where a variant names them; h0 and c0 too."""
    p = P if options.get("w_proj") else h
    gates = GATES[name]

    def draw(*shape, scale=1.0):
        return (rng.standard_normal(shape) * scale).astype(dtype)

    w = [draw(gates * h, d, scale=0.5), draw(gates * h, p, scale=0.5)]
    arrays = (draw(t, b, d), *w, draw(gates * h), draw(gates * h))
    options = {**options, "h0": draw(b, p)}
    if name == "lstm":
        options["c0"] = draw(b, h)
    if options.get("peepholes"):
        options["peepholes"] = draw(3, h)
    if options.get("w_proj"):
        options["w_proj"] = draw(p, h)
    return arrays, options


def forward(name, arrays, options, **more):
    """Y, the last states as a tuple, and the cache."""
    y, states, cache = getattr(kernels, name)(*arrays, **options, **more, return_cache=True)
    return y, states if isinstance(states, tuple) else (states,), cache


def backward(name, dy, cache, **options):
    return getattr(kernels, f"{name}_backward")(dy, cache, **options)


def either(name, rung):
    """The rung, or auto where it has no backward."""
    return rung if "backward" in kernels.ladder(name)[rung].run else "auto"


def rungs(name, arrays, options, direction="forward"):
    """The rungs that do this problem."""
    plan = kernels.ladder(name).plan(*arrays, direction=direction, **options)
    return [rung for rung, cost in plan.costs.items() if not isinstance(cost, str)]


def last(name, states, rng):
    """Gradients of the last states, as keywords."""
    return {key: rng.standard_normal(s.shape) for key, s in zip(("dh", "dc"), states)}


def same(got, wanted, rtol=1e-10, atol=1e-11):
    np.testing.assert_allclose(got, wanted, rtol=rtol, atol=atol)


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize(
    ("name", "options"),
    [("lstm", {}), ("lstm", {"proj_size": P}), ("gru", {}), ("rnn", {}), ("rnn", {"nonlinearity": "relu"})],
)  # fmt: skip
def test_parity_with_pytorch(name, options, ragged, rng):
    """Both directions of a bidirectional layer, its gradients, its packed sequences."""
    torch = pytest.importorskip("torch")
    module = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[name]
    module = module(D, H, bidirectional=True, **options).double()
    p = options.get("proj_size", H)
    lengths = np.maximum(LENGTHS, 1) if ragged else None
    x = torch.tensor(rng.standard_normal((T, B, D)), requires_grad=True)
    start = [torch.tensor(rng.standard_normal((2, B, p)), requires_grad=True)]
    if name == "lstm":
        start.append(torch.tensor(rng.standard_normal((2, B, H)), requires_grad=True))
    given = x
    if ragged:
        pack = torch.nn.utils.rnn.pack_padded_sequence
        given = pack(x, torch.tensor(lengths), enforce_sorted=False)
    want, end = module(given, tuple(start) if name == "lstm" else start[0])
    if ragged:
        want, _ = torch.nn.utils.rnn.pad_packed_sequence(want)
    end = end if name == "lstm" else (end,)
    dy = rng.standard_normal((T, B, 2 * p))
    dlast = [rng.standard_normal(tuple(each.shape)) for each in end]
    pairs = zip((want, *end), (dy, *dlast))
    sum((each * torch.tensor(d)).sum() for each, d in pairs).backward()
    dx = 0
    for side, suffix in enumerate(("", "_reverse")):
        parameters = {
            key.removesuffix(suffix).removesuffix("_l0"): value
            for key, value in module.named_parameters()
            if key.endswith("_reverse") == bool(suffix)
        }
        w = {key: value.detach().numpy() for key, value in parameters.items()}
        arrays = [x.detach().numpy(), *(w[f"{k}_{s}h"] for k in ("weight", "bias") for s in "ih")]
        extra = {"h0": start[0], "c0": start[-1]} if name == "lstm" else {"h0": start[0]}
        call = {key: value[side].detach().numpy() for key, value in extra.items()}
        call |= {"lengths": lengths, "reverse": bool(side)}
        call |= {"w_proj": w["weight_hr"]} if "weight_hr" in w else {}
        call |= {"nonlinearity": "relu"} if options.get("nonlinearity") else {}
        columns = slice(side * p, (side + 1) * p)
        for rung in rungs(name, arrays, call):
            y, states, cache = forward(name, arrays, call, algorithm=rung)
            same(y, want[:, :, columns].detach())
            for got, wanted in zip(states, end):
                same(got, wanted[side].detach())
            dl = {key: d[side] for key, d in zip(("dh", "dc"), dlast)}
            gradients = backward(name, dy[:, :, columns], cache, algorithm=either(name, rung), **dl)
            for field, key in [("w_ih", "weight_ih"), ("w_hh", "weight_hh"), ("b_ih", "bias_ih"),
                               ("b_hh", "bias_hh"), ("w_proj", "weight_hr")]:  # fmt: skip
                if key in parameters:
                    same(getattr(gradients, field), parameters[key].grad)
            for field, value in extra.items():
                same(getattr(gradients, field), value.grad[side])
        dx = dx + gradients.x
    same(dx, x.grad)


def onnx_order(name, w):
    """Our gates' rows in ONNX's order: i, o, f, c and z, r, h."""
    order = {"lstm": [0, 3, 1, 2], "gru": [1, 0, 2], "rnn": [0]}[name]
    parts = np.split(w, len(order))
    return np.concatenate([parts[k] for k in order])


def run_onnx(name, arrays, options, lengths, reverse):
    """Y and the last states from ONNX Runtime."""
    onnx, ort = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    x, w_ih, w_hh, b_ih, b_hh = arrays
    feeds = {
        "X": x,
        "W": onnx_order(name, w_ih)[None],
        "R": onnx_order(name, w_hh)[None],
        "B": np.concatenate([onnx_order(name, b_ih), onnx_order(name, b_hh)])[None],
        "sequence_lens": np.full(x.shape[1], x.shape[0], np.int32)
        if lengths is None
        else lengths.astype(np.int32),
        "initial_h": options["h0"][None],
    }
    attributes = {"hidden_size": w_hh.shape[1], "direction": "reverse" if reverse else "forward"}
    if name == "lstm":
        feeds["initial_c"] = options["c0"][None]
        attributes["input_forget"] = int(options.get("coupled", False))
        if "peepholes" in options:
            feeds["P"] = options["peepholes"][[0, 2, 1]].reshape(1, -1)
    if name == "gru":
        attributes["linear_before_reset"] = int(options.get("linear_before_reset", True))
    if "clip" in options:
        attributes["clip"] = options["clip"]
    if options.get("nonlinearity") == "relu":
        attributes["activations"] = ["Relu"]
    outputs = ["Y", "Y_h", "Y_c"][: 3 if name == "lstm" else 2]
    helper, element = onnx.helper, onnx.TensorProto.FLOAT
    node = helper.make_node(name.upper(), list(feeds), outputs, **attributes)
    info = [
        helper.make_tensor_value_info(
            key, onnx.TensorProto.INT32 if value.dtype == np.int32 else element, value.shape
        )
        for key, value in feeds.items()
    ]
    results = [helper.make_tensor_value_info(key, element, None) for key in outputs]
    graph = helper.make_graph([node], "one", info, results)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    y, *states = session.run(None, feeds)
    return y[:, 0], [each[0] for each in states]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", [None, np.array([3, 1, 5, 2])], ids=["whole", "lengths"])
@variants
def test_parity_with_onnx_runtime(name, options, lengths, reverse, rng):
    if "w_proj" in options:
        pytest.skip("ONNX has no projection")
    arrays, options = problem(name, options, rng, np.float32)
    want, want_states = run_onnx(name, arrays, options, lengths, reverse)
    for rung in rungs(name, arrays, options):
        y, states, _ = forward(
            name, arrays, options, lengths=lengths, reverse=reverse, algorithm=rung
        )
        same(y, want, 2e-5, 2e-6)
        for got, wanted in zip(states, want_states):
            same(got, wanted, 2e-5, 2e-6)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("ragged", [False, True])
@variants
def test_gradients_by_central_differences(name, options, ragged, reverse, rng):
    """Every entry of every array."""
    arrays, options = problem(name, options, rng, t=3, b=3, d=2, h=3)
    options |= {"reverse": reverse, "lengths": np.array([2, 0, 3]) if ragged else None}
    y, states, cache = forward(name, arrays, options)
    dy = rng.standard_normal(y.shape)
    dlast = last(name, states, rng)
    gradients = backward(name, dy, cache, **dlast)

    def loss():
        y, states, _ = forward(name, arrays, options)
        return np.vdot(dy, y) + sum(np.vdot(d, s) for d, s in zip(dlast.values(), states))

    named = dict(zip(("x", "w_ih", "w_hh", "b_ih", "b_hh"), arrays))
    named |= {key: options[key] for key in gradients._fields if key in options}
    assert set(named) == {key for key, g in gradients._asdict().items() if g is not None}
    step = 1e-6
    for key, array in named.items():
        gradient = getattr(gradients, key)
        assert gradient.shape == array.shape
        for place in np.ndindex(array.shape):
            kept = array[place]
            array[place] = kept + step
            above = loss()
            array[place] = kept - step
            below = loss()
            array[place] = kept
            assert (above - below) / (2 * step) == pytest.approx(
                gradient[place], rel=1e-5, abs=1e-7
            )


@pytest.mark.parametrize(("b", "reverse"), [(19, False), (19, True), (3, True), (1, False)])
@variants
def test_every_rungs_cache_serves_every_rung(name, options, b, reverse, rng):
    """Gates and states saved by one rung, read by another; lengths of all kinds, more rows than a tile."""
    arrays, options = problem(name, options, rng, t=6, b=b, h=21)
    options |= {"reverse": reverse, "lengths": rng.integers(0, 7, b) if b > 1 else None}
    y, states, cache = forward(name, arrays, options, algorithm="naive")
    dy, dlast = rng.standard_normal(y.shape), last(name, states, rng)
    want = backward(name, dy, cache, algorithm="naive", **dlast)
    judged = calls.reference(name, "backward", (dy, cache), dlast)
    assert check.ratio(calls.flat(want), judged) <= 1
    for rung in rungs(name, arrays, options):
        got, got_states, cache = forward(name, arrays, options, algorithm=rung)
        same(got, y)
        plain = getattr(kernels, name)(*arrays, **options, algorithm=rung)
        np.testing.assert_array_equal(plain[0], got)  # keeping the gates changes no bit
        plain_states = plain[1] if name == "lstm" else plain[1:]
        for a, b, c in zip(plain_states, got_states, states):
            np.testing.assert_array_equal(a, b)
            same(a, c)
        for other in rungs(name, (dy, cache), dlast, "backward"):
            gradients = backward(name, dy, cache, algorithm=other, **dlast)
            for a, b in zip(calls.parts(gradients), calls.parts(want)):
                same(a, b)


@variants
def test_lengths_do_not_read_the_padding(name, options, rng):
    """NaN past a row's length reaches nothing; a row of no steps keeps its states."""
    arrays, options = problem(name, options, rng)
    for reverse in (False, True):
        more = {"lengths": LENGTHS, "reverse": reverse}
        for rung in rungs(name, arrays, options):
            y, states, cache = forward(name, arrays, options, algorithm=rung, **more)
            dy = rng.standard_normal(y.shape)
            dlast = last(name, states, rng)
            past = np.arange(T)[:, None] >= LENGTHS
            assert not y[past].any()
            for key, state in zip(("h0", "c0"), states):
                np.testing.assert_array_equal(state[1], options[key][1])
            want = backward(name, dy, cache, **dlast)
            assert not want.x[past].any()
            for key, d in zip(("h0", "c0"), dlast.values()):
                np.testing.assert_array_equal(getattr(want, key)[1], d[1])
            x, dirty = arrays[0].copy(), dy.copy()
            x[past] = dirty[past] = np.nan
            got, got_states, cache = forward(
                name, (x, *arrays[1:]), options, algorithm=rung, **more
            )
            gradients = backward(name, dirty, cache, **dlast)
            for a, b in zip(
                (y, *states, *calls.parts(want)), (got, *got_states, *calls.parts(gradients))
            ):
                np.testing.assert_array_equal(a, b)


@variants
def test_lengths_of_whole_rows_are_none(name, options, rng):
    arrays, options = problem(name, options, rng)
    for reverse in (False, True):
        y, states, cache = forward(name, arrays, options, reverse=reverse)
        full = forward(name, arrays, options, reverse=reverse, lengths=[T] * B)
        dy = rng.standard_normal(y.shape)
        same(full[0], y)
        for a, b in zip(full[1], states):
            same(a, b)
        for a, b in zip(backward(name, dy, full[2]), backward(name, dy, cache)):
            assert (a is None) == (b is None)
            if a is not None:
                same(a, b)


@variants
def test_reverse_is_the_sequence_turned(name, options, rng):
    arrays, options = problem(name, options, rng)
    y, states, _ = forward(name, arrays, options, reverse=True)
    turned, turned_states, _ = forward(name, (arrays[0][::-1], *arrays[1:]), options)
    same(y, turned[::-1])
    for a, b in zip(states, turned_states):
        same(a, b)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@variants
def test_very_large_pre_activations(name, options, dtype, rng):
    """Gates go to 0, 1 or ±1, and no number is lost."""
    arrays, options = problem(name, options, rng, dtype)
    for size in (1e4, 1e30):
        huge = ((arrays[0] * size).astype(dtype), *arrays[1:])
        for rung in rungs(name, huge, options):
            y, states, cache = forward(name, huge, options, algorithm=rung)
            assert all(np.isfinite(each).all() for each in (y, *states))
            gradients = backward(name, np.ones_like(y), cache)
            assert all(np.isfinite(each).all() for each in calls.parts(gradients))
            if "clip" not in options and name == "lstm":
                i, f, g, o = np.split(cache.gates, 4, axis=1)
                near = 1e-6
                for each in (i, f, o):
                    assert ((each < near) | (each > 1 - near)).mean() > 0.99
                assert (np.abs(np.abs(g) - 1) < near).mean() > 0.99
            if options.get("nonlinearity") != "relu" and "w_proj" not in options:
                assert np.abs(y[-1]).max() <= max(1, np.abs(options["h0"]).max())


@variants
def test_nan_stays_in_its_row(name, options, rng):
    arrays, options = problem(name, options, rng)
    y, _, cache = forward(name, arrays, options)
    dy = rng.standard_normal(y.shape)
    want = backward(name, dy, cache)
    x = arrays[0].copy()
    x[2, 3, 1] = np.nan
    others = [b for b in range(B) if b != 3]
    for rung in rungs(name, arrays, options):
        clean, _, _ = forward(name, arrays, options, algorithm=rung)
        got, got_states, cache = forward(name, (x, *arrays[1:]), options, algorithm=rung)
        np.testing.assert_array_equal(got[:, others], clean[:, others])
        np.testing.assert_array_equal(got[:2], clean[:2])
        assert np.isnan(got[2:, 3]).all()
        assert all(np.isnan(s[3]).all() and np.isfinite(s[others]).all() for s in got_states)
        gradients = backward(name, dy, cache)
        same(gradients.x[:, others], want.x[:, others])
        same(gradients.h0[others], want.h0[others])
        assert np.isnan(gradients.w_ih).any()


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", ["lstm", "gru", "rnn"])
def test_nan_of_a_row_without_steps_reaches_no_weight(name, reverse, rng):
    """Spare rows have no gradient; what lies beside them must not be multiplied with it all the same."""
    arrays, _ = problem(name, {}, rng)
    states = {"h0": rng.standard_normal((B, H))}
    if name == "lstm":
        states |= {"c0": rng.standard_normal((B, H)), "peepholes": rng.standard_normal((3, H))}
    lengths = np.full(B, 2)
    lengths[1] = 0
    results = []
    for bad in (0.0, np.nan):
        for key in ("h0", "c0"):
            if key in states:
                states[key][1] = bad
        options = {**states, "lengths": lengths, "reverse": reverse}
        y, _, cache = forward(name, arrays, options)
        results.append(backward(name, np.ones(y.shape), cache))
    for clean, got in zip(results[0]._asdict().items(), results[1]):
        field, want = clean
        if want is not None and field not in ("h0", "c0"):
            np.testing.assert_array_equal(got, want)


def test_caches_of_one_shape_share_nothing(rng):
    arrays, options = problem("rnn", {}, rng)
    _, _, cache = forward("rnn", arrays, options)
    cache.layout.first[:] = -1
    _, _, other = forward("rnn", arrays, options)
    assert (other.layout.first >= 0).all()


def test_packed_weights_are_pickled(rng):
    arrays, options = problem("gru", {}, rng)
    packed = kernels.pack("gru", arrays[1:3])
    again = pickle.loads(pickle.dumps(packed))
    want = kernels.gru(arrays[0], packed, **options)[0]
    np.testing.assert_array_equal(kernels.gru(arrays[0], again, **options)[0], want)
    with pytest.raises(TypeError, match="reverse"):
        kernels.pack("gru", arrays[1:3], reverse=True)


def test_rungs_run_without_the_compiler():
    """As plain Python, coupled and on odd sizes, where vectors are partial."""
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PLAIN], capture_output=True, text=True, env=environment, check=False
    )
    assert done.stdout.split() == ["same"], done.stderr


PLAIN = """
import numpy as np
import kernels

rng = np.random.default_rng(0)
x, w, u = (rng.standard_normal(shape) for shape in ((2, 3, 4), (20, 4), (20, 5)))
results = []
for rung in ("naive", "batched", "fused"):
    _, _, cache = kernels.lstm(x, w, u, coupled=True, return_cache=True, algorithm=rung)
    results.append(kernels.lstm_backward(np.ones((2, 3, 5)), cache, algorithm=rung))
for other in results[1:]:
    for a, b in zip(results[0], other):
        assert (a is None) == (b is None) and (a is None or np.allclose(a, b)), (a, b)
print("same")
"""


def test_coupled_gates_ignore_what_f_has(rng):
    arrays, options = problem("lstm", {"coupled": True, "peepholes": True}, rng)
    y, states, cache = forward("lstm", arrays, options)
    dy, f = rng.standard_normal(y.shape), slice(H, 2 * H)
    want = backward("lstm", dy, cache)
    for each in want[1:5]:
        assert not each[f].any()
    assert not want.peepholes[1].any()
    for array in (*arrays[1:], options["peepholes"]):
        array[f if len(array) > 3 else 1] = np.nan
    for rung in rungs("lstm", arrays, options):
        got, got_states, cache = forward("lstm", arrays, options, algorithm=rung)
        for a, b in zip((got, *got_states), (y, *states)):
            same(a, b)
        for a, b in zip(
            calls.parts(backward("lstm", dy, cache, algorithm=either("lstm", rung))),
            calls.parts(want),
        ):
            same(a, b)


@variants
def test_empty_batch(name, options, rng):
    arrays, options = problem(name, options, rng, b=0)
    outputs = arrays[2].shape[1]
    for lengths in (None, [], np.empty(0, np.int32)):
        for rung in rungs(name, arrays, options):
            y, states, cache = forward(name, arrays, options, lengths=lengths, algorithm=rung)
            assert y.shape == (T, 0, outputs)
            assert [s.shape for s in states] == [(0, outputs), (0, H)][: len(states)]
            gradients = backward(name, y, cache, algorithm=rung)
            assert gradients.x.shape == (T, 0, D)
            for each in calls.parts(gradients):
                assert not each.any()  # of the weights: zero, and no NaN of a poisoned array


@variants
def test_biases_and_states_may_be_left_out(name, options, rng):
    arrays, options = problem(name, options, rng)
    full = {**options, "h0": np.zeros_like(options["h0"])}
    if name == "lstm":
        full["c0"] = np.zeros_like(options["c0"])
    short = {key: value for key, value in options.items() if key not in ("h0", "c0")}
    zero = np.zeros_like(arrays[3])
    for b_ih, b_hh in [(None, None), (arrays[3], None), (None, arrays[4])]:
        y, states, cache = forward(name, (*arrays[:3], b_ih, b_hh), short)
        filled = [zero if b is None else b for b in (b_ih, b_hh)]
        want, want_states, want_cache = forward(name, (*arrays[:3], *filled), full)
        np.testing.assert_array_equal(y, want)
        for a, b in zip(states, want_states):
            np.testing.assert_array_equal(a, b)
        dy = rng.standard_normal(y.shape)
        gradients, whole = backward(name, dy, cache), backward(name, dy, want_cache)
        assert (gradients.b_ih is None, gradients.b_hh is None) == (b_ih is None, b_hh is None)
        assert gradients.h0 is None
        np.testing.assert_array_equal(backward(name, dy, cache, needs=("h0",)), whole.h0)
        both = backward(name, dy, cache, needs=("b_hh", "b_ih"))
        np.testing.assert_array_equal(both.b_hh, whole.b_hh)
        np.testing.assert_array_equal(both.b_ih, whole.b_ih)
        assert both.x is None


@variants
def test_any_choice_of_gradients_and_out(name, options, rng):
    arrays, options = problem(name, options, rng)
    y, _, cache = forward(name, arrays, options, lengths=LENGTHS)
    dy = rng.standard_normal(y.shape)
    whole = backward(name, dy, cache)
    fields = [key for key, value in whole._asdict().items() if value is not None]
    for field in fields:
        out = np.full_like(getattr(whole, field), np.nan)
        assert backward(name, dy, cache, needs=(field,), out=out) is out
        np.testing.assert_array_equal(out, getattr(whole, field))
    outs = [np.full_like(getattr(whole, field), np.nan) for field in fields]
    got = backward(name, dy, cache, out=outs)
    for field, out in zip(fields, outs):
        assert getattr(got, field) is out
        np.testing.assert_array_equal(out, getattr(whole, field))
    none, zeros = backward(name, None, cache), backward(name, np.zeros_like(dy), cache)
    for a, b in zip(calls.parts(none), calls.parts(zeros)):
        np.testing.assert_array_equal(a, b)
    assert not calls.flat(none).any()


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_out_takes_y(name, ragged, rng):
    arrays, options = problem(name, {}, rng)
    options["lengths"] = LENGTHS if ragged else None
    y, states, cache = forward(name, arrays, options)
    out = np.full_like(y, np.nan)
    got, _, kept = forward(name, arrays, options, out=out)
    assert got is out
    np.testing.assert_array_equal(out, y)
    dy = rng.standard_normal(y.shape)
    want = backward(name, dy, cache)
    out[:] = np.nan  # y is the caller's alone, and so are the last states
    for a, b in zip(calls.parts(backward(name, dy, kept)), calls.parts(want)):
        np.testing.assert_array_equal(a, b)
    for state in states:
        state[:] = np.nan
    for a, b in zip(calls.parts(backward(name, dy, cache)), calls.parts(want)):
        np.testing.assert_array_equal(a, b)
    for wrong in (
        np.empty((T, B, H + 1)),
        np.empty((T, B, H), np.float32),
        np.empty((T, B, 2 * H))[..., ::2],
    ):
        with pytest.raises(ValueError, match="out"):
            getattr(kernels, name)(*arrays, **options, out=wrong)
    square = problem(name, {}, rng, d=H)
    with pytest.raises(ValueError, match=r"out.*overlaps"):
        getattr(kernels, name)(*square[0], **square[1], out=square[0][0])
    with pytest.raises(ValueError, match=r"out.*overlaps"):
        backward(
            name, dy, cache, needs=("w_ih", "w_hh"), out=[cache.w_ih, np.empty_like(cache.w_hh)]
        )


@pytest.mark.parametrize(
    "layout", ["fortran", "sliced", "reversed", "swapped", "unaligned", "readonly"]
)
@variants
def test_any_layout_and_nothing_modified(name, options, layout, rng):
    arrays, options = problem(name, options, rng)
    y, states, cache = forward(name, arrays, options, lengths=LENGTHS)
    dy, dlast = rng.standard_normal(y.shape), last(name, states, rng)
    want = backward(name, dy, cache, **dlast)
    laid = [laid_out(each, layout) for each in arrays]
    given = {k: laid_out(v, layout) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    lengths = laid_out(LENGTHS, layout)
    before = [
        each.copy()
        for each in (*laid, *calls.parts(v for v in given.values() if isinstance(v, np.ndarray)))
    ]
    got, got_states, cache = forward(name, laid, given, lengths=lengths)
    dlast = {key: laid_out(each, layout) for key, each in dlast.items()}
    gradients = backward(name, laid_out(dy, layout), cache, **dlast)
    for a, b in zip((y, *states, *calls.parts(want)), (got, *got_states, *calls.parts(gradients))):
        np.testing.assert_array_equal(a, b)
        assert b.flags.c_contiguous
        assert b.dtype.isnative
    after = (*laid, *(v for v in given.values() if isinstance(v, np.ndarray)))
    for a, b in zip(before, after):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(lengths, LENGTHS)


@variants
def test_packed_weights_give_the_same_bits(name, options, rng):
    arrays, options = problem(name, options, rng)
    y, states, cache = forward(name, arrays, options)
    dy = rng.standard_normal(y.shape)
    want = backward(name, dy, cache)
    held = [arrays[1].copy(), arrays[2].copy()]
    if "w_proj" in options:
        held.append(options.pop("w_proj").copy())
    packed = kernels.pack(name, held)
    for each in held:
        each[:] = np.nan  # the pack has copies
    x, _, _, *biases = arrays
    for _ in range(2):
        got, got_states, cache = forward(name, (x, packed, None, *biases), options)
        assert cache.packed is packed
        for a, b in zip((y, *states), (got, *got_states)):
            np.testing.assert_array_equal(a, b)
        for a, b in zip(calls.parts(want), calls.parts(backward(name, dy, cache))):
            np.testing.assert_array_equal(a, b)
    assert packed.nbytes >= sum(each.nbytes for each in held)


def test_bad_packs(rng):
    (x, w_ih, w_hh, *_), _ = problem("lstm", {}, rng)
    packed = kernels.pack("lstm", (w_ih, w_hh))
    with pytest.raises(ValueError, match=r"w_ih.*gru.*lstm"):
        kernels.gru(x, packed)
    with pytest.raises(ValueError, match=r"w_hh.*None"):
        kernels.lstm(x, packed, w_hh)
    with pytest.raises(ValueError, match=r"w_proj.*None"):
        kernels.lstm(x, packed, w_proj=np.ones((P, H)))
    with pytest.raises(TypeError, match=r"w_ih.*float32"):
        kernels.lstm(x.astype(np.float32), packed)
    for wrong in (w_ih, (w_ih,), (w_ih, w_hh, w_ih, w_hh)):
        with pytest.raises(TypeError, match=r"w: expected \(w_ih, w_hh\)"):
            kernels.pack("lstm", wrong)
    with pytest.raises(TypeError, match=r"w: expected \(w_ih, w_hh\)"):
        kernels.pack("gru", (w_ih, w_hh, w_hh))
    with pytest.raises(ValueError, match="w_hh"):
        kernels.pack("rnn", (w_ih, w_hh[:-1]))


BAD = [
    ({"x": np.ones((T, B))}, ValueError, "x: expected 3 dimensions"),
    ({"x": np.ones((0, B, D))}, ValueError, "x: expected at least 1 along axis 0"),
    ({"x": np.ones((T, B, 0))}, ValueError, "x: expected at least 1 along axis 2"),
    ({"x": np.ones((T, B, D + 1))}, ValueError, f"x: expected {D} features"),
    ({"x": np.ones((T, B, D), np.int64)}, TypeError, "x: expected float32 or float64"),
    ({"x": [[1.0]]}, TypeError, "x: expected an array"),
    ({"w_ih": np.ones((4 * H, D), np.float32)}, TypeError, "w_ih: expected float64"),
    ({"w_ih": np.ones(4 * H)}, ValueError, "w_ih: expected 2 dimensions"),
    ({"w_hh": np.ones((4 * H, H + 1))}, ValueError, "w_hh: expected shape"),
    ({"w_hh": np.ones((4 * H + 4, H))}, ValueError, "w_hh: expected shape"),
    ({"w_hh": None}, TypeError, "w_hh: expected an array"),
    ({"b_ih": np.ones(H + 1)}, ValueError, "b_ih: expected shape"),
    ({"b_hh": np.ones((1, H))}, ValueError, "b_hh: expected 1 dimensions"),
    ({"h0": np.ones((B + 1, H))}, ValueError, "h0: expected shape"),
    ({"h0": np.ones((1, B, H))}, ValueError, "h0: expected 2 dimensions"),
    ({"h0": np.ones((B, H), np.float32)}, TypeError, "h0: expected float64"),
    ({"lengths": np.ones(B)}, TypeError, "lengths: expected integers"),
    ({"lengths": np.ones(B, bool)}, TypeError, "lengths: expected integers"),
    ({"lengths": 3}, TypeError, "lengths: expected an array"),
    ({"lengths": [1.5] * B}, TypeError, "lengths: expected integers"),
    ({"lengths": [1] * (B - 1)}, ValueError, "lengths: expected shape"),
    ({"lengths": np.ones((B, 1), int)}, ValueError, "lengths: expected shape"),
    ({"lengths": [T + 1] * B}, ValueError, f"lengths: expected 0 to {T}.*{T + 1}"),
    ({"lengths": [1] * (B - 1) + [-1]}, ValueError, f"lengths: expected 0 to {T}.*-1"),
    ({"lengths": np.full(B, 2**64 - 1, np.uint64)}, ValueError, "lengths: expected 0 to"),
    ({"reverse": 1}, TypeError, "reverse: expected True or False"),
    ({"return_cache": "yes"}, TypeError, "return_cache: expected True or False"),
    ({"clip": 0.0}, ValueError, "clip: expected a number above 0"),
    ({"clip": -1}, ValueError, "clip: expected a number above 0"),
    ({"clip": float("nan")}, ValueError, "clip: expected a number above 0"),
    ({"clip": "1"}, TypeError, "clip: expected a number"),
    ({"algorithm": "fast"}, ValueError, r"algorithm.*naive.*'fast'"),
]  # fmt: skip
BAD_LSTM = [
    ({"w_ih": np.ones((4 * H + 1, D))}, ValueError, "w_ih: expected rows for 4 gates"),
    ({"c0": np.ones((B, P))}, ValueError, "c0: expected shape"),
    ({"peepholes": np.ones((4, H))}, ValueError, "peepholes: expected shape"),
    ({"peepholes": np.ones(3 * H)}, ValueError, "peepholes: expected 2 dimensions"),
    ({"w_proj": np.ones((P, H))}, ValueError, "w_hh: expected shape"),
    ({"w_proj": np.ones((H, P))}, ValueError, "w_proj: expected 7 columns"),
    ({"coupled": None}, TypeError, "coupled: expected True or False"),
]
BAD_OTHERS = [
    ("gru", {"linear_before_reset": 0}, TypeError, "linear_before_reset: expected True or False"),
    ("gru", {"w_ih": np.ones((3 * H + 1, D))}, ValueError, "w_ih: expected rows for 3 gates"),
    ("rnn", {"nonlinearity": "sigmoid"}, ValueError, r"nonlinearity: expected one of .*tanh.*relu"),
    ("rnn", {"nonlinearity": None}, ValueError, "nonlinearity"),
]


@pytest.mark.parametrize(
    ("name", "change", "error", "match"),
    [(name, *row) for name in NAMES for row in BAD] + [("lstm", *r) for r in BAD_LSTM] + BAD_OTHERS,
)
def test_bad_arguments_are_named(name, change, error, match, rng):
    arrays, options = problem(name, {}, rng)
    names = ("x", "w_ih", "w_hh", "b_ih", "b_hh")
    with pytest.raises(error, match=match):
        getattr(kernels, name)(**{**dict(zip(names, arrays)), **options, **change})


@pytest.mark.parametrize("name", NAMES)
def test_bad_arguments_of_backward(name, rng):
    arrays, options = problem(name, {}, rng)
    y, _, cache = forward(name, arrays, options)
    for change, error, match in [
        ({"dy": y[:-1]}, ValueError, "dy: expected shape"),
        ({"dy": y.astype(np.float32)}, TypeError, "dy: expected float64"),
        ({"dh": y}, ValueError, "dh: expected 2 dimensions"),
        ({"dh": y[0, :-1]}, ValueError, "dh: expected shape"),
        ({"needs": ()}, ValueError, "needs"),
        ({"needs": "x"}, TypeError, "needs"),
        ({"needs": ("x", "x")}, ValueError, "needs"),
        ({"needs": ("z",)}, ValueError, "needs"),
        ({"needs": 1}, TypeError, "needs"),
        ({"out": np.empty(1)}, TypeError, "out"),
        ({"needs": ("x",), "out": np.empty((T, B, D + 1))}, ValueError, "out"),
        ({"cache": None}, TypeError, f"cache: expected what {name} returned"),
        ({"algorithm": "fast"}, ValueError, "algorithm"),
    ]:
        with pytest.raises(error, match=match):
            backward(name, **{"dy": y, "cache": cache, **change})
    other = {"lstm": "gru", "gru": "rnn", "rnn": "lstm"}[name]
    with pytest.raises(TypeError, match=f"cache: expected what {other} returned"):
        backward(other, y, cache)
    if name == "lstm":
        with pytest.raises(ValueError, match="dc: expected shape"):
            backward(name, y, cache, dc=y[0, :, :-1])
        for absent in ("peepholes", "w_proj"):
            with pytest.raises(ValueError, match=f"needs.*{absent}"):
                backward(name, y, cache, needs=(absent,))


@pytest.mark.parametrize("name", NAMES)
def test_scratch_of_backward_is_within_what_was_saved(name, rng, monkeypatch):
    """All that has a row a step, beside the gradients, is no larger than gates and states."""
    t, b, d, h = 9, 8, 40, 16
    arrays, options = problem(name, {}, rng, t=t, b=b, d=d, h=h)
    y, _, cache = forward(name, arrays, options)
    dy = rng.standard_normal(y.shape)
    whole = backward(name, dy, cache)
    shapes, real = [], memory.empty

    def empty(shape, dtype):
        shapes.append(shape)
        return real(shape, dtype)

    monkeypatch.setattr(memory, "empty", empty)
    backward(name, dy, cache, algorithm="naive", out=calls.parts(whole))
    used = sum(int(np.prod(s)) for s in shapes if isinstance(s, tuple) and s[0] == t * b)
    saved = sum(getattr(cache, key).size for key in ("gates", "c", "h") if hasattr(cache, key))
    block = t * b * d if name == "gru" else 0  # of dx, a second product: 1024 rows at the most
    assert 0 < used <= saved + block


@pytest.mark.parametrize("name", NAMES)
def test_plan_and_costs(name, rng):
    arrays, options = problem(name, {}, rng)
    ladder = kernels.ladder(name)
    plan = ladder.plan(*arrays, **options)
    steps, gates = T * B, GATES[name]
    assert plan.flops == 2 * steps * gates * H * (D + H)
    short = ladder.plan(*arrays, **options, lengths=LENGTHS)
    assert short.flops == plan.flops * LENGTHS.sum() // steps
    _, _, cache = forward(name, arrays, options)
    back = ladder.plan(None, cache, direction="backward")
    assert back.flops == 2 * plan.flops
    assert back.problem.saved


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
def test_layout_walks_each_step_once(lengths, reverse):
    steps = layout(T, B, lengths, reverse)
    count = np.full(B, T) if lengths is None else lengths
    read, written = [], []
    for b in range(B):
        state = steps.first[b] + steps.before
        written.append(state)
        for s in range(count[b]):
            row = steps.first[b] + s * steps.stride
            assert row + steps.before == state  # a step begins where the one before it ended
            read.append(row)
            state = row + steps.after
            written.append(state)
        assert state == steps.last[b]
    assert len(set(read)) == len(read) == count.sum()
    assert len(set(written)) == len(written) == steps.states  # every row of the states, once
    assert max(read) < steps.rows
    rows = np.zeros((steps.rows, 1))
    states = np.arange(1.0, steps.states + 1)[:, None]
    for shift in (steps.before, steps.after):
        beside = steps.beside(states, shift)[:, 0]
        assert len(beside) == len(rows[: steps.paired])
        inside = np.isin(np.arange(steps.paired), read)  # the others are spare
        np.testing.assert_array_equal(beside[inside], 1 + np.arange(steps.paired)[inside] + shift)
        assert not beside[~inside].any()
    if lengths is not None:
        steps.clear(rows[:] if rows.size else rows)
        x = np.arange(T * B, dtype=float).reshape(T, B, 1)
        steps.gather(x, rows)
        back = np.full((T, B, 1), np.nan)
        steps.scatter(rows, back)
        np.testing.assert_array_equal(
            back[..., 0], np.where(np.arange(T)[:, None] < count, x[..., 0], 0)
        )
