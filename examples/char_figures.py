"""What `char_lstm` has learnt, as pictures: its perplexity, its temperatures, its gates over a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from examples.char_units import Unit
from examples.figures import BLUE, GREY, ORANGE, STYLE, save, sheet

VISIBLE = {" ": "␣", "\n": "↵", "\t": "⇥"}
GATES = (("i", "input i"), ("f", "forget f"), ("o", "output o"), ("g", "new g"), ("c", "cell c"))


def curves(
    path: Path, history: list[dict[str, float]], shares: dict[float, float], own: float
) -> Path:
    """Perplexity over the epochs; how many words are known at which temperature."""
    with mpl.rc_context(STYLE):
        figure = sheet(figsize=(8.5, 3.3))
        left, right = figure.subplots(1, 2)
        epochs = range(1, len(history) + 1)
        marker = "." * (len(history) < 4)
        for key, colour, label in (
            ("perplexity", GREY, "learnt from (with dropout)"),
            ("held_out", BLUE, "held out"),
        ):
            left.plot(
                epochs, [each[key] for each in history], color=colour, label=label, marker=marker
            )
        left.set(title="Perplexity of a character", xlabel="epoch", yscale="log")
        low = min(each[key] for each in history for key in ("perplexity", "held_out"))
        high = max(each[key] for each in history for key in ("perplexity", "held_out"))
        marks = (2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 8, 10, 15, 20, 40, 80)
        left.set_ylim(0.95 * low, 1.05 * high)
        left.set_yticks([each for each in marks if low <= each <= high] or [low, high])
        left.yaxis.set_major_formatter("{x:g}")
        left.yaxis.set_minor_locator(mpl.ticker.NullLocator())
        last = history[-1]["held_out"]
        left.annotate(
            f"{last:.2f}", (len(history), last), (-2, 6), textcoords="offset points",
            ha="right", color=BLUE,
        )  # fmt: skip
        left.legend()
        order = sorted(each for each in shares if np.isfinite(shares[each]))
        right.plot(order, [100 * shares[each] for each in order], color=BLUE, marker=".")
        right.axhline(100 * own, color=ORANGE, lw=0.8, ls="--")
        right.annotate(
            "the held-out text itself", (0, 100 * own), (4, -11), color=ORANGE,
            xycoords=("axes fraction", "data"), textcoords="offset points",
        )  # fmt: skip
        right.set(
            title="Words written that the text learnt from has, %",
            xlabel="temperature",
            ylim=(None, 101),
        )
        return save(figure, path)


def gates(
    path: Path,
    sentence: str,
    acts: dict[str, np.ndarray],
    units: list[Unit],
    largest: np.ndarray,
) -> Path:
    """Gates and cells of chosen units over the characters of a sentence, one block a unit."""
    steps = len(sentence)
    image: Any = {"aspect": "auto", "interpolation": "nearest"}
    with mpl.rc_context({**STYLE, "axes.spines.left": False, "axes.spines.bottom": False}):
        figure = sheet(figsize=(max(6.0, 2.2 + 0.12 * steps), 0.8 + 1.2 * len(units)))
        figure.suptitle("What the gates do while a sentence is read", x=0.01, ha="left", size=10)
        grid = figure.add_gridspec(len(units), 2, width_ratios=[60, 1])
        for k, unit in enumerate(units):
            axes = figure.add_subplot(grid[k, 0])
            rows = [acts[name][:, unit.number] for name, _ in GATES]
            rows[4] = rows[4] / largest[unit.number]
            opened = axes.imshow(
                rows[:3], cmap="Blues", vmin=0, vmax=1, extent=(0, steps, 3, 0), **image
            )
            signed = axes.imshow(
                rows[3:], cmap="RdBu_r", vmin=-1, vmax=1, extent=(0, steps, 5, 3), **image
            )
            axes.axhline(3, color="w", lw=2)
            axes.set(xlim=(0, steps), ylim=(5, 0))
            axes.set_yticks(np.arange(5) + 0.5, [label for _, label in GATES], size=7)
            axes.set_xticks(
                np.arange(steps) + 0.5,
                [VISIBLE.get(each, each) for each in sentence],
                size=7,
                family="monospace",
            )
            axes.tick_params(length=0, pad=2)
            axes.set_title(f"unit {unit.number}: {unit.name}, r = {unit.r:+.2f}", size=8)
        if units:
            axes.set_xlabel("the character just read", size=8)
            half = max(1, len(units) // 2)
            for shown, rows, label in (
                (opened, slice(None, half), "i, f, o: from shut to open"),
                (signed, slice(half, None), "g; c as a share of its largest"),
            ):
                if shown is signed and len(units) < 2:
                    continue
                bar = figure.colorbar(shown, cax=figure.add_subplot(grid[rows, 1]))
                bar.set_label(label, size=7)
                bar.ax.tick_params(labelsize=7)
        return save(figure, path)
