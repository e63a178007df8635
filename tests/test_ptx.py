"""Every CUDA rung through the compiler, on a machine with no device: what its PTX says, and what ptxas makes of it.

Nothing here is skipped where a package is missing: they are in the `test` extra.
"""

import functools
import importlib.util
import inspect
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import kernels
from bench import calls
from kernels.core.cuda import launch

TURING, AMPERE, HOPPER = (7, 5), (8, 0), (9, 0)
SINGLE, DOUBLE = np.float32, np.float64
HALVES = (np.float16, ml_dtypes.bfloat16)

# float32 for each compute capability that is promised; the other dtypes once, for they differ in their types alone.
TARGETS = [(SINGLE, TURING), (SINGLE, AMPERE), (SINGLE, HOPPER), (DOUBLE, HOPPER)]
TENSOR_TARGETS = [(SINGLE, AMPERE), (SINGLE, HOPPER), *((half, HOPPER) for half in HALVES)]

# What the forward is compiled for: from whole tiles at aligned places to what is neither whole nor aligned. Kernels for
# float64 and 16 bits are those for float32 with other types, and below Hopper they differ in their target alone: there
# the first, or the first and the last, are enough.
PROBLEMS = {
    "matmul": [(((1, 1024, 512), (1, 512, 1024)), {}), (((3, 33, 35), (3, 35, 37)), {})],
    "linear": [
        (((512, 256), (1024, 256), (1024,)), {}),
        (((3, 35), (37, 35), (37,)), {"activation": "relu"}),
    ],
    "conv2d": [
        (((64, 64, 56, 56), (64, 64, 3, 3), (64,)), {"padding": 1}),
        (((64, 64, 56, 56), (256, 64, 1, 1), (256,)), {}),
        (((2, 6, 11, 13), (9, 2, 3, 2), (9,)), {"stride": 2, "groups": 3, "activation": "relu"}),
    ],
    "depthwise": [
        (((8, 64, 56, 56), (64, 1, side, side), (64,)), {"padding": side // 2, "groups": 64})
        for side in (3, 7)
    ],
}
DEPTHWISE = {("conv2d", "depthwise")}

# Rungs whose kernels move 16 bytes at a time, and between what: registers and global or shared memory. A copy that
# passes no register (cp.async) counts as a load from global memory.
WIDE: dict[tuple[str, str], tuple[str, ...]] = {
    ("matmul", "register_tile"): ("global", "shared"),
    ("linear", "register_tile"): ("global", "shared"),
    ("matmul", "tensor_core"): ("global", "shared"),
    ("linear", "tensor_core"): ("global", "shared"),
    ("conv2d", "shared"): ("shared",),
    ("conv2d", "implicit_gemm"): ("global", "shared"),
    ("conv2d", "tensor_core"): ("global", "shared"),
}
BY_DIRECTION = {("conv2d", "tensor_core", "dw"): ("shared",)}  # its operands are gathered
ACCESSES = {
    "global": r"ld\.global(\.\w+)*\.(v4\.[fbus]32|v2\.[fbus]64)|cp\.async\.c[ag]\.shared\.global .*, 16[,;]",
    "shared": r"ld\.shared(\.\w+)*\.(v4\.[fbus]32|v2\.[fbus]64)|ldmatrix",
}
TENSOR = {(name, "tensor_core") for name in ("matmul", "linear", "conv2d")}

RUNGS = [
    pytest.param(ladder.name, rung.name, direction, id=f"{ladder.name}-{rung.name}-{direction}")
    for ladder in kernels.ladders("cuda")
    for rung in ladder
    for direction in rung.run
]


@pytest.fixture(scope="module", autouse=True)
def compiled_once():
    """Compile a kernel once for the same types, though several rungs and directions launch it."""
    texts = {}
    compile_anew = launch.Kernel.ptx

    def ptx(self, args, capability):
        key = (self, tuple(map(launch._type_of, args)), capability)
        if key not in texts:
            texts[key] = compile_anew(self, args, capability)
        return texts[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launch.Kernel, "ptx", ptx)
        yield


def arguments(ladder, direction, shapes, options, dtype, whole):
    """Describe the arguments of a direction; the second problem of a ladder lies transposed, and unaligned."""
    arrays = [launch.described(shape, dtype) for shape in shapes]
    if not whole:
        size = np.dtype(dtype).itemsize
        arrays = [replace(each, pointer=each.pointer + size) for each in arrays]
    if not whole and ladder == "matmul":  # both are read transposed
        arrays = [
            launch.described((*shape[:-2], shape[-1], shape[-2]), dtype).swapaxes(-1, -2)
            for shape in shapes
        ]
    if direction == "forward":
        return tuple(arrays), options
    dy = launch.described(calls._shape(ladder, tuple(arrays), options), dtype)
    options = {key: value for key, value in options.items() if key != "activation"}
    return (dy, *arrays[:2]), options


@functools.cache
def compiled(ladder, rung, direction, dtype, capability):
    """Every launch of a rung in one direction, over the ladder's problems; or why it refuses."""
    found = []
    kind = "depthwise" if (ladder, rung) in DEPTHWISE else ladder
    first, *others = PROBLEMS[kind]
    last = others[-1:] if dtype != SINGLE and kind != "depthwise" else []
    some = [first, *(others if dtype == SINGLE else last)] if capability == HOPPER else [first]
    for number, (shapes, options) in enumerate(some):
        args, kept = arguments(ladder, direction, shapes, options, dtype, number == 0)
        with launch.compile_only(capability) as launched:
            plan = kernels.ladder(ladder).plan(*args, direction=direction, **kept)
            if isinstance(plan.costs[rung], str):
                return plan.costs[rung]
            calls.ours(ladder, direction, args, kept, algorithm=rung)
        assert launched
        found += launched
    return found


def targets(ladder, rung):
    return TENSOR_TARGETS if (ladder, rung) in TENSOR else TARGETS


EACH = [
    pytest.param(*param.values, dtype, capability, id=f"{param.id}-{np.dtype(dtype)}-{capability[0]}{capability[1]}")
    for param in RUNGS
    for dtype, capability in targets(*param.values[:2])
]  # fmt: skip


@pytest.mark.parametrize(("ladder", "rung", "direction", "dtype", "capability"), EACH)
def test_compiles_without_float_atomics_and_local_memory(
    ladder, rung, direction, dtype, capability
):
    for each in compiled(ladder, rung, direction, dtype, capability):
        assert f".target sm_{capability[0]}{capability[1]}" in each.ptx
        assert not re.search(r"^\s*(@!?%p\d+ )?(atom|red)\.", each.ptx, re.M), each.name
        assert not re.search(r"\b(ld|st)\.local\b", each.ptx), each.name


CLAIMS = [
    pytest.param(*param.values, BY_DIRECTION.get(param.values, WIDE[param.values[:2]]), id=param.id)
    for param in RUNGS
    if param.values[:2] in WIDE and param.values[2] != "db"  # a sum of one array
]


@pytest.mark.parametrize(("ladder", "rung", "direction", "claimed"), CLAIMS)
def test_sixteen_bytes_at_a_time_where_claimed(ladder, rung, direction, claimed):
    dtype = np.float16 if (ladder, rung) in TENSOR else SINGLE
    text = "\n".join(each.ptx for each in compiled(ladder, rung, direction, dtype, HOPPER))
    for memory in claimed:
        assert re.search(ACCESSES[memory], text), memory


@pytest.mark.parametrize("ladder", ["matmul", "linear", "conv2d"])
def test_tensor_cores_multiply(ladder):
    rung = kernels.ladder(ladder, "cuda")["tensor_core"]
    kinds = {SINGLE: "tf32", np.float16: "f16", ml_dtypes.bfloat16: "bf16"}
    for direction in sorted(set(rung.run) - {"db"}):
        for dtype, kind in kinds.items():
            launched = compiled(ladder, rung.name, direction, dtype, HOPPER)
            text = "\n".join(each.ptx for each in launched)
            assert re.search(rf"mma\.sync\.aligned\.m16n8k\d+\.row\.col\.f32\.{kind}\.", text)
        assert "8.0" in compiled(ladder, rung.name, direction, SINGLE, TURING)


def test_tables_name_rungs():
    there = {param.values[:2] for param in RUNGS}
    assert set(WIDE) | TENSOR | DEPTHWISE <= there


REGISTERS = 1 << 16  # of a multiprocessor
# Bytes, stores and loads together, that ptxas may save around the calls that integer divisions are, though it has
# registers left; `naive` divides in its loops, and may save more.
SAVED = 32


def ptxas():
    """Path of ptxas, which comes with the package nvidia-cuda-nvcc-cu12."""
    folders = importlib.util.find_spec("nvidia.cuda_nvcc").submodule_search_locations
    found = [path for folder in folders for path in Path(folder).glob("bin/ptxas*")]
    assert found, "no ptxas: python -m pip install 'loopwise[test]'"
    return found[0]


@functools.cache
def assembled(text, folder):
    """Registers of a thread, and bytes that it spills, as ptxas counts them."""
    target = re.search(r"^\.target (\w+)", text, re.M).group(1)
    source = folder / "kernel.ptx"
    source.write_text(text)
    done = subprocess.run(
        [ptxas(), "-v", f"-arch={target}", source, "-o", folder / "kernel.cubin"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    spills = re.findall(r"(\d+) bytes spill (?:stores|loads)", done.stderr)
    return int(re.search(r"Used (\d+) registers", done.stderr).group(1)), sum(map(int, spills))


@pytest.mark.parametrize(
    ("ladder", "rung", "direction", "dtype", "capability"),
    [param for param in EACH if param.values[-1] == HOPPER],
)
def test_registers_hold_all(ladder, rung, direction, dtype, capability, tmp_path_factory):
    for each in compiled(ladder, rung, direction, dtype, capability):
        registers, spilled = assembled(each.ptx, tmp_path_factory.getbasetemp())
        threads = int(np.prod(each.threads))
        blocks = re.search(r"^\.minnctapersm (\d+)", each.ptx, re.M)
        most = min(255, REGISTERS // threads // int(blocks.group(1) if blocks else 1) // 8 * 8)
        if rung != "naive" and spilled:
            assert spilled <= SAVED, f"{each.name}: {spilled} bytes spilled"
            assert registers < most, f"{each.name}: {spilled} bytes spilled, for want of registers"
        assert registers <= 255
        assert registers * threads <= REGISTERS, f"{each.name}: a block has more than all registers"


@pytest.mark.parametrize(
    ("x", "w", "dy"),
    [
        (
            (8, 2048, 8, 8),
            (512, 2048, 1, 1),
            (8, 512, 8, 8),
        ),  # 16 bytes at a time, a tile of 64 × 128
        ((8, 3, 42, 42), (192, 3, 16, 16), (8, 192, 27, 27)),  # by a table, element by element
    ],
)
def test_registers_hold_all_of_dw(x, w, dy, tmp_path):
    with launch.compile_only(HOPPER) as launched:
        arrays = (launch.described(shape, SINGLE) for shape in (dy, x, w))
        kernels.conv2d_backward(*arrays, needs=("w",), algorithm="implicit_gemm")
    assert assembled(launched[0].ptx, tmp_path)[1] == 0


@pytest.mark.parametrize(("ladder", "rung", "direction"), RUNGS)
def test_arguments_are_those_of_the_cpu(ladder, rung, direction):
    def names(loop):
        found = inspect.signature(getattr(loop, "py_func", loop)).parameters.values()
        return [each.name for each in found if each.kind is each.POSITIONAL_OR_KEYWORD]

    mine = names(kernels.ladder(ladder, "cuda")[rung].run[direction])
    theirs = names(kernels.ladder(ladder)["naive"].run[direction])
    assert mine[: len(theirs)] == theirs
    assert mine[len(theirs) :] in ([], ["scratch"])
