"""Ladders as bar charts: a picture for each group of cases, a panel for each case and direction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bench.race import Race
from bench.report import rate

RUNG, CHOSEN, PEER, CEILING = "#a9bfd8", "#1f5fa8", "#dba45c", "#a8322a"
FAR = 20  # times between the longest and the shortest bar from which the axis is logarithmic


def draw(races: list[Race], ceilings: dict[str, float], folder: Path) -> list[Path]:
    """Write ``LADDER-GROUP.png`` for every ladder and group of cases (a case without one is its own)."""
    folder.mkdir(parents=True, exist_ok=True)
    groups: dict[str, list[Race]] = {}
    for race in races:
        if any(row.seconds for row in race.rungs):
            name = f"{race.case.ladder}-{race.case.group or race.case.name}"
            groups.setdefault(name, []).append(race)
    written = []
    for name, mine in groups.items():
        path = folder / f"{name}.png"
        _figure(mine, ceilings).savefig(path, dpi=130)
        written.append(path)
    return written


def _figure(races: list[Race], ceilings: dict[str, float]) -> Figure:
    """Lay the races out: a row for each case, a column for each direction."""
    cases = list(dict.fromkeys(race.case.name for race in races))
    directions = list(dict.fromkeys(race.direction for race in races))
    bars = max(len(_bars(race)) for race in races)
    figure = Figure(
        (4.5 * len(directions), 0.7 + (0.7 + 0.22 * bars) * len(cases)), layout="constrained"
    )
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(cases), len(directions), squeeze=False)
    for panel in panels.flat:
        panel.set_axis_off()
    for race in races:
        panel = panels[cases.index(race.case.name)][directions.index(race.direction)]
        _panel(panel, race, ceilings)
    figure.suptitle(f"{races[0].case.ladder}, {races[0].dtype}", fontsize=11, weight="bold")
    key = [
        Patch(color=RUNG, label="rung"),
        Patch(color=CHOSEN, label='what algorithm="auto" takes'),
        Patch(color=PEER, label="peer"),
        Line2D([], [], color=CEILING, linestyle="--", label="measured ceiling"),
    ]
    columns = 4 if len(directions) > 1 else 2
    figure.legend(handles=key, loc="outside lower center", ncols=columns, fontsize=8, frameon=False)
    return figure


def _bars(race: Race) -> list[tuple[str, float, str]]:
    """Name, seconds and colour of each bar, from the formula up, then the peers."""
    bars = []
    for row in race.rungs:
        colour = CHOSEN if row.chosen else RUNG
        bars.append((row.name, row.seconds, colour))
        if row.chosen:
            bars.append((f"{row.name}, packed once", row.packed_seconds, colour))
    bars += [(row.name, row.seconds, PEER) for row in race.peers]
    return [(name, seconds, colour) for name, seconds, colour in bars if seconds]


def _panel(panel: Any, race: Race, ceilings: dict[str, float]) -> None:
    """Draw one race, its rates written at the ends of the bars."""
    names, seconds, colours = zip(*_bars(race))
    rates = [rate(race, each, ceilings)[0] for each in seconds]
    value, unit, share = rate(race, 1.0, ceilings)
    ceiling = value / share
    least, most = min(rates), max(*rates, ceiling)
    panel.set_axis_on()
    panel.barh(range(len(rates)), rates, color=colours, height=0.76)
    panel.set_yticks(range(len(rates)), names, fontsize=8)
    panel.invert_yaxis()
    panel.axvline(ceiling, color=CEILING, linestyle="--", linewidth=1)
    if most > FAR * least:
        panel.set_xscale("log")
        panel.xaxis.set_major_formatter("{x:g}")
        panel.set_xlim(least / 2, most * (most / least) ** 0.2)
    else:
        panel.set_xlim(0, most * 1.2)
    for place, each in enumerate(rates):
        panel.annotate(
            f"{each:.3g}", (each, place), (3, 0), textcoords="offset points", va="center",
            fontsize=8, bbox={"color": "white", "pad": 0.5}, zorder=3,
        )  # fmt: skip
    title = f"{race.case.name} · {race.direction} · {unit}, ceiling {ceiling:.3g}"
    panel.set_title(title, fontsize=9, loc="left")
    panel.tick_params(axis="x", labelsize=7)
    panel.tick_params(axis="y", length=0)
    panel.spines[["top", "right", "left"]].set_visible(False)
