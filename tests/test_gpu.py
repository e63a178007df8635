"""Parity on a real device: ``python -m pytest -m gpu``. Without one, every test here is skipped, and says so."""

import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest

import kernels
from bench import calls, check
from bench.cases import odd_cases
from kernels.core import targets
from kernels.core.cuda.compiler import cuda

pytestmark = pytest.mark.gpu


def absent():
    """Why there is no device; None where there is one."""
    try:
        targets.cuda()
    except RuntimeError as error:
        return str(error)
    return None


REASON = absent()
if REASON is not None:
    pytestmark = [pytestmark, pytest.mark.skip(reason=REASON)]

# Sizes that networks have; what a host can still sum in float64 in seconds.
REAL = {
    "matmul": (((1024, 768), (768, 1536)), {}),
    "linear": (((512, 1024), (768, 1024), (768,)), {"activation": "relu"}),
    "conv2d": (((4, 64, 56, 56), (64, 64, 3, 3), (64,)), {"padding": 1}),
}
REAL_DEPTHWISE = ((8, 32, 56, 56), (32, 1, 3, 3), (32,)), {"padding": 1, "groups": 32}
RUNGS = [
    pytest.param(ladder.name, rung.name, direction, id=f"{ladder.name}-{rung.name}-{direction}")
    for ladder in kernels.ladders("cuda")
    for rung in ladder
    for direction in rung.run
]


def torch_library():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("PyTorch sees no CUDA device")
    return torch


class Numba:
    """Numba's own arrays, which `kernels.to_device` makes."""

    def up(self, x):
        return kernels.to_device(x)

    def pointer(self, x):
        return x.__cuda_array_interface__["data"][0]

    def is_mine(self, x):
        return cuda.is_cuda_array(x) and type(x).__module__.startswith("numba")

    def transposed(self, x):
        pytest.skip("Numba transposes by a copy")


class Torch:
    def __init__(self):
        self.torch = torch_library()

    def up(self, x):
        return self.torch.from_numpy(np.ascontiguousarray(x)).cuda()

    def pointer(self, x):
        return x.data_ptr()

    def is_mine(self, x):
        return isinstance(x, self.torch.Tensor) and x.is_cuda

    def transposed(self, x):
        return self.up(x.T).T


class CuPy:
    def __init__(self):
        self.cupy = pytest.importorskip("cupy")

    def up(self, x):
        return self.cupy.asarray(x)

    def pointer(self, x):
        return x.data.ptr

    def is_mine(self, x):
        return isinstance(x, self.cupy.ndarray)

    def transposed(self, x):
        return self.up(x.T).T


@pytest.fixture(params=[Numba, Torch, CuPy], ids=["numba", "torch", "cupy"])
def library(request):
    return request.param()


def up(library, arrays):
    return tuple(None if each is None else library.up(each) for each in arrays)


def test_same_kind_out_and_no_copy_in(library, rng):
    x, w = rng.standard_normal((64, 48), np.float32), rng.standard_normal((32, 48), np.float32)
    there = up(library, (x, w))
    before = [library.pointer(each) for each in there]
    y = kernels.linear(*there)
    assert library.is_mine(y)
    assert y.shape == (64, 32)
    assert [library.pointer(each) for each in there] == before
    assert check.ratio(kernels.to_host(y), calls.reference("linear", "forward", (x, w), {})) <= 1
    for each, host in zip(there, (x, w)):
        np.testing.assert_array_equal(kernels.to_host(each), host)
    out = library.up(np.full((64, 32), np.nan, np.float32))
    place = library.pointer(out)
    assert kernels.linear(*there, out=out) is out
    assert library.pointer(out) == place
    np.testing.assert_array_equal(kernels.to_host(out), kernels.to_host(y))
    grads = kernels.linear_backward(y, *there)
    assert all(library.is_mine(each) for each in grads)


def test_transposed_view_is_read_as_it_lies(library, rng):
    a, b = rng.standard_normal((65, 33), np.float32), rng.standard_normal((33, 70), np.float32)
    y = kernels.matmul(library.transposed(a), library.up(b))
    assert check.ratio(kernels.to_host(y), calls.reference("matmul", "forward", (a, b), {})) <= 1


@pytest.mark.parametrize(("ladder", "rung", "direction"), RUNGS)
def test_rung_agrees_with_reference(ladder, rung, direction):
    served = 0
    shapes, options = REAL_DEPTHWISE if rung == "depthwise" else REAL[ladder]
    rng = np.random.default_rng()
    real = tuple(rng.standard_normal(shape).astype(np.float32) for shape in shapes), options
    odd = [(case.arrays(np.float32, 7), case.options) for case in odd_cases(ladder)]
    double = [
        (tuple(each.astype(np.float64) for each in arrays), options) for arrays, options in odd
    ]
    half = [(tuple(each.astype(np.float16) for each in arrays), options) for arrays, options in odd]
    for arrays, kept in (real, *odd, *double, *half):
        arrays, kept = calls.inputs(ladder, direction, arrays, kept, 3)
        there = up(Numba(), arrays)
        found = kernels.ladder(ladder, "cuda")
        problem = calls.plan(ladder, direction, there, kept).problem
        if found.refusal(found[rung], problem, direction) is not None:
            continue
        got = kernels.to_host(calls.ours(ladder, direction, there, kept, algorithm=rung))
        again = kernels.to_host(calls.ours(ladder, direction, there, kept, algorithm=rung))
        assert got.tobytes() == again.tobytes()
        judged = calls.reference(ladder, direction, arrays, kept)
        growth = calls.growth(found[rung], problem, direction)
        assert check.ratio(got, judged, growth) <= 1, [each.shape for each in arrays]
        served += 1
    assert served


