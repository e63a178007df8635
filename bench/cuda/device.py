"""A CUDA device under the bench: arrays, the clock, ceilings measured in the same run, what a launch costs."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import kernels
from kernels.core.cuda import launch, tensor
from kernels.core.cuda.compiler import SIMULATED, cuda

# Bytes copied before each timed call: more than any L2 holds, and for longer than the host takes to queue the call,
# some launches among them (about half a millisecond on an H100, by its data sheet).
FILLER = 2 << 30
QUEUED = 8  # timed calls between two waits for the device
LAUNCHES = 200

UNROLLED = 32  # chains of multiply-adds in flight in each thread
CHAINS = 8  # products in flight in each warp
STEPS = 4096
BLOCK = 256


class Kind(NamedTuple):
    """What ``--dtype`` means: the arrays' dtype, and the precision under which float32 is multiplied."""

    dtype: np.dtype
    precision: str = "default"


def kind(name: str) -> Kind:
    """Look a ``--dtype`` up."""
    if name == "tf32":
        return Kind(np.dtype(np.float32), "tf32")
    if name == "bfloat16":
        import ml_dtypes

        return Kind(np.dtype(ml_dtypes.bfloat16))
    return Kind(np.dtype(name))


def torch() -> Any:
    """PyTorch, if it is installed and sees the device too; else None."""
    if SIMULATED or importlib.util.find_spec("torch") is None:
        return None
    import torch

    return torch if torch.cuda.is_available() else None


def upload(x: Any) -> Any:
    """Copy an array to the device as it lies, to a tensor of PyTorch's where that is there."""
    if not isinstance(x, np.ndarray):
        return x
    library = torch()
    if library is not None:
        wide = x.astype(np.float32) if x.dtype.name == "bfloat16" else x
        return library.from_numpy(wide).cuda().to(getattr(library, x.dtype.name))
    if SIMULATED:
        return cuda.to_device(x)
    return kernels.to_device(x)


def room(shape: tuple[int, ...], dtype: Any) -> Any:
    """Return an array for ``out=``, full of NaN."""
    return upload(np.full(shape, np.nan, dtype))


class Queue:
    """A contestant whose calls are timed by the device itself, as `bench.clock.Local` is by the host.

    Before each call the device copies `FILLER` bytes. Thereby the L2 holds nothing of the call's arrays, and the
    host has queued the call, and the event after it, before the device comes to it: what is timed is the device's
    work and no waiting for Python.
    """

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self._copy = filler()
        self._events = [(cuda.event(), cuda.event()) for _ in range(QUEUED)]
        for _ in range(3):
            call()  # compiled, cached, warm
        cuda.synchronize()

    def sample(self, seconds: float) -> list[float]:
        """Run for about so long."""
        times: list[float] = []
        stop = time.perf_counter() + seconds
        while not times or time.perf_counter() < stop:
            for start, end in self._events:
                self._copy()
                start.record()
                self._call()
                end.record()
            cuda.synchronize()
            times += [cuda.event_elapsed_time(*pair) / 1e3 for pair in self._events]
        return times


_fillers: list[Callable[[], object]] = []


def filler() -> Callable[[], object]:
    """Return the copy that precedes every timed call; its two arrays are made once."""
    if not _fillers:
        half = FILLER // 2
        source, target = cuda.device_array(half, np.uint8), cuda.device_array(half, np.uint8)
        _fillers.append(lambda: target.copy_to_device(source))
    return _fillers[0]


