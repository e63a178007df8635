"""One case in one direction on a device: every rung, then PyTorch, timed in turns by the device's own clock."""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Any

import numpy as np

import kernels
from bench import calls, clock
from bench.cases import Case
from bench.cuda import device, torch_peer
from bench.peers import CannotDo
from bench.race import HOPELESS, Race, Row
from kernels.core import memory

# Largest difference from the formula's own rung, as a share of the largest value. The reference has judged every rung
# on smaller problems; at these sizes it would take minutes, so here rungs are held to each other.
APART = {"float64": 1e-10, "float32": 1e-4}
ROUNDED = 1e-2  # where factors are rounded to a tensor core's


def run(
    case: Case,
    direction: str,
    kind: device.Kind,
    *,
    wrong: Collection[tuple[str, str, str]] = (),
    rung: str | None = None,
    rounds: int = 5,
    seed: int = 0,
) -> Race:
    """Check a case's rungs against the first, then time them, and PyTorch where it is installed.

    Parameters
    ----------
    case : Case
    direction : str
    kind : Kind
    wrong : collection of (ladder, rung, direction)
        What disagreed with its reference before: not timed.
    rung : str, optional
        This one alone; "auto" for the one that is chosen.
    rounds : int
        Turns that each contestant takes.
    seed : int
        Of the inputs.
    """
    arrays, options = calls.inputs(
        case.ladder, direction, case.arrays(kind.dtype, seed), case.options, seed
    )
    there = tuple(device.upload(each) for each in arrays)
    ladder = kernels.ladder(case.ladder, "cuda")
    plan = calls.plan(case.ladder, direction, there, options)
    spelled = "tf32" if kind.precision == "tf32" else kind.dtype.name
    race = Race(case, direction, spelled, plan.flops, plan.bytes, target="cuda")
    expected = _formula(case, direction, arrays, options)
    largest = float(np.abs(expected).max(initial=0.0)) or 1.0
    contestants: dict[str, clock.Contestant] = {}
    only = plan.rung.name if rung == "auto" else rung
    least = plan.rung.cost(plan.problem, direction)

    def apart(result: Any) -> float:
        got = np.asarray(kernels.to_host(result), np.float64)
        return float(np.abs(got - expected).max(initial=0.0) / largest)

    for each in ladder:
        if only not in (None, each.name):
            continue
        row = Row(each.name, builds_on=each.builds_on, chosen=each.name == plan.rung.name)
        reason = ladder.refusal(each, plan.problem, direction)
        if reason is not None and direction not in each.run:
            continue
        race.rungs.append(row)
        if reason is not None:
            row.note = reason
            continue
        if each.cost(plan.problem, direction) > HOPELESS * least:
            row.note = f"not timed: expected to be more than {HOPELESS} times as slow"
            continue
        with memory.poisoned():
            result = calls.ours(case.ladder, direction, there, options, algorithm=each.name)
            row.max_error = apart(result)
        bound = APART.get(spelled, ROUNDED)
        if (case.ladder, each.name, direction) in wrong or not row.max_error <= bound:
            row.error, row.note = float("inf"), "wrong: not timed"
            continue
        row.error = row.max_error / bound
        call = functools.partial(
            calls.ours, case.ladder, direction, there, options, algorithm=each.name, out=result
        )
        contestants[each.name] = device.Queue(call)
    for name in torch_peer.PEERS if device.torch() is not None else ():
        row = Row(name)
        try:
            theirs = torch_peer.call(name, case.ladder, direction, there, options)
            row.max_error = apart(theirs())
        except (CannotDo, RuntimeError) as error:
            row.note = str(error).strip().split("\n")[0]
        else:
            contestants[name] = device.Queue(theirs)
        race.peers.append(row)
    times = clock.medians(contestants, rounds) if contestants else {}
    for row in (*race.rungs, *race.peers):
        row.seconds = times.get(row.name)
    return race


def _formula(case: Case, direction: str, arrays: tuple, options: dict[str, Any]) -> np.ndarray:
    """What the first rung makes of it, in float32 where the arrays are narrower."""
    wide = [
        each.astype(np.float32)
        if isinstance(each, np.ndarray) and each.dtype.itemsize < 4
        else each
        for each in arrays
    ]
    there = tuple(device.upload(each) for each in wide)
    first = kernels.ladder(case.ladder, "cuda").rungs[0].name
    result = calls.ours(case.ladder, direction, there, options, algorithm=first)
    return np.asarray(kernels.to_host(result), np.float64)
