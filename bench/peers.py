"""Other libraries, each in a process of its own, doing the same work.

Two OpenMP runtimes in one process disturb each other (an idle pool spins on a core), so a peer lives in
a process that imports nothing else, gets its arguments once, and runs when it is told to. What goes back
is its result, to be checked, and its times.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from bench import clock

PEERS = ("torch", "torch channels_last", "onnxruntime", "jax")
PACKAGES = {"torch": ("torch",), "onnxruntime": ("onnxruntime", "onnx"), "jax": ("jax",)}


# ONNX operators younger than the others: opset, and version of the file that holds it.
YOUNG = {"gelu": (20, 9), "group_norm": (21, 10), "rms_norm": (23, 11)}

# Which argument a gradient is of: matmul's are a and b.
POSITION: tuple[dict[str, int], ...] = (
    {"dx": 0, "dw": 1, "db": 2, "dweight": 1, "dbias": 2, "dtable": 1},
    {"da": 0, "db": 1},
)
# PyTorch 2.13 dies in the gradient of a channels_last group norm's weight alone.
SEQUENCES = ("lstm", "gru", "rnn")
IMAGES = ("conv2d", "max_pool2d", "avg_pool2d", "lp_pool2d", "adaptive_avg_pool2d", "batch_norm")


def pair(value: Any) -> tuple[int, int]:
    """Return an option of images for each of the two axes."""
    return value if isinstance(value, tuple) else (value, value)


class CannotDo(Exception):
    """The peer has no such operation."""


def missing(peer: str) -> list[str]:
    """Return the packages that a peer needs and that are not installed."""
    return [name for name in PACKAGES[peer.split()[0]] if importlib.util.find_spec(name) is None]


class Peer:
    """A contestant in a process of its own.

    Parameters
    ----------
    name : one of `PEERS`
    threads : int
    """

    def __init__(self, name: str, threads: int) -> None:
        self.name = name
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        before = {key: os.environ.get(key) for key in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        os.environ.update(dict.fromkeys(before, str(threads)))  # read by the child as it starts
        try:
            self._process = context.Process(
                target=_serve, args=(theirs, name, threads), daemon=True
            )
            self._process.start()
        finally:
            for key, value in before.items():
                if value is None:
                    del os.environ[key]
                else:
                    os.environ[key] = value
        theirs.close()

    def prepare(self, ladder: str, direction: str, arrays: tuple, options: dict, dy: Any) -> Any:
        """Hand over a problem; return the peer's result for it, a NumPy array.

        Raises
        ------
        CannotDo
            If it has no such operation, or fails in it, with its own words.
        """
        return self._ask(("prepare", ladder, direction, arrays, options, dy))

    def sample(self, seconds: float) -> list[float]:
        """Run for about so long, once at least; return the seconds that each call took."""
        return self._ask(("sample", seconds))

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(5)
        self._process.kill()

    def _ask(self, message: tuple) -> Any:
        try:
            self._pipe.send(message)
            kind, value = self._pipe.recv()
        except (EOFError, OSError):
            raise CannotDo(f"{self.name}'s process died") from None
        if kind == "error":
            raise CannotDo(value)
        return value


def _serve(pipe: Any, name: str, threads: int) -> None:
    """Answer the parent's questions until it hangs up."""
    builder = _BUILDERS[name.split()[0]]
    if name.startswith("jax") and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])  # JAX takes all it sees
    contestant: Any = None
    while True:
        try:
            message = pipe.recv()
        except EOFError:
            return
        try:
            if message[0] == "prepare":
                contestant = None
                call = builder(name, threads, *message[1:])
                answer = _flat(call())
                contestant = clock.Local(call)
            else:
                answer = contestant.sample(message[1])
            pipe.send(("answer", answer))
        except CannotDo as error:
            pipe.send(("error", str(error)))
        except Exception as error:
            first = str(error).strip().split("\n")[0]
            pipe.send(("error", f"{type(error).__name__}: {first}"))


def _flat(result: Any) -> np.ndarray:
    """A result as an array; several end to end."""
    if not isinstance(result, tuple):
        return np.asarray(result)
    return np.concatenate([np.asarray(each).reshape(-1) for each in result])


