"""Numba's CUDA simulator, in a process of its own.

Whether kernels are simulated is settled when Numba is imported, so the tests talk to a worker that was started with
NUMBA_ENABLE_CUDASIM=1. It calls what it is told to and sends the result back, or the traceback. One that dies or
takes too long fails the test that asked, with what it wrote to its stderr; the next test gets a new one.

The worker is stricter than the simulator: outputs, scratch, shared arrays and registers start as NaN, a 16-byte access
to another address than a multiple of 16 is an error there, as it is on a GPU, and a block's threads start in an order
that differs from block to block. Nor does it ask each thread in turn whether it waits at a barrier, which took half of
the time.
"""

import ctypes
import faulthandler
import multiprocessing
import os
import tempfile
import threading
import traceback
from pathlib import Path

import numpy as np

PATIENCE = 300  # seconds for one call; a case takes one or two where the machine is free
SHOWN = 6000  # characters of a dead worker's stderr
ALIGNED = 256  # bytes: where a device's allocator puts what it gives


class Simulator:
    """The worker, started at the first call."""

    def __init__(self):
        self._process = self._pipe = None
        self._errors = Path(tempfile.mkstemp(prefix="simulator-", suffix=".txt")[1])

    def ask(self, function, *arguments, patience=PATIENCE, **keywords):
        """Call a function of an importable module there, and return what it returns."""
        if self._process is None:
            self._start()
        try:
            self._pipe.send((function, arguments, keywords, patience))
            if not self._pipe.poll(patience + 30):  # it ends itself when its own patience is over
                raise EOFError
            kind, value = self._pipe.recv()
        except (EOFError, OSError):
            raise AssertionError(f"the simulator died or hung:\n{self._end()}") from None
        assert kind == "result", value
        return value

    def close(self):
        """End the worker."""
        if self._process is not None:
            self._end()
        self._errors.unlink(missing_ok=True)

    def _start(self):
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        before = os.environ.get("NUMBA_ENABLE_CUDASIM")
        os.environ["NUMBA_ENABLE_CUDASIM"] = "1"  # read by the child as it imports Numba
        try:
            self._process = context.Process(
                target=_serve, args=(theirs, str(self._errors)), daemon=True
            )
            self._process.start()
        finally:
            if before is None:
                del os.environ["NUMBA_ENABLE_CUDASIM"]
            else:
                os.environ["NUMBA_ENABLE_CUDASIM"] = before
        theirs.close()

    def _end(self):
        """Stop the worker, and return what it wrote to its stderr."""
        self._pipe.close()
        self._process.join(5)
        self._process.kill()
        self._process = self._pipe = None
        return self._errors.read_text(errors="replace")[-SHOWN:]


def _serve(pipe, errors):
    """Answer until the parent hangs up."""
    with open(errors, "w") as file:
        os.dup2(file.fileno(), 2)
    _be_strict()
    from kernels.core import memory

    while True:
        try:
            function, arguments, keywords, patience = pipe.recv()
        except EOFError:
            return
        faulthandler.dump_traceback_later(patience, exit=True)
        try:
            with memory.poisoned():
                answer = ("result", function(*arguments, **keywords))
        except BaseException:
            answer = ("error", traceback.format_exc()[-SHOWN:])
        faulthandler.cancel_dump_traceback_later()
        pipe.send(answer)


def _be_strict():
    """Poison registers, refuse 16-byte accesses that a GPU would fault at, and run blocks by `_run_block`."""
    from numba.cuda.simulator import kernel, kernelapi

    from kernels.core.cuda import operations

    def registers(self, shape, dtype, alignment=None):
        dtype = np.dtype(getattr(dtype, "name", dtype))
        return np.full(shape, np.nan if dtype.kind == "f" else 0xA5, dtype)

    kernelapi.FakeCUDALocal.array = registers
    kernel.BlockManager.run = _run_block
    kernel.BlockThread.syncthreads = lambda thread: thread._manager.barrier.wait()
    for name in ("copy4", "copy16"):
        setattr(operations, name, _aligned(getattr(operations, name)))


class _Barrier:
    """Where the threads of a block meet that have not returned yet."""

    def __init__(self, count):
        self._condition, self._live, self._waiting, self._turn = threading.Condition(), count, 0, 0
        self.error = None

    def wait(self):
        with self._condition:
            self._waiting += 1
            turn = self._turn
            self._open_if_all_are_here()
            while self._turn == turn and self.error is None:
                self._condition.wait()
            if self.error is not None:
                raise RuntimeError("another thread of the block failed")

    def leave(self, error):
        with self._condition:
            self._live -= 1
            self.error = self.error or error
            if self.error is not None:
                self._condition.notify_all()
            self._open_if_all_are_here()

    def _open_if_all_are_here(self):
        if self._waiting and self._waiting == self._live:
            self._waiting, self._turn = 0, self._turn + 1
            self._condition.notify_all()


