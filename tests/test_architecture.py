"""The arrows of the house: who may import whom."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = {"kernels", "layers", "tests", "bench", "examples"}
CUDA_PACKAGES = ("numba.cuda", "numba_cuda", "cuda.", "cupy")
FILES = sorted(
    p for room in ("kernels", "layers", "bench", "examples") for p in (ROOT / room).rglob("*.py")
)


def imports(path, outermost=False):
    """Every module a file imports, anywhere in it, or outside of its functions."""
    tree = ast.parse(path.read_text())
    for node in tree.body if outermost else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_other_top_level_folder():
    ignored = {"build", "dist", "figures", "out"}
    found = {
        p.name
        for p in ROOT.iterdir()
        if p.is_dir()
        and not p.name.startswith(".")
        and not p.name.endswith(".egg-info")
        and not (p / "pyvenv.cfg").exists()  # a reader's virtual environment
    }
    assert found - ignored - {"__pycache__"} <= ROOMS


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_arrows(path):
    parts = path.relative_to(ROOT).parts
    names = set(imports(path))
    tops = {name.split(".")[0] for name in names}
    if parts[0] == "kernels":
        assert not tops & {"layers", "bench", "examples", "tests"}
        families = {
            n.split(".")[1] for n in names if n.startswith("kernels.") and n.count(".") >= 1
        }
        if parts[1] == "core":
            assert families <= {"core"}
        elif len(parts) > 2:
            assert families <= {parts[1], "gemm", "core"}
    elif parts[0] == "layers":
        assert not tops & {"bench", "examples", "tests"}
        modules = ("kernels", "kernels.core", "kernels.core.checks", "kernels.core.geometry")
        assert {n for n in names if n.split(".")[0] == "kernels"} <= set(modules)
    elif parts[0] == "bench":
        assert not tops & {"examples"}
    if path.name == "reference.py":
        assert tops <= {"numpy", "math", "__future__"}
    if parts[0] != "kernels" or not ("cuda" in parts or path == ROOT / "kernels/core/targets.py"):
        assert not {n for n in names if n.startswith(CUDA_PACKAGES)}
    if parts[0] == "kernels" and path == ROOT / "kernels/core/cuda/arrays.py":
        assert not set(imports(path, outermost=True)) & {
            "torch",
            "cupy",
        }  # if they are there at all
    elif parts[0] == "kernels":
        assert not tops & {"torch", "cupy", "ml_dtypes"}
    if path.name != "jit.py" and parts[0] == "kernels":
        assert not {"numba.njit", "numba.jit"} & names
