"""Recurrent layers and cells, and Embedding: PyTorch's names, answers and gradients; state; packing; bad input."""

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import kernels
import layers

T, B, D, H = 7, 4, 5, 6

# name, arguments after the two sizes, options
CASES = {
    "RNN": ("RNN", {}),
    "RNN-relu-deep": ("RNN", {"nonlinearity": "relu", "num_layers": 3}),
    "RNN-both-ways": ("RNN", {"bidirectional": True, "batch_first": True}),
    "LSTM": ("LSTM", {}),
    "LSTM-deep-both-ways": ("LSTM", {"num_layers": 3, "bidirectional": True, "dropout": 0.4}),
    "LSTM-bare": ("LSTM", {"bias": False, "num_layers": 2, "batch_first": True}),
    "LSTM-projected": ("LSTM", {"proj_size": 3}),
    "LSTM-projected-deep": (
        "LSTM",
        {"proj_size": 3, "num_layers": 2, "bidirectional": True, "bias": False},
    ),
    "GRU": ("GRU", {}),
    "GRU-deep": ("GRU", {"num_layers": 2, "dropout": 1.0, "batch_first": True}),
    "GRU-both-ways": ("GRU", {"num_layers": 2, "bidirectional": True, "bias": False}),
}
KINDS = ("RNN", "LSTM", "GRU")


def pair(name, options, cell=False):
    """One of ours with the weights of one of PyTorch's, both in inference."""
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn, name)(D, H, **options).double().eval()
    ours = getattr(layers, name)(D, H, **options, dtype=np.float64, rng=0).eval()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    keys = ours.load_state_dict(theirs.state_dict())
    assert keys == ([], [])
    return ours, theirs


def states_of(layer, batch, rng):
    """Random states of a layer's shapes, as it spells them."""
    lead = layer.num_layers * (1 + layer.bidirectional)
    h = rng.standard_normal((lead, *batch, layer.proj_size or H))
    return (h, rng.standard_normal((lead, *batch, H))) if isinstance(layer, layers.LSTM) else h


def leaves(value):
    """Arrays or tensors of an array or a pair, as a list."""
    return list(value) if isinstance(value, tuple) else [value]


def torch_of(value):
    """A tensor with a gradient, or a pair of them; None stays None."""
    torch = pytest.importorskip("torch")
    if isinstance(value, tuple):
        return tuple(map(torch_of, value))
    return None if value is None else torch.tensor(value, requires_grad=True)


def compare(ours, theirs):
    for mine, other in zip(leaves(ours), leaves(theirs), strict=True):
        assert mine.flags.c_contiguous
        np.testing.assert_allclose(mine, other.detach().numpy(), rtol=1e-10, atol=1e-12)


