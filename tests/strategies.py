"""Hypothesis strategies: shapes, options, dtypes, memory layouts, for every ladder.

`problems(ladder, rung)` draws (arrays, options) of the forward call. Whoever adds a ladder adds a row to
`PROBLEMS`.
"""

import ml_dtypes
import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

DTYPES = st.sampled_from([np.float32, np.float64])
TENSOR_CORES = st.sampled_from([np.float32, np.float16, ml_dtypes.bfloat16])
LAYOUTS = st.sampled_from(
    ["c", "fortran", "sliced", "reversed", "swapped", "unaligned", "readonly"]
)

SECOND = 50_000  # multiplies that Numba's CUDA simulator does in about so long


def laid_out(x, layout):
    """Return an array equal to x that lies in memory as `layout` says."""
    if layout == "fortran":
        return np.asfortranarray(x)
    if layout == "sliced":
        wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
        wide[..., ::2] = x
        return wide[..., ::2]
    if layout == "reversed":
        return np.ascontiguousarray(x[..., ::-1])[..., ::-1]
    if layout == "swapped" and x.dtype.kind == "f":  # bfloat16 has one order
        return x.astype(x.dtype.newbyteorder())
    if layout == "unaligned":
        raw = np.zeros(x.nbytes + 1, np.uint8)
        view = raw[1:].view(x.dtype).reshape(x.shape)
        view[...] = x
        return view
    if layout == "readonly":
        x = x.copy()
        x.flags.writeable = False
    return x


def on_device(x):
    """Return x as an array on a device may lie: native, and aligned for its dtype though not for 16 bytes."""
    if x.dtype.isnative and x.flags.aligned:
        return x
    odd = np.empty(x.size + 1, x.dtype.newbyteorder("="))[1:].reshape(x.shape)
    odd[...] = x
    return odd


@st.composite
def arrays(draw, shape, dtype, scale=1.0):
    """Draw normal values of one shape and dtype, in any memory layout."""
    seed = draw(st.integers(0, 2**32 - 1))
    x = np.asarray(np.random.default_rng(seed).standard_normal(shape) * scale, dtype)
    return laid_out(x, draw(LAYOUTS)) if len(shape) else x


def _pads(draw, kernel):
    one = st.integers(0, 2)
    return draw(
        st.one_of(
            one,
            st.tuples(one, one),
            st.tuples(st.tuples(one, one), st.tuples(one, one)),
            st.sampled_from(["valid", "same", "same_upper", "same_lower"]),
        )
    )


def _room(padding, axis):
    """The least padding that this form gives along an axis, both sides together."""
    if isinstance(padding, str):
        return 0
    side = padding if isinstance(padding, int) else padding[axis]
    return 2 * side if isinstance(side, int) else sum(side)


@st.composite
def conv2d(draw, plain=False, few=False, small=False, dtypes=DTYPES):
    """Draw a convolution; `plain`: 3×3 filters, stride and dilation 1; `few`: few channels a group.

    `small`: what plain Python computes in a second.
    """
    dtype = draw(dtypes)
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    channels = draw(st.integers(1, 3) | st.sampled_from([5, 16] if few else [15, 17, 32]))
    filters = draw(st.one_of(st.integers(1, 4), st.sampled_from([16, 31, 33])))
    kernel = (3, 3) if plain else draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    dilation = 1 if plain else draw(st.sampled_from([1, 2, (1, 3), (2, 1)]))
    padding = _pads(draw, kernel)
    rates = (dilation, dilation) if isinstance(dilation, int) else dilation
    size = [
        max(1, d * (k - 1) + 1 - _room(padding, axis)) + draw(st.integers(0, 9))
        for axis, (k, d) in enumerate(zip(kernel, rates))
    ]
    batch = draw(st.integers(0, 3))
    if small:
        assume(batch * channels * filters * groups * np.prod(kernel) * np.prod(size) < SECOND)
    x = draw(arrays((batch, channels * groups, *size), dtype))
    w = draw(arrays((filters * groups, channels, *kernel), dtype))
    b = draw(st.one_of(st.none(), arrays((filters * groups,), dtype)))
    options = {
        "stride": 1 if plain else draw(st.sampled_from([1, 2, (1, 2), (3, 1)])),
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "activation": draw(st.sampled_from([None, "relu"])),
    }
    return (x, w, b), options


