"""Does ``algorithm="auto"`` take the fastest rung? Its pick beside the best of those that accept."""

from __future__ import annotations

from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table

from bench.race import Race

ENOUGH = 0.9  # of the best rung's speed: what a choice should reach


@dataclass
class Choice:
    """What was picked and what was best, in one case and direction; `ratio` is best / picked seconds."""

    ladder: str
    case: str
    direction: str
    picked: str
    picked_seconds: float
    best: str
    best_seconds: float
    ratio: float


def choices(races: list[Race]) -> list[Choice]:
    """Judge the choice of every race whose picked rung was timed."""
    found = []
    for race in races:
        times = {row.name: row.seconds for row in race.rungs if row.seconds}
        picked = next((row.name for row in race.rungs if row.chosen), None)
        if picked in times:
            best = min(times, key=times.__getitem__)
            ratio = times[best] / times[picked]
            found.append(
                Choice(
                    race.case.ladder, race.case.name, race.direction,
                    picked, times[picked], best, times[best], ratio,
                )
            )  # fmt: skip
    return found


def show(found: list[Choice], console: Console) -> None:
    """Print every choice, then name those that are not good enough."""
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("", "case", "direction", "auto takes", "best"):
        table.add_column(heading, no_wrap=True)
    for heading in ("auto, ms", "best, ms", "best / auto"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in found:
        table.add_row(
            each.ladder, each.case, each.direction, each.picked, each.best,
            f"{1e3 * each.picked_seconds:.4g}", f"{1e3 * each.best_seconds:.4g}", f"{each.ratio:.2f}",
        )  # fmt: skip
    console.print(table)
    poor = [each for each in found if each.ratio < ENOUGH]
    console.print(
        f"{len(found) - len(poor)} of {len(found)} choices reach {ENOUGH} of the best rung"
    )
    for each in poor:
        console.print(
            f"  {each.ladder} {each.case} {each.direction}: {each.picked}, "
            f"{each.ratio:.2f} of {each.best}"
        )