def compare_gradients(ours, theirs, times=1):
    for name, parameter in ours.named_parameters():
        wanted = times * getattr(theirs, name).grad.numpy()
        np.testing.assert_allclose(parameter.grad, wanted, rtol=1e-9, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("given", [True, False], ids=["state", "no state"])
@pytest.mark.parametrize("case", CASES)
def test_layer_as_pytorch(case, given, rng):
    ours, theirs = pair(*CASES[case])
    x = rng.standard_normal((B, T, D) if ours.batch_first else (T, B, D))
    state = states_of(ours, (B,), rng) if given else None
    xt, st = torch_of(x), torch_of(state)
    yt, lt = theirs(xt, st)
    y, last = ours(x, state)
    compare(y, yt)
    compare(last, lt)
    (y2, last2), cache = ours.forward(x, state)
    for a, b in zip([y, *leaves(last)], [y2, *leaves(last2)]):
        assert a.tobytes() == b.tobytes()
    dy, dlast = rng.standard_normal(y.shape), states_of(ours, (B,), rng)
    total = (yt * torch_of(dy)).sum()
    for each, d in zip(leaves(lt), leaves(dlast)):
        total = total + (each * torch_of(d)).sum()
    total.backward()
    for times in (1, 2):  # gradients add up
        dx, dstate = ours.backward(dy, cache, dlast)
        compare(dx, xt.grad)
        if given:
            compare(dstate, tuple(s.grad for s in leaves(st)) if len(leaves(st)) > 1 else st.grad)
        assert [d.shape for d in leaves(dstate)] == [s.shape for s in leaves(last)]
        compare_gradients(ours, theirs, times)
    together = [each.grad / 2 for each in ours.parameters()]
    ours.zero_grad()
    assert ours.backward_parameters(dy, cache, dlast) is None
    for a, parameter in zip(together, ours.parameters()):
        np.testing.assert_array_equal(a, parameter.grad)
    ours.zero_grad()
    layers.clip_grad_norm_(ours.parameters(), 1.0)


@pytest.mark.parametrize("case", CASES)
def test_without_a_batch_as_pytorch(case, rng):
    ours, theirs = pair(*CASES[case])
    x, state = rng.standard_normal((T, D)), states_of(ours, (), rng)
    xt, st = torch_of(x), torch_of(state)
    yt, lt = theirs(xt, st)
    y, last = ours(x, state)
    compare(y, yt)
    compare(last, lt)
    (y, last), cache = ours.forward(x, state)
    dy = rng.standard_normal(y.shape)
    yt.backward(torch_of(dy))
    dx, dstate = ours.backward(dy, cache)
    compare(dx, xt.grad)
    for mine, other in zip(leaves(dstate), leaves(st)):
        compare(mine, other.grad)
    compare_gradients(ours, theirs)


@pytest.mark.parametrize("case", CASES)
def test_lengths_as_pytorchs_packed_sequence(case, rng):
    torch = pytest.importorskip("torch")
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    ours, theirs = pair(*CASES[case])
    first = ours.batch_first
    lengths = np.array([3, 7, 1, 5])
    x = rng.standard_normal((B, T, D) if first else (T, B, D))
    state = states_of(ours, (B,), rng)
    xt, st = torch_of(x), torch_of(state)
    packed = pack_padded_sequence(xt, torch.tensor(lengths), first, enforce_sorted=False)
    yt, lt = theirs(packed, st)
    yt, _ = pad_packed_sequence(yt, first)
    poisoned = x.copy()
    outside = np.arange(T)[:, None] >= lengths
    poisoned[outside.T if first else outside] = np.nan  # what lies past a row's end is not read
    y, last = ours(poisoned, state, lengths)
    compare(y, yt)
    compare(last, lt)
    (y, last), cache = ours.forward(poisoned, state, lengths=lengths)
    dy, dlast = rng.standard_normal(y.shape), states_of(ours, (B,), rng)
    total = (yt * torch_of(dy)).sum()
    for each, d in zip(leaves(lt), leaves(dlast)):
        total = total + (each * torch_of(d)).sum()
    total.backward()
    dx, dstate = ours.backward(dy, cache, dlast)
    compare(dx, xt.grad)
    for mine, other in zip(leaves(dstate), leaves(st)):
        compare(mine, other.grad)
    compare_gradients(ours, theirs)
    y, last = ours(x, state, np.zeros(B, int))
    assert not y.any()
    for mine, other in zip(leaves(last), leaves(state)):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_state_alone_has_a_gradient(kind, rng):
    ours, theirs = pair(kind, {"num_layers": 2, "bidirectional": True})
    x = rng.standard_normal((T, B, D))
    xt = torch_of(x)
    _, lt = theirs(xt)
    (_, last), cache = ours.forward(x)
    d = rng.standard_normal(leaves(last)[0].shape)
    (leaves(lt)[0] * torch_of(d)).sum().backward()
    dx, _ = ours.backward(None, cache, (d, None) if kind == "LSTM" else d)
    compare(dx, xt.grad)
    compare_gradients(ours, theirs)
    nothing, _ = ours.backward(None, cache)
    assert not nothing.any()


@pytest.mark.parametrize("kind", KINDS)
def test_state_handed_on_is_one_long_call(kind, rng):
    layer = getattr(layers, kind)(D, H, 2, dtype=np.float64, rng=1)
    x = rng.standard_normal((T, B, D))
    whole, last = layer(x)
    state, parts = None, []
    for t in range(T):
        y, state = layer(x[t : t + 1], state)
        parts.append(y)
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-12, atol=1e-14)
    for a, b in zip(leaves(state), leaves(last)):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_an_encoder_and_its_decoder_against_central_differences(rng):
    """The context's gradient goes from the decoder's first state to the encoder's last."""
    encoder = layers.LSTM(D, H, 2, dtype=np.float64, rng=1)
    decoder = layers.LSTM(3, H, 2, dtype=np.float64, rng=2)
    x, z = rng.standard_normal((T, B, D)), rng.standard_normal((3, B, 3))
    lengths, dy = np.array([7, 2, 4, 1]), rng.standard_normal((3, B, H))

    def loss():
        _, context = encoder(x, lengths=lengths)
        return (decoder(z, context)[0] * dy).sum()

    (_, context), before = encoder.forward(x, lengths=lengths)
    _, cache = decoder.forward(z, context)
    dz, dcontext = decoder.backward(dy, cache)
    dx, _ = encoder.backward(None, before, dcontext)
    arrays = [(x, dx), (z, dz)]
    arrays += [(p.data, p.grad) for p in encoder.parameters() + decoder.parameters()]
    step = 1e-6
    for array, grad in arrays:
        for index in rng.integers(0, array.size, 4):
            place = np.unravel_index(index, array.shape)
            kept = array[place]
            array[place] = kept + step
            above = loss()
            array[place] = kept - step
            below = loss()
            array[place] = kept
            assert grad[place] == pytest.approx((above - below) / (2 * step), rel=1e-5, abs=1e-8)