def _torch(name, threads, ladder, direction, arrays, options, dy) -> Callable[[], Any]:
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(threads)
    last = name.endswith("channels_last")
    if last and ladder not in IMAGES:
        raise CannotDo("its layout is for images")

    def tensor(value):
        if not isinstance(value, np.ndarray):
            return value
        t = torch.from_numpy(value)
        return t.contiguous(memory_format=torch.channels_last) if last and t.ndim == 4 else t

    operations: dict[str, Callable] = {
        "conv2d": F.conv2d,
        "max_pool2d": F.max_pool2d,
        "avg_pool2d": F.avg_pool2d,
        "lp_pool2d": lambda x, size, stride=None, padding=0: F.lp_pool2d(
            F.pad(x, (padding,) * 4) if padding else x, 2, size, stride
        ),
        "adaptive_avg_pool2d": F.adaptive_avg_pool2d,
        "adaptive_max_pool2d": F.adaptive_max_pool2d,
        "max_unpool2d": lambda y, places, shape: F.max_unpool2d(
            y, places, [2, 2], output_size=shape
        ),
        "matmul": torch.matmul,
        "linear": F.linear,
        "relu": torch.relu,
        "leaky_relu": F.leaky_relu,
        "exp": torch.exp,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "silu": F.silu,
        "gelu": F.gelu,
        "softmax": lambda x, axis=-1: torch.softmax(x, axis),
        "log_softmax": lambda x, axis=-1: torch.log_softmax(x, axis),
        "cross_entropy": F.cross_entropy,
        "mse": F.mse_loss,
        "embedding": F.embedding,
        "dropout": lambda x, p: F.dropout(x, p, training=True),
        "layer_norm": lambda x, w, b: F.layer_norm(x, arrays[1], w, b),
        "rms_norm": lambda x, w: F.rms_norm(x, arrays[1], w),
        "group_norm": lambda x, w, b: F.group_norm(x, arrays[1], w, b),
        "instance_norm": lambda x, w, b: F.instance_norm(x, weight=w, bias=b),
        "batch_norm": lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
    }
    if ladder in SEQUENCES:
        return _torch_sequence(ladder, direction, arrays, options, dy)
    if ladder not in operations:
        raise CannotDo(f"no {ladder}")
    norm = ladder.endswith("_norm")
    if ladder == "dropout" or norm:
        options = {}
    if norm and last and arrays[0].ndim != 4:
        raise CannotDo("its layout is for images")
    kept = [each for each in arrays if isinstance(each, np.ndarray)] if norm else arrays
    operation, args = operations[ladder], [tensor(each) for each in kept]
    if direction == "forward":

        def forward():
            with torch.inference_mode():
                return operation(*args, **options)

        return forward
    position = POSITION[ladder == "matmul"][direction]
    wanted = args[position].requires_grad_()
    y = operation(*args, **options)
    gradient = tensor(dy)
    return lambda: torch.autograd.grad(y, wanted, gradient, retain_graph=True)[0]