@pytest.mark.parametrize("ladder", ["matmul", "linear", "conv2d"])
def test_bfloat16_through_dlpack(ladder):
    torch = torch_library()
    for case in odd_cases(ladder):
        for direction in kernels.ladder(ladder).directions:
            arrays = case.arrays(np.dtype(ml_dtypes.bfloat16), 5)
            arrays, options = calls.inputs(ladder, direction, arrays, case.options, 5)
            there = tuple(
                torch.from_numpy(each.astype(np.float32)).to(torch.bfloat16).cuda()
                for each in arrays
            )
            y = calls.ours(ladder, direction, there, options)
            assert y.dtype == torch.bfloat16
            assert y.is_cuda
            plan = calls.plan(ladder, direction, there, options)
            growth = calls.growth(plan.rung, plan.problem, direction)
            judged = calls.reference(ladder, direction, arrays, options)
            assert check.ratio(kernels.to_host(y), judged, growth) <= 1, case.title


def test_work_goes_to_the_stream_that_pytorch_uses():
    torch = torch_library()
    x = torch.randn(2048, 2048, device="cuda")
    wanted = torch.matmul(x.double(), x.double())
    torch.cuda.synchronize()
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        y = torch.zeros_like(x)
        for _ in range(20):  # still running when our call returns
            torch.matmul(x, x, out=y)
        y.copy_(x)
        z = kernels.matmul(y, y)  # reads what the side stream has yet to write
        after = z + 0.0  # and is read by what the side stream does next
    side.synchronize()
    assert torch.allclose(after.double(), wanted, atol=1e-2)


def test_arrays_of_two_streams_wait_for_each_other():
    torch = torch_library()
    x = torch.randn(1024, 1024, device="cuda")
    torch.cuda.synchronize()
    out = kernels.to_device(np.zeros((1024, 1024), np.float32))  # Numba's, on the default stream
    with torch.cuda.stream(torch.cuda.Stream()):
        y = x * 1.0
        kernels.matmul(y, y, out=out)
        torch.cuda.current_stream().synchronize()
    judged = calls.reference("matmul", "forward", (x.cpu().numpy(),) * 2, {})
    assert check.ratio(kernels.to_host(out), judged) <= 1


def test_gradients_agree_with_pytorchs():
    torch = torch_library()
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    x = torch.randn(8, 6, 17, 19, device="cuda", dtype=torch.float64, requires_grad=True)
    w = torch.randn(9, 2, 3, 3, device="cuda", dtype=torch.float64, requires_grad=True)
    b = torch.randn(9, device="cuda", dtype=torch.float64, requires_grad=True)
    options = {"stride": 2, "padding": 1, "groups": 3}
    y = torch.nn.functional.conv2d(x, w, b, **options)
    dy = torch.randn_like(y)
    wanted = torch.autograd.grad(y, (x, w, b), dy)
    mine = kernels.conv2d(x.detach(), w.detach(), b.detach(), **options)
    assert torch.allclose(mine, y)
    for got, want in zip(kernels.conv2d_backward(dy, x.detach(), w.detach(), **options), wanted):
        assert torch.allclose(got, want)


def test_tensor_that_requires_gradients_is_refused():
    torch = torch_library()
    x = torch.ones(2, 2, device="cuda", requires_grad=True)
    with pytest.raises(TypeError, match=r"^a: Tensor cannot be read"):
        kernels.matmul(x, x)


def test_cpu_array_beside_one_on_the_device(library, rng):
    x = rng.standard_normal((4, 4), np.float32)
    with pytest.raises(TypeError, match=r"^b: .*to_device"):
        kernels.matmul(library.up(x), x)


@pytest.mark.skipif(REASON is None and len(cuda.gpus) < 2, reason="there is one CUDA device alone")
def test_arrays_on_two_devices():
    torch = torch_library()
    with pytest.raises(ValueError, match=r"^b: .*CUDA device 0 like a, got one on device 1"):
        kernels.matmul(torch.ones(2, 2, device="cuda:0"), torch.ones(2, 2, device="cuda:1"))


# A kernel that stores through an address that is no one's: the device is lost to its process, so it has its own.
FAULT = """
import sys
import numpy as np
import kernels
from kernels.core.device_array import DeviceArray

kernels.debug_sync(sys.argv[1] == "on")
a = kernels.to_device(np.ones((8, 8), np.float32))
lost = DeviceArray.packed(1 << 46, (8, 8), np.float32, a)
try:
    kernels.matmul(a, lost)
    print("returned")
except RuntimeError as error:
    print(f"raised: {error}")
"""


def test_failed_launch_surfaces_at_the_call_under_debug_sync():
    def said(setting):
        done = subprocess.run(
            [sys.executable, "-c", FAULT, setting], capture_output=True, text=True, timeout=300
        )
        return done.stdout.strip()

    assert said("on").startswith("raised: ")
    assert "launch" in said("on")
    assert said("off") == "returned"


def test_memory_kept_is_given_back(rng):
    from kernels.core.cuda import kept

    x = kernels.to_device(rng.standard_normal((130, 130), np.float32))
    kernels.matmul(x, x)
    kernels.clear_memory()
    assert not kept._scratch
    judged = calls.reference("matmul", "forward", (kernels.to_host(x),) * 2, {})
    assert check.ratio(kernels.to_host(kernels.matmul(x, x)), judged) <= 1
