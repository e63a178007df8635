"""What every family's cuda/ folder stands on: arrays of others, launches, and what CUDA C has and Numba lacks.

    compiler.py     the package itself, device functions, compiling without a device
    arrays.py       arrays of CuPy, PyTorch, Numba and others in, the same kind out
    kept.py         scratch and zeros that serve call after call
    launch.py       Kernel: a loop, its block, its grid; streams, limits, errors
    cache.py        compiled kernels on disk
    choices.py      the device that tiles are counted against, reasons to refuse a dtype
    gathering.py    strided arrays made contiguous, sums over axes
    operations.py   16-byte copies and what else a kernel needs: each a Python function that says what it does,
                    which the simulator runs, and a lowering (lowering.py, conversion_lowering.py) for the compiler
    tensor.py       the same for what a warp does on its tensor core (tensor_lowering.py)

Only this folder, `kernels.core.targets` and the families' cuda/ folders import a CUDA package.
"""
