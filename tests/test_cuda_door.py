"""The way in to CUDA: without the package, without a device, and with arguments that do not fit together."""

import contextlib
import itertools
import os
import subprocess
import sys
import threading
from dataclasses import replace
from types import SimpleNamespace

import ml_dtypes
import numpy as np
import pytest

import kernels
from bench import calls
from kernels.core.cuda import arrays, kept, launch
from kernels.core.cuda.launch import compile_only, described
from kernels.core.device_array import DeviceArray

# A process in which a package is not installed.
WITHOUT = """
import sys

class Hiding:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in ("numba_cuda", "numba_cuda_mlir"):
            return self.finder.find_spec(name, path, target)

sys.meta_path[:] = [Hiding(each) for each in sys.meta_path if hasattr(each, "find_spec")]
"""
TRIES = """
import numpy as np
import kernels

class OnDevice:                                  # an array of another library's, as far as the door looks
    __cuda_array_interface__ = {"shape": (2, 2), "typestr": "<f4", "data": (1 << 20, False), "version": 3}

x = np.zeros((2, 2), np.float32)
for attempt in (
    lambda: kernels.to_device(x),
    lambda: kernels.to_host(OnDevice()),
    lambda: kernels.ladder("matmul", "cuda"),
    lambda: kernels.ladders("cuda"),
    lambda: kernels.matmul(OnDevice(), OnDevice()),
):
    try:
        attempt()
        print("done")
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
"""
INSTALL = "python -m pip install 'loopwise[cuda]'"


def run(program, **environment):
    """What a program prints, in a process that sees no device."""
    unset = {"CUDA_VISIBLE_DEVICES": "-1", "NUMBA_ENABLE_CUDASIM": "0"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **unset, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_without_the_package_each_way_in_says_what_to_install():
    printed = run(WITHOUT + TRIES)
    assert len(printed) == 5
    for line in printed:
        assert line.startswith("RuntimeError: CUDA kernels need the package numba-cuda")
        assert line.endswith(INSTALL)


def test_without_a_device_each_way_in_says_what_is_missing():
    to_device, to_host, ladder, ladders, matmul = run(TRIES)
    for line in (to_device, to_host, matmul):
        assert line.startswith("RuntimeError: no CUDA device answers"), line
        assert "NVIDIA GPU, its driver" in line
        assert line.endswith(INSTALL)
    assert (ladder, ladders) == ("done", "done")  # to be read, and compiled


def test_importing_imports_no_cuda_package():
    program = """
import sys
before = set(sys.modules)  # a package may have put itself there as Python started
import numpy as np
import kernels
kernels.matmul(np.ones((2, 2)), np.ones((2, 2)))
kernels.ladders()
there = ("numba.cuda", "numba_cuda", "cuda", "cupy", "torch", "kernels.core.cuda", "ml_dtypes")
new = set(sys.modules) - before
print([name for name in new if any(f"{name}.".startswith(f"{each}.") for each in there)])
"""
    assert run(program) == ["[]"]


def test_cpu_array_beside_one_on_a_device():
    there, here = described((4, 4)), np.ones((4, 4), np.float32)
    with compile_only((9, 0)) as launched:
        with pytest.raises(TypeError, match=r"^b: .*CUDA device like a, got ndarray on the CPU"):
            kernels.matmul(there, here)
        with pytest.raises(TypeError, match=r"^a: .*CUDA device like b, got ndarray on the CPU"):
            kernels.matmul(here, there)
        with pytest.raises(TypeError, match=r"^w: .*like x.*to_device"):
            kernels.linear(there, here, described((4,)))
        with pytest.raises(TypeError, match=r"^b: .*like x"):
            kernels.conv2d(described((1, 2, 5, 5)), described((3, 2, 3, 3)), np.ones(3, "f4"))
        with pytest.raises(TypeError, match=r"^x: .*like dy"):
            kernels.conv2d_backward(
                described((1, 3, 3, 3)), np.ones((1, 2, 5, 5), "f4"), described((3, 2, 3, 3))
            )
        packed = kernels.pack("conv2d", np.ones((3, 2, 3, 3), "f4"))
        with pytest.raises(
            TypeError, match=r"^w: .*like x, got Packed$"
        ):  # nothing copies that there
            kernels.conv2d(described((1, 2, 5, 5)), packed)
        with pytest.raises(TypeError, match=r"^out: .*CUDA device, got ndarray on the CPU"):
            kernels.matmul(there, there, out=np.ones((4, 4), np.float32))
    assert not launched


def test_arrays_on_two_devices():
    first, other = described((4, 4)), replace(described((4, 4)), device=1)
    with compile_only((9, 0)) as launched:
        with pytest.raises(ValueError, match=r"^b: .*CUDA device 0 like a, got one on device 1"):
            kernels.matmul(first, other)
        with pytest.raises(ValueError, match=r"^out: .*device 0 like the inputs, .* device 1"):
            kernels.matmul(first, first, out=other)
    assert not launched


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.complex64, np.bool_])
def test_dtype_that_is_no_float(dtype):
    x = described((4, 4), dtype)
    with compile_only((9, 0)), pytest.raises(TypeError, match=r"^a: .*float32.*bfloat16, got "):
        kernels.matmul(x, x)


