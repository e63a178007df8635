"""How far gradients reach, what clipping does, and who solves the adding problem, as figures."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np

from examples import adding
from examples.adding import Curve
from examples.figures import BLUE, GREY, ORANGE, STYLE, save, sheet

COLOURS = {
    "RNN": ORANGE,
    "LSTM, forget bias 1": "#7fb2dd",
    "LSTM, chrono bias": BLUE,
    "GRU": "#6a9a3b",
}


def flow(path: Path, norms: dict[str, dict[float, np.ndarray]]) -> Path:
    """|∂L/∂h_t| against the steps back, of each kind of network, for each scale or bias."""
    titles = {
        "RNN": "RNN: recurrent weights ×",
        "LSTM": "LSTM: bias of the forget gate",
        "GRU": "GRU: bias of the update gate",
    }
    with mpl.rc_context(STYLE):
        figure = sheet(figsize=(10, 3.6))
        grid = figure.subplots(1, 3, sharey=True)
        for axes, (kind, each) in zip(grid, norms.items()):
            shades = mpl.colormaps["viridis"](np.linspace(0, 0.88, len(each)))
            for shade, (value, curve) in zip(shades, each.items()):
                back = np.arange(len(curve))[::-1]
                axes.plot(back, np.maximum(curve, 1e-30), color=shade, lw=1.4, label=f"{value:g}")
                if kind != "RNN":
                    keep = 1 / (1 + np.exp(-value))
                    axes.plot(back, np.maximum(keep**back, 1e-30), color=shade, lw=0.7, ls=":")
            axes.axhline(1, color=GREY, lw=0.5)
            axes.set(title=titles[kind], xlabel="steps back from the last", yscale="log")
            axes.set(ylim=(1e-16, 1e16), xlim=(0, len(back) - 1))
            axes.legend(fontsize=8, loc="upper left", ncols=2)
        grid[0].set_ylabel("|∂L/∂h_t| over that of the last")
        for axes in grid[1:]:
            axes.text(
                0.02,
                0.02,
                "dotted: σ(bias) to that power",
                transform=axes.transAxes,
                size=7.5,
                color=GREY,
            )
        figure.suptitle(
            "How a gradient fades or grows on its way back, before any training",
            x=0.01,
            ha="left",
            size=10,
        )
        return save(figure, path)


def clipping(path: Path, curves: dict[str, Curve]) -> Path:
    """Error and gradient norm of RNNs with small and large weights, trained without and with clipping."""
    with mpl.rc_context(STYLE):
        figure = sheet(figsize=(9, 3.4))
        left, right = figure.subplots(1, 2)
        for (name, curve), colour in zip(curves.items(), (GREY, ORANGE, BLUE)):
            for axes, values in ((left, curve.losses), (right, curve.norms)):
                values = np.array(values)
                values = values[np.isfinite(values)]
                window = min(20, len(values))
                smooth = np.exp(np.convolve(np.log(values), np.full(window, 1 / window), "valid"))
                steps = np.arange(1, len(values) + 1)
                axes.plot(steps, values, color=colour, lw=0.5, alpha=0.35)
                if len(values) > 100:
                    axes.plot(steps[window - 1 :], smooth, color=colour, lw=1.4, label=name)
                else:
                    axes.plot(steps, values, color=colour, lw=1.4, label=name)
                if len(values) < len(curve.losses) or not np.isfinite(curve.norms[-1]):
                    axes.plot(steps[-1], values[-1], "x", color=colour, ms=8, mew=2)
        left.axhline(adding.BASELINE, color=GREY, lw=0.8, ls="--")
        left.annotate("guessing 1", (0, adding.BASELINE), (4, -10), xycoords=("axes fraction", "data"),
                      textcoords="offset points", size=7.5, color=GREY)  # fmt: skip
        left.set(
            title="Squared error of each step's batch",
            xlabel="step",
            yscale="log",
            xscale="log",
            ylim=(1e-3, 1e4),
        )
        right.set(
            title="Norm of the gradient, before any clipping",
            xlabel="step",
            yscale="log",
            xscale="log",
            ylim=(1e-2, 1e6),
        )
        left.legend(loc="lower left", fontsize=8)
        return save(figure, path)


def race(path: Path, runs: list[Curve]) -> Path:
    """The error on held-out sequences of each kind at each length."""
    lengths = list(dict.fromkeys(each.length for each in runs))
    with mpl.rc_context(STYLE):
        figure = sheet(figsize=(3.4 * len(lengths), 3.6))
        grid = figure.subplots(1, len(lengths), sharey=True, squeeze=False)[0]
        for axes, length in zip(grid, lengths):
            for curve in runs:
                if curve.length == length:
                    colour = COLOURS[curve.kind]
                    axes.plot(curve.steps, curve.errors, color=colour, lw=1.4, label=curve.kind)
                    end = "o" if curve.solved else "x"
                    axes.plot(curve.steps[-1], curve.errors[-1], end, color=colour, ms=5)
            axes.axhline(adding.BASELINE, color=GREY, lw=0.8, ls="--")
            axes.axhline(adding.SOLVED, color=GREY, lw=0.8, ls=":")
            axes.set(
                title=f"{length} steps long",
                xlabel="step of training",
                yscale="log",
                ylim=(1e-3, 2),
            )
            axes.set_xlim(left=0)
        grid[0].set_ylabel("squared error, held out")
        for level, label in ((adding.BASELINE, "guessing 1"), (adding.SOLVED, "solved")):
            grid[-1].annotate(label, (1, level), (-2, -10), xycoords=("axes fraction", "data"),
                              textcoords="offset points", ha="right", size=7.5, color=GREY)  # fmt: skip
        grid[0].legend(fontsize=7.5, loc="lower right")
        return save(figure, path)
