"""One case in one direction: every rung checked, then timed in turns with the others and with the peers."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import kernels
from bench import calls, ceilings, check, clock
from bench.cases import Case
from bench.peers import CannotDo, Peer
from kernels.core import memory

WITH_OUT, PACKED, FLOOR = " out=", " packed", " floor"
HOPELESS = 50  # times the chosen rung's cost: a rival is not even called
SLOW = 5  # times its seconds, in a first turn: a rival gets no other


@dataclass
class Row:
    """What one contestant did.

    Seconds are medians: of the plain call, with ``out=``, and with weights packed once before; `error` is
    its largest as a share of the bound, `max_error` as a share of the largest value.
    """

    name: str
    seconds: float | None = None
    out_seconds: float | None = None
    packed_seconds: float | None = None
    error: float | None = None
    max_error: float | None = None
    builds_on: str | None = None
    chosen: bool = False
    note: str = ""

    def like(self, peer: Row) -> float | None:
        """Seconds of the call that does what the peer does: ONNX Runtime packs as it loads a model."""
        packs = peer.name == "onnxruntime" and self.packed_seconds
        return self.packed_seconds if packs else self.seconds


@dataclass
class Race:
    """The rows of one case in one direction, and what its work amounts to.

    `floor` is what copying as many bytes takes, in seconds, in the same rounds; `target` where the rungs ran.
    """

    case: Case
    direction: str
    dtype: str
    flops: int
    bytes: int
    rungs: list[Row] = field(default_factory=list)
    peers: list[Row] = field(default_factory=list)
    floor: float | None = None
    target: str = "cpu"

    @property
    def correct(self) -> bool:
        """Whether every rung that ran agrees with the reference."""
        return all(each.error is None or each.error <= 1 for each in self.rungs)


def run(
    case: Case,
    direction: str,
    dtype: Any,
    *,
    rung: str | None = None,
    peers: list[Peer] | None = None,
    rounds: int = 5,
    seed: int = 0,
    rivals: bool = False,
) -> Race:
    """Check and time a case.

    Parameters
    ----------
    case : Case
    direction : str
    dtype : float32 or float64
    rung : str, optional
        This one alone; "auto" for the one that is chosen.
    peers : list of Peer, optional
        Processes that are running.
    rounds : int
        Turns that each contestant takes.
    seed : int
        Of the inputs.
    rivals : bool
        Time plain calls alone, of the chosen rung and of those that could be as fast.
    """
    arrays = case.arrays(dtype, seed)
    inputs, options = calls.inputs(case.ladder, direction, arrays, case.options, seed)
    ladder = kernels.ladder(case.ladder)
    plan = calls.plan(case.ladder, direction, inputs, options)
    served = calls.served(direction)
    judged = calls.reference(case.ladder, direction, inputs, options)
    race = Race(case, direction, np.dtype(dtype).name, plan.flops, plan.bytes)
    contestants: dict[str, clock.Contestant] = {}
    least = plan.rung.cost(plan.problem, served)
    only = plan.rung.name if rung == "auto" else rung
    for each in ladder:
        if only is not None and each.name != only:
            continue
        row = Row(each.name, builds_on=each.builds_on, chosen=each.name == plan.rung.name)
        reason = ladder.refusal(each, plan.problem, served)
        if reason is not None:
            if served in each.run:
                row.note = reason
                race.rungs.append(row)
            continue
        race.rungs.append(row)
        few = rivals or direction == calls.TRAINING
        if few and each.cost(plan.problem, served) > HOPELESS * least:
            row.note = f"not timed: expected to be more than {HOPELESS} times as slow"
            continue

        def call(inputs=inputs, options=options, name=each.name, out=None):
            return calls.ours(case.ladder, direction, inputs, options, algorithm=name, out=out)

        with memory.poisoned():
            result = call()
        whole = calls.flat(result)
        row.error = check.ratio(whole, judged, calls.growth(each, plan.problem, served))
        row.max_error = check.max_error(whole, judged)
        packed = None
        if served in each.pack:
            packed = calls.packed(case.ladder, direction, inputs, options)
            if not np.array_equal(calls.flat(call(*packed)), whole):  # promised to be the same bits
                row.error = float("inf")
        if row.error > 1:
            row.note = "wrong: not timed"
            continue
        plain = functools.partial(call, name="auto") if row.chosen else call
        contestants[each.name] = clock.Local(plain)
        if rivals:
            continue
        contestants[each.name + WITH_OUT] = clock.Local(
            functools.partial(call, out=calls.room(result))
        )
        if packed is not None:
            contestants[each.name + PACKED] = clock.Local(functools.partial(call, *packed))
    dy = inputs[0] if direction != "forward" else None
    for peer in peers or []:
        row = Row(peer.name)
        race.peers.append(row)
        try:
            result = peer.prepare(case.ladder, direction, arrays, case.options, dy)
        except CannotDo as error:
            row.note = str(error)
            continue
        if case.ladder != "dropout":  # its random bits are the peer's own
            row.error = check.ratio(result, judged)
            row.max_error = check.max_error(result, judged)
            if not row.error < 1000:
                row.note = (
                    f"another result: its error is {row.error:.3g} times the bound, not timed"
                )
                continue
        contestants[peer.name] = peer
    if contestants and not rivals:
        copy = ceilings.copying(race.bytes, dtype, kernels.get_num_threads())
        contestants[FLOOR] = clock.Local(copy)
    if rivals:
        first = clock.medians(contestants, 1)
        most = SLOW * first.get(plan.rung.name, float("inf"))
        contestants = {name: contestants[name] for name in first if first[name] <= most}
    times = clock.medians(contestants, rounds) if contestants else {}
    for row in (*race.rungs, *race.peers):
        row.seconds, row.out_seconds = times.get(row.name), times.get(row.name + WITH_OUT)
        row.packed_seconds = times.get(row.name + PACKED)
    race.floor = times.get(FLOOR)
    return race