def _run_block(block, place, *arguments):
    """Run the threads of one block, in place of the simulator's own loop."""
    from numba.cuda.simulator.kernel import BlockThread

    def run():
        error = None
        try:
            block._f(*arguments)
        except BaseException as raised:
            error = raised
        block.barrier.leave(error)

    points = list(np.ndindex(*block._block_dim))
    block.barrier = _Barrier(len(points))
    threads = [BlockThread(run, block, place, point, False) for point in points]
    for i in np.random.default_rng(place).permutation(len(threads)):
        threads[i].start()
    for thread in threads:
        thread.join()
    if block.barrier.error is not None:
        raise block.barrier.error


def _aligned(copy):
    """Wrap a 16-byte copy so that it asks for addresses that are multiples of its size."""

    def checked(source, i, target, j):
        for array, index in ((source, i), (target, j)):
            flat = memory_of(array)
            places = index if isinstance(index, tuple) else (index,)
            assert all(place >= 0 for place in places), f"{copy.__name__}: {index} is negative"
            start = flat.__array_interface__["data"][0]
            start += sum(int(place) * step for place, step in zip(places, flat.strides))
            assert start % 16 == 0, f"{copy.__name__}: misaligned at {index} of {flat.shape}"
        copy(source, i, target, j)

    return checked


def memory_of(array):
    """The NumPy array inside the simulator's."""
    while not isinstance(array, np.ndarray):
        array = array._item if "_item" in vars(array) else array._ary
    return array


def parcel(x):
    """What `unpacked` needs to lay an array out elsewhere as it lies here."""
    steps = [(extent - 1) * step for extent, step in zip(x.shape, x.strides)] if x.size else []
    first = -sum(min(step, 0) for step in steps)  # bytes from the lowest to that of x[0, …, 0]
    low = x.__array_interface__["data"][0] - first
    span = first + sum(max(step, 0) for step in steps) + x.itemsize
    data = ctypes.string_at(low, span) if x.size else b""
    return data, low % ALIGNED, first, x.shape, x.strides, x.dtype


def unpacked(parcel):
    """An array of the simulator's device."""
    from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray

    data, low, first, shape, strides, dtype = parcel
    raw = np.zeros(len(data) + 2 * ALIGNED, np.uint8)
    start = (low - raw.ctypes.data) % ALIGNED
    raw[start : start + len(data)] = np.frombuffer(data, np.uint8)
    return FakeCUDAArray(np.ndarray(shape, dtype, raw, start + first, strides))


def call(name, direction, rung, parcels, options, *, twice=False):
    """Run a rung through the public function; return its result, and its growth or None.

    `twice`: again, and with ``out=``: the same bits are wanted.
    """
    import kernels
    from bench import calls
    from kernels.core.device_array import DeviceArray

    arrays = tuple(None if each is None else unpacked(each) for each in parcels)
    given = [memory_of(each).copy() for each in arrays if each is not None]
    ladder = kernels.ladder(name, "cuda")
    problem = ladder.plan(*arrays, direction=direction, **options).problem

    def run(out=None):
        return calls.ours(name, direction, arrays, options, algorithm=rung, out=out)

    result = run()
    value = kernels.to_host(result)
    assert not isinstance(result, DeviceArray)
    assert result.is_c_contiguous()
    if twice:
        assert kernels.to_host(run()).tobytes() == value.tobytes(), "other bits in another run"
        out = unpacked(parcel(np.full_like(value, np.nan)))
        assert run(out) is out
        assert kernels.to_host(out).tobytes() == value.tobytes(), "other bits with out="
    for before, after in zip(given, (each for each in arrays if each is not None)):
        assert before.tobytes() == memory_of(after).tobytes(), "an input was modified"
    return value, calls.growth(ladder[rung], problem, direction)


def call_in_tile(size, *arguments):
    """As `call`, where implicit_gemm has one tile of float32 to choose from: small problems take the smallest."""
    from unittest import mock

    from kernels.conv.cuda.implicit_gemm import blocks, forward

    plans = forward.forward_plan, forward.dx_plan
    only = tuple(each for each in blocks.CHOICES[4] if each[:2] == size)
    try:
        with mock.patch.dict(blocks.CHOICES, {4: only}):
            return call(*arguments)
    finally:
        for plan in plans:
            plan.cache_clear()


def misaligned():
    """Copy 16 bytes from a place that is not a multiple of 16."""
    from kernels.core.cuda import operations

    operations.copy4(np.zeros(8, np.float32), 1, np.zeros(8, np.float32), 0)
