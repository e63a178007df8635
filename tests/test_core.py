"""Compilation flags, the cache's stamp, threads, fork, memory, geometry, validation."""

import gc
import os
import shutil
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest

import kernels
from kernels.core import checks, geometry, jit, memory, targets, threads
from kernels.core.ladder import Ladder, Rung
from kernels.gemm import reordered

ROOT = Path(__file__).resolve().parents[1]


def run_python(code, cwd=ROOT, **env):
    """Run code in a fresh interpreter on the checkout; return its output."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(cwd), **env},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


# ------------------------------------------------------------------------------------- compilation


@jit.fast
def _sum_fast(x):
    total = x.dtype.type(0)
    for i in range(x.shape[0]):
        total += x[i] * x[i]
    return total


@jit.exact
def _sum_exact(x):
    total = x.dtype.type(0)
    for i in range(x.shape[0]):
        total += x[i] * x[i]
    return total


def test_flags_in_the_ir():
    x = np.ones(8, np.float32)
    assert _sum_fast(x) == _sum_exact(x) == 8
    fast = next(iter(_sum_fast.inspect_llvm().values()))
    exact = next(iter(_sum_exact.inspect_llvm().values()))
    adds = [line for line in fast.splitlines() if " fadd " in line]
    assert adds
    assert all("reassoc" in line and "contract" in line and "nsz" in line for line in adds)
    for line in fast.splitlines():
        if " fadd " in line or " fmul " in line:
            assert not {"nnan", "ninf", "fast"} & set(line.split())
    for line in exact.splitlines():
        if " fadd " in line or " fmul " in line:
            assert not {"reassoc", "contract", "nsz", "nnan", "ninf", "fast"} & set(line.split())


def test_cache_is_stamped_over_every_source_below_a_kernel(tmp_path):
    shutil.copytree(
        ROOT / "kernels", tmp_path / "kernels", ignore=shutil.ignore_patterns("__pycache__")
    )
    code = """
        import numpy as np
        from kernels.gemm import parallel
        from kernels.gemm.ladder import MATMUL
        import kernels
        x = np.ones((2, 2), np.float32)
        kernels.matmul(x, x, algorithm="blocked")
        kernel = MATMUL["blocked"].run["forward"]
        print("hits", sum(kernel.stats.cache_hits.values()))
    """
    cache = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    assert "hits 0" in run_python(code, tmp_path, **cache)
    assert "hits 1" in run_python(code, tmp_path, **cache)
    helper = tmp_path / "kernels" / "core" / "geometry.py"
    helper.write_text(helper.read_text() + "\n# changed\n")
    assert "hits 0" in run_python(code, tmp_path, **cache)


def test_no_cache_folder_warns_once_and_goes_on():
    output = run_python(
        """
        import warnings
        import numpy as np
        from numba.core import caching
        caching.CompileResultCacheImpl._locator_classes = []
        from kernels.core import jit
        jit._StampedImpl._locator_classes = []
        import kernels
        x = np.ones((2, 2))
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            for rung in ("naive", "reordered"):
                assert kernels.matmul(x, x, algorithm=rung)[0, 0] == 2
        print([str(w.message)[:40] for w in seen if w.category is RuntimeWarning])
        """,
        NUMBA_CACHE_LOCATOR_CLASSES="",
    )
    assert output.count("loopwise keeps no compiled code") == 1


def test_a_user_may_call_a_loop_from_compiled_code(rng):
    from numba import njit

    @njit
    def twice(a, b, c):
        reordered.matmul(a, b, False, False, c)
        return c[0, 0, 0] * 2

    a, b = rng.standard_normal((1, 3, 4)), rng.standard_normal((1, 4, 5))
    assert twice(a, b, np.empty((1, 3, 5))) == pytest.approx(2 * (a[0] @ b[0])[0, 0])


def test_import_needs_neither_cuda_nor_peers():
    code = "import sys, kernels; print([m for m in ('numba.cuda', 'torch', 'sklearn') if m in sys.modules])"
    assert run_python(code).strip() == "[]"


# ----------------------------------------------------------------------------------------- threads


def test_set_num_threads_leaves_numba_alone():
    import numba

    before = numba.get_num_threads()
    kernels.set_num_threads(1)
    try:
        assert kernels.get_num_threads() == 1
        assert numba.get_num_threads() == before
    finally:
        kernels.set_num_threads(None)
    with pytest.raises(TypeError, match=r"n: .*'two'"):
        kernels.set_num_threads("two")
    with pytest.raises(ValueError, match="n: expected 1 to"):
        kernels.set_num_threads(0)


CONCURRENT = """
    import threading
    import numpy as np
    import kernels
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 200, 200)).astype(np.float32)
    want = kernels.matmul(a, b, algorithm="parallel")
    failures = []
    def work():
        for _ in range(20):
            if not np.array_equal(kernels.matmul(a, b, algorithm="parallel"), want):
                failures.append(1)
    crew = [threading.Thread(target=work) for _ in range(8)]
    [t.start() for t in crew]
    [t.join() for t in crew]
    from kernels.core import threads
    print(threads.layer(), "failures", len(failures))