def test_dropout_between_layers_in_training_alone(rng):
    layer = layers.GRU(D, 50, 2, dropout=0.4, dtype=np.float64, rng=3)
    x = rng.standard_normal((T, B, D))
    plain, _ = layer(x)
    (a, _), cache = layer.forward(x)
    (b, _), _ = layer.forward(x)
    assert np.abs(a - plain).max() > 0
    assert np.abs(a - b).max() > 0  # each time another mask
    layer.eval()
    np.testing.assert_array_equal(layer.forward(x)[0][0], plain)
    layer.train()
    again = layers.GRU(D, 50, 2, dropout=0.4, dtype=np.float64, rng=3)
    np.testing.assert_array_equal(again.forward(x)[0][0], a)

    # by hand: two layers and the mask between them
    lower, upper = (layers.GRU(size, 50, dtype=np.float64) for size in (D, 50))
    state = layer.state_dict()
    lower.load_state_dict({key: v for key, v in state.items() if key.endswith("l0")})
    upper.load_state_dict({key.replace("l1", "l0"): v for key, v in state.items() if "l1" in key})
    (between, _), first = lower.forward(x)
    masked = kernels.dropout(between, 0.4, seed=layer.seed, offset=cache.offsets[1])
    (y, _), second = upper.forward(masked)
    np.testing.assert_array_equal(y, a)
    dy = rng.standard_normal(y.shape)
    dmasked, _ = upper.backward(dy, second)
    dbetween = kernels.dropout_backward(dmasked, 0.4, seed=layer.seed, offset=cache.offsets[1])
    dx, _ = lower.backward(dbetween, first)
    np.testing.assert_array_equal(layer.backward(dy, cache)[0], dx)
    alone = layers.GRU(D, H, dropout=0.9)  # one layer: nothing is between
    one = x.astype(np.float32)
    np.testing.assert_array_equal(alone.forward(one)[0][0], alone(one)[0])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell", "RNNCell-relu"])
def test_cell_as_pytorch(name, bias, rng):
    name, *relu = name.split("-")
    ours, theirs = pair(name, {"bias": bias} | ({"nonlinearity": "relu"} if relu else {}))
    for batch in ((B,), ()):
        x = rng.standard_normal((*batch, D))
        for given in (True, False):
            ours.zero_grad()
            theirs.zero_grad()
            count = len(ours.STATES)
            state = tuple(rng.standard_normal((count, *batch, H)))
            state = state if count > 1 else state[0]
            xt, st = torch_of(x), torch_of(state)
            lt = theirs(xt, st if given else None)
            after, cache = ours.forward(x, state if given else None)
            compare(after, lt)
            for a, b in zip(leaves(ours(x, state if given else None)), leaves(after)):
                assert a.tobytes() == b.tobytes()
            d = tuple(rng.standard_normal((count, *batch, H)))
            sum((each * torch_of(e)).sum() for each, e in zip(leaves(lt), d)).backward()
            dx, before = ours.backward(d if count > 1 else d[0], cache)
            compare(dx, xt.grad)
            for mine, other in zip(leaves(before), leaves(st)):
                assert mine.shape == other.shape
                if given:
                    compare(mine, other.grad)
            compare_gradients(ours, theirs)
            kept = [each.grad.copy() for each in ours.parameters()]
            ours.zero_grad()
            assert ours.backward_parameters(d if count > 1 else d[0], cache) is None
            for a, parameter in zip(kept, ours.parameters()):
                np.testing.assert_array_equal(a, parameter.grad)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_is_a_step_of_its_layer(kind, rng):
    layer = getattr(layers, kind)(D, H, rng=4)
    cell = getattr(layers, f"{kind}Cell")(D, H, rng=4)
    for a, b in zip(layer.parameters(), cell.parameters()):  # the same draws in the same order
        np.testing.assert_array_equal(a.data, b.data)
    x = rng.standard_normal((T, B, D)).astype(np.float32)
    y, _ = layer(x)
    state = None
    for t in range(T):
        state = cell(x[t], state)
        np.testing.assert_allclose(leaves(state)[0], y[t], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [*KINDS, "LSTMCell"])