def _torch_sequence(ladder, direction, arrays, options, dy) -> Callable[[], Any]:
    """PyTorch's layer; where lengths are given with the packing and padding that its user calls."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    if set(options) - {"lengths"}:
        raise CannotDo(f"no {ladder} with {sorted(options)}")
    x, *weights = (torch.from_numpy(each) for each in arrays)
    units = weights[1].shape[1]
    kind = getattr(torch.nn, ladder.upper())
    layer = kind(x.shape[2], units, dtype=x.dtype)
    with torch.no_grad():
        for mine, given in zip(layer.parameters(), weights):
            mine.copy_(given)
    lengths = options.get("lengths")
    if lengths is not None:
        lengths = torch.from_numpy(lengths)

    def run():
        if lengths is None:
            return layer(x)[0]
        steps = pack_padded_sequence(x, lengths, enforce_sorted=False)
        return pad_packed_sequence(layer(steps)[0], total_length=len(x))[0]

    if direction == "forward":

        def forward():
            with torch.inference_mode():
                return run()

        return forward
    wanted, gradient = [x.requires_grad_(), *layer.parameters()], torch.from_numpy(dy)
    if direction == "training":
        return lambda: torch.autograd.grad(run(), wanted, gradient)
    y = run()
    return lambda: torch.autograd.grad(y, wanted, gradient, retain_graph=True)


def _onnxruntime(name, threads, ladder, direction, arrays, options, dy) -> Callable[[], Any]:
    import onnx
    import onnxruntime
    from onnx import helper, numpy_helper

    if direction != "forward":
        raise CannotDo("forward only")
    if ladder in SEQUENCES:
        arrays, options = _onnx_sequence(ladder, arrays, options)
    nodes: dict[str, tuple[str, dict[str, Any]]] = {
        "conv2d": ("Conv", {}),
        "max_pool2d": ("MaxPool", {}),
        "avg_pool2d": ("AveragePool", {"count_include_pad": 1}),
        "lp_pool2d": ("LpPool", {"p": 2}),
        "matmul": ("MatMul", {}),
        "linear": ("Gemm", {"transB": 1}),
        "relu": ("Relu", {}),
        "leaky_relu": ("LeakyRelu", {"alpha": options.get("negative_slope", 0.01)}),
        "exp": ("Exp", {}),
        "sigmoid": ("Sigmoid", {}),
        "tanh": ("Tanh", {}),
        "silu": ("Sigmoid", {}),  # and a product after it
        "gelu": ("Gelu", {"approximate": options.get("approximate", "none")}),
        "softmax": ("Softmax", {"axis": options.get("axis", -1)}),
        "log_softmax": ("LogSoftmax", {"axis": options.get("axis", -1)}),
        "layer_norm": ("LayerNormalization", {"axis": -1, "epsilon": 1e-5}),
        "rms_norm": ("RMSNormalization", {"axis": -1, "epsilon": float(np.finfo(np.float32).eps)}),
        "group_norm": ("GroupNormalization", {"epsilon": 1e-5}),
        "instance_norm": ("InstanceNormalization", {"epsilon": 1e-5}),
        "batch_norm": ("BatchNormalization", {"epsilon": 1e-5, "training_mode": 1}),
        "lstm": ("LSTM", options),
        "gru": ("GRU", {**options, "linear_before_reset": 1}),
        "rnn": ("RNN", options),
    }
    if ladder not in nodes:
        raise CannotDo(f"no {ladder}")
    kind, attributes = nodes[ladder]
    values = [each for each in arrays if isinstance(each, np.ndarray)]
    if ladder in ("conv2d", "max_pool2d", "avg_pool2d", "lp_pool2d"):
        window = values[1].shape[2:] if ladder == "conv2d" else pair(arrays[1])
        stride = options.get("stride", 1 if ladder == "conv2d" else arrays[1])
        attributes = {
            **attributes,
            "kernel_shape": list(window),
            "strides": pair(stride),
            "pads": pair(options.get("padding", 0)) * 2,
        }
        if ladder == "conv2d":
            attributes["group"] = options.get("groups", 1)
            attributes["dilations"] = pair(options.get("dilation", 1))
    if ladder == "group_norm":
        attributes["num_groups"] = arrays[1]
    outputs, opset, ir = ["y"], 17, 8
    if ladder == "batch_norm":  # in training it wants running statistics, and moves them
        c = values[0].shape[1]
        values += [np.zeros(c, values[0].dtype), np.ones(c, values[0].dtype)]
        outputs += ["mean", "variance"]
    elif ladder in YOUNG:
        opset, ir = YOUNG[ladder]
    element = helper.np_dtype_to_tensor_dtype(values[0].dtype)
    constant = ladder in ("conv2d", "linear", *SEQUENCES) or ladder.endswith("_norm")
    weights = values[1:] if constant else []  # as in a deployed model
    inputs = values[: len(values) - len(weights)]
    names = [f"a{i}" for i in range(len(values))]
    steps = [helper.make_node(kind, names, outputs, **attributes)]
    if ladder == "silu":
        steps[0].output[0] = "share"
        steps.append(helper.make_node("Mul", ["a0", "share"], ["y"]))
    graph = helper.make_graph(
        steps,
        ladder,
        [helper.make_tensor_value_info(n, element, v.shape) for n, v in zip(names, inputs)],
        [
            helper.make_tensor_value_info(
                "y", element, [None] * (values[0].ndim + (ladder in SEQUENCES))
            )
        ],
        [numpy_helper.from_array(v, n) for n, v in zip(names[len(inputs) :], weights)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
    onnx.checker.check_model(model)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
    )
    feed = dict(zip(names, inputs))
    if ladder in SEQUENCES:
        return lambda: session.run(None, feed)[0][:, 0]  # its one direction
    return lambda: session.run(None, feed)[0]


def _onnx_sequence(ladder, arrays, options) -> tuple[tuple, dict[str, Any]]:
    """Arguments of ONNX's node: gates in its order, both biases in one, lengths as a fifth."""
    if set(options) - {"lengths"}:
        raise CannotDo(f"no {ladder} with {sorted(options)}")
    x, w_ih, w_hh, b_ih, b_hh = arrays
    units = w_hh.shape[1]
    order = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn": (0,)}[ladder]  # of i f g o: i o f c

    def turned(a):
        return np.concatenate([a[k * units : (k + 1) * units] for k in order])

    given = [x, turned(w_ih)[None], turned(w_hh)[None]]
    given.append(np.concatenate([turned(b_ih), turned(b_hh)])[None])
    if "lengths" in options:
        given.append(options["lengths"].astype(np.int32))
    return tuple(given), {"hidden_size": units}


