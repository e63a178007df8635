"""Threads that meet: every piece is done once, whoever comes."""

import threading

import numpy as np
import pytest
from numba import njit

from kernels.core import meeting


@njit(nogil=True)
def walk(counters, steps, pieces, log, last):
    for step in range(steps):
        while meeting.read(counters, 1) < (step + 1) * pieces:
            piece = meeting.claim(counters, 0, (step + 1) * pieces)
            if piece < 0:
                meeting.pause()
                continue
            log[piece] += 1
            for other in range(step * pieces):  # all pieces of the steps before must be done by now
                last[piece] += 1 - log[other]
            meeting.add(counters, 1, 1)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_every_piece_is_done_once_and_after_the_steps_before(threads):
    steps, pieces = 40, 7
    counters = np.zeros(2 * meeting.APART, np.int64)
    log, last = np.zeros(steps * pieces, np.int64), np.zeros(steps * pieces, np.int64)
    team = [
        threading.Thread(target=walk, args=(counters, steps, pieces, log, last))
        for _ in range(threads)
    ]
    for each in team:
        each.start()
    for each in team:
        each.join(60)
        assert not each.is_alive()
    assert (log == 1).all()
    assert not last.any()


def test_bodies_do_what_is_compiled():
    counters = np.zeros(3 * meeting.APART, np.int64)

    def sequence(counters, found):
        found[0] = meeting.add(counters, 1, 5)
        found[1] = meeting.add(counters, 1, 2)
        found[2] = meeting.claim(counters, 2, 1)
        found[3] = meeting.claim(counters, 2, 1)
        found[4] = meeting.read(counters, 1)
        meeting.pause()

    plain, compiled = np.zeros(5, np.int64), np.zeros(5, np.int64)
    sequence(counters, plain)
    counters[:] = 0
    njit(sequence)(counters, compiled)
    np.testing.assert_array_equal(plain, [0, 5, 0, -1, 7])
    np.testing.assert_array_equal(plain, compiled)