def test_weights_stay_packed_until_either_changes(kind, rng):
    options = {"proj_size": 3} if kind == "LSTM" else {}
    layer = getattr(layers, kind)(D, H, **options, rng=0)
    x = rng.standard_normal((T, B, D) if kind in KINDS else (B, D)).astype(np.float32)
    names = [name for name, _ in layer.named_parameters() if name.startswith("weight")]

    state = None if kind in KINDS else (np.ones((B, H), np.float32),) * 2

    def answer():
        return layer(x, state)[0]

    y = answer()
    assert all(getattr(layer, name).data.flags.writeable for name in names)  # in training none
    layer.eval()
    assert answer().tobytes() == y.tobytes()
    kept = [getattr(layer, name)._kept for name in names]
    assert all(each is kept[0] for each in kept)
    answer()
    assert getattr(layer, names[0])._kept is kept[0]  # once
    for name in names:
        with pytest.raises(ValueError, match="read-only"):
            getattr(layer, name).data[0] = 0
        for change in ("data", "writable", "state", "step"):
            parameter, before = getattr(layer, name), layer.state_dict()
            if change == "data":
                parameter.data = 2 * parameter.data
            elif change == "writable":
                parameter.writable()[...] *= 2
            elif change == "state":
                layer.load_state_dict({**before, name: 2 * before[name]})
            else:
                parameter.grad = -parameter.data
                layers.SGD([parameter], lr=1.0).step()
            changed = answer()
            assert np.abs(changed - y).max() > 1e-3, (name, change)
            fresh = copy.deepcopy(layer)
            assert getattr(fresh, name)._kept is None
            np.testing.assert_array_equal(answer(), fresh(x, state)[0])
            layer.load_state_dict(before)
            assert answer().tobytes() == y.tobytes()
    layer.train()
    assert all(getattr(layer, name).data.flags.writeable for name in names)
    copied = copy.deepcopy(layer.eval())
    answer()
    getattr(copied, names[0]).data[0] = 0


def test_a_parameter_in_two_packings_is_never_out_of_date():
    a, b, c = (layers.Parameter(np.ones((4, 4), np.float32)) for _ in range(3))
    from layers.parameter import packed

    first = packed((a, b), "rnn")
    second = packed((c, b), "rnn")
    assert packed((c, b), "rnn") is second
    b.writable()[...] = 2
    c.writable()
    for left in (a, c):
        assert packed((left, b), "rnn").arrays[1][0, 0] == 2
    a.data = np.zeros((4, 4), np.float32)
    assert not packed((a, b), "rnn").arrays[0].any()
    assert packed((b, a), "rnn").arrays[0][0, 0] == 2  # another order is another thing
    assert first.arrays[1][0, 0] == 1


def test_threads_share_a_layer():
    layer = layers.LSTM(D, 16, 2, rng=0)
    x = [np.random.default_rng(i).standard_normal((T, 9, D)).astype(np.float32) for i in range(16)]

    def work(x):
        (y, _), cache = layer.forward(x)
        dx, _ = layer.backward(y, cache)
        return dx

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(work, x))
        total = [each.grad.copy() for each in layer.parameters()]
        layer.zero_grad()
        layer.eval()
        called = list(pool.map(layer, x))
    for each, dx, (y, _) in zip(x, together, called):
        np.testing.assert_array_equal(work(each), dx)
        np.testing.assert_array_equal(layer(each)[0], y)
    for mine, wanted in zip(layer.parameters(), total):
        np.testing.assert_allclose(mine.grad, wanted, rtol=1e-3, atol=1e-3)


