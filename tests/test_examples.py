"""The examples: readers of data files, a quick run of each, resuming, and bad input."""

import contextlib
import gzip
import json
import struct

import numpy as np
import pytest

from examples import datasets, digits_cnn, edges


def write_idx(path, array, codes={"u1": 8, "i4": 12, "f4": 13}):  # noqa: B006
    header = struct.pack(
        f">BBBB{array.ndim}I", 0, 0, codes[array.dtype.str[1:]], array.ndim, *array.shape
    )
    content = header + array.astype(array.dtype.newbyteorder(">")).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return content


def write_mnist(folder, rng, gz=False, dots=False, train=40, test=20, side=8):
    folder.mkdir()
    written = []
    for part, count in (("train", train), ("t10k", test)):
        for kind, shape in (("images", (count, side, side)), ("labels", (count,))):
            array = rng.integers(0, 256 if kind == "images" else 10, shape).astype(np.uint8)
            name = f"{part}-{kind}{'.' if dots else '-'}idx{array.ndim}-ubyte{'.gz' if gz else ''}"
            write_idx(folder / name, array)
            written.append(array)
    return written


def write_cifar(folder, rng, count=12):
    folder.mkdir()
    records = rng.integers(0, 256, (6, count, 3073)).astype(np.uint8)
    records[:, :, 0] %= 10
    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    for name, batch in zip(names, records):
        (folder / name).write_bytes(batch.tobytes())
    return records


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32])
@pytest.mark.parametrize("name", ["plain", "packed.gz"])
def test_idx_round_trip(tmp_path, rng, dtype, name):
    array = (100 * rng.random((3, 4, 5))).astype(dtype)
    write_idx(tmp_path / name, array)
    got = datasets.idx(tmp_path / name)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, array)


@pytest.mark.parametrize("form", [{}, {"gz": True}, {"dots": True}, {"gz": True, "dots": True}])
def test_mnist_folder(tmp_path, rng, form):
    train_x, train_y, test_x, test_y = write_mnist(tmp_path / "mnist", rng, **form)
    images = datasets.load(tmp_path / "mnist")
    np.testing.assert_array_equal(images.train_x[:, 0], train_x.astype(np.float32) / 255)
    np.testing.assert_array_equal(images.test_x[:, 0], test_x.astype(np.float32) / 255)
    np.testing.assert_array_equal(images.train_y, train_y)
    np.testing.assert_array_equal(images.test_y, test_y)


def test_cifar_folder(tmp_path, rng):
    records = write_cifar(tmp_path / "cifar", rng)
    images = datasets.load(tmp_path / "cifar")
    assert images.train_x.shape == (60, 3, 32, 32)
    assert images.test_x.dtype == np.float32
    np.testing.assert_array_equal(images.train_y, records[:5, :, 0].ravel())
    red = records[5, 3, 1:1025].reshape(32, 32)
    np.testing.assert_array_equal(images.test_x[3, 0], red.astype(np.float32) / 255)


def test_damaged_and_foreign_files_are_named(tmp_path, rng):
    write_mnist(tmp_path / "mnist", rng)
    whole = write_idx(tmp_path / "whole", rng.integers(0, 9, (3, 4, 4)).astype(np.uint8))
    cases = {
        "short": (whole[:-1], r"short: truncated: .*\(3, 4, 4\), 64 bytes, got 63"),
        "long": (whole + b"\0", "long: too long"),
        "header": (whole[:9], "header: truncated in its header"),
        "empty": (b"", "empty: expected an IDX file"),
        "foreign": (b"\x89PNG\r\n", "foreign: expected an IDX file.*89 50"),
        "packed": (gzip.compress(whole)[:-12], "packed: truncated or damaged gzip"),
        "rank": (b"\0\0\x08\0", "rank: expected an IDX file"),
    }
    for name, (content, match) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=match):
            datasets.idx(tmp_path / name)

    folder = tmp_path / "mnist"
    labels = folder / "train-labels-idx1-ubyte"
    write_idx(labels, np.zeros(39, np.uint8))
    with pytest.raises(ValueError, match=r"train-labels.*40 images, got 39"):
        datasets.load(folder)
    write_idx(labels, np.zeros((40, 1), np.uint8))
    with pytest.raises(ValueError, match=r"train-labels.*\(40, 1\)"):
        datasets.load(folder)
    labels.unlink()
    with pytest.raises(FileNotFoundError, match="train-labels-idx1-ubyte"):
        datasets.load(folder)

    write_cifar(tmp_path / "cifar", rng)
    batch = tmp_path / "cifar" / "data_batch_3.bin"
    content = batch.read_bytes()
    for bad, match in [
        (content[:-1], "data_batch_3.bin: truncated or foreign"),
        (b"\xff" + content[1:], "data_batch_3.bin: expected labels from 0 to 9, got 255"),
        (b"", "data_batch_3.bin: truncated"),
    ]:
        batch.write_bytes(bad)
        with pytest.raises(ValueError, match=match):
            datasets.load(tmp_path / "cifar")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ValueError, match=r"nothing: expected train-images"):
        datasets.load(tmp_path / "nothing")
    with pytest.raises(NotADirectoryError, match="absent"):
        datasets.load(tmp_path / "absent")