def test_dtypes_that_differ():
    with compile_only((9, 0)):
        with pytest.raises(TypeError, match=r"^b: expected float32 like a, got float64"):
            kernels.matmul(described((4, 4)), described((4, 4), np.float64))
        with pytest.raises(TypeError, match=r"^w: expected float16.*got float32"):
            kernels.linear(described((4, 4), np.float16), described((4, 4)))
        with pytest.raises(ValueError, match=r"^out: expected float32 of shape \(4, 4\)"):
            kernels.matmul(described((4, 4)), described((4, 4)), out=described((4, 4), np.float16))


def test_halves_are_for_tensor_cores():
    x = described((4, 4), np.float16)
    with compile_only((9, 0)), pytest.raises(ValueError, match=r"'naive'.*float16.*tensor_core"):
        kernels.matmul(x, x, algorithm="naive")
    on_cpu = np.ones((4, 4), np.float16)
    with pytest.raises(TypeError, match=r"^a: expected float32 or float64, got float16"):
        kernels.matmul(on_cpu, on_cpu)


def test_out_that_overlaps_or_has_strides():
    x = described((4, 4))
    with compile_only((9, 0)):
        with pytest.raises(ValueError, match="out: expected memory of its own"):
            kernels.matmul(x, described((4, 4)), out=replace(x, pointer=x.pointer + 16))
        with pytest.raises(ValueError, match="out: expected a C-contiguous"):
            kernels.matmul(x, x, out=described((4, 4)).swapaxes(0, 1))


def test_out_that_is_read_only():
    x = described((4, 4))
    read_only = pytest.raises(ValueError, match="out: expected a writeable array")
    with compile_only((9, 0)), read_only:
        kernels.matmul(x, x, out=replace(described((4, 4)), writeable=False))


@pytest.mark.parametrize("algorithm", [rung.name for rung in kernels.ladder("matmul", "cuda")])
@pytest.mark.parametrize(
    "shapes", [((0, 64, 1024), (1024, 64)), ((0, 1024), (1024, 8)), ((3, 0), (0, 5))]
)
def test_empty_product(algorithm, shapes):
    a, b = map(described, shapes)
    with compile_only((9, 0)) as launched:
        kernels.matmul(a, b, algorithm=algorithm)
    assert len(launched) == (0 if 0 in shapes[0][:-1] else 1)


# Arrays that no device has room for, and more blocks than one launch takes whatever the tile.
HUGE = {
    "matmul": ((1 << 25, 8), (8, 1 << 25)),
    "linear": ((1 << 25, 8), (1 << 25, 8), (1 << 25,)),
    "conv2d": ((1 << 41, 1, 8, 8), (1, 1, 1, 1), (1,)),
}
TOO_LARGE = [
    pytest.param(ladder.name, rung.name, id=f"{ladder.name}-{rung.name}")
    for ladder in kernels.ladders("cuda")
    for rung in ladder
]


@pytest.mark.parametrize(("ladder", "rung"), TOO_LARGE)
def test_problem_past_launch_limits(ladder, rung):
    arrays = tuple(described(shape) for shape in HUGE[ladder])
    past = pytest.raises(
        ValueError, match=r"blocks along [xyz], and a launch can|cannot do forward"
    )
    with compile_only((9, 0)) as launched, past:
        getattr(kernels, ladder)(*arrays, algorithm=rung)
    assert not launched


def test_grid_is_held_to_its_limits_on_each_axis():
    for axis, most in enumerate(launch.MOST_BLOCKS):
        blocks = [1, 1, 1]
        kernel = launch.Kernel(lambda y: None, 32, lambda y, blocks=blocks: tuple(blocks))
        blocks[axis] = most
        assert kernel.grid((None,)) == tuple(blocks)
        blocks[axis] += 1
        with pytest.raises(ValueError, match=f"blocks along {'xyz'[axis]}"):
            kernel.grid((None,))