def train(seed, steps=4):
    rng = np.random.default_rng(seed)
    table, lstm = layers.Embedding(20, 8, rng=rng), layers.LSTM(8, 33, 2, dropout=0.2, rng=rng)
    head, loss = layers.Linear(33, 20, rng=rng), layers.CrossEntropyLoss()
    parameters = table.parameters() + lstm.parameters() + head.parameters()
    optimizer = layers.Adam(parameters, lr=0.01)
    state = None
    for _ in range(steps):
        text = rng.integers(0, 20, (9, 16))
        x, of_table = table.forward(text[:-1])
        (y, state), of_lstm = lstm.forward(x, state)
        logits, of_head = head.forward(y.reshape(-1, 33))
        value, of_loss = loss.forward(logits, text[1:].reshape(-1))
        optimizer.zero_grad()
        dy = head.backward(loss.backward(1.0, of_loss), of_head).reshape(y.shape)
        table.backward(lstm.backward(dy, of_lstm)[0], of_table)
        layers.clip_grad_norm_(parameters, 0.5)
        optimizer.step()
    assert np.isfinite(value)
    return b"".join(each.data.tobytes() for each in parameters)


def test_same_seed_same_run_to_the_bit():
    first = train(7)
    kernels.set_num_threads(1)
    try:
        assert train(7) == first
    finally:
        kernels.set_num_threads(None)
    assert train(8) != first


@pytest.mark.parametrize("name", [*KINDS, "RNNCell", "LSTMCell", "GRUCell"])
def test_how_weights_begin(name):
    single, double = (
        getattr(layers, name)(D, 16, rng=5, dtype=d) for d in (np.float32, np.float64)
    )
    for mine, wide in zip(single.parameters(), double.parameters()):
        np.testing.assert_array_equal(mine.data, wide.data.astype(np.float32))
        assert 0.2 < np.abs(mine.data).max() <= 0.25  # 1 / √16
        assert np.abs(mine.data).mean() == pytest.approx(0.125, rel=0.3)


def test_embedding_as_pytorch(rng):
    torch = pytest.importorskip("torch")
    for padding in (None, 2, -1):
        theirs = torch.nn.Embedding(9, D, padding).double()
        ours = layers.Embedding(9, D, padding, dtype=np.float64, rng=0)
        assert ours.padding_idx == theirs.padding_idx
        if padding is not None:
            assert not ours.weight.data[padding].any()
        ours.load_state_dict(theirs.state_dict())
        x = rng.integers(0, 9, (T, B))
        y, cache = ours.forward(x)
        yt = theirs(torch.tensor(x))
        compare(y, yt)
        np.testing.assert_array_equal(ours(x), y)
        dy = rng.standard_normal(y.shape)
        yt.backward(torch.tensor(dy))
        for times in (1, 2):
            assert ours.backward(dy, cache) is None
            compare_gradients(ours, theirs, times)
    rows = layers.Embedding(1000, 50, rng=1).weight.data
    assert rows.dtype == np.float32
    assert rows.mean() == pytest.approx(0, abs=0.02)
    assert rows.std() == pytest.approx(1, abs=0.02)
    model = layers.Sequential(layers.Embedding(9, D, rng=0), layers.Linear(D, 3, rng=0))
    y, cache = model.forward(np.array([1, 2]))
    assert model.backward(y, cache) is None
    assert model.backward_parameters(y, cache) is None
    assert repr(model[0]) == "Embedding(9, 5)"
    assert repr(ours) == "Embedding(9, 5, padding_idx=8)"
    with pytest.raises(TypeError, match=r"dy: expected float32.*got float64"):
        model[0].backward(np.ones((2, D)), cache[0])


def test_saved_and_loaded_by_name_and_copied(tmp_path, rng):
    pytest.importorskip("safetensors")

    class Model(layers.Layer):
        def __init__(self, seed):
            self.table = layers.Embedding(9, D, rng=seed)
            self.lstm = layers.LSTM(D, H, 2, bidirectional=True, proj_size=3, rng=seed)
            self.cell = layers.GRUCell(6, H, rng=seed)

        def __call__(self, x):
            y, _ = self.lstm(self.table(x))
            return self.cell(y[-1])

    model, other = Model(1), Model(2)
    x = rng.integers(0, 9, (T, B))
    layers.save(tmp_path / "model", model)
    layers.load(tmp_path / "model", other)
    np.testing.assert_array_equal(model(x), other(x))
    assert list(model.state_dict())[:6] == [
        "table.weight", "lstm.weight_ih_l0", "lstm.weight_hh_l0", "lstm.bias_ih_l0", "lstm.bias_hh_l0",
        "lstm.weight_hr_l0",
    ]  # fmt: skip
    model.eval()
    before = model(x)
    copied = copy.deepcopy(model)
    model.lstm.weight_hh_l1.writable()[...] = 0
    np.testing.assert_array_equal(copied(x), before)
    assert np.abs(model(x) - before).max() > 0


