"""What is particular to dropout: the generator's known answers, the mask, bad input."""

import numpy as np
import pytest

import kernels
from kernels.dropout import naive, reference

ANSWERS = [  # the known-answer vectors that Random123 publishes for philox4x32-10
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "want"), ANSWERS)
@pytest.mark.parametrize("philox", [naive.philox, lambda *w: reference.philox(w[:4], w[4:])])
def test_known_answers(philox, counter, key, want):
    assert tuple(int(word) for word in philox(*map(np.uint64, counter + key))) == want


def test_the_mask_depends_on_seed_and_offset_alone():
    x = np.ones(100_003)
    y = kernels.dropout(x, 0.3, seed=7, offset=1)
    narrow = kernels.dropout(x.astype(np.float32).reshape(1, -1), 0.3, seed=7, offset=1)
    np.testing.assert_array_equal(y == 0, narrow[0] == 0)
    assert (y == 0).mean() == pytest.approx(0.3, abs=0.01)
    assert np.unique(y) == pytest.approx([0, 1 / 0.7])
    for other in ({"seed": 8, "offset": 1}, {"seed": 7, "offset": 2}):
        assert ((kernels.dropout(x, 0.3, **other) == 0) != (y == 0)).mean() > 0.3
    np.testing.assert_array_equal(kernels.dropout_backward(x, 0.3, seed=7, offset=1), y)


def test_ends_and_nan():
    x = np.array([np.nan, np.inf, 1.0])
    np.testing.assert_array_equal(kernels.dropout(x, 0.0, seed=0, offset=0), x)
    np.testing.assert_array_equal(kernels.dropout(x, 1.0, seed=0, offset=0), 0)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"p": 1.5}, ValueError, "p: expected a number from 0 to 1"),
        ({"p": float("nan")}, ValueError, "p: expected"),
        ({"p": "half"}, TypeError, "p: expected a number, got 'half'"),
        ({"seed": -1}, ValueError, "seed: expected at least 0, got -1"),
        ({"offset": 1 << 64}, ValueError, "offset: expected below"),
        ({"seed": 1.0}, TypeError, "seed: expected an integer"),
        ({"x": np.ones(2, int)}, TypeError, "x: expected float32"),
    ],
)
def test_bad_input(change, error, message):
    with pytest.raises(error, match=message):
        kernels.dropout(**{"x": np.ones(2), "p": 0.5, "seed": 0, "offset": 0, **change})
