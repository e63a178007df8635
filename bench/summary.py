"""How ladders stand beside their peers, a group of cases at a time.

A ratio is a peer's seconds by ours: 1.3 reads "1.3 times as fast". Ours is the plain call; against ONNX
Runtime, which packs weights as it loads a model, the call with weights packed once.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import kernels
from bench import calls
from bench.race import Race

BOTH = "forward + gradients"  # those of the two operands; a bias has no part in it


class Match(NamedTuple):
    """Seconds and largest errors, ours and those of the peer that did best."""

    ours: float
    theirs: float
    error: float
    peer_error: float


@dataclass
class Standing:
    """Ratios over cases: geometric mean, the least and whose it is; the largest errors of the cases."""

    cases: int
    mean: float
    least: float
    least_case: str
    error: float
    peer_error: float


@dataclass
class Line:
    """One group in one direction, against the best of all peers and the best of PyTorch's layouts."""

    ladder: str
    group: str
    direction: str
    best: Standing | None
    torch: Standing | None


def lines(races: list[Race]) -> Iterator[Line]:
    """Sum up each group of cases (a case without one is its own) in each direction, and in both."""
    groups: dict[tuple[str, str], dict[str, dict[str, Race]]] = {}
    for race in races:
        key = (race.case.ladder, race.case.group or race.case.name)
        groups.setdefault(key, {}).setdefault(race.case.name, {})[race.direction] = race
    for (ladder, group), cases in groups.items():
        both = kernels.ladder(ladder).directions[:3]
        for name, parts in [*((each, [each]) for each in calls.directions(ladder)), (BOTH, both)]:
            best = None if name == BOTH else _standing(cases, parts, "")
            torch = _standing(cases, parts, "torch")
            if best or torch:
                yield Line(ladder, group, name, best, torch)


def _standing(
    cases: dict[str, dict[str, Race]], directions: Sequence[str], peers: str
) -> Standing | None:
    """Add up the directions of each case that has them all, and sum up the cases."""
    found = {}
    for name, races in cases.items():
        matches = [_match(races[each], peers) for each in directions if each in races]
        if len(matches) == len(directions) and None not in matches:
            ours, theirs, errors, peer_errors = zip(*matches)
            found[name] = Match(sum(ours), sum(theirs), max(errors), max(peer_errors))
    if not found:
        return None
    ratios = {name: each.theirs / each.ours for name, each in found.items()}
    least = min(ratios, key=ratios.__getitem__)
    return Standing(
        len(found),
        statistics.geometric_mean(ratios.values()),
        ratios[least],
        least,
        max(each.error for each in found.values()),
        max(each.peer_error for each in found.values()),
    )


def _match(race: Race, peers: str) -> Match | None:
    """Set the chosen rung against the best of the peers whose names begin so; None if one is missing."""
    found = [
        Match(ours, peer.seconds, row.max_error or 0.0, peer.max_error or 0.0)
        for row in race.rungs
        for peer in race.peers
        if row.chosen and (ours := row.like(peer)) and peer.seconds and peer.name.startswith(peers)
    ]
    return min(found, key=lambda each: each.theirs / each.ours, default=None)
