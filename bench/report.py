"""Races as tables: for the terminal, for a README, as JSON."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import re
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

import kernels
from bench.race import Race, Row
from bench.summary import Line, Standing

ROOT = Path(__file__).resolve().parents[1]


def rate(race: Race, seconds: float, ceilings: dict[str, float]) -> tuple[float, str, float]:
    """Return the rate, its unit, and its share of what this machine could do.

    The unit is that of what bounds the problem (the roofline): GFLOP/s where its arithmetic would take
    longer than its traffic, GB/s where it is the other way round.
    """
    if not _bound_by_bytes(race, ceilings):
        value, unit = race.flops / seconds / 1e9, "GFLOP/s"
        return value, unit, value / ceilings["gflops"]
    value, unit = race.bytes / seconds / 1e9, "GB/s"
    return value, unit, value / ceilings["gbytes"]


def _bound_by_bytes(race: Race, ceilings: dict[str, float]) -> bool:
    return race.flops / ceilings["gflops"] < race.bytes / ceilings["gbytes"]


def milliseconds(seconds: float | None) -> str:
    """Spell a time in milliseconds, with three figures."""
    if seconds is None:
        return ""
    value = 1e3 * seconds
    return f"{value:.4f}" if value < 0.1 else f"{value:.3f}" if value < 10 else f"{value:.1f}"


def faster(than: float | None, seconds: float | None) -> str:
    """Spell how many times as fast `seconds` is as `than`."""
    return "" if not than or not seconds else f"{than / seconds:.2f}×"


def machine(threads: int, ceilings: dict[str, float]) -> dict[str, Any]:
    """Describe what the numbers hold for."""
    import llvmlite
    import llvmlite.binding as llvm
    import numba

    return {
        "cpu": llvm.get_host_cpu_name(),
        "cores": os.cpu_count(),
        "threads": threads,
        "threading_layer": kernels.core.threads.layer(),
        "python": platform.python_version(),
        "numba": numba.__version__,
        "llvmlite": llvmlite.__version__,
        "numpy": np.__version__,
        "peak_gflops": ceilings["gflops"],
        "copy_gbytes": ceilings["gbytes"],
    }


def show(race: Race, ceilings: dict[str, float], console: Console) -> None:
    """Print one race as a table."""
    table = Table(
        title=f"{race.case.ladder} {race.direction} · {race.case.name} · {race.case.title} · {race.dtype}",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
    )
    timed = [row for row in race.peers if row.seconds]
    table.add_column("rung", no_wrap=True)
    packs = any(row.packed_seconds for row in race.rungs)
    times = ("ms", "with out=", "packed") if packs else ("ms", "with out=")
    for heading in (*times, "error", "rate", "of ceiling", "× floor", "/ below"):
        table.add_column(heading, justify="right", no_wrap=True)
    for peer in timed:
        table.add_column(f"/ {peer.name}", justify="right")
    below = {row.name: row.seconds for row in race.rungs}
    for row in (*race.rungs, *timed):
        name = f"{row.name} ←" if row.chosen else row.name
        if row.seconds is None:
            table.add_row(name)
            continue
        value, unit, share = rate(race, row.seconds, ceilings)
        ours = row in race.rungs
        table.add_row(
            name,
            milliseconds(row.seconds),
            milliseconds(row.out_seconds),
            *([milliseconds(row.packed_seconds)] if packs else []),
            "" if row.max_error is None else f"{row.max_error:.0e}",
            f"{value:.1f} {unit}",
            f"{share:.0%}",
            f"{row.seconds / race.floor:.2f}" if race.floor else "",
            faster(below.get(row.builds_on or ""), row.seconds),
            *(faster(peer.seconds, row.like(peer)) if ours else "" for peer in timed),
        )
    if race.floor:
        moved = race.bytes / race.floor / 1e9
        table.add_row(
            "floor (a copy)", milliseconds(race.floor), *[""] * len(times), f"{moved:.1f} GB/s"
        )
    console.print(table)
    for row in (*race.rungs, *race.peers):
        if row.note:
            console.print(f"  {row.name}: {row.note}", style="dim")


def show_lines(lines: list[Line], console: Console) -> None:
    """Print how groups stand beside their peers, in times as fast."""
    table = Table(title="times as fast as …", title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("", "group", "direction"):
        table.add_column(heading, no_wrap=True)
    for heading in ("best peer", "at least", "PyTorch", "at least", "error", "peer's"):
        table.add_column(heading, justify="right")

    def pair(standing: Standing | None) -> tuple[str, str]:
        if standing is None:
            return "", ""
        return f"{standing.mean:.2f}×", f"{standing.least:.2f}× {standing.least_case}"

    for line in lines:
        standing = line.best or line.torch
        assert standing
        errors = f"{standing.error:.0e}", f"{standing.peer_error:.0e}"
        ratios = (*pair(line.best), *pair(line.torch))
        table.add_row(line.ladder, line.group, line.direction, *ratios, *errors)
    console.print(table)


def dump(races: list[Race], about: dict[str, Any], path: Path, **tables: list) -> None:
    """Write everything measured as JSON, and what was made of it."""
    records = []
    for race in races:
        case = {key: getattr(race.case, key) for key in ("ladder", "name", "title", "group")}
        rows = {
            key: [dataclasses.asdict(row) for row in getattr(race, key)]
            for key in ("rungs", "peers")
        }
        kept = ("direction", "target", "dtype", "flops", "bytes", "floor")
        plain = {key: getattr(race, key) for key in kept}
        records.append({"case": case, **plain, **rows})
    made = {name: [dataclasses.asdict(each) for each in table] for name, table in tables.items()}
    path.write_text(json.dumps({"machine": about, "races": records, **made}, indent=1) + "\n")


def markdown(races: list[Race], about: dict[str, Any], command: str) -> str:
    """Spell the races of one ladder as a README's tables: a table a case, a column a direction."""
    machine = about.get("device") or f"{about['threads']} threads, {about['cpu']}"
    lines = [
        f"Made by `{command}`: median milliseconds, in brackets the rate; {races[0].dtype}, "
        f"{machine}, whose measured ceilings were "
        f"{about['peak_gflops']:.0f} GFLOP/s and {about['copy_gbytes']:.0f} GB/s in the same run. "
        '**Bold**: the rung that `algorithm="auto"` takes.',
    ]
    ceilings = {"gflops": about["peak_gflops"], "gbytes": about["copy_gbytes"]}
    ladder = kernels.ladder(races[0].case.ladder, races[0].target)
    for name in dict.fromkeys(race.case.name for race in races):
        mine = [race for race in races if race.case.name == name]
        lines += ["", f"{name}: {mine[0].case.title}", ""]
        lines.append("| | " + " | ".join(race.direction for race in mine) + " |")
        lines.append("|---" * (1 + len(mine)) + "|")
        rows = [each.name for each in ladder]
        rows += [row.name for row in mine[0].peers]
        for row_name in rows:
            cells = [_cell(race, row_name, ceilings) for race in mine]
            if any(cells):
                lines.append(f"| {row_name} | " + " | ".join(cells) + " |")
        if all(race.floor and _bound_by_bytes(race, ceilings) for race in mine):
            floors = [f"{milliseconds(race.floor)}" for race in mine]
            lines.append("| *a copy of as many bytes* | " + " | ".join(floors) + " |")
    return "\n".join(lines)


