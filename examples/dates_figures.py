"""What a translator of dates learnt: curves, the contexts that its encoder makes, what it knows when."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from examples import dates
from examples.dates import Writing
from examples.figures import BLUE, GREY, ORANGE, STYLE, save, sheet
from examples.translator import Translator

COLOURS = {"English": BLUE, "French": ORANGE, "figures": "#6a9a3b"}
DATE = datetime.date(1998, 3, 3)
PATHS = ["March 3rd, 1998", "3 mars 1998", "3.3.1998", "the third of March, nineteen ninety-eight"]
READ = ["le mardi 3 mars 1998", "the third of March, nineteen ninety-eight"]


def draw(
    out: Path,
    model: Translator,
    history: list[dict[str, float]],
    writings: list[Writing],
    right: np.ndarray,
) -> Iterator[Path]:
    """Draw all figures into a folder, and yield their paths."""
    yield training(out / "dates-training.png", history, writings, right)
    yield states(out / "dates-states.png", model, writings)
    yield reading(out / "dates-reading.png", model)


def training(
    path: Path, history: list[dict[str, float]], writings: list[Writing], right: np.ndarray
) -> Path:
    """Loss and exact matches over the epochs; exact matches by style."""
    with mpl.rc_context(STYLE):
        figure = sheet(figsize=(9.5, 5.6))
        left, axes = figure.subfigures(1, 2, width_ratios=[1, 1.25])
        top, bottom = left.subplots(2, 1, sharex=True)
        epochs = range(1, len(history) + 1)
        mark = "." * (len(history) < 4)
        top.plot(epochs, [each["loss"] for each in history], color=GREY, marker=mark)
        top.set(title="Cross-entropy a symbol, while learning", yscale="log")
        exact = [100 * each["exact"] for each in history]
        bottom.plot(epochs, exact, color=BLUE, marker=mark)
        bottom.axhline(99, color=ORANGE, lw=0.8, ls="--")
        bottom.set(title="Unseen dates exactly right, %", xlabel="epoch", ylim=(-2, 102))
        axes = axes.subplots()
        style = np.array([each.style for each in writings])
        rows = [i for i in range(len(dates.EVERY)) if (style == i).any()]
        share = [100 * right[style == i].mean() for i in rows]
        languages = [dates.EVERY[i][0] for i in rows]
        for language, colour in COLOURS.items():
            mine = [k for k, each in enumerate(languages) if each == language]
            axes.plot([share[k] for k in mine], mine, "o", color=colour, ms=4, label=language)
        names = [dates.write(dates.EXAMPLE, *dates.EVERY[i]) for i in rows]
        axes.set_yticks(range(len(rows)), names, size=6.5)
        low = min(share, default=0)
        axes.set(
            ylim=(len(rows) - 0.5, -0.5),
            xlim=(min(98, low - 1), 100 + 0.02 * (100 - min(98, low - 1))),
        )
        axes.set(title=f"By style: {right.mean():.2%} of {len(right):,}", xlabel="exactly right, %")
        axes.grid(axis="y", lw=0.3)
        axes.tick_params(axis="y", length=0)
        axes.legend(loc="lower left")
        return save(figure, path)


def contexts(model: Translator, texts: list[str]) -> np.ndarray:
    """Return what the encoder hands over for each text: h and c, side by side (B, 2·H)."""
    return np.concatenate([each[0] for each in model.encode(*dates.encode(texts))], 1)


def prefixes(text: str) -> list[str]:
    """Return the beginnings of a text, from its first character to all of it."""
    return [text[:i] for i in range(1, len(text) + 1)]


def principal(x: np.ndarray, count: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean of rows (N, D), their first principal directions (count, D), and the shares of variance."""
    mean = x.mean(0, dtype=np.float64)
    _, singular, directions = np.linalg.svd(x - mean, full_matrices=False)
    return mean, directions[:count], singular[:count] ** 2 / (singular**2).sum()


def explained(x: np.ndarray, groups: np.ndarray) -> float:
    """Return the share of the variance of rows (N, D) that lies between groups (N,), not inside them.

    Corrected for chance as ω² is, so that groups drawn at random would give 0 however few their rows.
    """
    x = x - x.mean(0, dtype=np.float64)
    total = (x**2).sum()
    _, number = np.unique(groups, return_inverse=True)
    count = np.bincount(number)
    sums = np.zeros((len(count), x.shape[1]))
    np.add.at(sums, number, x)
    between = ((sums**2).sum(1) / count).sum()
    if len(x) <= len(count) or total == 0:
        return float("nan")
    within = (total - between) / (len(x) - len(count))
    return float((between - (len(count) - 1) * within) / (total + within))


