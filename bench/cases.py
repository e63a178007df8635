"""Named problems to time: small ones that a test run can afford, and the real sizes of known networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import kernels


@dataclass(frozen=True)
class Case:
    """One problem of one ladder.

    Parameters
    ----------
    ladder, name : str
    shapes : tuple
        Of the arrays of the forward call, drawn from a normal distribution; anything that is no tuple
        of extents inside `Plain` is handed over as it is, and a `Transposed` lies in Fortran's order.
    options : dict
    real : bool
        Whether it is a real network's size, rather than one for a quick look.
    note : str
        Where it is met.
    group : str
        Cases that are run and summed up together.
    """

    ladder: str
    name: str
    shapes: tuple
    options: dict[str, Any] = field(default_factory=dict)
    real: bool = False
    note: str = ""
    group: str = ""

    def arrays(self, dtype: Any, seed: int = 0) -> tuple:
        """Draw fresh arguments of the forward call."""
        rng = np.random.default_rng(seed)
        return tuple(
            each.draw(rng) if isinstance(each, Plain) else _normal(rng, each, dtype)
            for each in self.shapes
        )

    @property
    def tags(self) -> set[str]:
        """What ``--case`` finds it by."""
        return {"all", "real" if self.real else "small", self.name, self.group or self.name}

    @property
    def title(self) -> str:
        """The problem in a line."""
        parts = ["×".join(map(str, each)) for each in self.shapes if not isinstance(each, Plain)]
        parts += [each.text for each in self.shapes if isinstance(each, Plain)]
        for key, value in self.options.items():
            spelled = f"{min(value)}…{max(value)}" if isinstance(value, np.ndarray) else value
            parts.append(f"{key} {spelled}")
        return ", ".join(parts)


@dataclass(frozen=True)
class Plain:
    """An argument that is no array of normal numbers."""

    text: str
    draw: Callable[[np.random.Generator], Any]


class Transposed(tuple):
    """Extents of an array whose first axis lies densest in memory."""


class Weight(tuple):
    """Extents of an array whose rows' sums of squares are about 1."""


