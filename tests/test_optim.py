"""Update steps: against NumPy in float64, against PyTorch over many steps, and bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kernels
from bench import check
from kernels.core import threads
from kernels.optim import reference
from tests.strategies import DTYPES, arrays

SGD = st.fixed_dictionaries(
    {"lr": st.sampled_from([0.0, 0.1, 3.0]), "weight_decay": st.sampled_from([0.0, 0.01])},
    optional={
        "momentum": st.sampled_from([0.5, 0.9]),
        "dampening": st.sampled_from([0.1, -0.5]),
        "first": st.booleans(),
    },
) | st.fixed_dictionaries(
    {
        "lr": st.just(0.1),
        "momentum": st.just(0.9),
        "nesterov": st.just(True),
        "first": st.booleans(),
    }
)
ADAM = st.fixed_dictionaries(
    {"step": st.integers(1, 1000)},
    optional={
        "lr": st.sampled_from([0.0, 1e-2]),
        "betas": st.sampled_from([(0.0, 0.0), (0.9, 0.99), (0.5, 0.999)]),
        "eps": st.sampled_from([1e-8, 1e-3]),
        "weight_decay": st.sampled_from([0.0, 0.1]),
    },
)
SHAPES = st.sampled_from([(), (1,), (3, 5), (0, 2), (40000,)])


def judge(got, value, operands):
    """Three or four roundings of numbers no larger than the sum of what went in."""
    scale = sum(np.abs(np.asarray(x, np.float64)) for x in operands) + np.abs(value)
    assert check.ratio(got, (value, scale, 4)) <= 1


@given(st.data(), SHAPES, DTYPES, SGD)
def test_sgd_agrees_with_reference(data, shape, dtype, options):
    param, velocity = (data.draw(arrays(shape, dtype)).astype(dtype) for _ in range(2))
    param, velocity = np.ascontiguousarray(param), np.ascontiguousarray(velocity)
    param, velocity = param.reshape(shape), velocity.reshape(shape)
    grad = data.draw(arrays(shape, dtype))
    new, moved = reference.sgd_step(param, grad, velocity, **options)
    sizes = [4 * param, 12 * grad, 12 * velocity]
    kernels.sgd_step(param, grad, velocity, **options)
    judge(param, new, sizes)
    judge(velocity, moved, sizes)


@pytest.mark.parametrize("name", ["adam_step", "adamw_step"])
@given(st.data(), SHAPES, DTYPES, ADAM)
def test_adam_agrees_with_reference(name, data, shape, dtype, options):
    state = [data.draw(arrays(shape, dtype)).astype(dtype) for _ in range(3)]
    param, m, v = (np.ascontiguousarray(each).reshape(shape) for each in state)
    np.abs(v, out=v)
    grad = data.draw(arrays(shape, dtype))
    new, mean, square = getattr(reference, name)(param, grad, m, v, **options)
    step = np.abs(new - param)
    sizes = [param, m, grad, 8 * step]
    getattr(kernels, name)(param, grad, m, v, **options)
    judge(m, mean, [m, grad, param])
    judge(v, square, [v, 4 * np.square(grad, dtype=np.float64), param])
    # where m cancels, its own rounding is divided by the root as well
    size = options.get("lr", 1e-3) / (1 - options.get("betas", (0.9, 0.999))[0] ** options["step"])
    root = np.sqrt(square / (1 - options.get("betas", (0.9, 0.999))[1] ** options["step"]))
    sizes.append(
        size * (np.abs(m) + np.abs(grad) + np.abs(param)) / (root + options.get("eps", 1e-8))
    )
    judge(param, new, sizes)


CASES = [
    ("SGD", {"lr": 0.05}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    ("Adam", {"lr": 0.01, "weight_decay": 0.1}),
    ("AdamW", {"lr": 0.01}),
]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_thirty_steps_as_pytorch(name, options, rng):
    torch = pytest.importorskip("torch")
    param = rng.standard_normal((5, 7))
    theirs = torch.nn.Parameter(torch.tensor(param))
    optimiser = getattr(torch.optim, name)([theirs], **options)
    state = [np.zeros_like(param) for _ in range(2)]
    for step in range(1, 31):
        grad = rng.standard_normal(param.shape)
        theirs.grad = torch.tensor(grad)
        optimiser.step()
        if name == "SGD":
            kernels.sgd_step(param, grad, state[0], first=step == 1, **options)
        else:
            getattr(kernels, f"{name.lower()}_step")(param, grad, *state, step=step, **options)
    np.testing.assert_allclose(param, theirs.detach().numpy(), rtol=1e-12, atol=1e-13)


def test_same_bits_over_threads(rng, monkeypatch):
    monkeypatch.setattr(threads, "GRAIN", 0)
    start = [rng.standard_normal(100_003).astype(np.float32) for _ in range(4)]
    start[3] = np.abs(start[3])
    results = []
    for n in (1, 2):
        kernels.set_num_threads(n)
        try:
            param, grad, m, v = (each.copy() for each in start)
            kernels.adam_step(param, grad, m, v, step=3)
            kernels.sgd_step(param, grad, m, lr=0.1, momentum=0.9)
            kernels.sgd_step(param, grad, lr=0.1)
            results.append(param.tobytes() + m.tobytes() + v.tobytes())
        finally:
            kernels.set_num_threads(None)
    assert results[0] == results[1]


def test_first_step_forgets_what_was_in_the_velocity():
    velocity, param = np.full(3, np.nan), np.zeros(3)
    kernels.sgd_step(param, np.ones(3), velocity, lr=1.0, momentum=0.9, first=True)
    assert param.tolist() == [-1, -1, -1]


BAD = [
    (lambda a: kernels.sgd_step([1.0], a, lr=1), TypeError, "param.*list"),
    (lambda a: kernels.sgd_step(np.ones(3, int), a, lr=1), TypeError, "param.*int64"),
    (lambda a: kernels.sgd_step(a[::2], a[:2].copy(), lr=1), ValueError, "param.*contiguous"),
    (lambda a: kernels.sgd_step(a, np.ones(4), lr=1), ValueError, r"grad.*\(3,\).*\(4,\)"),
    (lambda a: kernels.sgd_step(a, np.ones(3, "f4"), lr=1), TypeError, "grad.*float64.*float32"),
    (lambda a: kernels.sgd_step(a, a, lr=1), ValueError, "param.*overlap"),
    (lambda a: kernels.sgd_step(a, a + 1, lr=-1), ValueError, "lr.*-1"),
    (lambda a: kernels.sgd_step(a, a + 1, lr=float("nan")), ValueError, "lr.*nan"),
    (lambda a: kernels.sgd_step(a, a + 1, lr=1, momentum=0.9), ValueError, "velocity.*None"),
    (lambda a: kernels.sgd_step(a, a + 1, a + 1, lr=1, nesterov=True), ValueError, "nesterov"),
    (lambda a: kernels.adam_step(a, a + 1, a + 1, a + 1, step=0), ValueError, "step.*1.*0"),
    (lambda a: kernels.adam_step(a, a + 1, a + 1, a[:2].copy(), step=1), ValueError, "v: .*shape"),
    (lambda a: kernels.adam_step(a, a + 1, a, a + 1, step=1), ValueError, "m: .*overlap"),
    (lambda a: kernels.adam_step(a, a, a, a, step=1, betas=(1, 0)), ValueError, "betas.*1"),
    (lambda a: kernels.adamw_step(a, a, a, a, step=1, betas=0.9), TypeError, "betas"),
]


@pytest.mark.parametrize(("call", "error", "match"), BAD)
def test_bad_input_changes_nothing(call, error, match):
    a = np.array([1.0, 2.0, 3.0])
    with pytest.raises(error, match=match):
        call(a)
    assert a.tolist() == [1, 2, 3]
