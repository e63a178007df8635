"""What is particular to look-ups: PyTorch's answers, the padding row, the same bits on every rung, bad input."""

import numpy as np
import pytest

import kernels
from kernels.core import memory

RUNGS = ("naive", "by_row", "parallel")


@pytest.mark.parametrize("padding", [None, 2, -1])
def test_as_pytorch(padding, rng):
    torch = pytest.importorskip("torch")
    table, indices = rng.standard_normal((7, 5)), rng.integers(0, 7, (3, 4))
    theirs = torch.tensor(table, requires_grad=True)
    want = torch.nn.functional.embedding(torch.tensor(indices), theirs, padding_idx=padding)
    y = kernels.embedding(indices, table, padding_idx=padding)
    np.testing.assert_array_equal(y, want.detach())
    dy = rng.standard_normal(y.shape)
    want.backward(torch.tensor(dy))
    dtable = kernels.embedding_backward(dy, indices, 7, padding_idx=padding)
    np.testing.assert_allclose(dtable, theirs.grad, rtol=1e-12, atol=1e-14)
    if padding is not None:
        assert not dtable[padding].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("padding", [None, 0])
def test_same_bits_on_every_rung(dtype, padding, rng, monkeypatch):
    monkeypatch.setattr(kernels.core.threads, "GRAIN", 0)
    indices = np.minimum(rng.geometric(0.4, 5000) - 1, 99)  # two fifths of them 0
    dy = rng.standard_normal((5000, 83)).astype(dtype)
    wanted = kernels.embedding_backward(dy, indices, 100, padding_idx=padding, algorithm="naive")
    for name in RUNGS:
        got = kernels.embedding_backward(dy, indices, 100, padding_idx=padding, algorithm=name)
        assert got.tobytes() == wanted.tobytes()


def test_any_shape_of_any_integers(rng):
    table = rng.standard_normal((300, 3)).astype(np.float32)
    for kind in (np.int8, np.uint8, np.int32, np.uint64, ">i4"):
        for shape in ((), (2,), (2, 3), (0,), (3, 0, 2)):
            indices = np.full(shape, 120, kind)
            y = kernels.embedding(indices, table)
            assert y.shape == (*shape, 3)
            np.testing.assert_array_equal(y, table[np.full(shape, 120)])
            dtable = kernels.embedding_backward(y, indices, 300)
            np.testing.assert_allclose(dtable[120], indices.size * table[120], rtol=1e-6)
            assert not np.delete(dtable, 120, 0).any()


def test_large_ones_past_the_caches(rng):
    """Streaming stores: 40 MiB and more, widths that do and do not fill lines."""
    for width in (512, 509):
        rows = (40 << 20) // (4 * width) + 2
        table = rng.standard_normal((50, width)).astype(np.float32)
        indices = rng.integers(0, 50, rows)
        np.testing.assert_array_equal(kernels.embedding(indices, table), table[indices])
        places = rng.integers(0, rows, 60)
        dy = table[rng.integers(0, 50, 60)]
        wanted = np.zeros((rows, width), np.float32)
        np.add.at(wanted, places, dy)
        np.testing.assert_array_equal(kernels.embedding_backward(dy, places, rows), wanted)
    kernels.clear_memory()


def test_nan_stays_in_its_row():
    dy = np.ones((4, 3))
    dy[1] = np.nan
    for name in RUNGS:
        dtable = kernels.embedding_backward(dy, np.array([0, 2, 0, 1]), 4, algorithm=name)
        np.testing.assert_array_equal(np.isnan(dtable).any(1), [False, False, True, False])
        np.testing.assert_array_equal(dtable[[0, 1, 3]], [[2] * 3, [1] * 3, [0] * 3])


def test_scratch_is_counted():
    ladder = kernels.ladder("embedding")
    dy, indices = np.ones((10, 4)), np.zeros(10, int)
    try:
        memory.set_workspace_limit(8 * 15)
        plan = ladder.plan(dy, indices, 5, direction="dtable")
        assert isinstance(plan.costs["by_row"], float)
        memory.set_workspace_limit(8 * 15 - 1)
        plan = ladder.plan(dy, indices, 5, direction="dtable")
        assert plan.rung.name == "naive"
        assert "scratch" in plan.costs["parallel"]
    finally:
        memory.set_workspace_limit(None)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"indices": np.array([[0, 1], [-1, 7]])},
            ValueError,
            r"expected 0 to 3, got -1 at \(1, 0\)",
        ),
        ({"indices": np.array([0, 4])}, ValueError, r"indices: expected 0 to 3, got 4 at \(1,\)"),
        (
            {"indices": np.array(9, np.uint8)},
            ValueError,
            r"indices: expected 0 to 3, got 9 at \(\)",
        ),
        ({"indices": np.full(2, -128, np.int8)}, ValueError, "got -128"),
        ({"indices": np.full(2, 2**63, np.uint64)}, ValueError, f"got {2**63}"),
        ({"indices": np.array([0.0])}, TypeError, "indices: expected integers, got float64"),
        ({"indices": np.array([True])}, TypeError, "indices: expected integers, got bool"),
        ({"indices": [0]}, TypeError, "indices: expected an array, got list"),
        ({"table": np.ones(3)}, ValueError, "table: expected 2 dimensions"),
        ({"table": np.ones((0, 3))}, ValueError, "table: expected at least 1 along axis 0"),
        ({"table": np.ones((4, 3), int)}, TypeError, "table: expected float32 or float64"),
        ({"padding_idx": 4}, ValueError, "padding_idx: expected -4 to 3, got 4"),
        ({"padding_idx": 1.0}, TypeError, "padding_idx: expected an integer"),
        ({"algorithm": "by_row"}, ValueError, "it has no forward, only dtable"),
    ],
)
def test_bad_input(change, error, message):
    with pytest.raises(error, match=message):
        kernels.embedding(**{"indices": np.array([0, 1]), "table": np.ones((4, 3)), **change})


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"dy": np.ones((3, 3))}, ValueError, r"dy: expected shape \(2, D\), got \(3, 3\)"),
        ({"dy": np.ones(2)}, ValueError, r"dy: expected shape \(2, D\), got \(2,\)"),
        ({"dy": np.ones((2, 0))}, ValueError, "dy: expected at least 1 along axis 1"),
        ({"dy": np.ones((2, 3), int)}, TypeError, "dy: expected float32 or float64"),
        ({"num_embeddings": 1}, ValueError, r"indices: expected 0 to 0, got 1 at \(1,\)"),
        ({"num_embeddings": 0}, ValueError, "num_embeddings: expected at least 1"),
        ({"padding_idx": -5}, ValueError, "padding_idx: expected -4 to 3, got -5"),
    ],
)
def test_bad_input_of_the_gradient(change, error, message):
    call = {"dy": np.ones((2, 3)), "indices": np.array([0, 1]), "num_embeddings": 4, **change}
    with pytest.raises(error, match=message):
        kernels.embedding_backward(**call)