def test_empty_batch_and_other_layouts(rng):
    for kind in KINDS:
        layer = getattr(layers, kind)(D, H, 2, bidirectional=True, batch_first=True, rng=0)
        (y, state), cache = layer.forward(np.zeros((0, T, D), np.float32))
        assert y.shape == (0, T, 2 * H)
        assert leaves(state)[0].shape == (4, 0, H)
        dx, _ = layer.backward(y, cache, state)
        assert dx.shape == (0, T, D)
        assert not any(each.grad.any() for each in layer.parameters())
        x = rng.standard_normal((B, T, D)).astype(np.float32)
        turned = np.asfortranarray(x)
        np.testing.assert_array_equal(layer(turned)[0], layer(x)[0])


def test_repr():
    lstm = layers.LSTM(5, 6, 2, bias=False, dropout=0.5, bidirectional=True, proj_size=3)
    words = "num_layers=2, bias=False, dropout=0.5, bidirectional=True, proj_size=3"
    assert repr(lstm) == f"LSTM(5, 6, {words})"
    assert repr(layers.GRU(5, 6, batch_first=True)) == "GRU(5, 6, batch_first=True)"
    assert repr(layers.RNN(5, 6, nonlinearity="relu")) == "RNN(5, 6, nonlinearity='relu')"
    assert repr(layers.RNN(5, 6)) == "RNN(5, 6)"
    assert (
        repr(layers.RNNCell(5, 6, False, "relu"))
        == "RNNCell(5, 6, bias=False, nonlinearity='relu')"
    )


def forward(change=None, name="LSTM", **call):
    x = call.pop("x", np.zeros((T, B, D), np.float32))
    return getattr(layers, name)(D, H, **(change or {})).forward(x, **call)


def backward(dy=None, name="LSTM", **call):
    layer = getattr(layers, name)(D, H)
    _, cache = layer.forward(np.zeros((T, B, D), np.float32))
    return layer.backward(dy, call.pop("cache", cache), **call)


def step(name="LSTMCell", x=None, **call):
    x = np.zeros((B, D), np.float32) if x is None else x
    return getattr(layers, name)(D, H).forward(x, **call)


