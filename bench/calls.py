"""How each ladder is called, and its reference: what tests and bench need to run any rung.

A forward call is ``kernels.NAME(*arrays, **options)``; a gradient ``kernels.NAME_backward`` with dy
first and then what the operation keeps: its inputs, its output, its cache, or the winners of a maximum.

A sequence's forward gives y here, its states are left out; its direction "backward" all gradients at once,
in their named tuple, as the public function returns them. Their reference is one flat array, the gradients
joined in the order of the fields: `flat` joins a result so for the check, which is not timed; `room` makes
what ``out=`` takes.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any

import numpy as np

import kernels
from kernels.core.ladder import Plan, Rung

FROM_OUTPUT = ("exp", "sigmoid", "tanh", "softmax", "log_softmax")
FROM_CACHE = ("layer_norm", "rms_norm", "group_norm", "instance_norm", "batch_norm")
SEQUENCES = ("lstm", "gru", "rnn")
PRODUCTS = ("matmul", "linear", "conv2d")
GATES = ("lstm_gates", "gru_gates", "rnn_gates")
TRAINING = (
    "training"  # of a sequence: the forward with its cache and all of the backward, as one call
)
NOT_IN_BACKWARD = ("activation",)


def directions(name: str) -> tuple[str, ...]:
    """What can be timed of a ladder: its directions, and training where that is a call of its own."""
    own = kernels.ladder(name).directions
    return (*own, TRAINING) if name in SEQUENCES else own


def served(direction: str) -> str:
    """The direction that a rung must serve; of training the first."""
    return "forward" if direction == TRAINING else direction


def plan(name: str, direction: str, arrays: tuple, options: dict[str, Any]) -> Plan:
    """What the call would do; training's work is that of both directions."""
    ladder = kernels.ladder(name)
    if direction != TRAINING:
        return ladder.plan(*arrays, direction=direction, **options)
    found = ladder.plan(*arrays[1:], **options, return_cache=True)
    flops, traffic = (
        sum(count(each) for each in ladder.directions)
        for count in (found.problem.flops, found.problem.bytes)
    )
    return found._replace(direction=direction, flops=flops, bytes=traffic)


def inputs(
    name: str, direction: str, arrays: tuple, options: dict[str, Any], seed: int = 0
) -> tuple[tuple, dict[str, Any]]:
    """Turn the arguments of the forward into those of `direction`, drawing dy afresh.

    Where a sequence's seed is odd, the last states have gradients too.
    """
    if direction == "forward":
        return arrays, options
    if name in FROM_CACHE:
        y, cache = getattr(kernels, name)(*arrays, **options, return_cache=True)
        rng = np.random.default_rng((seed, 1))  # with x's own seed, dy would be x, and dx nothing
        return (rng.standard_normal(y.shape).astype(y.dtype), cache), {}
    if direction == TRAINING:
        y = ours(name, "forward", arrays, options)
        rng = np.random.default_rng((seed, 1))
        return (rng.standard_normal(y.shape).astype(y.dtype), *arrays), options
    if name in SEQUENCES:
        y, states, cache = getattr(kernels, name)(*arrays, **options, return_cache=True)
        rng = np.random.default_rng((seed, 1))
        states = (states,) if isinstance(states, np.ndarray) else states
        dy, *last = (rng.standard_normal(each.shape).astype(y.dtype) for each in (y, *states))
        return (dy, cache), dict(zip(("dh", "dc"), last)) if seed % 2 else {}
    if name in GATES:
        return _gates(name, arrays, options, seed)
    if name in PRODUCTS:  # whose dtypes may be a device's alone, and whose y need not be computed
        dtype = arrays[0].dtype.newbyteorder("=")
        shape = _shape(name, arrays, options)
        dy = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
        options = {key: v for key, v in options.items() if key not in NOT_IN_BACKWARD}
        return (dy, *arrays[:2]), options
    y = ours(name, "forward", arrays, options)
    dy = np.random.default_rng(seed).standard_normal(y.shape).astype(y.dtype)
    options = {key: v for key, v in options.items() if key not in NOT_IN_BACKWARD}
    if name in FROM_OUTPUT:
        return (dy, y), options
    if name == "max_pool2d":
        kind = (True, "window")[seed % 2]
        forward: Any = getattr(kernels, name)
        _, winners = forward(*arrays, **options, return_indices=kind)
        return (dy, winners, arrays[0].shape, arrays[1]), options
    if name == "avg_pool2d":
        return (dy, arrays[0].shape, arrays[1]), options
    if name == "lp_pool2d":
        return (dy, arrays[0], y, arrays[1]), options
    if name == "adaptive_avg_pool2d":
        return (dy, arrays[0].shape), options
    if name == "adaptive_max_pool2d":
        _, winners = kernels.adaptive_max_pool2d(*arrays, return_indices=True)
        return (dy, winners, arrays[0].shape), options
    if name == "max_unpool2d":
        return (dy, arrays[1]), options
    if name == "dropout":
        return (dy, arrays[1]), options
    if name == "embedding":
        return (dy, arrays[0], arrays[1].shape[0]), options
    return (dy, *arrays), options


