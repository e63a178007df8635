"""The command ``python -m bench``."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

import kernels
from bench import calls, cases, ceilings, peers, race, report
from bench.conclusion import conclude
from kernels.core import targets

DTYPES = {"cpu": ("float32", "float64"), "cuda": ("float16", "bfloat16", "tf32")}


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Time the rungs of ladders, each checked against its reference first.",
    )
    add = parser.add_argument
    add(
        "names",
        nargs="*",
        metavar="NAME",
        help="a ladder (conv2d), a family (pool) or a group of cases (depthwise); all where none",
    )
    add(
        "--case",
        action="append",
        help="small, real, all, a group (resnet), or a case's name; may be repeated (small; on a device real)",
    )
    add("--target", default="cpu", choices=("cpu", "cuda"), help="where the rungs run (cpu)")
    add("--direction", help="forward, dx, dw, db, backward or training alone")
    add("--rung", help='this rung alone; "auto": the one that is chosen')
    add(
        "--peers",
        action="store_true",
        help=f"also {', '.join(peers.PEERS)}, each in its own process",
    )
    add(
        "--choice",
        action="store_true",
        help="print instead, for every case, auto's pick beside the best rung",
    )
    add("--threads", type=int, help="threads of rungs and peers alike (all)")
    add("--dtype", default="float32", choices=(*DTYPES["cpu"], *DTYPES["cuda"]))
    add("--strict", action="store_true", help='under kernels.precision("strict")')
    add("--rounds", type=int, help="turns that each contestant takes (5, with --choice 7)")
    add("--json", type=Path, metavar="FILE", help="write everything measured")
    add("--plot", type=Path, metavar="DIR", help="draw a bar chart of each group of cases")
    add("--readme", action="store_true", help="put the tables into the families' READMEs")
    add("--list", action="store_true", help="print the cases and stop")
    options = parser.parse_args(argv)
    options.fail = parser.error
    if options.rounds is None:
        options.rounds = 7 if options.choice else 5
    if options.rounds < 1:
        parser.error(f"--rounds: expected at least 1, got {options.rounds}")
    if options.target == "cuda" and (options.threads or options.peers):
        parser.error(
            "--target cuda: goes with neither --threads nor --peers; PyTorch is timed where it is installed"
        )
    if options.target == "cpu" and options.dtype not in DTYPES["cpu"]:
        parser.error(f"--dtype {options.dtype}: for --target cuda alone")
    if options.case is None:
        options.case = ["small" if options.target == "cpu" else "real"]
    if options.choice and (options.rung or options.peers or options.readme):
        parser.error("--choice: goes with neither --rung nor --peers nor --readme")
    return options


@contextlib.contextmanager
def running(wanted: bool, threads: int, console: Console) -> Iterator[list[peers.Peer]]:
    """Start every peer that is installed, name the others, and end them all afterwards."""
    started = []
    for name in peers.PEERS if wanted else ():
        if absent := peers.missing(name):
            console.print(f"peer {name}: not installed (python -m pip install {' '.join(absent)})")
        else:
            started.append(peers.Peer(name, threads))
    try:
        yield started
    finally:
        for peer in started:
            peer.close()


def _words(argv: Sequence[str] | None) -> str:
    """What was typed after ``python -m bench``."""
    return " ".join(sys.argv[1:] if argv is None else argv)


def _missing(only_list: bool) -> str | None:
    """Why there is no CUDA device (to list its cases, no package), in a line; None where there is one."""
    try:
        targets.package() if only_list else targets.cuda()
    except RuntimeError as error:
        return f"--target cuda: {error}"
    return None


def main(argv: Sequence[str] | None = None) -> int:
    """Run; return 1 if any rung disagreed with its reference, 2 where there is nothing to run on."""
    options = arguments(argv)
    console = Console()
    if not console.is_terminal:
        console.width = 160
    if options.target == "cuda" and (why := _missing(options.list)):
        print(why, file=sys.stderr)
        return 2
    try:
        chosen = cases.find(options.names, options.case, options.target)
        if options.list:
            for case in chosen:
                console.print(
                    f"{case.ladder:<14} {case.name:<14} {case.group:<10} {case.title}  {case.note}"
                )
            return 0
        if options.rung:
            rungs = {
                "auto",
                *(e.name for case in chosen for e in kernels.ladder(case.ladder, options.target)),
            }
            if options.rung not in rungs:
                raise ValueError(f"--rung: expected one of {sorted(rungs)}, got {options.rung!r}")
        directions = {d for case in chosen for d in calls.directions(case.ladder)}
        if options.direction and options.direction not in directions:
            raise ValueError(
                f"--direction: expected one of {sorted(directions)}, got {options.direction!r}"
            )
        kernels.set_num_threads(options.threads)
        if options.plot:
            importlib.import_module("bench.chart")  # here and not at the end, when all is timed
    except ImportError:
        options.fail("--plot: matplotlib is not installed (python -m pip install matplotlib)")
    except (TypeError, ValueError) as error:
        options.fail(str(error))
    if options.target == "cuda":
        from bench.cuda import command

        return command.run(options, chosen, console, _words(argv))
    threads, dtype = kernels.get_num_threads(), np.dtype(options.dtype)
    work = [
        (case, direction)
        for case in chosen
        for direction in calls.directions(case.ladder)
        if options.direction in (None, direction)
    ]
    limits = ceilings.measure(dtype, threads)
    console.print(
        f"{threads} threads, {dtype}; ceilings measured now: {limits['gflops']:.0f} GFLOP/s of "
        f'multiplies and adds, {limits["gbytes"]:.1f} GB/s of copying. ← is what algorithm="auto" takes'
    )
    races = []
    # fresh inputs in every run; even, for the peers' max-pool keeps indices of the plane as well
    seed = 2 * int(np.random.default_rng().integers(2**30))
    with (
        kernels.precision("strict" if options.strict else "default"),
        running(options.peers, threads, console) as others,
        Progress(console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        task = progress.add_task("timing", total=len(work))
        for case, direction in work:
            progress.update(task, description=f"{case.ladder} {case.name} {direction}")
            one = race.run(
                case,
                direction,
                dtype,
                rung=options.rung,
                peers=others,
                rounds=options.rounds,
                seed=seed,
                rivals=options.choice,
            )
            if not options.choice:
                report.show(one, limits, console)
            races.append(one)
            progress.advance(task)
    return conclude(races, options, report.machine(threads, limits), limits, console, _words(argv))