def _normal(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    drawn = rng.standard_normal(shape).astype(dtype)
    if isinstance(shape, Weight):
        drawn /= np.sqrt(shape[-1]).astype(dtype)
    return np.asfortranarray(drawn) if isinstance(shape, Transposed) else drawn


def _window(size: int) -> Plain:
    return Plain(f"window {size}×{size}", lambda rng: size)


def _size(size: int) -> Plain:
    return Plain(f"to {size}×{size}", lambda rng: size)


def _places(n: int, c: int, size: int) -> Plain:
    """Where the maxima of 2×2 windows might have been."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        down, across = rng.integers(0, 2, (2, n, c, size, size))
        rows, columns = np.mgrid[:size, :size]
        return (2 * rows + down) * 2 * size + 2 * columns + across

    return Plain("places", draw)


def _plane(n: int, c: int, size: int) -> Plain:
    return Plain(f"to {size}×{size}", lambda rng: (n, c, size, size))


def _over(length: int) -> Plain:
    return Plain(f"over {length}", lambda rng: (length,))


def _labels(count: int, classes: int) -> Plain:
    return Plain("class indices", lambda rng: rng.integers(0, classes, count))


def _indices(count: int, rows: int) -> Plain:
    """Numbers of words: the v-th commonest is met 1 / v times as often as the commonest (Zipf)."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        return np.floor(rows ** rng.random(count)).astype(int) - 1

    return Plain(f"{count} indices", draw)


def _conv(name, x, w, *, real=True, note="", group="", **options) -> Case:
    return Case("conv2d", name, (x, w, (w[0],)), options, real, note, group)


CASES = [
    _conv("digits-1", (32, 1, 8, 8), (32, 1, 3, 3), real=False, padding=1),
    _conv("digits-2", (32, 32, 4, 4), (64, 32, 3, 3), real=False, padding=1),
    _conv("tiny", (2, 16, 28, 28), (32, 16, 3, 3), real=False, padding=1),
    _conv("call", (1, 1, 8, 8), (8, 1, 3, 3), real=False, padding=1, note="what a call costs"),
    *(
        _conv(
            f"resnet-{size}{suffix}", (batch, c, size, size), (c, c, 3, 3),
            padding=1, group=group, note=f"ResNet-18, stage {stage}",
        )
        for batch, suffix, group in ((8, "", "resnet"), (1, "-b1", "batch-1"))
        for stage, c, size in ((1, 64, 56), (2, 128, 28), (3, 256, 14), (4, 512, 7))
    ),
    _conv(
        "pointwise", (8, 64, 56, 56), (256, 64, 1, 1),
        group="1x1", note="ResNet-50's widening 1×1",
    ),
    _conv("narrow-56", (8, 256, 56, 56), (64, 256, 1, 1), group="1x1", note="ResNet-50, stage 1"),
    _conv("narrow-28", (8, 512, 28, 28), (128, 512, 1, 1), group="1x1", note="stage 2"),
    _conv("wide-14", (8, 256, 14, 14), (1024, 256, 1, 1), group="1x1", note="stage 3"),
    _conv(
        "strided-56", (8, 64, 56, 56), (128, 64, 3, 3),
        stride=2, padding=1, group="strided", note="ResNet-18, into stage 2",
    ),
    _conv(
        "strided-28", (8, 128, 28, 28), (256, 128, 3, 3),
        stride=2, padding=1, group="strided", note="into stage 3",
    ),
    _conv(
        "shortcut-56", (8, 256, 56, 56), (512, 256, 1, 1),
        stride=2, group="strided", note="ResNet-50's shortcut into stage 2",
    ),
    _conv(
        "shortcut-14", (8, 1024, 14, 14), (2048, 1024, 1, 1),
        stride=2, group="strided", note="into stage 4",
    ),
    _conv("stem", (8, 3, 224, 224), (64, 3, 7, 7), stride=2, padding=3, note="ResNet's first"),
    _conv("small-first", (32, 1, 28, 28), (32, 1, 3, 3), padding=1, group="mnist", note="MNIST"),
    _conv("small-second", (32, 32, 28, 28), (64, 32, 3, 3), padding=1, group="mnist"),
    _conv("odd-sizes", (3, 64, 55, 57), (64, 64, 3, 3), padding=1, group="odd"),
    _conv("odd-channels", (8, 17, 56, 56), (17, 17, 3, 3), padding=1, group="odd"),
    _conv("odd-batch", (3, 128, 28, 28), (128, 128, 3, 3), padding=1, group="odd"),
    _conv("five", (8, 32, 28, 28), (64, 32, 5, 5), padding=2, group="odd"),
    _conv("one-by-three", (8, 64, 28, 28), (64, 64, 1, 3), padding=(0, 1), group="odd"),
    _conv("dilated", (8, 64, 28, 28), (64, 64, 3, 3), padding=2, dilation=2, group="odd"),
    _conv(
        "depthwise-112", (8, 32, 112, 112), (32, 1, 3, 3),
        padding=1, groups=32, group="depthwise", note="MobileNet",
    ),
    _conv(
        "depthwise-28", (8, 192, 28, 28), (192, 1, 5, 5), padding=2, groups=192, group="depthwise"
    ),
    _conv(
        "depthwise-strided", (8, 64, 112, 112), (64, 1, 3, 3),
        stride=2, padding=1, groups=64, group="depthwise", note="MobileNet",
    ),
    _conv(
        "depthwise-seven", (8, 96, 56, 56), (96, 1, 7, 7),
        padding=3, groups=96, group="depthwise", note="ConvNeXt",
    ),
    _conv(
        "depthwise-14", (8, 512, 14, 14), (512, 1, 3, 3),
        padding=1, groups=512, group="depthwise", note="MobileNet",
    ),
    _conv(
        "depthwise-twice", (8, 32, 56, 56), (64, 1, 3, 3),
        padding=1, groups=32, group="depthwise", note="two filters a channel",
    ),
    Case("matmul", "tiny", ((64, 64), (64, 64))),
    Case("matmul", "odd", ((250, 199), (199, 301))),
    Case("matmul", "square-1024", ((1024, 1024), (1024, 1024)), real=True, group="dense"),
    Case("matmul", "square-2048", ((2048, 2048), (2048, 2048)), real=True, group="dense"),
    Case("matmul", "odd-large", ((777, 1031), (1031, 513)), real=True, group="dense"),
    Case("matmul", "tall", ((8192, 64), (64, 64)), real=True),
    Case("matmul", "batched", ((32, 256, 64), (32, 64, 256)), real=True, note="attention's scores"),
    Case("matmul", "transposed", ((768, 768), Transposed((768, 768))), real=True, note="a · wᵀ"),
    Case("linear", "tiny", ((32, 256), (10, 256), (10,))),
    Case("linear", "mlp", ((512, 1024), (4096, 1024), (4096,)), real=True, note="a Transformer's"),
]  # fmt: skip
for _pool in ("max_pool2d", "avg_pool2d", "lp_pool2d"):
    CASES += [
        Case(_pool, "tiny", ((2, 16, 28, 28), _window(2))),
        Case(_pool, "vgg", ((8, 64, 112, 112), _window(2)), {"stride": 2}, True),
        Case(_pool, "stem", ((8, 64, 112, 112), _window(3)), {"stride": 2, "padding": 1}, True),
        Case(_pool, "inception", ((8, 192, 28, 28), _window(3)), {"stride": 1, "padding": 1}, True),
    ]
for _pool in ("adaptive_avg_pool2d", "adaptive_max_pool2d"):
    CASES += [
        Case(_pool, "tiny", ((2, 16, 14, 14), _size(7))),
        Case(_pool, "global", ((8, 512, 7, 7), _size(1)), real=True, note="ResNet's last"),
        Case(_pool, "uneven", ((8, 256, 13, 13), _size(6)), real=True, note="AlexNet's last"),
    ]
CASES += [
    Case(
        "max_unpool2d", name, ((n, c, size, size), _places(n, c, size), _plane(n, c, 2 * size)), real=real,
        note="SegNet's decoder",
    )
    for name, n, c, size, real in (("tiny", 2, 16, 14, False), ("segnet", 8, 64, 56, True))
]  # fmt: skip
for _name in (
    "relu", "leaky_relu", "exp", "sigmoid", "tanh", "silu", "gelu", "softmax", "log_softmax",
):  # fmt: skip
    CASES += [
        Case(_name, "tiny", ((64, 256),)),
        Case(_name, "rows-1024", ((4096, 1024),), real=True),
    ]
CASES += [
    Case("gelu", "rows-1024-tanh", ((4096, 1024),), {"approximate": "tanh"}, True),
    *(
        Case(_name, "channels", ((8, 64, 128, 128),), {"axis": 1}, True, "over the channels of maps")
        for _name in ("softmax", "log_softmax")
    ),
    Case("cross_entropy", "tiny", ((64, 10), _labels(64, 10))),
    Case("cross_entropy", "rows-1024", ((4096, 1024), _labels(4096, 1024)), real=True),
    Case("mse", "tiny", ((64, 256), (64, 256))),
    Case("mse", "rows-1024", ((4096, 1024), (4096, 1024)), real=True),
    Case("dropout", "tiny", ((64, 256), Plain("p 0.5", lambda rng: 0.5)), {"seed": 1, "offset": 0}),
    Case(
        "dropout", "rows-1024", ((4096, 1024), Plain("p 0.5", lambda rng: 0.5)),
        {"seed": 1, "offset": 0}, True,
    ),
]  # fmt: skip

_lookups = {
    "tiny": (64, 50, 32),
    "characters": (2048, 96, 256),
    "words": (4096, 30000, 512),
}
CASES += [
    Case(
        "embedding", name,
        (_indices(count, rows), (rows, width)), real=name != "tiny",
    )
    for name, (count, rows, width) in _lookups.items()
]  # fmt: skip

_NONE = Plain("no running statistics", lambda rng: None)
for _name, _weights in (("layer_norm", 2), ("rms_norm", 1)):
    for _case, _rows, _length in (("tiny", 64, 256), ("rows-1024", 4096, 1024)):
        _shapes = ((_rows, _length), _over(_length), *((_length,),) * _weights)
        CASES.append(Case(_name, _case, _shapes, real=_rows > 64))
_groups = Plain("32 groups", lambda rng: 32)
CASES += [
    Case("group_norm", "tiny", ((2, 64, 14, 14), _groups, (64,), (64,))),
    Case("group_norm", "stage-1", ((8, 64, 56, 56), _groups, (64,), (64,)), real=True),
    Case("instance_norm", "tiny", ((2, 16, 28, 28), (16,), (16,))),
    Case("instance_norm", "stage-1", ((8, 64, 56, 56), (64,), (64,)), real=True),
]
_training = {"training": True}
CASES += [
    Case("batch_norm", "tiny", ((8, 16, 14, 14), (16,), (16,), _NONE, _NONE), _training),
    Case(
        "batch_norm", "stem", ((8, 64, 112, 112), (64,), (64,), _NONE, _NONE), _training, True,
        note="ResNet's first, in training",
    ),
    Case(
        "batch_norm", "small-planes", ((32, 512, 7, 7), (512,), (512,), _NONE, _NONE), _training,
        True, note="ResNet's last",
    ),
    Case(
        "batch_norm", "features", ((512, 1024), (1024,), (1024,), _NONE, _NONE), _training, True,
        note="a multilayer perceptron's",
    ),
]  # fmt: skip


def _sequence(ladder, name, t, b, d, h, *, real=True, note="", group="", **options) -> Case:
    rows = {"lstm": 4, "gru": 3, "rnn": 1}[ladder] * h
    shapes = (t, b, d), Weight((rows, d)), Weight((rows, h)), (rows,), (rows,)
    return Case(ladder, name, shapes, options, real, note, group)


for _cell in ("lstm", "gru", "rnn"):
    CASES += [
        _sequence(_cell, "tiny", 5, 8, 16, 32, real=False),
        _sequence(_cell, "t50-b32-128", 50, 32, 128, 128, group="sequence"),
        _sequence(_cell, "t100-b64-256", 100, 64, 256, 256, group="sequence"),
        _sequence(
            _cell, "t28-b128-28-128", 28, 128, 28, 128, group="sequence", note="MNIST, row by row"
        ),
        _sequence(_cell, "t50-b32-512", 50, 32, 512, 512, group="sequence"),
        _sequence(_cell, "t100-b1-256", 100, 1, 256, 256, group="one-row"),
    ]
_lengths = np.random.default_rng(5)
CASES += [
    _sequence(
        "lstm", f"lengths-t{t}-b{b}-{h}", t, b, h, h, group="lengths",
        lengths=_lengths.integers(1, t + 1, b), note="lengths drawn uniformly",
    )
    for t, b, h in ((50, 32, 128), (100, 64, 256))
]  # fmt: skip
for _gates, _wide in (("lstm_gates", (4, 1)), ("gru_gates", (3, 3, 1)), ("rnn_gates", (1,))):
    for _case, _rows, _units in (("tiny", 8, 64), ("b256-1024", 256, 1024)):
        _shapes = tuple((_rows, k * _units) for k in _wide)
        CASES.append(Case(_gates, _case, _shapes, real=_rows > 8))


# On a device: sizes that fill it. ResNet's images come 64 at a time there.
CUDA = [
    Case("matmul", "tiny", ((64, 64), (64, 64))),
    Case("matmul", "square-4096", ((4096, 4096), (4096, 4096)), real=True, group="dense"),
    Case("matmul", "square-1024", ((1024, 1024), (1024, 1024)), real=True, group="dense"),
    Case("matmul", "odd-large", ((4095, 4097), (4097, 4093)), real=True, group="odd"),
    Case("matmul", "tall", ((65536, 64), (64, 64)), real=True),
    Case("matmul", "deep", ((128, 65536), (65536, 128)), real=True, note="a gradient of weights"),
    Case("matmul", "batched", ((64, 512, 64), (64, 64, 512)), real=True, note="attention's scores"),
    Case("matmul", "transposed", ((4096, 4096), Transposed((4096, 4096))), real=True, note="a · wᵀ"),
    Case("linear", "tiny", ((32, 256), (10, 256), (10,))),
    Case("linear", "mlp", ((4096, 1024), (4096, 1024), (4096,)), real=True, note="a Transformer's"),
    _conv("tiny", (2, 16, 28, 28), (32, 16, 3, 3), real=False, padding=1),
    *(
        _conv(
            f"resnet-{size}", (64, c, size, size), (c, c, 3, 3),
            padding=1, group="resnet", note=f"ResNet-18, stage {stage}",
        )
        for stage, c, size in ((1, 64, 56), (2, 128, 28), (3, 256, 14), (4, 512, 7))
    ),
    _conv("pointwise", (64, 64, 56, 56), (256, 64, 1, 1), group="1x1", note="ResNet-50's widening 1×1"),
    _conv("narrow-56", (64, 256, 56, 56), (64, 256, 1, 1), group="1x1", note="ResNet-50, stage 1"),
    _conv("narrow-28", (64, 512, 28, 28), (128, 512, 1, 1), group="1x1", note="stage 2"),
    _conv("wide-14", (64, 256, 14, 14), (1024, 256, 1, 1), group="1x1", note="stage 3"),
    _conv("wide-7", (64, 512, 7, 7), (2048, 512, 1, 1), group="1x1", note="stage 4"),
    _conv(
        "strided-56", (64, 64, 56, 56), (128, 64, 3, 3),
        stride=2, padding=1, group="strided", note="ResNet-18, into stage 2",
    ),
    _conv(
        "shortcut-56", (64, 256, 56, 56), (512, 256, 1, 1),
        stride=2, group="strided", note="ResNet-50's shortcut into stage 2",
    ),
    _conv("stem", (64, 3, 224, 224), (64, 3, 7, 7), stride=2, padding=3, note="ResNet's first"),
    _conv("odd-sizes", (33, 65, 55, 57), (67, 65, 3, 3), padding=1, group="odd"),
    _conv(
        "depthwise-112", (64, 32, 112, 112), (32, 1, 3, 3),
        padding=1, groups=32, group="depthwise", note="MobileNet",
    ),
    _conv(
        "depthwise-28", (64, 192, 28, 28), (192, 1, 5, 5), padding=2, groups=192, group="depthwise"
    ),
    _conv(
        "depthwise-strided", (64, 64, 112, 112), (64, 1, 3, 3),
        stride=2, padding=1, groups=64, group="depthwise", note="MobileNet",
    ),
    _conv(
        "depthwise-seven", (64, 96, 56, 56), (96, 1, 7, 7),
        padding=3, groups=96, group="depthwise", note="ConvNeXt",
    ),
    _conv(
        "depthwise-14", (64, 512, 14, 14), (512, 1, 3, 3),
        padding=1, groups=512, group="depthwise", note="MobileNet",
    ),
]  # fmt: skip

# Problems on which a device's rungs are checked before they are timed: no extent is a tile's, or what is left of one
# is a single element; smaller ones first, for the simulator.
ODD = [
    Case("matmul", "one", ((1, 1), (1, 1))),
    Case("matmul", "row", ((1, 7), (7, 33))),
    Case("matmul", "transposed", (Transposed((19, 5)), Transposed((5, 17)))),
    Case("matmul", "batch", ((3, 1, 9, 5), (2, 5, 6))),
    Case("matmul", "past-a-tile", ((129, 67), (67, 131))),
    Case("matmul", "past-two", ((257, 1031), (1031, 259))),
    Case("matmul", "deep", ((33, 9973), (9973, 35))),
    Case("linear", "small", ((5, 7), (9, 7), (9,)), {"activation": "relu"}),
    Case("linear", "odd", ((2, 131, 67), (129, 67), (129,))),
    _conv("one", (1, 1, 1, 1), (1, 1, 1, 1), real=False),
    _conv("uneven", (1, 2, 5, 6), (3, 2, 3, 2), real=False, padding=((0, 1), (2, 0)), stride=(2, 1)),
    _conv("grouped", (2, 6, 5, 4), (9, 2, 1, 2), real=False, groups=3, dilation=2, activation="relu"),
    _conv("channels", (2, 5, 7, 6), (5, 1, 3, 3), real=False, groups=5, padding=1),
    _conv("twice", (3, 33, 29, 31), (66, 1, 5, 5), real=False, groups=33, padding=2, stride=2),
    _conv("seven", (2, 17, 23, 19), (17, 1, 7, 7), real=False, groups=17, padding=3),
    _conv("past-a-tile", (3, 67, 17, 19), (129, 67, 3, 3), real=False, padding=1),
    _conv("pointwise", (5, 131, 13, 11), (67, 131, 1, 1), real=False),
    _conv("strided", (3, 33, 31, 29), (65, 33, 3, 3), real=False, padding=1, stride=2),
    _conv("dilated", (2, 34, 27, 25), (62, 17, 3, 5), real=False, padding=(2, 3), dilation=2, groups=2),
]  # fmt: skip


def odd_cases(ladder: str) -> list[Case]:
    """Return the problems on which a ladder's rungs are checked on a device."""
    return [each for each in ODD if each.ladder == ladder]


def find(
    names: Sequence[str], wanted: Sequence[str] = ("small",), target: str = "cpu"
) -> list[Case]:
    """Return the cases of the ladders and families in `names` (all where empty).

    Each of `wanted` is "small", "real", "all", a group, or a case's own name. A group may also stand among
    `names`: all of its cases are meant then.

    Raises
    ------
    ValueError
        If a name is no ladder, no family and no group, or no case is called so; the message lists what there is.
    """
    ladders, cases = kernels.ladders(target), CUDA if target == "cuda" else CASES
    known = {each.name for each in ladders} | {each.family for each in ladders}
    groups = {each.group for each in cases if each.group} - known
    for name in names:
        if name not in known | groups:
            raise ValueError(
                f"NAME: expected a ladder or a family of {sorted(known)}, "
                f"or a group of cases of {sorted(groups)}, got {name!r}"
            )
    asked = {each.name for each in ladders if not names or {each.name, each.family} & set(names)}
    mine = [each for each in cases if each.ladder in asked]
    there = {"small", "real", "all"}.union(*(each.tags for each in mine))
    for name in wanted if mine else ():
        if name not in there:
            raise ValueError(f"--case: expected one of {sorted(there)}, got {name!r}")
    return [
        each
        for each in cases
        if each.group in groups & set(names) or (each.ladder in asked and each.tags & set(wanted))
    ]
