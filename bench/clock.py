"""Time taken in turns: every contestant runs a little in each round, so that all meet the same weather."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Protocol

SLICE = 0.05  # seconds that a contestant runs in one round
BATCH = 2e-4  # seconds: calls shorter than this are timed several at a time
REST = 0.01  # seconds between contestants, in which a pool of threads that spins goes to sleep


class Contestant(Protocol):
    """Anything that can be timed, here or in another process."""

    def sample(self, seconds: float) -> list[float]:
        """Run for about so long, once at least; return the seconds that each call took."""
        ...


class Local:
    """A function of this process."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        call()  # compiled, cached, warm
        start = time.perf_counter()
        call()
        self._number = max(1, round(BATCH / max(1e-7, time.perf_counter() - start)))

    def sample(self, seconds: float) -> list[float]:
        """Run for about so long."""
        times: list[float] = []
        stop = time.perf_counter() + seconds
        while not times or time.perf_counter() < stop:
            start = time.perf_counter()
            for _ in range(self._number):
                self._call()
            times.append((time.perf_counter() - start) / self._number)
        return times


def medians(contestants: Mapping[str, Contestant], rounds: int = 5) -> dict[str, float]:
    """Return each contestant's median seconds a call, over rounds in which all take their turn."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            time.sleep(REST)
            times[name] += contestant.sample(SLICE)
    return {name: statistics.median(each) for name, each in times.items()}
