"""Why gates: how far a gradient reaches back through time, in plain, LSTM and gated recurrent units.

    python -m examples.gradient_flow           three figures, and their numbers, in under five minutes

1. |∂L/∂h_t| against t, where L looks at the last state alone, of fresh networks: RNNs whose recurrent
   weights are a multiple of an orthogonal matrix, LSTMs and GRUs with several biases of the gate that keeps.
2. What an exploding gradient does to learning, and what clipping its norm does about that.
3. The adding problem at lengths 50, 100, 200: who solves it, and when.

Sources: Y. Bengio, P. Simard and P. Frasconi, "Learning Long-Term Dependencies with Gradient Descent is
Difficult", 1994; R. Pascanu, T. Mikolov and Y. Bengio, "On the Difficulty of Training Recurrent Neural
Networks", 2013; for the rest see examples/adding.py.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import kernels
import layers
from examples import adding
from examples.adding import Adder, Curve
from examples.command import above_zero, whole

BACK = 100  # steps that the gradient of part 1 is followed back
SCALES = (0.5, 1.0, 1.5, 2.0, 3.0)
BIASES = (0, 1, 3, 5)
CLIPPED = {  # part 2: the multiple of an orthogonal matrix, and the highest norm
    "weights ×0.9": (0.9, None),
    "weights ×1.2": (1.2, None),
    "weights ×1.2, norm clipped to 1": (1.2, 1.0),
}


def through_time(layer: Any, x: np.ndarray, dh: np.ndarray) -> np.ndarray:
    """Return |∂L/∂h_t| for t = 0 … T, where ∂L/∂h_T is dh (B, H): the mean over rows of their norms.

    The sequence x (T, B, D) goes through the layer one step a call, so that every state's gradient is
    seen as `backward` hands it from one call to the one before. An LSTM's h_t and c_t are two arguments
    of what follows: ∂L/∂h_t here is that of h_t alone, and what c_t carries comes back in it one step on.
    """
    state, caches = None, []
    for each in x:
        (_, state), cache = layer.forward(each[None], state)
        caches.append(cache)
    pair = isinstance(state, tuple)
    gradient: Any = (dh[None], np.zeros_like(dh[None])) if pair else dh[None]
    norms = [_norm(gradient)]
    for cache in reversed(caches):
        _, gradient = layer.backward(None, cache, gradient)
        norms.append(_norm(gradient))
    return np.array(norms[::-1])


def _norm(gradient: Any) -> float:
    return float(np.linalg.norm(adding.last(gradient).astype(np.float64), axis=1).mean())


def plain(hidden: int, scale: float, seed: int) -> layers.RNN:
    """Return an RNN whose recurrent weights are `scale` times a random orthogonal matrix."""
    rng = np.random.default_rng(seed)
    layer = layers.RNN(2, hidden, rng=rng)
    q, _ = np.linalg.qr(rng.standard_normal((hidden, hidden)))
    layer.weight_hh_l0.data[...] = scale * q
    return layer


def flow(length: int, hidden: int, seed: int) -> dict[str, dict[float, np.ndarray]]:
    """Return part 1: for RNN, LSTM and GRU, the norms for each scale or bias, relative to the last."""
    rng = np.random.default_rng([seed, 1])
    x, _ = adding.sequences(length, adding.BATCH, rng)
    dh = rng.standard_normal((adding.BATCH, hidden)).astype(np.float32)
    result: dict[str, dict[float, np.ndarray]] = {"RNN": {}, "LSTM": {}, "GRU": {}}
    for scale in SCALES:
        result["RNN"][scale] = through_time(plain(hidden, scale, seed), x, dh)
    for value in BIASES:
        for name, kind in (("LSTM", layers.LSTM), ("GRU", layers.GRU)):
            layer: Any = kind(2, hidden, rng=seed)
            adding.bias(layer, 1, value)  # the forget gate f; of a GRU, the update gate z
            result[name][value] = through_time(layer, x, dh)
    return {
        name: {value: norms / norms[-1] for value, norms in each.items()}
        for name, each in result.items()
    }


def clipping(steps: int, hidden: int, seed: int) -> dict[str, Curve]:
    """Return part 2: RNNs with small and large recurrent weights, trained by SGD, and what clipping does."""
    curves = {}
    for name, (scale, clip) in CLIPPED.items():
        layer = plain(hidden, scale, seed)
        model = Adder(layer, hidden, rng=seed)
        optimizer = layers.SGD(model.parameters(), lr=0.04)
        curve = Curve(name, 50)
        curves[name] = adding.train(model, optimizer, curve, steps=steps, clip=clip, seed=seed)
    return curves


def race(
    lengths: Sequence[int], steps: int, hidden: int, lr: float | None, seed: int, minutes: float
) -> list[Curve]:
    """Return part 3: every kind at every length; the minutes are there for a slow machine."""
    runs = [Curve(kind, length) for length in lengths for kind in adding.KINDS]
    with tqdm(runs, unit="run", disable=None) as bar:
        bar.set_description("compiling the loops")
        for kind in adding.KINDS:
            model = adding.adder(kind, min(lengths), seed, hidden)
            rehearsal, optimizer = Curve(kind, min(lengths)), layers.Adam(model.parameters())
            adding.train(model, optimizer, rehearsal, steps=1, seed=seed)
        end = time.perf_counter() + 60 * minutes
        for i, curve in enumerate(bar):
            bar.set_description(f"{curve.kind}, {curve.length} steps")
            model = adding.adder(curve.kind, curve.length, seed, hidden)
            optimizer = layers.Adam(model.parameters(), lr=lr or adding.KINDS[curve.kind])
            now = time.perf_counter()
            share = curve.length / sum(each.length for each in runs[i:])
            deadline = now + (end - now) * min(
                1, 2 * share
            )  # most are solved before their share is over
            adding.train(model, optimizer, curve, steps=steps, seed=seed, deadline=deadline)
    return runs


def told(parts: tuple[dict, dict[str, Curve], list[Curve]]) -> None:
    """Print the numbers behind the figures."""
    norms, clipped, runs = parts
    names = {"RNN": "recurrent weights ×", "LSTM": "forget bias", "GRU": "update bias"}
    length = len(norms["RNN"][SCALES[0]]) - 1
    marks = [each for each in (10, 20, 50, 100) if each <= length]
    print(f"1. |∂L/∂h_t| over that of the last state, {', '.join(map(str, marks))} steps back")
    for kind, each in norms.items():
        for value, curve in each.items():
            told = "  ".join(f"{curve[length - back]:8.1e}" for back in marks)
            print(f"   {kind:4} {names[kind]} {value:<3}  {told}")
    print("2. RNNs learn the adding problem, 50 steps long, by SGD")
    for name, curve in clipped.items():
        steps, norm = len(curve.norms), np.array(curve.norms)
        if not np.isfinite(norm[-1]):
            end = f"not finite after {steps} steps"
        else:
            end = f"error {curve.errors[-1]:.4f} after {steps} steps"
        norm = norm[np.isfinite(norm)]
        print(
            f"   {name}: {end}; norm of the gradient: median {np.median(norm):.2g}, highest {norm.max():.2g}"
        )
    print(
        f"3. The adding problem: mean square error on 1,024 held-out sequences (guessing 1: {adding.BASELINE:.4f}), "
        f"solved where below {adding.SOLVED}"
    )
    for curve in runs:
        verdict = "not solved" if curve.solved is None else f"solved at step {curve.solved:,}"
        cut = ", cut off by the clock" if curve.cut and curve.solved is None else ""
        print(
            f"   {curve.length:4}  {curve.kind:20} {curve.errors[-1]:.4f}  {verdict} "
            f"of {curve.steps[-1]:,} ({curve.seconds:.0f} s{cut})"
        )


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.gradient_flow", description=__doc__.split("\n")[0]
    )
    add = parser.add_argument
    add("--out", type=Path, default=Path("figures"), metavar="FOLDER", help="where the figures go")
    add("--lengths", type=whole(2), nargs="+", help="of the adding problem (50 100 200)")
    add("--steps", type=whole(1), help="of training, at most (2500; 20 with --quick)")
    add("--hidden", type=whole(2), help=f"units of every network ({adding.HIDDEN})")
    add("--lr", type=above_zero, help="Adam's learning rate, part 3 (0.01, but 0.001 for the RNN)")
    add("--minutes", type=above_zero, default=4, help="for the adding problem, at most (4)")
    add("--seed", type=whole(0), default=0, help="of weights and sequences (0)")
    add("--threads", type=whole(1), help="threads of the kernels (all)")
    add("--quick", action="store_true", help="short sequences, few steps: does it run?")
    options = parser.parse_args(argv)
    options.fail = parser.error
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, train, report, draw."""
    options = arguments(argv)
    quick, seed = options.quick, options.seed
    hidden = options.hidden or (16 if quick else adding.HIDDEN)
    steps = options.steps or (20 if quick else 2500)
    lengths = options.lengths or ([10, 20] if quick else [50, 100, 200])
    start = time.perf_counter()
    try:
        kernels.set_num_threads(options.threads)
        options.out.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        options.fail(str(error))
    norms = flow(20 if quick else BACK, hidden, seed)
    curves = clipping(steps, hidden, seed)
    runs = race(lengths, steps, hidden, options.lr, seed, options.minutes)
    told((norms, curves, runs))
    from examples import gradient_figures as figures  # matplotlib is slow to import

    for path in (
        figures.flow(options.out / "gradient-flow.png", norms),
        figures.clipping(options.out / "gradient-clipping.png", curves),
        figures.race(options.out / "adding-problem.png", runs),
    ):
        print(f"figure: {path}")
    print(f"{time.perf_counter() - start:.0f} s in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