def test_digits_are_stratified_and_whole():
    images = datasets.digits(3)
    assert len(images.train_x) + len(images.test_x) == 1797
    counts = np.bincount(images.test_y)
    assert counts.min() >= 43
    assert images.train_x.min() == 0
    assert images.train_x.max() == 1


@pytest.mark.parametrize("form", ["digits", "mnist", "cifar"])
def test_digits_cnn_quick(tmp_path, rng, form, capsys):
    where = []
    if form == "mnist":
        write_mnist(tmp_path / "data", rng, side=28)
    elif form == "cifar":
        write_cifar(tmp_path / "data", rng)
    if form != "digits":
        where = ["--data", str(tmp_path / "data")]
    out = tmp_path / "figures"
    assert digits_cnn.main([*where, "--quick", "--epochs", "1", "--out", str(out)]) == 0
    names = {each.name for each in out.iterdir()}
    assert names == {"curves.png", "filters.png", "features.png", "confusion.png"}
    assert all(each.read_bytes().startswith(b"\x89PNG") for each in out.iterdir())
    assert "held-out images read right" in capsys.readouterr().out


def trained(path, epochs, seed=0):
    """Train on a few digits for `epochs` of 4, resuming what is in the file."""
    images = digits_cnn.first(datasets.digits(seed), 128, 64)
    run = digits_cnn.Run(seed, 4, 32, 3e-3)
    model = digits_cnn.network((1, 8, 8), 10, seed)
    optimizer = digits_cnn.layers.AdamW(model.parameters(), lr=run.lr)
    if path.exists():
        digits_cnn.resume(path, model, optimizer, images, run)

    class Cut(Exception):
        pass

    def after():
        digits_cnn.keep(path, model, optimizer, images, run)
        if len(run.history) == epochs:
            raise Cut

    with contextlib.suppress(Cut):
        digits_cnn.train(model, optimizer, images, run, after)
    return model.state_dict(), run.history


def test_a_run_that_was_cut_off_resumes_to_the_bit(tmp_path):
    whole, history = trained(tmp_path / "whole", 4)
    trained(tmp_path / "cut", 2)
    resumed, resumed_history = trained(tmp_path / "cut", 4)
    assert resumed_history == history
    for key, value in whole.items():
        np.testing.assert_array_equal(resumed[key], value)


def test_digits_cnn_bad_arguments(tmp_path, capsys):
    model = tmp_path / "model"
    common = ["--quick", "--epochs", "1", "--out", str(tmp_path)]
    assert digits_cnn.main([*common, "--model", str(model)]) == 0
    foreign = tmp_path / "foreign"
    foreign.write_bytes(b"nothing of the kind")
    other = digits_cnn.layers.Linear(2, 2)
    digits_cnn.layers.save(tmp_path / "other", other)
    cases = [
        (["--data", str(tmp_path / "absent")], "absent"),
        (["--model", str(foreign)], "expected a safetensors file"),
        (["--model", str(tmp_path / "other")], "unexpected"),
        (["--model", str(model), "--seed", "4"], "--seed: expected 0"),
        (["--model", str(model), "--seeds", "2"], "--model"),
        (["--epochs", "0"], "--epochs"),
        (["--batch", "x"], "--batch"),
        (["--lr", "nan"], "--lr"),
        (["--seed", "-1"], "--seed"),
        (["--threads", "999"], "threads"),
    ]
    for arguments, match in cases:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            digits_cnn.main([*common, *arguments])
        assert stopped.value.code == 2
        assert match in capsys.readouterr().err, arguments


def test_saved_metadata_is_readable(tmp_path):
    from safetensors import safe_open

    model = tmp_path / "model"
    digits_cnn.main(["--quick", "--epochs", "1", "--out", str(tmp_path), "--model", str(model)])
    with safe_open(model, framework="numpy") as file:
        history = json.loads(file.metadata()["history"])
    assert len(history) == 1
    assert set(history[0]) == {"loss", "accuracy", "test_loss", "test_accuracy"}


def test_edges(tmp_path):
    assert edges.main(["--out", str(tmp_path)]) == 0
    assert {p.name for p in tmp_path.iterdir()} == {
        "edges-china.png",
        "edges-flower.png",
        "pooling.png",
    }


def test_filters_do_what_their_names_say():
    ramp = np.broadcast_to(np.arange(12, dtype=np.float32), (1, 1, 9, 12)).copy()
    inside = (..., slice(2, -2), slice(2, -2))
    assert (edges.convolved(ramp, edges.SOBEL_X)[inside] == 8).all()
    assert (edges.convolved(ramp, edges.SOBEL_Y)[inside] == 0).all()
    assert (edges.convolved(ramp, edges.LAPLACIAN)[inside] == 0).all()
    np.testing.assert_allclose(
        edges.convolved(ramp, edges.GAUSSIAN)[inside], ramp[inside], rtol=1e-6
    )
