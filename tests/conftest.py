"""Hypothesis profiles; poisoned memory in every test."""

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from kernels.core import memory

settings.register_profile(
    "house",
    deadline=None,  # the first example of a dtype compiles
    max_examples=20,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("long", parent=settings.get_profile("house"), max_examples=400)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With `-n`, a file's tests run in one process: two would each compile what all of them need."""
    if config.getvalue("dist") != "load":
        return None  # another way was asked for
    from xdist.scheduler import LoadFileScheduling

    return LoadFileScheduling(config, log)


@pytest.fixture(autouse=True)
def poisoned_memory():
    """Fill every output and every scratch buffer with NaN before the kernel under test runs."""
    with memory.poisoned():
        yield


@pytest.fixture
def rng():
    return np.random.default_rng(20240607)