def _shape(name: str, arrays: tuple, options: dict[str, Any]) -> tuple[int, ...]:
    """Shape of what matmul, linear or conv2d gives for these arguments."""
    x, w = arrays[:2]
    if name == "matmul":
        leading = np.broadcast_shapes(x.shape[:-2], w.shape[:-2])
        return (*leading, x.shape[-2], w.shape[-1])
    if name == "linear":
        return (*x.shape[:-1], w.shape[0])
    stand_ins = (np.zeros(each.shape, np.float32) for each in (x, w))
    p = kernels.ladder(name).plan(*stand_ins, **options).problem
    return (p.n, p.k, p.oh, p.ow)


def _gates(name: str, arrays: tuple, options: dict[str, Any], seed: int) -> tuple[tuple, dict]:
    """Arguments of the gradient of a step's gates, which takes what the step gave."""
    made = parts(getattr(kernels, name)(*arrays, **options))
    rng = np.random.default_rng((seed, 1))
    dh, dc = (rng.standard_normal(made[0].shape).astype(made[0].dtype) for _ in range(2))
    if name == "lstm_gates":
        _, c, gates = made
        return (dh, dc, gates, arrays[1], c), options
    return ((dh, made[1], arrays[2]) if name == "gru_gates" else (dh, made[0])), options


@functools.cache
def _asks_for_needs(function: Any) -> bool:
    """Whether it computes several gradients. Looked up once: a look takes longer than a small call."""
    return "needs" in inspect.signature(function).parameters


def ours(
    name: str,
    direction: str,
    arrays: tuple,
    options: dict[str, Any],
    *,
    algorithm: str = "auto",
    out: Any = None,
) -> Any:
    """Call the public function."""
    if direction == TRAINING:
        dy, *given = arrays
        forward, backward = (getattr(kernels, name + suffix) for suffix in ("", "_backward"))
        *_, cache = forward(*given, **options, return_cache=True, algorithm=algorithm)
        if algorithm != "auto" and "backward" not in kernels.ladder(name)[algorithm].run:
            algorithm = "auto"  # a rung that goes forward alone
        return backward(dy, cache, algorithm=algorithm, out=out)
    function = getattr(kernels, name if direction == "forward" else f"{name}_backward")
    if direction != "backward" and _asks_for_needs(function):
        options = {**options, "needs": (direction.removeprefix("d"),)}
    result = function(*arrays, **options, algorithm=algorithm, out=out)
    return result[0] if name in SEQUENCES and direction == "forward" else result


def parts(result: Any) -> list[np.ndarray]:
    """The arrays of a result: itself, or the fields of its tuple that are there."""
    if isinstance(result, np.ndarray):
        return [result]
    return [each for each in result if each is not None]


def flat(result: Any) -> np.ndarray:
    """The result as one array: itself, or its parts end to end."""
    if isinstance(result, np.ndarray):
        return result
    return np.concatenate([each.reshape(-1) for each in parts(result)])


def room(result: Any) -> Any:
    """What ``out=`` takes for such a result, full of NaN."""
    made = [np.full_like(each, np.nan) for each in parts(result)]
    return made[0] if isinstance(result, np.ndarray) else made


def packed(
    name: str, direction: str, arrays: tuple, options: dict[str, Any]
) -> tuple[tuple, dict[str, Any]]:
    """Return arguments and options with the weights packed; a sequence's gradient has them in its cache."""
    place = 1 if direction == "forward" else 2
    if name not in SEQUENCES:
        weights = kernels.pack(name, arrays[place], **options)
        return (*arrays[:place], weights, *arrays[place + 1 :]), options
    if direction == TRAINING:
        held, options = packed(name, "forward", arrays[1:], options)
        return (arrays[0], *held), options
    if direction == "backward":
        dy, cache = arrays
        return (dy, cache._replace(packed=_pack(name, cache._asdict()))), options
    x, w_ih, w_hh, *biases = arrays
    weights = _pack(name, {**options, "w_ih": w_ih, "w_hh": w_hh})
    options = {key: value for key, value in options.items() if key != "w_proj"}
    return (x, weights, None, *biases), options


def _pack(name: str, held: dict[str, Any]) -> kernels.Packed:
    """Pack a sequence's weights, those of the projection too if there are any."""
    names = [each for each in ("w_ih", "w_hh", "w_proj") if held.get(each) is not None]
    return kernels.pack(name, tuple(held[each] for each in names))


def reference(name: str, direction: str, arrays: tuple, options: dict[str, Any]) -> tuple:
    """Call the family's oracle: (value, scale, terms)."""
    if direction == TRAINING:
        *_, cache = getattr(kernels, name)(*arrays[1:], **options, return_cache=True)
        return kernels.ladder(name).reference("backward")(arrays[0], cache)
    return kernels.ladder(name).reference(direction)(*arrays, **options)


def growth(rung: Rung, problem: Any, direction: str) -> float | None:
    """By how much the rung says that it may exceed the bound of a plain sum; None if it does not."""
    return None if rung.growth is None else rung.growth(problem, direction)
