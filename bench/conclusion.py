"""What the command does with what it measured, on any target: sums it up, prints, writes files."""

from __future__ import annotations

import argparse
from typing import Any

from rich.console import Console

from bench import choice, report, summary
from bench.race import Race


def conclude(
    races: list[Race],
    options: argparse.Namespace,
    about: dict[str, Any],
    limits: dict[str, float],
    console: Console,
    words: str,
) -> int:
    """Show groups and choices, write what was asked for, name what was wrong; return 1 if anything was.

    `about` says what the numbers hold for; `words` are what was typed after ``python -m bench``.
    """
    lines = list(summary.lines(races))
    if lines and len({(race.case.ladder, race.case.name) for race in races}) > 1:
        report.show_lines(lines, console)
    picks = choice.choices(races) if options.choice else []
    if options.choice:
        choice.show(picks, console)
    about = {**about, "strict": options.strict}
    if options.json:
        report.dump(races, about, options.json, summary=lines, choice=picks)
        console.print(f"written: {options.json}")
    if options.plot:
        from bench import chart

        for path in chart.draw(races, limits, options.plot):
            console.print(f"written: {path}")
    if options.readme:
        for path in report.write_readme(races, about, f"python -m bench {words}"):
            console.print(f"written: {path}")
    wrong = [f"{r.case.ladder} {r.case.name} {r.direction}" for r in races if not r.correct]
    for name in wrong:
        console.print(f"[red]wrong: {name}[/red]")
    return 1 if wrong else 0