def test_debug_sync_takes_a_bool():
    from kernels.core import targets

    for wrong in (1, None, "yes"):
        with pytest.raises(TypeError, match="enabled: expected True or False"):
            kernels.debug_sync(wrong)
    assert targets.synchronous is False
    try:
        kernels.debug_sync(True)
        assert targets.synchronous is True
    finally:
        kernels.debug_sync(False)


def test_to_device_and_to_host_refuse_what_is_elsewhere():
    with pytest.raises(TypeError, match="array: expected an array on the CPU"):
        kernels.to_device(described((2,)))
    with pytest.raises(TypeError, match="array: expected floats or integers, got complex64"):
        kernels.to_device(np.ones(2, np.complex64))
    with pytest.raises(TypeError, match="array: expected an array on a CUDA device, got one on"):
        kernels.to_host(np.ones(2))
    with pytest.raises(TypeError, match="array: expected an array on a CUDA device, got list"):
        kernels.to_host([1.0])


def test_operations_without_a_cuda_rung_say_so():
    with pytest.raises(TypeError, match="no CUDA rung yet"):
        kernels.relu(described((2, 2)))
    with pytest.raises(ValueError, match=r"name: expected one of \['conv2d', .* for cuda"):
        kernels.ladder("relu", "cuda")
    with pytest.raises(ValueError, match=r"target: expected one of"):
        kernels.ladder("matmul", "rocm")


SERVED = {
    "matmul": (((4, 6), (6, 5)), ("forward", "da", "db")),
    "linear": (((4, 6), (5, 6), (5,)), ("forward", "dx", "dw", "db")),
    "conv2d": (((2, 4, 6, 5), (6, 2, 3, 3), (6,)), ("forward", "dx", "dw", "db")),
}


@pytest.mark.parametrize("ladder", SERVED)
@pytest.mark.parametrize(
    ("dtype", "capability"),
    [
        (np.float32, (7, 5)),
        (np.float64, (7, 5)),
        (np.float16, (8, 0)),
        (ml_dtypes.bfloat16, (8, 0)),
    ],
)
def test_every_direction_is_served(ladder, dtype, capability):
    shapes, directions = SERVED[ladder]
    options = {"groups": 2} if ladder == "conv2d" else {}
    assert directions == kernels.ladder(ladder).directions
    for direction in directions:
        arrays = tuple(described(shape, dtype) for shape in shapes)
        if direction != "forward":
            shape = calls._shape(ladder, arrays, options)
            arrays = (described(shape, dtype), *arrays[:2])
        with compile_only(capability):
            plan = kernels.ladder(ladder, "cuda").plan(*arrays, direction=direction, **options)
        assert plan.rung.target == "cuda"


def chosen(direction="forward", capability=(9, 0), dtype=np.float32, **options):
    """What "auto" takes for a large product."""
    x = described((4096, 4096), dtype)
    args = (x, x) if direction == "forward" else (x, x, x)
    with compile_only(capability):
        ladder = kernels.ladder("matmul")  # the CPU's, which asks its twin for the device
        return ladder.plan(*args, direction=direction, **options).rung


def test_tf32_is_taken_where_it_is_asked_for_and_nowhere_else():
    with pytest.raises(ValueError, match="level: expected one of"):
        kernels.precision("tf16")
    assert chosen().target == "cuda"
    assert chosen().name != "tensor_core"
    with kernels.precision("tf32"):
        assert chosen().name == "tensor_core"
        assert chosen("da").name == "tensor_core"
        assert chosen(dtype=np.float64).name != "tensor_core"
        assert chosen(capability=(7, 5)).name != "tensor_core"
    assert chosen(algorithm="tensor_core").name == "tensor_core"
    assert chosen(dtype=np.float16).name == "tensor_core"
    with kernels.precision("strict"):
        with pytest.raises(ValueError, match=r"tensor_core.*strict"):
            chosen(algorithm="tensor_core")
        assert chosen(dtype=np.float16).name == "tensor_core"  # its products are exact


@pytest.fixture
def waits(monkeypatch):
    """Pairs (stream that waits, stream that it waits for), in order."""
    made = []
    monkeypatch.setattr(
        arrays, "_after", lambda stream, other, ordinal: made.append((stream, other))
    )
    return made


