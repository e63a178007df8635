"""Compiled CUDA kernels are kept on disk, and stale ones are not taken."""

import os
import subprocess
import sys
from types import SimpleNamespace

PROGRAM = """
from types import SimpleNamespace
from numba.cuda import codegen
from numba.cuda.cudadrv import devices
from numba.cuda.dispatcher import _Kernel

hopper = SimpleNamespace(device=SimpleNamespace(compute_capability=(9, 0)))
devices.get_context = lambda *args: hopper                  # whose cache it is
_Kernel.bind = lambda self: self._codelibrary.get_asm_str(cc=(9, 0))  # no driver links it here

from kernels.core.cuda import compiler
from kernels.gemm.cuda import naive

with compiler.standing_in((9, 0)):
    types = compiler.cuda.types
    array = types.Array(types.float32, 3, "C")
    dispatcher = naive.matmul.dispatcher
    dispatcher.compile((array, array, types.boolean, types.boolean, array))
print(sum(dispatcher._cache_hits.values()), sum(dispatcher._cache_misses.values()))
"""


def hits_and_misses(folder, program=PROGRAM):
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "NUMBA_CACHE_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_second_process_finds_what_the_first_compiled(tmp_path):
    assert hits_and_misses(tmp_path) == ["0", "1"]
    assert hits_and_misses(tmp_path) == ["1", "0"]
    changed = PROGRAM.replace("from kernels.core.cuda import compiler", CHANGED_SOURCES)
    assert changed != PROGRAM
    assert hits_and_misses(tmp_path, changed) == ["0", "1"]


CHANGED_SOURCES = """
from kernels.core import jit
jit.sources_stamp = lambda family: "sources as edited"
from kernels.core.cuda import compiler
"""


def test_what_a_kernel_closes_over_tells_entries_apart():
    from kernels.core.cuda import cache

    def made(n, function):
        def kernel():
            return n, function

        return kernel

    def other():
        return 0

    dispatcher = SimpleNamespace(py_func=other)  # as Numba's: another object in each process
    again = SimpleNamespace(py_func=other)
    first = cache._described(made(8, dispatcher))
    assert first == cache._described(made(8, again))
    assert len({first, cache._described(made(16, again)), cache._described(made(8, made))}) == 3
