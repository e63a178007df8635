"""What every family's cuda/ folder stands on: arrays of others, launches, and what CUDA C has and Numba lacks.

    compiler.py     the package itself, device functions, compiling without a device
    arrays.py       arrays of CuPy, PyTorch, Numba and others in, the same kind out; scratch that is kept
    launch.py       Kernel: a loop, its block, its grid; streams, limits, errors
    operations.py   16-byte copies and what else a kernel needs: each a Python function that says what it does,
                    which the simulator runs, and a lowering (lowering.py) that the compiler takes

Only this folder, `kernels.core.targets` and the families' cuda/ folders import a CUDA package.
"""