@st.composite
def depthwise(draw, small=False):
    """Draw a convolution of a channel a group, with squares of 3, 5 or 7 taps and stride 1 or 2."""
    dtype, side = draw(DTYPES), draw(st.sampled_from([3, 5, 7]))
    channels, multiplier = draw(st.integers(1, 5)), draw(st.sampled_from([1, 1, 2, 3]))
    padding = draw(
        st.one_of(
            st.integers(0, side),
            st.tuples(*[st.tuples(st.integers(0, side), st.integers(0, side))] * 2),
            st.sampled_from(["valid", "same", "same_lower"]),
        )
    )
    size = [
        max(1, side - _room(padding, axis))
        + draw(st.integers(0, 9) | st.sampled_from([15, 27, 40]))
        for axis in range(2)
    ]
    batch = draw(st.integers(0, 3))
    if small:
        assume(batch * channels * multiplier * side * side * np.prod(size) < SECOND)
    x = draw(arrays((batch, channels, *size), dtype))
    w = draw(arrays((channels * multiplier, 1, side, side), dtype))
    b = draw(st.one_of(st.none(), arrays((channels * multiplier,), dtype)))
    options = {
        "stride": draw(st.sampled_from([1, 2])),
        "padding": padding,
        "groups": channels,
        "activation": draw(st.sampled_from([None, "relu"])),
    }
    return (x, w, b), options


@st.composite
def matmul(draw, small=False, dtypes=DTYPES):
    dtype = draw(dtypes)
    extent = st.one_of(
        st.integers(1, 20), st.sampled_from([33, 65, 130] if small else [63, 65, 130, 300])
    )
    m, n, k = draw(extent), draw(extent), draw(extent)
    lead_a = draw(st.sampled_from([(), (), (2,), (1,), (3, 2)]))
    lead_b = draw(st.sampled_from([(), (), lead_a, lead_a[-1:]]))
    if small:
        assume(m * n * k * np.prod(lead_a) < SECOND)
    a, b = draw(arrays((*lead_a, m, k), dtype)), draw(arrays((*lead_b, k, n), dtype))
    if draw(st.booleans()):
        a = np.ascontiguousarray(a.swapaxes(-1, -2)).swapaxes(-1, -2)
    if draw(st.booleans()):
        b = np.ascontiguousarray(b.swapaxes(-1, -2)).swapaxes(-1, -2)
    return (a, b), {}


@st.composite
def linear(draw, small=False, dtypes=DTYPES):
    dtype = draw(dtypes)
    lead = draw(st.sampled_from([(), (1,), (5,), (70,), (2, 3), (0,)]))
    d, h = draw(st.integers(1, 70)), draw(st.integers(1, 70))
    if small:
        assume(d * h * np.prod(lead) < SECOND)
    x, w = draw(arrays((*lead, d), dtype)), draw(arrays((h, d), dtype))
    b = draw(st.one_of(st.none(), arrays((h,), dtype)))
    return (x, w, b), {"activation": draw(st.sampled_from([None, "relu"]))}


