"""What ``python -m bench --target cuda`` does: correctness, then the device's clock, then the tables."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

import kernels
from bench import calls, report
from bench.cases import Case
from bench.conclusion import conclude
from bench.cuda import correct, device, race, torch_peer
from bench.race import Race
from kernels.core.cuda import compiler
from kernels.core.cuda.compiler import SIMULATED


def run(options: argparse.Namespace, chosen: list[Case], console: Console, words: str) -> int:
    """Run; return 1 if any rung disagreed with its reference."""
    kind = device.kind(options.dtype)
    if kind.dtype.name == "bfloat16" and not SIMULATED and device.torch() is None:
        options.fail("--dtype bfloat16: arrays of it are PyTorch's, which is not installed")
    able = compiler.capability()
    if able < (8, 0) and (kind.dtype.itemsize < 4 or kind.precision == "tf32"):
        options.fail(
            f"--dtype {options.dtype}: needs compute capability 8.0, and this device has {able[0]}.{able[1]}"
        )
    seed = int(np.random.default_rng().integers(2**30))  # fresh inputs in every run
    level = "strict" if options.strict else kind.precision
    with kernels.precision(level):
        found = list(
            correct.verdicts(
                {each.ladder for each in chosen}, kind, seed, options.rung, options.direction
            )
        )
        _show(found, options.dtype, console)
        wrong = {(each.ladder, each.rung, each.direction) for each in found if not each.correct}
        if SIMULATED:
            console.print("In the simulator a time means nothing: none was taken.")
            return 1 if wrong else 0
        limits, cost = device.ceilings(kind), device.launch_cost()
        about = device.about(limits, cost)
        _introduce(about, options.dtype, console)
        races = _races(options, chosen, kind, wrong, limits, seed, console)
    about = {**about, "verdicts": [each._asdict() for each in found]}
    late = conclude(races, options, about, limits, console, words)
    return 1 if wrong or late else 0


def _races(
    options: argparse.Namespace,
    chosen: list[Case],
    kind: device.Kind,
    wrong: set[tuple[str, str, str]],
    limits: dict[str, float],
    seed: int,
    console: Console,
) -> list[Race]:
    """Race every case in every direction."""
    if device.torch() is None:
        console.print("peer torch: not installed, or it sees no device")
    else:
        torch_peer.prepare(kind.precision == "tf32")
    races = []
    work = [
        (case, direction)
        for case in chosen
        for direction in calls.directions(case.ladder)
        if options.direction in (None, direction)
    ]
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("timing", total=len(work))
        for case, direction in work:
            progress.update(task, description=f"{case.ladder} {case.name} {direction}")
            one = race.run(
                case, direction, kind,
                wrong=wrong, rung=options.rung, rounds=options.rounds, seed=seed,
            )  # fmt: skip
            if not options.choice:
                report.show(one, limits, console)
            races.append(one)
            progress.advance(task)
    return races


def _introduce(about: dict[str, Any], dtype: str, console: Console) -> None:
    """Say what the numbers hold for."""
    major, minor = about["capability"]
    console.print(
        f"{about['device']}, compute capability {major}.{minor}, {dtype}; ceilings measured now: "
        f"{about['peak_gflops']:.0f} GFLOP/s of multiply-adds, "
        f"{about['copy_gbytes']:.0f} GB/s of copying.\n"
        f"launch: a call of a tiny problem takes the host {about['launch_host_us']:.1f} µs, the device "
        f"{about['launch_device_us']:.1f} µs.\n"
        "Times are the device's own, of calls that find their arrays out of its L2; ours with out=, PyTorch's "
        'plain. ← is what algorithm="auto" takes.'
    )


def _show(verdicts: list[correct.Verdict], dtype: str, console: Console) -> None:
    """Print a line for each rung, and one for each direction in which it was wrong."""
    rungs = dict.fromkeys((each.ladder, each.rung) for each in verdicts)
    for ladder, rung in rungs:
        mine = [each for each in verdicts if (each.ladder, each.rung) == (ladder, rung)]
        worst = max(each.error for each in mine)
        console.print(
            f"{ladder} {rung}, {dtype}: {'correct' if worst <= 1 else 'WRONG'} in "
            f"{', '.join(each.direction for each in mine)}, on {max(each.problems for each in mine)} odd "
            f"problems; largest error {worst:.2g} of what rounding allows"
        )
        for each in mine:
            if not each.correct:
                console.print(f"  [red]{each.direction}: {each.case}: {each.error:.3g}[/red]")