def _cell(race: Race, name: str, ceilings: dict[str, float]) -> str:
    found: list[Row] = [row for row in (*race.rungs, *race.peers) if row.name == name]
    if not found or found[0].seconds is None:
        return ""
    value, unit, _ = rate(race, found[0].seconds, ceilings)
    text = f"{milliseconds(found[0].seconds)} ({value:.1f} {unit})"
    return f"**{text}**" if found[0].chosen else text


def write_readme(races: list[Race], about: dict[str, Any], command: str) -> list[Path]:
    """Put each ladder's tables between the markers in its family's README.

    The markers are HTML comments, ``<!-- bench LADDER -->`` (on a device ``<!-- bench LADDER cuda -->``) and
    ``<!-- end -->``.

    Raises
    ------
    ValueError
        If a README has no markers for its ladder.
    """
    written = []
    for name in dict.fromkeys(race.case.ladder for race in races):
        path = ROOT / "kernels" / kernels.ladder(name).family / "README.md"
        mine = [race for race in races if race.case.ladder == name]
        where = "" if mine[0].target == "cpu" else f" {mine[0].target}"
        begin = f"<!-- bench {name}{where} -->"
        pattern = re.compile(re.escape(begin) + r"\n.*?<!-- end -->", re.S)
        text = path.read_text()
        if not pattern.search(text):
            raise ValueError(f"{path}: expected the markers {begin} and <!-- end -->")
        section = f"{begin}\n{markdown(mine, about, command)}\n<!-- end -->"
        path.write_text(text.replace(pattern.findall(text)[0], section))
        written.append(path)
    return written