def _blocks(x: Any, repeats: int, y: Any) -> tuple[int, int, int]:
    return (y.size // BLOCK, 1, 1)


@launch.kernel(BLOCK, _blocks)
def multiply_adds(x, repeats, y):
    """Chains of fused multiply-adds in registers: 2·UNROLLED·repeats FLOPs a thread."""
    t = cuda.grid(1)
    factor, term = x[0], x[1]
    sums = cuda.local.array(UNROLLED, y.dtype)
    for i in range(UNROLLED):
        sums[i] = x[0] * i
    for _ in range(repeats):
        for i in range(UNROLLED):
            sums[i] = sums[i] * factor + term
    total = y.dtype.type(0)
    for i in range(UNROLLED):
        total += sums[i]
    y[t] = total


@launch.kernel(BLOCK, _blocks)
def tensor_multiply_adds(like, repeats, y):
    """The same on a warp's tensor core: CHAINS·repeats products of 16 × 8 sums a warp, of zeros."""
    a, b = cuda.local.array(4, np.uint32), cuda.local.array(2, np.uint32)
    sums = cuda.local.array((CHAINS, 4), np.float32)
    for i in range(4):
        a[i] = 0
        b[i % 2] = 0
    for n in range(CHAINS):
        for i in range(4):
            sums[n, i] = 0
    for _ in range(repeats):
        for n in range(CHAINS):
            tensor.mma(like, a, 0, b, 0, sums, (n, 0))
    total = y.dtype.type(0)
    for n in range(CHAINS):
        for i in range(4):
            total += sums[n, i]
    y[cuda.grid(1)] = total


def ceilings(kind: Kind) -> dict[str, float]:
    """Return the peak of multiply-adds in GFLOP/s, a tensor core's (by `mma.sync`) where it multiplies such arrays,
    and of copying in GB/s.
    """
    from kernels.core.cuda import arrays

    on_tensor_cores = kind.precision == "tf32" or kind.dtype.itemsize < 4
    threads = 32 * BLOCK * cuda.get_current_device().MULTIPROCESSOR_COUNT
    sums = np.float32 if on_tensor_cores else kind.dtype
    y = arrays.view("y", kernels.to_device(np.zeros(threads, sums)))
    x = arrays.view("x", upload(np.full(2, 0.5, kind.dtype)))
    if on_tensor_cores:
        terms = 32 // kind.dtype.itemsize
        flops = 2 * 16 * 8 * terms * CHAINS * STEPS * (threads // 32)
        peak = Queue(lambda: tensor_multiply_adds(x, STEPS, y))
    else:
        flops = 2 * UNROLLED * STEPS * threads
        peak = Queue(lambda: multiply_adds(x, STEPS, y))
    copy = Queue(filler())
    return {
        "gflops": flops / statistics.median(peak.sample(0.1)) / 1e9,
        "gbytes": FILLER / statistics.median(copy.sample(0.1)) / 1e9,
    }


class Launch(NamedTuple):
    """Microseconds that a call of a tiny problem takes: the host until it returns, and the device."""

    host: float
    device: float


def launch_cost() -> Launch:
    """Time a 1 × 1 product with ``out=``, through the public function."""
    a, out = upload(np.ones((1, 1), np.float32)), room((1, 1), np.float32)

    def call() -> Any:
        return kernels.matmul(a, a, out=out)

    device = Queue(call)
    start = time.perf_counter()
    for _ in range(LAUNCHES):
        call()
    host = (time.perf_counter() - start) / LAUNCHES
    cuda.synchronize()
    return Launch(1e6 * host, 1e6 * statistics.median(device.sample(0.1)))


def about(limits: dict[str, float], cost: Launch) -> dict[str, Any]:
    """Describe what the numbers hold for."""
    import numba

    found = cuda.get_current_device()
    library = torch()
    name = found.name.decode() if isinstance(found.name, bytes) else str(found.name)
    return {
        "device": name,
        "capability": list(found.compute_capability),
        "multiprocessors": int(found.MULTIPROCESSOR_COUNT),
        "numba": numba.__version__,
        "numba_cuda": importlib.metadata.version("numba-cuda"),
        "numpy": np.__version__,
        "torch": None if library is None else library.__version__,
        "cudnn": None if library is None else library.backends.cudnn.version(),
        "peak_gflops": limits["gflops"],
        "copy_gbytes": limits["gbytes"],
        "launch_host_us": cost.host,
        "launch_device_us": cost.device,
    }
