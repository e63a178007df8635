"""What conv2d's rungs on CUDA refuse, and which sizes fit their integers: asked without a device."""

import time

import numpy as np
import pytest

import kernels
from kernels.conv.cuda.tensor_core import run
from kernels.core.cuda.launch import compile_only, described


def planned(direction, x, w, dtype=np.float32, **options):
    """Plan a direction from shapes."""
    ladder = kernels.ladder("conv2d", "cuda")
    arrays = described(x, dtype), described(w, dtype)
    with compile_only((9, 0)):
        forward = ladder.plan(*arrays, **options)
        if direction == "forward":
            return forward
        p = forward.problem
        dy = described((p.n, p.k, p.oh, p.ow), dtype)
        return ladder.plan(dy, *arrays, direction=direction, **options)


@pytest.mark.parametrize("groups", [1, 8])
def test_dx_with_strides_far_beyond_the_filter_is_left_to_rungs_without_phases(groups):
    started = time.perf_counter()
    plan = planned("dx", (2, 8, 1000, 1000), (8, 8 // groups, 3, 3), stride=1000, groups=groups)
    assert time.perf_counter() - started < 5  # a plan for each of a million phases takes longer
    assert plan.rung.name in ("naive", "shared")
    assert "phases" in plan.costs["implicit_gemm"]
    assert groups == 1 or "stride" in plan.costs["depthwise"]


def test_patches_of_sixteen_still_go_by_phases():
    plan = planned("dx", (64, 3, 224, 224), (768, 3, 16, 16), stride=16)
    assert plan.rung.name == "implicit_gemm"


def test_sums_that_tensor_cores_count_in_31_bits():
    problem = planned("dw", (1 << 13, 32, 2048, 2048), (32, 32, 1, 1), np.float16).problem
    assert run.plan(run.described(problem), "dw") is None
    problem = planned("dw", (1 << 8, 32, 2048, 2048), (32, 32, 1, 1), np.float16).problem
    assert run.plan(run.described(problem), "dw") is not None


def test_weights_whose_words_31_bits_do_not_count():
    for direction in ("forward", "dx"):
        problem = planned(direction, (1, 64, 1, 1), (1 << 25, 64, 1, 1)).problem
        assert run.plan(run.described(problem), direction) is None  # 2³¹ words
        problem = planned(direction, (1, 64, 1, 1), (1 << 24, 64, 1, 1), np.float16).problem
        assert run.plan(run.described(problem), direction) is not None


@pytest.mark.parametrize("direction", ["forward", "dx", "dw"])
def test_planes_of_32_bits_are_for_rungs_that_count_in_64(direction):
    costs = planned(direction, (1, 1, 70000, 70000), (1, 1, 3, 3)).costs
    assert isinstance(costs["naive"], float)
    assert "31 bits" in costs["tensor_core"]
    assert "31 bits" in costs["implicit_gemm"]


def test_weights_on_a_device_are_not_packed_beforehand():
    with pytest.raises(TypeError, match="w: expected an array on the CPU; on a CUDA device"):
        kernels.pack("conv2d", described((6, 4, 3, 3)))