def test_streams_wait_before_a_call_and_after_it(waits):
    a, b = described((4, 4)), replace(described((4, 4)), stream=7)
    first, other = arrays.gather({"a": a, "b": b})
    assert (first.stream, other.stream, other.home) == (0, 0, 7)
    assert waits == [(0, 7)]
    assert other.reshape(2, 8).home == 7
    arrays.awaited([first, other.swapaxes(0, 1), first, other])
    assert waits == [(0, 7), (7, 0)]
    arrays.awaited([first, first])
    assert len(waits) == 2


def test_scratch_is_kept_for_a_thread_and_a_stream(monkeypatch):
    addresses = itertools.count(1 << 40, 1 << 20)

    def room(nbytes, dtype):
        return DeviceArray.packed(next(addresses), (nbytes,), dtype, None)

    monkeypatch.setattr(kept, "cuda", SimpleNamespace(device_array=room))
    monkeypatch.setattr(arrays, "on_device", lambda ordinal: contextlib.nullcontext())
    monkeypatch.setattr(arrays, "poison", lambda array: None)
    monkeypatch.setattr(kept, "_scratch", {})
    x = described((4,))
    mine = kept.scratch(100, np.float32, x).pointer
    found = []
    beside = threading.Thread(target=lambda: found.append(kept.scratch(100, np.float32, x).pointer))
    beside.start()
    beside.join()
    found.append(kept.scratch(100, np.float32, replace(x, stream=7)).pointer)
    assert kept.scratch((2, 50), np.float32, x).pointer == mine
    assert len({mine, *found}) == 3


def test_failed_launch_is_known_by_either_librarys_exception():
    from cuda.core._utils.cuda_utils import CUDAError
    from numba.cuda.cudadrv.driver import CudaAPIError

    assert launch._is_drivers(CUDAError("too many resources"))
    assert launch._is_drivers(CudaAPIError(1, "invalid value"))
    assert not launch._is_drivers(TypeError("no"))


class OfNumba:
    """As much of Numba's array as the door reads."""

    __module__ = "numba.cuda"
    gpu_data, stream = None, 0

    def __init__(self, pointer, strides, dtype=np.float32):
        self.shape, self.strides, self.dtype = (2, 2), strides, np.dtype(dtype)
        self.__cuda_array_interface__ = {"data": (pointer, False)}

    def is_c_contiguous(self):
        return self.strides == (2 * self.dtype.itemsize, self.dtype.itemsize)


def test_output_is_bound_to_the_stream_that_fills_it(monkeypatch):
    class Stream:
        handle = 7

    def device_array(shape, dtype, stream):
        made = OfNumba(1 << 20, (8, 4))
        made.stream = stream
        return made

    fake = SimpleNamespace(device_array=device_array, external_stream=lambda handle: handle)
    monkeypatch.setattr(arrays, "cuda", fake)
    monkeypatch.setattr(arrays, "on_device", lambda ordinal: contextlib.nullcontext())
    monkeypatch.setattr(arrays, "poison", lambda array: None)
    arrays.external_stream.cache_clear()
    given = OfNumba(1 << 10, (8, 4))
    given.stream = Stream()
    like = arrays.view("a", given)
    made = arrays.empty((2, 2), np.float32, like)
    assert made.stream == 7
    assert made.owner.stream is given.stream
    assert arrays.empty((2, 2), np.float32, replace(like, stream=9)).owner.stream == 9
    arrays.external_stream.cache_clear()


def test_elements_off_their_boundaries_are_refused():
    for wrong in (OfNumba(1026, (8, 4)), OfNumba(1024, (10, 4))):
        with pytest.raises(ValueError, match=r"^a: expected float32 at multiples of 4 bytes"):
            arrays.view("a", wrong)
    assert arrays.view("a", OfNumba(1028, (8, 4))).native is not None
    assert arrays.view("a", OfNumba(1028, (4, 2), ml_dtypes.bfloat16)).native is None


def test_tensors_that_cannot_be_read_name_the_argument():
    torch = pytest.importorskip("torch")
    for wrong, why in (
        (torch.ones(2, requires_grad=True), "gradient"),
        (torch.imag(torch.ones(2, dtype=torch.complex64).conj()), "resolve_neg"),
        (torch.ones(2).to(torch.float8_e4m3fn), "dtype"),
    ):
        with pytest.raises((TypeError, RuntimeError), match=rf"^x: .*{why}|no CUDA device answers"):
            arrays.view("x", wrong)


def test_simulator_takes_its_own_arrays_alone():
    printed = run(TRIES, NUMBA_ENABLE_CUDASIM="1")
    for line in (printed[1], printed[4]):
        assert "in the simulator, got OnDevice" in line