@st.composite
def _pool(draw, extra):
    dtype = draw(DTYPES)
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    dilation = draw(st.sampled_from([1, 1, 2, (1, 2)]))
    rates = (dilation, dilation) if isinstance(dilation, int) else dilation
    span = [d * (k - 1) + 1 for k, d in zip(kernel, rates)]
    padding = draw(
        st.one_of(
            st.just(0),
            st.just("same"),
            st.just("same_lower"),
            st.tuples(*[st.tuples(st.integers(0, e // 2), st.integers(0, e // 2)) for e in span]),
        )
    )
    size = [e + draw(st.integers(0, 9)) for e in span]
    x = draw(arrays((draw(st.integers(0, 2)), draw(st.integers(1, 3)), *size), dtype))
    options = {
        "stride": draw(st.sampled_from([None, 1, 2, (1, 3)])),
        "padding": padding,
        "dilation": dilation,
        "ceil_mode": draw(st.booleans()),
        **draw(extra),
    }
    return (x, kernel), options


@st.composite
def adaptive(draw):
    shape = (draw(st.integers(0, 2)), draw(st.integers(1, 3)))
    plane = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    x = draw(arrays((*shape, *plane), draw(DTYPES)))
    size = st.one_of(st.none(), st.integers(1, 9))
    return (x, draw(st.one_of(st.integers(1, 9), st.tuples(size, size)))), {}


@st.composite
def unpool(draw):
    shape = (
        draw(st.integers(0, 2)),
        draw(st.integers(1, 3)),
        *draw(st.tuples(*[st.integers(1, 9)] * 2)),
    )
    plane = draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    seed = draw(st.integers(0, 2**32 - 1))
    indices = np.random.default_rng(seed).integers(0, plane[0] * plane[1], shape)
    return (
        draw(arrays(shape, draw(DTYPES))),
        indices,
        draw(st.sampled_from([plane, (*shape[:2], *plane)])),
    ), {}


@st.composite
def _elementwise(draw, scale=3.0):
    shape = draw(st.sampled_from([(1,), (7,), (3, 5), (2, 3, 4, 5), (0, 3), (40000,)]))
    x = draw(arrays(shape, draw(DTYPES)))
    return ((x * x.dtype.type(scale)).astype(x.dtype),), {}


@st.composite
def leaky_relu(draw):
    (x,), _ = draw(_elementwise())
    return (x,), {"negative_slope": draw(st.sampled_from([0.01, 0.0, 0.25, 1.5, -0.5]))}


@st.composite
def gelu(draw):
    (x,), _ = draw(_elementwise(draw(st.sampled_from([3.0, 12.0]))))
    return (x,), {"approximate": draw(st.sampled_from(["none", "tanh"]))}


@st.composite
def _along_axis(draw):
    shape = draw(
        st.sampled_from([(1,), (7,), (3, 5), (2, 3, 4), (2, 3, 4, 5), (0, 3), (300, 40), (2, 5000)])
    )
    x = draw(arrays(shape, draw(DTYPES)))
    return (x,), {"axis": draw(st.integers(-len(shape), len(shape) - 1).filter(lambda a: shape[a]))}


@st.composite
def cross_entropy(draw):
    inner = draw(st.sampled_from([(), (3,), (2, 2)]))
    n, classes = draw(st.integers(1, 9)), draw(st.integers(1, 12))
    logits = draw(arrays((n, classes, *inner), draw(DTYPES)))
    seed = draw(st.integers(0, 2**32 - 1))
    targets = np.random.default_rng(seed).integers(0, classes, (n, *inner))
    options = {
        "label_smoothing": draw(st.sampled_from([0.0, 0.1, 1.0])),
        "reduction": draw(st.sampled_from(["mean", "sum", "none"])),
    }
    if draw(st.booleans()):
        targets.flat[0] = options["ignore_index"] = draw(st.sampled_from([-100, -1]))
        targets.flat[1:2] = 0
    return (logits, targets), options


@st.composite
def mse(draw):
    shape = draw(st.sampled_from([(1,), (7,), (3, 5), (2, 3, 4), (40000,)]))
    dtype = draw(DTYPES)
    pair = draw(arrays(shape, dtype)), draw(arrays(shape, dtype))
    return pair, {"reduction": draw(st.sampled_from(["mean", "sum", "none"]))}


@st.composite
def dropout(draw):
    (x,), _ = draw(_elementwise())
    seed, offset = draw(st.integers(0, 2**64 - 1)), draw(st.integers(0, 2**63))
    return (x, draw(st.sampled_from([0.0, 0.3, 0.5, 1.0]))), {"seed": seed, "offset": offset}


@st.composite
def embedding(draw):
    rows, width = (
        draw(st.integers(1, 9) | st.just(300)),
        draw(st.integers(1, 9) | st.sampled_from([16, 64, 131])),
    )
    shape = draw(st.sampled_from([(), (1,), (7,), (3, 5), (2, 3, 4), (0, 3), (700,)]))
    seed = draw(st.integers(0, 2**32 - 1))
    kind = draw(st.sampled_from([np.int64, np.int64, np.int32, np.uint16]))
    indices = np.random.default_rng(seed).integers(0, rows, shape).astype(kind)
    if draw(st.booleans()):  # most of them one
        indices[indices < rows // 2 + 1] = rows // 2
    table = draw(arrays((rows, width), draw(DTYPES)))
    padding = draw(st.none() | st.integers(-rows, rows - 1))
    return (indices, table), {"padding_idx": padding}


def _shifted(draw, x):
    """Move x away from zero, as far as its variance can still be told."""
    offset = draw(st.sampled_from([0.0, 0.0, 3.0, 1000.0]))
    return (x + x.dtype.type(offset)).astype(x.dtype)


def _weights(draw, shape, dtype, count):
    return [draw(st.one_of(st.none(), arrays(shape, dtype))) for _ in range(count)]


EPS = st.sampled_from([1e-5, 1e-5, 0.1])


@st.composite
def _row_norm(draw, weights):
    dtype = draw(DTYPES)
    lead = draw(st.sampled_from([(), (1,), (3,), (37,), (2, 3), (0,)]))
    shape = draw(st.sampled_from([(1,), (5,), (64,), (130,), (2, 3), (3, 4, 5), (4100,), (9001,)]))
    x = _shifted(draw, draw(arrays((*lead, *shape), dtype)))
    return (x, shape, *_weights(draw, shape, dtype, weights)), {"eps": draw(EPS)}


def _images(draw, least, channels):
    space = draw(st.sampled_from([s for s in SPACES if int(np.prod(s)) >= least]))
    return _shifted(draw, draw(arrays((draw(st.integers(0, 3)), channels, *space), draw(DTYPES))))


SPACES = [(), (1,), (2,), (17,), (3, 5), (7, 7), (64, 65), (4, 2, 3)]


@st.composite
def group_norm(draw):
    groups, wide = draw(st.sampled_from([1, 2, 3])), draw(st.sampled_from([2, 3, 20]))
    x = _images(draw, 0, groups * wide)
    return (x, groups, *_weights(draw, x.shape[1:2], x.dtype, 2)), {"eps": draw(EPS)}


@st.composite
def instance_norm(draw):
    x = _images(draw, 2, draw(st.sampled_from([1, 3, 19])))
    return (x, *_weights(draw, x.shape[1:2], x.dtype, 2)), {"eps": draw(EPS)}


@st.composite
def batch_norm(draw):
    """In training without running statistics, which a call would change: their own test has those."""
    x = _images(draw, 0, draw(st.sampled_from([1, 3, 19, 150])))
    x = np.concatenate([x, x[:0]] if x.ndim > 2 and x.shape[2] > 1 else [x, x + 1, x[:1] - 2])
    shape = x.shape[1:2]
    weights = _weights(draw, shape, x.dtype, 2)
    training = draw(st.booleans())
    running = None, None
    if not training:
        running = draw(arrays(shape, x.dtype)), np.abs(draw(arrays(shape, x.dtype)))
    return (x, *weights, *running), {"training": training, "eps": draw(EPS)}


@st.composite
def sequence(draw, gates, few=False, **options):
    """Draw a sequence; the weights as PyTorch draws them, about 1/√H, so that steps do not blow errors up.

    `few`: one to four rows, and no projection.
    """
    dtype = draw(DTYPES)
    rows = st.integers(1, 4) if few else st.integers(0, 9) | st.sampled_from([17, 40])
    t, b = draw(st.integers(1, 7)), draw(rows)
    extent = st.integers(1, 40) | st.sampled_from([16, 17, 32, 33])
    d, h = draw(extent), draw(extent)
    projected = gates == 4 and not few and draw(st.booleans())
    p = draw(extent) if projected else h

    def weight(*shape):
        return draw(arrays(shape, dtype, h**-0.5))

    def optional(*shape):
        return draw(st.one_of(st.none(), arrays(shape, dtype)))

    x, w_ih, w_hh = draw(arrays((t, b, d), dtype)), weight(gates * h, d), weight(gates * h, p)
    given = {"h0": optional(b, p), "reverse": draw(st.booleans())}
    if draw(st.booleans()):
        seed = draw(st.integers(0, 2**32 - 1))
        given["lengths"] = np.random.default_rng(seed).integers(0, t + 1, b)
    if projected:
        given["w_proj"] = weight(p, h)
    if gates == 4:
        given |= {"c0": optional(b, h), "peepholes": optional(3, h)}
    given |= {"clip": draw(st.sampled_from([None, None, 0.5, 3.0]))}
    given |= {name: draw(values) for name, values in options.items()}
    return (x, w_ih, w_hh, optional(gates * h), optional(gates * h)), given


@st.composite
def gates(draw, *wide):
    """Draw one step's gates: arrays `wide` times as wide as the state, and the state."""
    dtype, b = draw(DTYPES), draw(st.integers(0, 9) | st.sampled_from([40]))
    h = draw(st.integers(1, 40) | st.sampled_from([255, 256, 257, 512, 1024, 1100]))
    scale = draw(st.sampled_from([1.0, 8.0]))
    return tuple(draw(arrays((b, k * h), dtype, scale if k > 1 else 1.0)) for k in wide), {}


@st.composite
def rnn_gates(draw):
    taken, _ = draw(gates(1))
    return taken, {"nonlinearity": draw(st.sampled_from(["tanh", "relu"]))}


NONLINEARITIES = st.sampled_from(["tanh", "relu"])
PROBLEMS = {
    "conv2d": conv2d(),
    "matmul": matmul(),
    "linear": linear(),
    "max_pool2d": _pool(st.just({})),
    "avg_pool2d": _pool(st.fixed_dictionaries({"count_include_pad": st.booleans()})),
    "lp_pool2d": _pool(st.fixed_dictionaries({"p": st.sampled_from([1, 2, 2.0, 3, 4])})),
    "adaptive_avg_pool2d": adaptive(),
    "adaptive_max_pool2d": adaptive(),
    "max_unpool2d": unpool(),
    "relu": _elementwise(),
    "leaky_relu": leaky_relu(),
    "exp": _elementwise(15.0),
    "silu": _elementwise(20.0),
    "gelu": gelu(),
    "sigmoid": _elementwise(20.0),
    "tanh": _elementwise(),
    "softmax": _along_axis(),
    "log_softmax": _along_axis(),
    "cross_entropy": cross_entropy(),
    "mse": mse(),
    "dropout": dropout(),
    "embedding": embedding(),
    "layer_norm": _row_norm(2),
    "rms_norm": _row_norm(1),
    "group_norm": group_norm(),
    "instance_norm": instance_norm(),
    "batch_norm": batch_norm(),
    "lstm": sequence(4, coupled=st.booleans()),
    "gru": sequence(3, linear_before_reset=st.booleans()),
    "lstm_gates": gates(4, 1),
    "gru_gates": gates(3, 3, 1),
    "rnn_gates": rnn_gates(),
    "rnn": sequence(1, nonlinearity=NONLINEARITIES),
}
# Rungs that do some problems only draw theirs.
ONLY = {("conv2d", name): conv2d(plain=True) for name in ("winograd_2x2", "winograd_4x4")}
ONLY["conv2d", "few"] = conv2d(few=True)
ONLY["lp_pool2d", "register"] = _pool(st.fixed_dictionaries({"p": st.just(2)}))
ONLY["conv2d", "depthwise"] = depthwise()
ONLY["gru", "fused"] = sequence(3, linear_before_reset=st.just(True))
ONLY["lstm", "units"] = sequence(4, few=True, coupled=st.booleans())
ONLY["gru", "units"] = sequence(3, few=True, linear_before_reset=st.just(True))
ONLY["rnn", "units"] = sequence(1, few=True, nonlinearity=NONLINEARITIES)


def problems(ladder, rung):
    """Return the strategy of a rung's problems."""
    return ONLY.get((ladder, rung), PROBLEMS[ladder])


SMALL = {
    "matmul": matmul(small=True),
    "linear": linear(small=True),
    "conv2d": conv2d(small=True),
}
SMALL_ONLY = {
    ("matmul", "tensor_core"): matmul(small=True, dtypes=TENSOR_CORES),
    ("linear", "tensor_core"): linear(small=True, dtypes=TENSOR_CORES),
    ("conv2d", "tensor_core"): conv2d(small=True, dtypes=TENSOR_CORES),
    ("conv2d", "depthwise"): depthwise(small=True),
}


def small_problems(ladder, rung):
    """Return the strategy of a CUDA rung's problems, as large as the simulator can bear."""
    return SMALL_ONLY.get((ladder, rung), SMALL[ladder])
