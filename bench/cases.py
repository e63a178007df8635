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
        of extents inside `Plain` is handed over as it is.
    options : dict
    real : bool
        Whether it is a real network's size, rather than one for a quick look.
    note : str
        Where it is met.
    """

    ladder: str
    name: str
    shapes: tuple
    options: dict[str, Any] = field(default_factory=dict)
    real: bool = False
    note: str = ""

    def arrays(self, dtype: Any, seed: int = 0) -> tuple:
        """Draw fresh arguments of the forward call."""
        rng = np.random.default_rng(seed)
        return tuple(
            each.draw(rng) if isinstance(each, Plain) else rng.standard_normal(each).astype(dtype)
            for each in self.shapes
        )

    @property
    def title(self) -> str:
        """The problem in a line."""
        parts = ["×".join(map(str, each)) for each in self.shapes if not isinstance(each, Plain)]
        parts += [each.text for each in self.shapes if isinstance(each, Plain)]
        parts += [f"{key} {value}" for key, value in self.options.items()]
        return ", ".join(parts)


@dataclass(frozen=True)
class Plain:
    """An argument that is no array of normal numbers."""

    text: str
    draw: Callable[[np.random.Generator], Any]


def _window(size: int) -> Plain:
    return Plain(f"window {size}×{size}", lambda rng: size)


def _labels(count: int, classes: int) -> Plain:
    return Plain("class indices", lambda rng: rng.integers(0, classes, count))


def _conv(name, x, w, *, real=True, note="", **options) -> Case:
    return Case("conv2d", name, (x, w, (w[0],)), options, real, note)


CASES = [
    _conv("digits-1", (32, 1, 8, 8), (32, 1, 3, 3), real=False, padding=1),
    _conv("digits-2", (32, 32, 4, 4), (64, 32, 3, 3), real=False, padding=1),
    _conv("tiny", (2, 16, 28, 28), (32, 16, 3, 3), real=False, padding=1),
    _conv("resnet-56", (8, 64, 56, 56), (64, 64, 3, 3), padding=1, note="ResNet-18, stage 1"),
    _conv("resnet-28", (8, 128, 28, 28), (128, 128, 3, 3), padding=1, note="stage 2"),
    _conv("resnet-14", (8, 256, 14, 14), (256, 256, 3, 3), padding=1, note="stage 3"),
    _conv("resnet-7", (8, 512, 7, 7), (512, 512, 3, 3), padding=1, note="stage 4"),
    _conv("pointwise", (8, 64, 56, 56), (256, 64, 1, 1), note="ResNet-50's widening 1×1"),
    _conv("stem", (8, 3, 224, 224), (64, 3, 7, 7), stride=2, padding=3, note="ResNet's first"),
    _conv(
        "depthwise-112", (8, 32, 112, 112), (32, 1, 3, 3), padding=1, groups=32, note="MobileNet"
    ),
    _conv("depthwise-28", (8, 192, 28, 28), (192, 1, 5, 5), padding=2, groups=192),
    Case("matmul", "tiny", ((64, 64), (64, 64))),
    Case("matmul", "odd", ((250, 199), (199, 301))),
    Case("matmul", "square-1024", ((1024, 1024), (1024, 1024)), real=True),
    Case("matmul", "square-2048", ((2048, 2048), (2048, 2048)), real=True),
    Case("matmul", "tall", ((8192, 64), (64, 64)), real=True),
    Case("linear", "tiny", ((32, 256), (10, 256), (10,))),
    Case("linear", "mlp", ((512, 1024), (4096, 1024), (4096,)), real=True, note="a Transformer's"),
]
for _pool in ("max_pool2d", "avg_pool2d"):
    CASES += [
        Case(_pool, "tiny", ((2, 16, 28, 28), _window(2))),
        Case(_pool, "stem", ((8, 64, 112, 112), _window(3)), {"stride": 2, "padding": 1}, True),
        Case(_pool, "inception", ((8, 192, 28, 28), _window(3)), {"stride": 1, "padding": 1}, True),
    ]
for _name in ("relu", "sigmoid", "tanh", "softmax", "log_softmax"):
    CASES += [
        Case(_name, "tiny", ((64, 256),)),
        Case(_name, "rows-1024", ((4096, 1024),), real=True),
    ]
CASES += [
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


def find(names: Sequence[str], wanted: Sequence[str] = ("small",)) -> list[Case]:
    """Return the cases of the ladders and families in `names` (all where empty).

    Each of `wanted` is "small", "real", "all", or a case's own name.

    Raises
    ------
    ValueError
        If a name is no ladder and no family, or no case is called so; the message lists what there is.
    """
    ladders = kernels.ladders()
    known = {each.name for each in ladders} | {each.family for each in ladders}
    for name in names:
        if name not in known:
            raise ValueError(
                f"NAME: expected a ladder or a family of {sorted(known)}, got {name!r}"
            )
    asked = {each.name for each in ladders if not names or {each.name, each.family} & set(names)}
    mine = [each for each in CASES if each.ladder in asked]
    there = {"small", "real", "all"} | {each.name for each in mine}
    for name in wanted:
        if name not in there:
            raise ValueError(f"--case: expected one of {sorted(there)}, got {name!r}")
    return [
        each for each in mine if {"all", each.name, "real" if each.real else "small"} & set(wanted)
    ]