F32 = np.float32
BAD = [
    (lambda: layers.LSTM(0, 1), ValueError, "input_size.*0"),
    (lambda: layers.GRU(1, 0), ValueError, "hidden_size.*0"),
    (lambda: layers.RNN(1, 2.5), TypeError, "hidden_size.*2.5"),
    (lambda: layers.LSTM(1, 1, 0), ValueError, "num_layers.*0"),
    (lambda: layers.LSTM(1, 1, bias=0), TypeError, "bias.*0"),
    (lambda: layers.LSTM(1, 1, batch_first=None), TypeError, "batch_first.*None"),
    (lambda: layers.LSTM(1, 1, bidirectional=2), TypeError, "bidirectional.*2"),
    (lambda: layers.LSTM(1, 1, dropout=1.5), ValueError, "dropout.*1.5"),
    (lambda: layers.GRU(1, 1, dropout="0.5"), TypeError, "dropout.*0.5"),
    (lambda: layers.LSTM(1, 4, proj_size=4), ValueError, "proj_size: expected below hidden_size 4"),
    (lambda: layers.LSTM(1, 4, proj_size=-1), ValueError, "proj_size.*-1"),
    (lambda: layers.RNN(1, 1, nonlinearity="sin"), ValueError, "nonlinearity.*sin"),
    (lambda: layers.RNNCell(1, 1, nonlinearity="sin"), ValueError, "nonlinearity.*sin"),
    (lambda: layers.LSTM(1, 1, dtype=np.float16), TypeError, "dtype.*float16"),
    (lambda: layers.GRUCell(1, 1, rng="seed"), TypeError, "rng.*seed"),
    (lambda: layers.GRUCell(0, 1), ValueError, "input_size.*0"),
    (lambda: layers.Embedding(0, 1), ValueError, "num_embeddings.*0"),
    (lambda: layers.Embedding(4, 1, 4), ValueError, "padding_idx: expected -4 to 3, got 4"),
    (lambda: layers.Embedding(4, 1, 1.0), TypeError, "padding_idx.*1.0"),
    (lambda: layers.Embedding(4, 1)(np.array([4])), ValueError, "indices: .*got 4"),
    (lambda: forward(x=np.zeros((T, B, D))), TypeError, "x: expected float32.*got float64"),
    (lambda: forward(x=np.zeros((T, B, 4), F32)), ValueError, "x: expected 5 features"),
    (
        lambda: forward(x=np.zeros((0, B, D), F32)),
        ValueError,
        "x: expected at least 1 along axis 0",
    ),
    (
        lambda: forward({"batch_first": True}, x=np.zeros((B, 0, D), F32)),
        ValueError,
        "x: expected at least 1 along axis 1",
    ),
    (lambda: forward(x=np.zeros(D, F32)), ValueError, "x: expected 2 or 3 dimensions, got 1"),
    (lambda: forward(x=[[1.0]]), TypeError, "x: expected an array, got list"),
    (
        lambda: forward(state=np.zeros((1, B, H), F32)),
        TypeError,
        r"state: expected \(h, c\), got nd",
    ),
    (lambda: forward(state=(1, 2, 3)), TypeError, r"state: expected \(h, c\), got 3 of them"),
    (
        lambda: forward(state=(np.zeros((1, B, H), F32), np.zeros((1, B, 5), F32))),
        ValueError,
        r"state\[1\]: expected shape \(1, 4, 6\), got \(1, 4, 5\)",
    ),
    (lambda: forward(state=(None, None)), TypeError, r"state\[0\]: expected an array"),
    (
        lambda: forward(name="GRU", state=np.zeros((2, B, H), F32)),
        ValueError,
        r"state: expected shape \(1, 4, 6\)",
    ),
    (
        lambda: forward(name="GRU", state=np.zeros((1, B, H))),
        TypeError,
        "state: expected float32.*float64",
    ),
    (
        lambda: forward(name="GRU", x=np.zeros((T, D), F32), state=np.zeros((1, 1, H), F32)),
        ValueError,
        r"state: expected shape \(1, 6\)",
    ),
    (
        lambda: forward({"proj_size": 2}, state=(np.zeros((1, B, H), F32),) * 2),
        ValueError,
        r"state\[0\]: expected shape \(1, 4, 2\)",
    ),
    (lambda: forward(lengths=np.array([1, 2, 3, 8])), ValueError, "lengths: expected 0 to 7.*8"),
    (lambda: forward(lengths=np.ones(B)), TypeError, "lengths: expected integers"),
    (lambda: forward(lengths=np.array([1])), ValueError, r"lengths: expected shape \(4,\)"),
    (
        lambda: forward(x=np.zeros((T, D), F32), lengths=np.array([1])),
        ValueError,
        "lengths: expected None",
    ),
    (lambda: backward(np.zeros((T, B, 5), F32)), ValueError, r"dy: expected shape \(7, 4, 6\)"),
    (lambda: backward(np.zeros((T, B, H))), TypeError, "dy: expected float32"),
    (
        lambda: backward(dstate=(np.zeros((1, B, 5), F32), None)),
        ValueError,
        r"dstate\[0\]: expected shape \(1, 4, 6\)",
    ),
    (lambda: backward(dstate=np.zeros((1, B, H), F32)), TypeError, r"dstate: expected \(h, c\)"),
    (
        lambda: backward(cache=None),
        TypeError,
        "cache: expected what forward returned, got NoneType",
    ),
    (lambda: step(x=np.zeros((1, B, D), F32)), ValueError, "x: expected 1 or 2 dimensions, got 3"),
    (lambda: step(x=np.zeros(4, F32)), ValueError, "x: expected 5 features"),
    (lambda: step(state=np.zeros((B, H), F32)), TypeError, r"state: expected \(h, c\)"),
    (
        lambda: step("GRUCell", state=np.zeros(H, F32)),
        ValueError,
        r"state: expected shape \(4, 6\)",
    ),
    (lambda: layers.GRUCell(D, H).backward(None, None), TypeError, "cache: .*NoneType"),
]


@pytest.mark.parametrize(("call", "error", "match"), BAD)
def test_bad_input(call, error, match):
    with pytest.raises(error, match=match):
        call()
