"""Layers, optimisers, clipping and saving: the protocol, PyTorch's answers, and bad input."""

import copy
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kernels
import layers

CASES = {
    "Conv2d": ((4, 6, 3), {"stride": 2, "padding": (1, 2), "groups": 2}, (2, 4, 9, 8)),
    "Conv2d-dilated": ((4, 6, (3, 2)), {"dilation": (2, 1), "bias": False}, (2, 4, 9, 8)),
    "Conv2d-same": ((4, 3, 4), {"padding": "same"}, (2, 4, 9, 8)),
    "MaxPool2d": ((3,), {"stride": 2, "padding": 1, "ceil_mode": True}, (2, 4, 9, 8)),
    "MaxPool2d-wide": ((17, 1), {}, (2, 4, 19, 18)),
    "AvgPool2d": ((3, 2, 1), {"count_include_pad": False}, (2, 4, 9, 8)),
    "AdaptiveAvgPool2d": (((3, None),), {}, (2, 4, 9, 8)),
    "LPPool2d": ((2, (3, 2), 2), {"ceil_mode": True}, (2, 4, 9, 8)),
    "Linear": ((5, 3), {}, (2, 4, 5)),
    "Linear-bare": ((5, 3, False), {}, (7, 5)),
    "ReLU": ((), {}, (3, 4)),
    "LeakyReLU": ((0.2,), {}, (3, 4)),
    "GELU": (("tanh",), {}, (3, 4)),
    "SiLU": ((), {}, (3, 4)),
    "Sigmoid": ((), {}, (3, 4)),
    "Tanh": ((), {}, (3, 4)),
    "Softmax": ((1,), {}, (3, 4, 2)),
    "LayerNorm": (((4, 8),), {}, (2, 9, 4, 8)),
    "LayerNorm-weight": ((8, 1e-3, True, False), {}, (2, 4, 8)),
    "LayerNorm-bare": ((8,), {"elementwise_affine": False}, (2, 4, 8)),
    "RMSNorm": ((8,), {}, (2, 4, 8)),
    "RMSNorm-bare": (((4, 8), 1e-3, False), {}, (2, 4, 8)),
    "GroupNorm": ((2, 4), {}, (2, 4, 9, 8)),
    "GroupNorm-bare": ((4, 4, 1e-3, False), {}, (3, 4, 7)),
    "InstanceNorm2d": ((4,), {}, (2, 4, 9, 8)),
    "InstanceNorm2d-affine": ((4, 1e-3), {"affine": True}, (2, 4, 9, 8)),
    "BatchNorm1d-untracked": ((4,), {"track_running_stats": False}, (9, 4)),
    "BatchNorm2d-bare": ((4, 1e-3, 0.1, False, False), {}, (2, 4, 9, 8)),
    "Flatten": ((), {}, (3, 4, 2)),
    "Flatten-part": ((0, 1), {}, (3, 4, 2)),
}


def tensor(x):
    torch = pytest.importorskip("torch")
    return torch.tensor(x, requires_grad=True)


