"""Every rung against its reference, on odd sizes and fresh random inputs, before anything is timed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

import kernels
from bench import calls, check
from bench.cases import Case, odd_cases
from bench.cuda import device
from kernels.core import memory
from kernels.core.cuda.compiler import SIMULATED

SIMULATED_FLOPS = 12_000  # of a problem that the simulator is given: a second in plain Python


class Verdict(NamedTuple):
    """How far one rung was from its reference in one direction, at worst: at most 1 passes."""

    ladder: str
    rung: str
    direction: str
    problems: int
    error: float
    case: str

    @property
    def correct(self) -> bool:
        """Whether every result was as close as rounding allows."""
        return self.error <= 1


def verdicts(
    names: set[str],
    kind: device.Kind,
    seed: int,
    rung: str | None = None,
    direction: str | None = None,
) -> Iterator[Verdict]:
    """Judge each rung of the ladders in `names`, or the one asked for, in each direction, or the one asked for."""
    wanted = [
        (ladder, each)
        for ladder in kernels.ladders("cuda")
        for each in ladder.directions
        if ladder.name in names and direction in (None, each)
    ]
    for ladder, way in wanted:
        found: dict[str, list[tuple[float, str]]] = {}
        for case in odd_cases(ladder.name):
            for name, error in _judged(case, way, kind, seed, rung):
                found.setdefault(name, []).append((error, case.title))
        for name, errors in found.items():
            worst, title = max(errors)
            yield Verdict(ladder.name, name, way, len(errors), worst, title)


def _judged(
    case: Case, direction: str, kind: device.Kind, seed: int, only: str | None
) -> Iterator[tuple[str, float]]:
    """Run the rungs that take one problem; yield each one's error as a share of its bound."""
    arrays, options = calls.inputs(
        case.ladder, direction, case.arrays(kind.dtype, seed), case.options, seed
    )
    there = tuple(device.upload(each) for each in arrays)
    ladder = kernels.ladder(case.ladder, "cuda")
    plan = calls.plan(case.ladder, direction, there, options)
    if SIMULATED and plan.flops > SIMULATED_FLOPS:
        return
    judged: Any = None
    for rung in ladder:
        if only not in (None, "auto", rung.name) or (only == "auto" and rung is not plan.rung):
            continue
        if ladder.refusal(rung, plan.problem, direction) is not None:
            continue
        if judged is None:
            judged = calls.reference(case.ladder, direction, arrays, options)
        with memory.poisoned():
            result = calls.ours(case.ladder, direction, there, options, algorithm=rung.name)
            got = kernels.to_host(result)
        error = check.ratio(got, judged, calls.growth(rung, plan.problem, direction))
        yield rung.name, error if np.isfinite(error) else float("inf")