"""


@pytest.mark.parametrize("layer", ["workqueue", "omp"])
def test_eight_threads_at_once(layer):
    output = run_python(CONCURRENT, NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS="2")
    assert "failures 0" in output
    assert layer in output


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("layer", ["workqueue", "omp"])
def test_a_forked_child_computes_the_same(layer):
    output = run_python(
        """
        import os
        import numpy as np
        import kernels
        from kernels.core import threads
        a = np.random.default_rng(0).standard_normal((200, 200))
        want = kernels.matmul(a, a, algorithm="parallel")
        child = os.fork()
        if child == 0:
            serial = threads.get_num_threads() == 1
            good = np.array_equal(kernels.matmul(a, a, algorithm="parallel"), want)
            os._exit((0 if good else 1) + (0 if serial == (threads.layer() == "omp") else 2))
        print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """,
        NUMBA_THREADING_LAYER=layer,
        NUMBA_NUM_THREADS="2",
    )
    assert "child 0" in output


def test_a_busy_region_sends_others_down_the_serial_path(monkeypatch):
    taken = []

    def on_threads(*args):
        taken.append("parallel")

    on_threads.serial = lambda *args: taken.append("serial")
    monkeypatch.setattr(threads, "layer", lambda: "workqueue")
    monkeypatch.setattr(threads, "get_num_threads", lambda: 2)
    with threads._region:
        threads.run(on_threads, ())
    threads.run(on_threads, ())
    threads.run(on_threads, (), work=10)
    assert taken == ["serial", "parallel", "serial"]


# ------------------------------------------------------------------------------------------ memory


def test_arrays_are_aligned_and_poisoned():
    for shape in (3, (2, 5), (700, 300), (0, 4)):
        x = memory.empty(shape, np.float32)
        assert x.ctypes.data % memory.ALIGNMENT == 0 or x.size == 0
        assert x.flags.c_contiguous
        assert x.flags.writeable
        assert np.isnan(x).all()


def test_the_recycler_returns_a_buffer_when_its_last_view_dies():
    kernels.clear_memory()
    x = memory.empty((512, 512), np.float64)
    address, view = x.ctypes.data, x[3:, ::2]
    del x
    gc.collect()
    assert memory.held_memory() == 0  # the view still needs it
    del view
    gc.collect()
    assert memory.held_memory() > 0
    assert memory.empty((512, 512), np.float64).ctypes.data == address
    gc.collect()
    kernels.clear_memory()
    assert memory.held_memory() == 0


def test_the_recycler_is_bounded_and_safe_among_threads(monkeypatch):
    kernels.clear_memory()
    monkeypatch.setattr(memory._pool, "_limit", 4 << 20)
    bad = []

    def churn(value):
        for _ in range(50):
            x = memory.empty((1 << 18,), np.float32)
            x.fill(value)
            if not (x == value).all():
                bad.append(value)
            del x

    crew = [threading.Thread(target=churn, args=(i,)) for i in range(4)]
    for each in crew:
        each.start()
    for each in crew:
        each.join()
    assert not bad
    assert memory.held_memory() <= 4 << 20
    kernels.clear_memory()


def test_workspace_limit(rng):
    a = rng.standard_normal((100, 100))
    want = kernels.matmul(a, a)
    try:
        kernels.set_workspace_limit(1000)
        np.testing.assert_allclose(kernels.matmul(a, a), want, atol=1e-10)
        with pytest.raises(ValueError, match="workspace limit is 1,000"):
            kernels.matmul(a, a, algorithm="blocked")
    finally:
        kernels.set_workspace_limit(None)
    with pytest.raises(ValueError, match=r"limit: .*-1"):
        kernels.set_workspace_limit(-1)
    with pytest.raises(TypeError, match="limit"):
        kernels.set_workspace_limit(1.5)


# ---------------------------------------------------------------------------------------- geometry


@pytest.mark.parametrize(
    ("value", "want"),
    [
        (2, ((2, 2), (2, 2))),
        (np.int64(2), ((2, 2), (2, 2))),
        ((1, 2), ((1, 1), (2, 2))),
        (((1, 2), (3, 4)), ((1, 2), (3, 4))),
        ("valid", ((0, 0), (0, 0))),
        ("same", ((0, 1), (1, 1))),
        ("same_upper", ((0, 1), (1, 1))),
        ("same_lower", ((1, 0), (1, 1))),
    ],
)
def test_padding_forms(value, want):
    assert geometry.padding(value, (8, 9), (2, 3), (1, 1), (1, 1)) == want


@pytest.mark.parametrize("value", [-1, (1, -1), ((0, 0), (0, -2)), "full", (1, 2, 3)])
def test_padding_values_refused(value):
    with pytest.raises(ValueError, match="padding"):
        geometry.padding(value, (8, 8), (3, 3), (1, 1), (1, 1))


@pytest.mark.parametrize("value", [1.5, None, (1.0, 1), ((1,), (2,)), True, {1: 2}])
def test_padding_types_refused(value):
    with pytest.raises((TypeError, ValueError), match="padding"):
        geometry.padding(value, (8, 8), (3, 3), (1, 1), (1, 1))


def test_output_size_counts_like_the_formula():
    assert geometry.output_size(7, 3, 2, (0, 0), 1) == 3
    assert geometry.output_size(8, 3, 2, (0, 0), 1) == 3
    assert geometry.output_size(8, 3, 2, (0, 0), 1, ceil_mode=True) == 4
    assert geometry.output_size(3, 2, 2, (1, 1), 1, ceil_mode=True) == 2
    assert geometry.output_size(5, 3, 1, (0, 0), 2) == 1
    with pytest.raises(ValueError, match="5 elements, got 3 taps with dilation 3"):
        geometry.output_size(3, 3, 1, (1, 1), 3)


# ------------------------------------------------------------------------------------- validation


def test_checks_name_the_argument_the_value_and_the_expectation():
    with pytest.raises(TypeError, match=r"x: expected float32 or float64, got int64"):
        checks.array("x", np.ones(3, np.int64))
    with pytest.raises(TypeError, match=r"x: expected an array, got list"):
        checks.array("x", [1.0])
    with pytest.raises(ValueError, match=r"x: expected 2 dimensions, got 1"):
        checks.array("x", np.ones(3), 2)
    with pytest.raises(TypeError, match="masked"):
        checks.array("x", np.ma.masked_array([1.0]))
    with pytest.raises(TypeError, match=r"n: expected an integer, got True"):
        checks.integer("n", True)
    with pytest.raises(ValueError, match=r"p: expected a number from 0 to 1, got nan"):
        checks.real("p", float("nan"), 0, 1)
    with pytest.raises(TypeError, match="needs"):
        checks.needs("x", ("x", "w"))
    with pytest.raises(ValueError, match=r"needs.*'z'"):
        checks.needs(("z",), ("x", "w"))


def test_out_must_fit_exactly():
    x = np.ones((4, 4))
    for bad, message in [
        (np.empty((4, 3)), "shape"),
        (np.empty((4, 4), np.float32), "float64"),
        (np.empty((4, 8))[:, ::2], "C-contiguous"),
        (x, "overlaps another"),
    ]:
        with pytest.raises(ValueError, match=message):
            kernels.matmul(x, x, out=bad)
    frozen = np.empty((4, 4))
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="writeable"):
        kernels.matmul(x, x, out=frozen)
    with pytest.raises(TypeError, match="out: expected a NumPy array"):
        kernels.matmul(x, x, out=[1])
    np.testing.assert_array_equal(x, 1)


def test_other_libraries_arrays_come_in_through_dlpack(rng):
    torch = pytest.importorskip("torch")
    a = rng.standard_normal((3, 4)).astype(np.float32)
    got = kernels.matmul(torch.from_numpy(a), torch.from_numpy(a).T)
    assert isinstance(got, np.ndarray)
    np.testing.assert_allclose(got, a @ a.T, rtol=1e-5)
    with pytest.raises(TypeError, match=r"a: .*requires.*grad|a: .*gradient"):
        kernels.matmul(torch.ones(2, 2, requires_grad=True), a)


def test_cuda_arrays_are_recognised_and_the_door_says_what_is_missing():
    class Device:
        __cuda_array_interface__ = {}  # noqa: RUF012

    assert targets.of(Device()) == "cuda"
    with pytest.raises(TypeError, match=r"x: .*CUDA"):
        checks.array("x", Device())
    try:
        from numba import cuda

        present = cuda.is_available()
    except ImportError:
        present = False
    if not present:
        with pytest.raises(RuntimeError, match=r"loopwise\[cuda\]"):
            targets.cuda()


def test_a_rung_of_unknown_direction_is_refused():
    rung = Rung("odd", "none", None, {"sideways": len}, lambda p, d: 0.0)
    with pytest.raises(ValueError, match="sideways"):
        Ladder("odd", "odd", ("forward",), [rung])


def test_buffers_that_outlive_the_module_die_in_silence():
    code = (
        "from numba import njit\n"
        "from kernels.core import memory\n"
        "@njit\n"
        "def first(a): return a[0]\n"
        "x = memory.empty(1 << 20, 'f4')\n"
        "first(x)\n"  # compiled code keeps modules alive, and x is freed when their names are gone
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
