"""Every rung of every ladder against its reference, found through the ladder."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import kernels
from bench import calls, check
from tests.strategies import PROBLEMS, problems

RUNGS = [
    pytest.param(ladder, rung, direction, id=f"{ladder.name}-{rung.name}-{direction}")
    for ladder in kernels.ladders()
    for rung in ladder
    for direction in rung.run
]


def test_every_ladder_has_a_strategy():
    assert {ladder.name for ladder in kernels.ladders()} <= set(PROBLEMS)


def found(arguments):
    """The arrays among arguments, and in the tuples among them: caches."""
    for each in arguments:
        if isinstance(each, np.ndarray):
            yield each
        elif isinstance(each, tuple):
            yield from found(each)


@pytest.mark.parametrize(("ladder", "rung", "direction"), RUNGS)
@given(data=st.data())
def test_rung_agrees_with_reference(ladder, rung, direction, data):
    arrays, options = data.draw(problems(ladder.name, rung.name))
    seed = data.draw(st.integers(0, 2**32 - 1))
    arrays, options = calls.inputs(ladder.name, direction, arrays, options, seed)
    before = [each.copy() for each in found(arrays)]
    got = calls.ours(ladder.name, direction, arrays, options, algorithm=rung.name)
    judged = calls.reference(ladder.name, direction, arrays, options)
    problem = ladder.plan(*arrays, direction=direction, **options).problem
    assert check.ratio(calls.flat(got), judged, calls.growth(rung, problem, direction)) <= 1
    assert all(each.flags.c_contiguous for each in calls.parts(got))
    for old, new in zip(before, found(arrays), strict=True):
        np.testing.assert_array_equal(old, new)  # inputs are never modified


@pytest.mark.parametrize(("ladder", "rung", "direction"), RUNGS)
@settings(max_examples=8)
@given(data=st.data())
def test_same_bits_over_threads_and_with_out(ladder, rung, direction, data):
    arrays, options = data.draw(problems(ladder.name, rung.name))
    assume(all(a.size for a in arrays if isinstance(a, np.ndarray)))
    arrays, options = calls.inputs(ladder.name, direction, arrays, options, 1)
    results = []
    grain, kernels.core.threads.GRAIN = kernels.core.threads.GRAIN, 0  # small work is split as well
    try:
        for threads in (1, 2):
            kernels.set_num_threads(threads)
            results.append(calls.ours(ladder.name, direction, arrays, options, algorithm=rung.name))
        out = calls.room(results[0])
        got = calls.ours(ladder.name, direction, arrays, options, algorithm=rung.name, out=out)
        assert all(a is b for a, b in zip(calls.parts(got), calls.parts(out), strict=True))
        results.append(out)
    finally:
        kernels.set_num_threads(None)
        kernels.core.threads.GRAIN = grain
    for other in results[1:]:
        assert calls.flat(results[0]).tobytes() == calls.flat(other).tobytes()


@pytest.mark.parametrize(
    "ladder",
    [*kernels.ladders(), *kernels.ladders("cuda")],
    ids=lambda each: f"{each.name}-{each.target}",
)
def test_ladder_is_one_chain_from_the_formula(ladder):
    names = [rung.name for rung in ladder]
    assert len(set(names)) == len(names)
    assert ladder.rungs[0].builds_on is None
    for i, rung in enumerate(ladder.rungs[1:], 1):
        assert rung.builds_on in names[:i]
    for rung in ladder:
        assert rung.idea
        for direction in rung.run:
            assert "def " in rung.source(direction)
    assert ladder.name in str(ladder)


def test_unknown_ladder_and_rung_list_what_exists(rng):
    with pytest.raises(ValueError, match="conv2d"):
        kernels.ladder("convolve")
    x = rng.standard_normal((2, 2))
    with pytest.raises(ValueError, match=r"algorithm.*naive.*'fast'"):
        kernels.matmul(x, x, algorithm="fast")
