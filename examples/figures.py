"""What a trained network looks like: curves, filters, feature maps, mistakes."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

import layers
from examples.datasets import Images

STYLE = {
    "figure.dpi": 130,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "legend.frameon": False,
}
BLUE, ORANGE, GREY = "#1f6fb4", "#d9662b", "#9a9a9a"


def save(figure: Figure, path: Path) -> Path:
    """Write a figure to a file."""
    figure.savefig(path)
    return path


def sheet(**size: Any) -> Figure:
    """Start a figure in the house's style, without touching pyplot's global state."""
    with mpl.rc_context(STYLE):
        return Figure(layout="constrained", **size)


def curves(path: Path, histories: list[list[dict[str, float]]]) -> Path:
    """Loss and accuracy over the epochs, on what is learnt from and on what is held out."""
    with mpl.rc_context(STYLE):
        figure = sheet(figsize=(8, 3.2))
        left, right = figure.subplots(1, 2)
        for i, history in enumerate(histories):
            epochs = range(1, len(history) + 1)
            for axes, key in ((left, "loss"), (right, "accuracy")):
                scale = 100 if key == "accuracy" else 1
                for name, colour, label in (
                    (key, GREY, "learnt from (moved at random)"),
                    (f"test_{key}", BLUE, "held out"),
                ):
                    values = [scale * each[name] for each in history]
                    label = label if i == 0 else None
                    axes.plot(
                        epochs,
                        values,
                        color=colour,
                        label=label,
                        lw=1.2,
                        marker="." * (len(history) < 4),
                    )
        left.set(title="Cross-entropy", xlabel="epoch", yscale="log")
        final = [100 * each[-1]["test_accuracy"] for each in histories]
        low = min(
            each[key] for h in histories for each in h for key in ("accuracy", "test_accuracy")
        )
        right.set(title="Accuracy, %", xlabel="epoch", ylim=(max(0, min(95, 100 * low - 2)), 100.3))
        seeds = f"median of {len(final)} seeds" if len(final) > 1 else "at the end"
        right.axhline(np.median(final), color=ORANGE, lw=0.8, ls="--")
        right.annotate(
            f"{np.median(final):.2f} % {seeds}",
            (1, np.median(final)), (-4, -12), xycoords=("axes fraction", "data"),
            textcoords="offset points", ha="right", color=ORANGE,
        )  # fmt: skip
        left.legend()
        return save(figure, path)


def filters(path: Path, weights: np.ndarray) -> Path:
    """The first layer's filters: what each responds to, colours where there are three channels."""
    count, channels = weights.shape[:2]
    columns = 8
    rows = -(-count // columns)
    with mpl.rc_context(STYLE):
        figure = sheet(figsize=(6, 0.8 * rows + 0.6))
        most = np.abs(weights).max()
        for i, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
            axes.axis("off")
            if i < count and channels == 3:
                axes.imshow(weights[i].transpose(1, 2, 0) / (2 * most) + 0.5)
            elif i < count:
                shown = axes.imshow(weights[i].mean(0), cmap="RdBu", vmin=-most, vmax=most)
        if channels != 3:
            figure.colorbar(shown, ax=figure.axes, shrink=0.7, label="weight")
        figure.suptitle(f"The {count} filters of the first convolution", x=0.01, ha="left", size=10)
        return save(figure, path)


def features(path: Path, model: layers.Sequential, images: Images, shown: int = 12) -> Path:
    """What one image becomes after each stage: the channels that answer most, brighter for more."""
    x = images.test_x[:1]
    stages = [("input", x)]
    for i, layer in enumerate(model, 1):
        if isinstance(layer, layers.ReLU | layers.MaxPool2d):
            name = "max-pool" if isinstance(layer, layers.MaxPool2d) else "convolution, relu"
            stages.append((name, model[:i](x)))
    with mpl.rc_context(STYLE):
        figure = sheet(figsize=(9, 1.05 * len(stages)))
        grid = figure.subplots(
            len(stages), shown + 1, gridspec_kw={"width_ratios": [2.4] + [1] * shown}
        )
        strongest: Any = None
        for row, (name, maps) in zip(grid, stages):
            channels, height, width = maps.shape[1:]
            row[0].axis("off")
            row[0].text(
                0,
                0.5,
                f"{name}\n{channels} channel{'s' * (channels > 1)} of {height}×{width}",
                va="center",
                size=8,
            )
            if name.startswith("convolution"):  # the pooling below shows the same channels
                strongest = np.argsort(-maps[0].mean((1, 2)))[:shown]
            order = range(channels) if strongest is None else strongest
            top = maps.max() or 1
            for axes, channel in zip(row[1:], order):
                axes.imshow(maps[0, channel], cmap="magma", vmin=0, vmax=top)
            for axes in row[1:]:
                axes.axis("off")
        label = images.classes[images.test_y[0]]
        figure.suptitle(
            f"A held-out “{label}” on its way through the network", x=0.01, ha="left", size=10
        )
        return save(figure, path)


def confusion(path: Path, probabilities: np.ndarray, images: Images, shown: int = 12) -> Path:
    """How often each class is read as each, and the images that were misread."""
    predicted, truth = probabilities.argmax(1), images.test_y
    count = len(images.classes)
    matrix = np.zeros((count, count), int)
    np.add.at(matrix, (truth, predicted), 1)
    wrong = np.flatnonzero(predicted != truth)
    wrong = wrong[np.argsort(-probabilities[wrong, predicted[wrong]])][:shown]
    with mpl.rc_context(STYLE):
        figure = sheet(figsize=(9.5, 4.4))
        left, right = figure.subfigures(1, 2, width_ratios=[1.2, 1])
        axes = left.subplots()
        axes.imshow(np.log1p(matrix), cmap="Blues")
        for i, j in zip(*matrix.nonzero()):
            dark = np.log1p(matrix[i, j]) > 0.6 * np.log1p(matrix.max())
            axes.text(
                j, i, matrix[i, j], ha="center", va="center", size=7, color="w" if dark else "k"
            )
        turn = (
            {"rotation": 60, "ha": "right", "rotation_mode": "anchor"}
            if max(map(len, images.classes)) > 2
            else {}
        )
        axes.set_xticks(range(count), images.classes, **turn)
        axes.set_yticks(range(count), images.classes)
        axes.set(xlabel="read as", ylabel="is", title=f"{len(truth)} held-out images")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        total = int((predicted != truth).sum())
        if total == 0:
            right.suptitle("None was misread", size=10)
        else:
            most = "" if total <= shown else f", the {shown} most confident"
            right.suptitle(f"{total} misread{most}", x=0.02, ha="left", size=10)
            columns = max(2, math.ceil(math.sqrt(len(wrong))))
            grid = right.subplots(-(-len(wrong) // columns), columns, squeeze=False)
            for axes, i in itertools.zip_longest(grid.flat, wrong):
                axes.axis("off")
                if i is not None:
                    image = images.test_x[i]
                    axes.imshow(
                        image[0] if len(image) == 1 else image.transpose(1, 2, 0), cmap="gray_r"
                    )
                    was, read = images.classes[truth[i]], images.classes[predicted[i]]
                    sure = probabilities[i, predicted[i]]
                    axes.set_title(f"{was} read {read}\n{sure:.0%} sure", size=7, loc="center")
        return save(figure, path)
