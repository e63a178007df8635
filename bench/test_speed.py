"""The same cases under pytest-benchmark: ``pytest bench``.

Its own options save, compare and draw: ``--benchmark-autosave``, ``--benchmark-compare``,
``--benchmark-histogram``; ``--case real`` takes the real sizes, ``-k conv2d`` one ladder.
"""

import numpy as np
import pytest

import kernels
from bench import calls, cases, check
from kernels.core import memory

pytest.importorskip("pytest_benchmark")


def pytest_generate_tests(metafunc):
    chosen = cases.find([], metafunc.config.getoption("--case") or ["small"])
    rows = [
        pytest.param(
            case, direction, rung.name, id=f"{case.ladder}-{case.name}-{direction}-{rung.name}"
        )
        for case in chosen
        for direction in kernels.ladder(case.ladder).directions
        for rung in kernels.ladder(case.ladder)
        if direction in rung.run
    ]
    metafunc.parametrize(("case", "direction", "rung"), rows)


def test_speed(benchmark, case, direction, rung):
    inputs, options = calls.inputs(case.ladder, direction, case.arrays(np.float32), case.options)
    ladder = kernels.ladder(case.ladder)
    problem = ladder.plan(*inputs, direction=direction, **options).problem
    if reason := ladder.refusal(ladder[rung], problem, direction):
        pytest.skip(reason)

    def call():
        return calls.ours(case.ladder, direction, inputs, options, algorithm=rung)

    with memory.poisoned():
        result = calls.flat(call())
    judged = calls.reference(case.ladder, direction, inputs, options)
    assert check.ratio(result, judged, calls.growth(ladder[rung], problem, direction)) <= 1
    benchmark.group = f"{case.ladder} {case.name} {direction}"
    benchmark(call)