@pytest.mark.parametrize("case", CASES)
def test_layer_as_pytorch(case, rng):
    torch = pytest.importorskip("torch")
    args, options, shape = CASES[case]
    name = case.split("-")[0]
    extra = {"dtype": np.float64, "rng": 1} if name in ("Conv2d", "Linear") else {}
    extra = {"dtype": np.float64} if "Norm" in name else extra
    ours = getattr(layers, name)(*args, **options, **extra)
    theirs = getattr(torch.nn, name)(*args, **options).double()
    state = {key: torch.tensor(value) for key, value in ours.state_dict().items()}
    theirs.load_state_dict(state)  # the same keys and shapes, or it raises
    x = rng.standard_normal(shape)
    y, cache = ours.forward(x)
    xt = tensor(x)
    yt = theirs(xt)
    np.testing.assert_allclose(y, yt.detach().numpy(), rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(ours(x), y)
    dy = rng.standard_normal(y.shape)
    yt.backward(torch.tensor(dy))
    for times in (1, 2):  # gradients add up
        dx = ours.backward(dy, cache)
        np.testing.assert_allclose(dx, xt.grad.numpy(), rtol=1e-11, atol=1e-12)
        for key, parameter in ours.named_parameters():
            wanted = times * getattr(theirs, key).grad.numpy()
            np.testing.assert_allclose(parameter.grad, wanted, rtol=1e-11, atol=1e-12)
    ours.zero_grad()
    assert all(each.grad is None for each in ours.parameters())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("CrossEntropyLoss", {"label_smoothing": 0.1, "ignore_index": 2}),
        ("CrossEntropyLoss", {"reduction": "sum"}),
        ("MSELoss", {}),
        ("MSELoss", {"reduction": "none"}),
    ],
)
def test_loss_as_pytorch(name, options, rng):
    torch = pytest.importorskip("torch")
    x = rng.standard_normal((6, 4))
    target = (
        np.array([0, 1, 2, 3, 1, 2]) if name == "CrossEntropyLoss" else rng.standard_normal(x.shape)
    )
    loss = getattr(layers, name)(**options)
    value, cache = loss.forward(x, target)
    xt = tensor(x)
    vt = getattr(torch.nn, name)(**options)(xt, torch.tensor(target))
    np.testing.assert_allclose(value, vt.detach().numpy(), rtol=1e-12)
    np.testing.assert_array_equal(loss(x, target), value)
    vt.sum().backward()
    dx = loss.backward(np.ones_like(value) if value.ndim else 1.0, cache)
    np.testing.assert_allclose(dx, xt.grad.numpy(), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize(
    ("name", "shape"), [("BatchNorm1d", (6, 4)), ("BatchNorm2d", (3, 4, 5, 2))]
)
def test_batch_norm_in_training_and_inference_as_pytorch(name, shape, momentum, rng, tmp_path):
    torch = pytest.importorskip("torch")
    ours = getattr(layers, name)(4, 1e-3, momentum, dtype=np.float64)
    theirs = getattr(torch.nn, name)(4, 1e-3, momentum).double()
    ours.weight.data[:] = rng.standard_normal(4)
    theirs.load_state_dict({key: torch.tensor(v) for key, v in ours.state_dict().items()})
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for mode in (True, True, True, False):
        ours.train(mode)
        theirs.train(mode)
        x, dy = rng.standard_normal((2, *shape)) + 2
        y, cache = ours.forward(x)
        xt = tensor(x)
        yt = theirs(xt)
        np.testing.assert_allclose(y, yt.detach().numpy(), rtol=1e-11, atol=1e-12)
        ours.zero_grad()
        theirs.zero_grad()
        dx = ours.backward(dy, cache)
        yt.backward(torch.tensor(dy))
        np.testing.assert_allclose(dx, xt.grad.numpy(), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(ours.weight.grad, theirs.weight.grad.numpy(), rtol=1e-10)
        for key, value in theirs.state_dict().items():
            np.testing.assert_allclose(ours.state_dict()[key], value.numpy(), rtol=1e-11)
    np.testing.assert_array_equal(ours(x), y)  # a plain call is inference, in training too
    np.testing.assert_array_equal(ours.train()(x), y)
    assert int(ours.num_batches_tracked.data) == 3
    model = layers.Sequential(ours)
    layers.save(tmp_path / "model", model)
    fresh = layers.Sequential(getattr(layers, name)(4, 1e-3, momentum, dtype=np.float64))
    layers.load(tmp_path / "model", fresh)
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(fresh.state_dict()[key], value)
        assert fresh.state_dict()[key].dtype == value.dtype
    copied = copy.deepcopy(model)
    model.forward(x)
    assert int(copied[0].num_batches_tracked.data) == 3
    assert [key for key, _ in model.named_parameters()] == ["0.weight", "0.bias"]
    state = model.state_dict()
    with pytest.raises(TypeError, match=r"num_batches_tracked.*expected integers"):
        model.load_state_dict({**state, "0.num_batches_tracked": np.ones(())})
    with pytest.raises(ValueError, match=r"running_mean.*expected shape \(4,\)"):
        model.load_state_dict({**state, "0.running_mean": np.ones(3)})
    for key, value in state.items():
        np.testing.assert_array_equal(model.state_dict()[key], value)


def test_threads_share_a_batch_norm():
    layer = layers.BatchNorm1d(8, momentum=None)
    batches = [np.full((4, 8), i, np.float32) for i in range(32)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(layer.forward, batches))
    assert int(layer.num_batches_tracked.data) == 32
    np.testing.assert_allclose(layer.running_mean.data, np.full(8, 15.5), rtol=1e-5)


def test_normalisations_bad_input():
    x = np.zeros((2, 4, 3, 3), np.float32)
    for match, call in [
        (r"num_groups.*got 3", lambda: layers.GroupNorm(3, 4)),
        (r"track_running_stats", lambda: layers.InstanceNorm2d(4, track_running_stats=True)),
        (r"eps.*nan", lambda: layers.LayerNorm(4, math.nan)),
        (r"normalized_shape", lambda: layers.LayerNorm(())),
        (r"momentum.*2", lambda: layers.BatchNorm2d(4, momentum=2)),
        (r"num_features", lambda: layers.BatchNorm2d(0)),
        (r"x: expected 4 dimensions, got 3", lambda: layers.BatchNorm2d(4)(x[0])),
        (r"x: expected 2 or 3 dimensions, got 4", lambda: layers.BatchNorm1d(4)(x)),
        (r"x: expected 5 channels, got shape \(2, 4", lambda: layers.BatchNorm2d(5).forward(x)),
        (r"x: expected 5 channels", lambda: layers.InstanceNorm2d(5)(x)),
        (r"x: expected 6 channels", lambda: layers.GroupNorm(2, 6)(x)),
        (r"normalized_shape", lambda: layers.RMSNorm(4)(x)),
    ]:
        with pytest.raises(ValueError, match=match):
            call()
    layer = layers.BatchNorm2d(4)
    with pytest.raises(ValueError, match="more than 1 value"):
        layer.forward(x[:1, :, :1, :1])
    assert int(layer.num_batches_tracked.data) == 0
    assert "track_running_stats=True" in repr(layer)
    assert layer.backward_parameters(*layer.forward(x)) is None


def network(rng=0, dtype=np.float64):
    rng = np.random.default_rng(rng)
    return layers.Sequential(
        layers.Conv2d(2, 4, 3, padding="same", dtype=dtype, rng=rng),
        layers.Tanh(),
        layers.MaxPool2d(2),
        layers.Conv2d(4, 3, 2, dtype=dtype, rng=rng),
        layers.Sigmoid(),
        layers.AvgPool2d(2, stride=1),
        layers.Flatten(),
        layers.Linear(3 * 2 * 2, 5, dtype=dtype, rng=rng),
    )


def test_gradients_of_a_network_against_central_differences(rng):
    model, loss = network(), layers.CrossEntropyLoss(label_smoothing=0.1)
    x, targets = rng.standard_normal((3, 2, 8, 8)), np.array([0, 4, 2])
    logits, cache = model.forward(x)
    _, loss_cache = loss.forward(logits, targets)
    dx = model.backward(loss.backward(1.0, loss_cache), cache)
    h = 1e-6
    for array, grad in [(x, dx), *((p.data, p.grad) for p in model.parameters())]:
        for index in rng.integers(0, array.size, 8):
            place = np.unravel_index(index, array.shape)
            kept = array[place]
            array[place] = kept + h
            above = loss(model(x), targets)
            array[place] = kept - h
            below = loss(model(x), targets)
            array[place] = kept
            assert grad[place] == pytest.approx((above - below) / (2 * h), rel=1e-5, abs=1e-9)


def test_backward_of_parameters_alone(rng):
    x = rng.standard_normal((3, 2, 8, 8))
    grads = []
    for way in ("backward", "backward_parameters"):
        model = layers.Sequential(layers.Tanh(), *network())
        logits, cache = model.forward(x)
        result = getattr(model, way)(logits, cache)
        assert (result is None) == (way == "backward_parameters")
        grads.append([each.grad for each in model.parameters()])
        with pytest.raises(ValueError, match=r"cache: expected 9 .*got 2"):
            getattr(model, way)(logits, cache[:2])
    for a, b in zip(*grads):
        np.testing.assert_array_equal(a, b)
    alone = layers.Sequential(layers.ReLU())
    y, cache = alone.forward(x)
    assert alone.backward_parameters(y, cache) is None


@pytest.mark.parametrize("name", ["conv2d", "linear"])
def test_only_what_is_wanted_is_computed(name, rng, monkeypatch):
    real, asked = getattr(kernels, f"{name}_backward"), []

    def spy(*args, needs, **options):
        asked.append(needs)
        return real(*args, needs=needs, **options)

    monkeypatch.setattr(kernels, f"{name}_backward", spy)
    for bias in (True, False):
        if name == "conv2d":
            layer, x = layers.Conv2d(2, 3, 3, bias=bias, dtype=np.float64), rng.random((2, 2, 5, 5))
        else:
            layer, x = layers.Linear(4, 3, bias, dtype=np.float64), rng.random((2, 4))
        y, cache = layer.forward(x)
        layer.backward(y, cache)
        layer.backward_parameters(y, cache)
        assert layer.weight.grad.shape == layer.weight.shape
    assert asked == [("x", "w", "b"), ("w", "b"), ("x", "w"), ("w",)]


def test_a_layer_applied_twice_sums_its_gradients(rng):
    layer = layers.Linear(4, 4, dtype=np.float64, rng=0)
    x, dy = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
    y, first = layer.forward(x)
    _, second = layer.forward(y)
    between = layer.backward(dy, second)
    alone = layer.weight.grad.copy()
    layer.backward(between, first)
    np.testing.assert_allclose(layer.weight.grad, alone + between.T @ x)
    shared = layers.Sequential(layer, layers.ReLU(), layer)
    assert len(shared.parameters()) == 2
    assert list(shared.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_threads_share_a_layer():
    layer = layers.Linear(64, 32, rng=0)
    x = [np.random.default_rng(i).standard_normal((50, 64)).astype(np.float32) for i in range(16)]

    def work(x):
        y, cache = layer.forward(x)
        return layer.backward(y, cache)

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(work, x))
    total = layer.weight.grad.copy()
    layer.zero_grad()
    for each, dx in zip(x, together):
        np.testing.assert_array_equal(work(each), dx)
    np.testing.assert_allclose(total, layer.weight.grad, rtol=1e-3, atol=1e-3)


def test_dropout_in_training_and_inference(rng):
    x = rng.standard_normal((100, 100)) + 10
    layer = layers.Dropout(0.4, rng=3)
    a, cache_a = layer.forward(x)
    b, cache_b = layer.forward(x)
    assert not np.array_equal(a, b)
    np.testing.assert_array_equal(layer.backward(x, cache_a), a)
    np.testing.assert_array_equal(layer.backward(x, cache_b), b)
    assert (a == 0).mean() == pytest.approx(0.4, abs=0.03)
    assert layer(x) is x
    model = layers.Sequential(layer).eval()
    y, cache = model.forward(x)
    assert y is x
    assert model.backward(x, cache) is x
    model.train()
    again = layers.Dropout(0.4, rng=3)
    np.testing.assert_array_equal(again.forward(x)[0], a)


def train(seed, steps=5):
    rng = np.random.default_rng(seed)
    model = layers.Sequential(
        layers.Conv2d(1, 8, 3, padding=1, rng=rng),
        layers.ReLU(),
        layers.Dropout(0.2, rng=rng),
        layers.Flatten(),
        layers.Linear(8 * 64, 4, rng=rng),
    )
    loss, optimizer = layers.CrossEntropyLoss(), layers.AdamW(model.parameters(), lr=0.01)
    for _ in range(steps):
        x = rng.standard_normal((64, 1, 8, 8)).astype(np.float32)
        y, cache = model.forward(x)
        _, kept = loss.forward(y, rng.integers(0, 4, 64))
        optimizer.zero_grad()
        model.backward(loss.backward(1.0, kept), cache)
        layers.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
    return b"".join(value.tobytes() for value in model.state_dict().values())


def test_same_seed_same_run_to_the_bit():
    first = train(7)
    kernels.set_num_threads(1)
    try:
        assert train(7) == first
    finally:
        kernels.set_num_threads(None)
    assert train(8) != first


def test_one_seed_means_the_same_weights_in_both_dtypes_and_leaves_the_global_state():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    single, double = (layers.Conv2d(2, 3, 3, rng=5, dtype=d) for d in (np.float32, np.float64))
    for key, value in single.state_dict().items():
        np.testing.assert_array_equal(value, double.state_dict()[key].astype(np.float32))
        assert np.abs(value).max() <= 1 / math.sqrt(18)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


OPTIMIZERS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.2, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("Adam", {"lr": 0.01, "betas": (0.8, 0.9)}),
    ("AdamW", {"lr": 0.01, "eps": 1e-6}),
]


@pytest.mark.parametrize(("name", "options"), OPTIMIZERS)
def test_optimizer_as_pytorch(name, options, rng):
    torch = pytest.importorskip("torch")
    ours = [layers.Parameter(rng.standard_normal(shape)) for shape in [(3, 4), (4,), (2,)]]
    theirs = [torch.nn.Parameter(torch.tensor(each.data)) for each in ours]
    optimizer = getattr(layers, name)(ours, **options)
    peer = getattr(torch.optim, name)(theirs, **options)
    for step in range(12):
        optimizer.zero_grad()
        peer.zero_grad()
        for i, (mine, other) in enumerate(zip(ours, theirs)):
            if i == 1 and step % 3 == 0:
                continue  # no gradient, no step
            grad = rng.standard_normal(mine.shape)
            mine.accumulate(grad)
            other.grad = torch.tensor(grad)
        optimizer.step()
        peer.step()
    for mine, other in zip(ours, theirs):
        np.testing.assert_allclose(mine.data, other.detach().numpy(), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("name", "options"), OPTIMIZERS)
def test_optimizer_resumes_to_the_bit(name, options, rng, tmp_path):
    grads = [rng.standard_normal((5, 3)) for _ in range(6)]

    def run(model, optimizer, grads):
        for grad in grads:
            optimizer.zero_grad()
            model.weight.accumulate(grad.copy())
            optimizer.step()

    def start():
        model = layers.Linear(3, 5, False, dtype=np.float64, rng=0)
        return model, getattr(layers, name)(model.parameters(), **options)

    whole, optimizer = start()
    run(whole, optimizer, grads)
    half, optimizer = start()
    run(half, optimizer, grads[:3])
    layers.save(tmp_path / "model", half, optimizer, {"epoch": "3"})
    resumed = layers.Linear(3, 5, False, dtype=np.float64)
    optimizer = getattr(layers, name)(resumed.parameters(), **options)
    assert layers.load(tmp_path / "model", resumed, optimizer) == {"epoch": "3"}
    run(resumed, optimizer, grads[3:])
    np.testing.assert_array_equal(resumed.weight.data, whole.weight.data)
    assert [each.name for each in tmp_path.iterdir()] == ["model"]


@given(
    st.lists(st.sampled_from([None, (2, 3), (5,), (0,)]), min_size=0, max_size=4),
    st.sampled_from([0.0, 0.1, 1.0, 100.0]),
    st.sampled_from([1.0, 2.0, 3.5, math.inf]),
    st.sampled_from([None, 3.0, math.nan, math.inf]),
)
def test_clipping_as_pytorch(shapes, most, order, special):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(len(shapes))
    ours, theirs = [], []
    for shape in shapes:
        parameter, other = (
            layers.Parameter(np.zeros(shape or 1)),
            torch.nn.Parameter(torch.zeros(shape or 1)),
        )
        other = torch.nn.Parameter(other.double())
        if shape:
            grad = rng.standard_normal(shape)
            if special is not None and grad.size:
                grad.flat[0] = special
            parameter.accumulate(grad)
            other.grad = torch.tensor(grad)
        ours.append(parameter)
        theirs.append(other)
    filled = any(each.grad is not None and each.grad.size for each in ours)
    norm = layers.clip_grad_norm_(ours, most, order)
    if not filled:
        assert norm == 0
        return
    theirs = [each for each in theirs if each.grad is None or each.grad.numel()]
    wanted = torch.nn.utils.clip_grad_norm_(theirs, most, order)
    np.testing.assert_allclose(norm, float(wanted), rtol=1e-12)
    ours = [each for each in ours if each.size]
    for mine, other in zip(ours, theirs):
        if mine.grad is not None:
            np.testing.assert_allclose(mine.grad, other.grad.numpy(), rtol=1e-11)
    layers.clip_grad_value_(ours, 0.05)
    torch.nn.utils.clip_grad_value_(theirs, 0.05)
    for mine, other in zip(ours, theirs):
        if mine.grad is not None:
            np.testing.assert_allclose(mine.grad, other.grad.numpy(), rtol=1e-11)


def test_clipping_bad_input():
    parameter = layers.Parameter(np.zeros(2))
    parameter.accumulate(np.array([1.0, np.nan]))
    with pytest.raises(ValueError, match=r"parameters.*nan"):
        layers.clip_grad_norm_([parameter], 1.0, error_if_nonfinite=True)
    for name, call in [
        ("max_norm", lambda: layers.clip_grad_norm_([parameter], -1)),
        ("norm_type", lambda: layers.clip_grad_norm_([parameter], 1, 0)),
        ("clip_value", lambda: layers.clip_grad_value_([parameter], -1)),
    ]:
        with pytest.raises(ValueError, match=name):
            call()


def test_weights_move_to_and_from_pytorch(rng, tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    model = network(dtype=np.float32)
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3, padding="same"),
        torch.nn.Tanh(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(4, 3, 2),
        torch.nn.Sigmoid(),
        torch.nn.AvgPool2d(2, stride=1),
        torch.nn.Flatten(),
        torch.nn.Linear(12, 5),
    )
    x = rng.standard_normal((3, 2, 8, 8)).astype(np.float32)
    layers.save(tmp_path / "ours.safetensors", model)
    theirs.load_state_dict(load_file(tmp_path / "ours.safetensors"))
    np.testing.assert_allclose(model(x), theirs(torch.tensor(x)).detach(), rtol=1e-5, atol=1e-6)
    torch.nn.init.normal_(theirs[0].weight)
    model.load_state_dict(theirs.state_dict())
    np.testing.assert_allclose(model(x), theirs(torch.tensor(x)).detach(), rtol=1e-5, atol=1e-6)
    torch.nn.init.normal_(theirs[0].weight)
    save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    assert layers.load(tmp_path / "theirs.safetensors", model) == {}
    np.testing.assert_allclose(model(x), theirs(torch.tensor(x)).detach(), rtol=1e-5, atol=1e-6)


def test_state_dict_that_does_not_fit_changes_nothing():
    model = network()
    before = model.state_dict()

    def state(**changes):
        state = model.state_dict()
        state = {key: np.zeros_like(value) for key, value in state.items()}
        for key, value in changes.items():
            key = key.replace("_", ".")
            if value is None:
                del state[key]
            else:
                state[key] = value
        return state

    bad = [
        (state(**{"7_bias": None}), ValueError, r"missing \['7.bias'\]"),
        (state(extra=np.zeros(1)), ValueError, r"unexpected \['extra'\]"),
        (state(**{"7_bias": np.zeros(4)}), ValueError, r"state\['7.bias'\].*\(5,\).*\(4,\)"),
        (state(**{"7_bias": np.zeros(5, int)}), TypeError, r"7.bias.*int64"),
        ([1, 2], TypeError, "state.*mapping.*list"),
    ]
    for each, error, match in bad:
        with pytest.raises(error, match=match):
            model.load_state_dict(each)
        for key, value in model.state_dict().items():
            np.testing.assert_array_equal(value, before[key])
    partial = state(**{"7_bias": None}, extra=np.zeros(1))
    assert model.load_state_dict(partial, strict=False) == (["7.bias"], ["extra"])
    assert model.state_dict()["0.weight"].sum() == 0
    np.testing.assert_array_equal(model.state_dict()["7.bias"], before["7.bias"])


def test_damaged_foreign_and_missing_files_change_nothing(tmp_path):
    model = network()
    optimizer = layers.Adam(model.parameters())
    path = tmp_path / "model.safetensors"
    layers.save(path, model)
    whole = path.read_bytes()
    other = network(1)
    before = other.state_dict()
    cases = {
        "truncated": whole[:-10],
        "header": whole[:20],
        "empty": b"",
        "foreign": b"\x80\x04 a pickle, or something else" * 10,
    }
    for name, content in cases.items():
        bad = tmp_path / name
        bad.write_bytes(content)
        with pytest.raises(ValueError, match=f"path: .*{name}"):
            layers.load(bad, other)
    with pytest.raises(FileNotFoundError):
        layers.load(tmp_path / "absent", other)
    with pytest.raises(ValueError, match=r"model.safetensors.*0\.step"):
        layers.load(path, other, layers.Adam(other.parameters()))  # it has no optimiser's state
    with pytest.raises(ValueError, match=r"model.safetensors.*unexpected.*7\.weight"):
        layers.load(path, network()[:3])
    layers.save(path, model, optimizer)
    with pytest.raises(ValueError, match="state"):
        layers.load(path, other, layers.Adam(other[:1].parameters()))
    for key, value in other.state_dict().items():
        np.testing.assert_array_equal(value, before[key])
    with pytest.raises(FileNotFoundError):
        layers.save(tmp_path / "no" / "folder", model)
    with pytest.raises(TypeError, match="metadata"):
        layers.save(path, model, metadata={"epoch": 3})
    with pytest.raises(TypeError, match=r"model.*int"):
        layers.save(path, 3)


BAD = [
    (lambda: layers.Conv2d(0, 1, 1), ValueError, "in_channels.*0"),
    (lambda: layers.Conv2d(1.5, 1, 1), TypeError, "in_channels.*1.5"),
    (lambda: layers.Conv2d(4, 6, 3, groups=3), ValueError, "groups.*3"),
    (lambda: layers.Conv2d(4, 6, (3, 3, 3)), ValueError, "kernel_size"),
    (lambda: layers.Conv2d(4, 6, 3, stride=0), ValueError, "stride.*0"),
    (lambda: layers.Conv2d(4, 6, 3, padding=-1), ValueError, "padding.*-1"),
    (lambda: layers.Conv2d(4, 6, 3, padding="full"), ValueError, "padding.*full"),
    (lambda: layers.Conv2d(4, 6, 3, padding_mode="reflect"), ValueError, "padding_mode.*reflect"),
    (lambda: layers.Conv2d(4, 6, 3, bias=1), TypeError, "bias"),
    (lambda: layers.Conv2d(4, 6, 3, dtype=np.float16), TypeError, "dtype.*float16"),
    (lambda: layers.Linear(4, 6, dtype="words"), TypeError, "dtype.*words"),
    (lambda: layers.Linear(4, 6, rng="seed"), TypeError, "rng.*seed"),
    (lambda: layers.Linear(4, -1), ValueError, "out_features.*-1"),
    (lambda: layers.MaxPool2d(2, stride=-2), ValueError, "stride.*-2"),
    (lambda: layers.AvgPool2d("2"), TypeError, "kernel_size"),
    (lambda: layers.LPPool2d(0, 2), ValueError, "norm_type"),
    (lambda: layers.AdaptiveAvgPool2d((2, 0)), ValueError, "output_size"),
    (lambda: layers.AdaptiveAvgPool2d("2"), TypeError, "output_size"),
    (lambda: layers.Dropout(1.5), ValueError, "p: .*1.5"),
    (lambda: layers.Softmax("last"), TypeError, "dim.*last"),
    (lambda: layers.GELU("erf"), ValueError, "approximate.*erf"),
    (lambda: layers.LeakyReLU("steep"), TypeError, "negative_slope.*steep"),
    (lambda: layers.Flatten(3)(np.zeros((2, 3))), ValueError, "start_dim.*3"),
    (lambda: layers.Flatten(1, 0)(np.zeros((2, 3))), ValueError, "start_dim"),
    (lambda: layers.Flatten()([[1]]), TypeError, "x: .*list"),
    (lambda: layers.Sequential(layers.ReLU(), np.tanh), TypeError, r"layers\[1\].*tanh"),
    (lambda: layers.CrossEntropyLoss(reduction="max"), ValueError, "reduction.*max"),
    (lambda: layers.MSELoss(reduction=None), ValueError, "reduction"),
    (lambda: layers.SGD([]), ValueError, "parameters"),
    (lambda: layers.SGD(np.zeros(3)), TypeError, "parameters"),
    (lambda: layers.SGD([layers.Parameter(np.zeros(1))], lr=-1), ValueError, "lr.*-1"),
    (lambda: layers.Adam([layers.Parameter(np.zeros(1))], betas=(1, 0)), ValueError, "betas"),
    (lambda: layers.Linear(3, 2)(np.zeros((1, 3))), TypeError, "w: .*float64.*float32"),
    (lambda: layers.Linear(3, 2)(np.zeros((1, 4), np.float32)), ValueError, "x: .*3.*4"),
]


@pytest.mark.parametrize(("call", "error", "match"), BAD)
def test_bad_input(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_a_layer_of_ones_own(rng):
    class Residual(layers.Layer):
        def __init__(self):
            self.inner = layers.Linear(4, 4, dtype=np.float64, rng=0)
            self.scale = layers.Parameter(np.ones(1))

        def forward(self, x):
            y, cache = self.inner.forward(x)
            return x + y, cache

        def backward(self, dy, cache):
            return dy + self.inner.backward(dy, cache)

    model = layers.Sequential(Residual(), Residual())
    assert list(model.state_dict())[:3] == ["0.scale", "0.inner.weight", "0.inner.bias"]
    x = rng.standard_normal((2, 4))
    assert model(x).shape == x.shape
    assert "(inner): Linear(4, 4, bias=True)" in repr(model)


def test_weights_stay_packed_until_they_change(rng):
    layer = layers.Conv2d(20, 36, 3, padding=1, rng=0)
    x = rng.standard_normal((1, 20, 8, 8)).astype(np.float32)
    y = layer(x)
    assert layer.weight.data.flags.writeable  # in training nothing is kept
    layer.eval()
    assert layer(x).tobytes() == y.tobytes()
    kept = layer.weight.packed("conv2d", **layer.window)
    layer(x)
    assert layer.weight.packed("conv2d", **layer.window) is kept
    with pytest.raises(ValueError, match="read-only"):
        layer.weight.data[0] = 0
    state = {key: 2 * value for key, value in layer.state_dict().items()}
    layer.load_state_dict(state)
    np.testing.assert_allclose(layer(x), 2 * y, rtol=1e-5, atol=1e-5)
    layer.weight.data = layer.weight.data / 2
    layer.bias.data = layer.bias.data / 2
    np.testing.assert_allclose(layer(x), y, rtol=1e-5, atol=1e-5)
    layer.weight.grad = np.ones_like(layer.weight.data)
    layers.SGD([layer.weight], lr=1.0).step()
    assert np.abs(layer(x) - y).max() > 0.1
    layer.train()
    layer.weight.data[0] = 0
    copy.deepcopy(layer).weight.data[0] = 0