def states(path: Path, model: Translator, writings: list[Writing], shown: int = 2000) -> Path:
    """The contexts of held-out dates in the plane where they differ most, and the way to one of them."""
    writings = writings[:shown]
    x = contexts(model, [each.text for each in writings])
    mean, directions, share = principal(x)
    flat = (x - mean) @ directions.T
    when = [each.date for each in writings]
    languages = np.array([dates.EVERY[each.style][0] for each in writings])
    parts = {
        "year": np.array([each.year for each in when]),
        "month": np.array([each.month for each in when]),
        "day": np.array([each.day for each in when]),
        "language": languages,
        "style": np.array([each.style for each in writings]),
    }
    with mpl.rc_context(STYLE):
        figure = sheet(figsize=(10, 6.6))
        grid = figure.subplots(2, 3)
        for axes, part, colours in (
            (grid[0, 0], "year", "viridis"),
            (grid[0, 1], "month", "twilight_shifted"),
        ):
            dots = axes.scatter(*flat.T, c=parts[part], cmap=colours, s=4, lw=0)
            figure.colorbar(dots, ax=axes, shrink=0.8)
            axes.set(title=f"by {part}")
        axes = grid[0, 2]
        for language, colour in COLOURS.items():
            mine = languages == language
            axes.scatter(*flat[mine].T, color=colour, s=4, lw=0, label=language)
        axes.set(title="by language")
        axes.legend(markerscale=3, loc="best")
        for axes in grid[0]:
            axes.set(xlabel=f"first component, {share[0]:.0%}", ylabel=f"second, {share[1]:.0%}")
            axes.set(xticks=[], yticks=[])
        _bars(grid[1, 0], x, parts)
        _paths(figure, grid[1, 1:], model)
        figure.suptitle(
            f"The contexts (h and c, {x.shape[1]} numbers) of {len(x):,} held-out writings",
            x=0.01, ha="left", size=10,
        )  # fmt: skip
        return save(figure, path)


def _bars(axes: mpl.axes.Axes, x: np.ndarray, parts: dict[str, np.ndarray]) -> None:
    values = [100 * explained(x, groups) for groups in parts.values()]
    bars = axes.barh(range(len(parts)), values, color=BLUE, height=0.6)
    axes.bar_label(bars, fmt="%.0f %%", padding=3, size=8)
    axes.set_yticks(range(len(parts)), parts)
    axes.set(
        title="Share of their variance that each explains", xticks=[], ylim=(len(parts) - 0.5, -0.5)
    )
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _paths(figure: Figure, axes: np.ndarray, model: Translator) -> None:
    """The state after each character of four writings of one date, in the plane of these paths."""
    grid = axes[0].get_subplotspec().get_gridspec()
    for each in axes:
        each.remove()
    big = figure.add_subplot(grid[1, 1:])
    walks = [contexts(model, prefixes(text)) for text in PATHS]
    mean, directions, _ = principal(np.concatenate(walks))
    for walk, text, colour in zip(walks, PATHS, (BLUE, ORANGE, COLOURS["figures"], GREY)):
        x, y = ((walk - mean) @ directions.T).T
        big.plot(x, y, color=colour, lw=0.9, label=text)
        for i, letter in enumerate(text):
            big.text(x[i], y[i], letter, color=colour, size=7, ha="center", va="center")
        big.plot(x[-1], y[-1], "o", color=colour, ms=7)
    big.set(title="The state while it reads, letter by letter", xticks=[], yticks=[])
    big.legend(loc="best", fontsize=7)


def reading(path: Path, model: Translator) -> Path:
    """What the decoder would write had the text ended here: the probability of each right symbol."""
    iso = DATE.isoformat()
    with mpl.rc_context(STYLE):
        figure = sheet(figsize=(9.5, 2.6 * len(READ) + 0.4))
        for axes, text in zip(figure.subplots(len(READ), 1), READ):
            texts = prefixes(text)
            right = dates.targets([Writing(text, iso, 0, DATE)] * len(texts))
            logits, _ = model.forward(*dates.encode(texts), right[:-1])
            logits = logits.astype(np.float64).reshape(len(right) - 1, len(texts), -1)
            p = np.exp(logits - logits.max(2, keepdims=True))
            p /= p.sum(2, keepdims=True)
            chosen = np.take_along_axis(p, right[1:, :, None], 2)[:10, :, 0]
            shown = axes.imshow(chosen, cmap="Blues", vmin=0, vmax=1, aspect="auto")
            axes.set_xticks(range(len(text)), text)
            axes.set_yticks(range(10), iso)
            axes.tick_params(length=0)
            axes.set(ylabel="is to be written", xlabel="read so far, up to and with")
            axes.spines[:].set_visible(False)
        figure.colorbar(
            shown, ax=figure.axes, shrink=0.6, label="probability, the symbols before it given"
        )
        figure.suptitle(
            "What the context knows when: had the text ended here, how sure would each symbol be?",
            x=0.01, ha="left", size=10,
        )  # fmt: skip
        return save(figure, path)