def _jax(name, threads, ladder, direction, arrays, options, dy) -> Callable[[], Any]:
    import jax
    import jax.numpy as jnp
    from jax import lax

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_enable_x64", arrays[0].dtype == np.float64)

    def conv2d(x, w, b):
        y = lax.conv_general_dilated(
            x,
            w,
            pair(options.get("stride", 1)),
            [(pad, pad) for pad in pair(options.get("padding", 0))],
            rhs_dilation=pair(options.get("dilation", 1)),
            feature_group_count=options.get("groups", 1),
        )
        return y + b[None, :, None, None]

    def pool(start, operation):
        def run(x):
            size, pad = arrays[1], (options.get("padding", 0),) * 2
            stride = options.get("stride", size)
            dims, steps = (1, 1, size, size), (1, 1, stride, stride)
            return lax.reduce_window(
                x, np.array(start, x.dtype), operation, dims, steps, ((0, 0), (0, 0), pad, pad)
            )

        return run

    def normalised(x, axes):
        d = x - x.mean(axes, keepdims=True)
        return d * lax.rsqrt((d * d).mean(axes, keepdims=True) + 1e-5)

    def per_channel(y, weight, bias):
        shape = (1, -1) + (1,) * (y.ndim - 2)
        return y * weight.reshape(shape) + bias.reshape(shape)

    def layer_norm(x, weight, bias):
        return normalised(x, -1) * weight + bias

    def rms_norm(x, weight):
        eps = float(np.finfo(x.dtype).eps)
        return x * lax.rsqrt((x * x).mean(-1, keepdims=True) + eps) * weight

    def group_norm(x, weight, bias):
        groups = x.shape[1] if ladder == "instance_norm" else arrays[1]
        y = normalised(x.reshape(x.shape[0], groups, -1), -1)
        return per_channel(y.reshape(x.shape), weight, bias)

    def batch_norm(x, weight, bias):
        return per_channel(normalised(x, (0, *range(2, x.ndim))), weight, bias)

    def cross_entropy(x):
        rows = jax.nn.log_softmax(x)
        return -rows[jnp.arange(len(rows)), arrays[1]].mean()

    operations: dict[str, Callable] = {
        "conv2d": conv2d,
        "max_pool2d": pool(-np.inf, lax.max),
        "avg_pool2d": lambda x: pool(0, lax.add)(x) / arrays[1] ** 2,
        "lp_pool2d": lambda x: jnp.sqrt(pool(0, lax.add)(x * x)),
        "matmul": lambda a, b: a @ b,
        "linear": lambda x, w, b: x @ w.T + b,
        "relu": jax.nn.relu,
        "leaky_relu": lambda x: jax.nn.leaky_relu(x, options.get("negative_slope", 0.01)),
        "exp": jnp.exp,
        "sigmoid": jax.nn.sigmoid,
        "tanh": jnp.tanh,
        "silu": jax.nn.silu,
        "gelu": lambda x: jax.nn.gelu(x, options.get("approximate") == "tanh"),
        "softmax": lambda x: jax.nn.softmax(x, options.get("axis", -1)),
        "log_softmax": lambda x: jax.nn.log_softmax(x, options.get("axis", -1)),
        "cross_entropy": cross_entropy,
        "mse": lambda y, target: ((y - target) ** 2).mean(),
        "layer_norm": layer_norm,
        "rms_norm": rms_norm,
        "group_norm": group_norm,
        "instance_norm": group_norm,
        "batch_norm": batch_norm,
    }
    if ladder not in operations:
        raise CannotDo(f"no {ladder} with the same random bits")
    operation = operations[ladder]
    one = ladder in ("max_pool2d", "avg_pool2d", "lp_pool2d", "cross_entropy")
    args = [jnp.asarray(each) for each in arrays if isinstance(each, np.ndarray)][
        : 1 if one else None
    ]
    if direction == "forward":
        compiled = jax.jit(operation)
        return lambda: compiled(*args).block_until_ready()
    position = POSITION[ladder == "matmul"][direction]
    gradient = jnp.asarray(dy)

    @jax.jit
    def pulled(gradient, *args):
        def of(value):
            return operation(*args[:position], value, *args[position + 1 :])

        return jax.vjp(of, args[position])[1](gradient)[0]

    return lambda: pulled(gradient, *args).block_until_ready()


_BUILDERS = {"torch": _torch, "onnxruntime": _onnxruntime, "jax": _jax}
