"""Images with labels: scikit-learn's digits, MNIST's IDX files, CIFAR-10's binary batches."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
CIFAR_RECORD = 1 + 3 * 32 * 32  # a label, then the red, green and blue planes
IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


@dataclass(frozen=True)
class Images:
    """Images (N, C, H, W), float32 from 0 to 1, with labels (N,), in two parts.

    Parameters
    ----------
    name : str
    train_x, train_y, test_x, test_y : numpy.ndarray
    classes : list of str
        What each label means.
    shift : int
        By how many pixels an image may be moved and still mean the same.
    mirror : bool
        Whether its mirror image means the same.
    """

    name: str
    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray
    classes: list[str]
    shift: int = 1
    mirror: bool = False


def digits(seed: int = 0) -> Images:
    """Return scikit-learn's 1,797 handwritten digits of 8×8 pixels, a stratified quarter held out.

    Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
    Repository, 1998; they ship inside the package.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    data = load_digits()
    x = (data.images[:, None] / 16).astype(np.float32)
    parts = train_test_split(
        x, data.target, test_size=0.25, stratify=data.target, random_state=seed
    )
    train_x, test_x, train_y, test_y = parts
    return Images("digits", train_x, train_y, test_x, test_y, [str(i) for i in range(10)])


def load(path: str | Path) -> Images:
    """Read a folder of MNIST's four IDX files (gzipped or not) or of CIFAR-10's six binary batches.

    Raises
    ------
    OSError
        If the folder or a file cannot be read.
    ValueError
        If the folder holds neither, or a file is truncated, foreign, or does not fit the others.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise NotADirectoryError(
            f"{folder}: expected a folder of MNIST's IDX files or CIFAR-10's binary batches"
        )
    if _find(folder, "train-images", must=False):
        return mnist(folder)
    if (folder / "data_batch_1.bin").exists():
        return cifar10(folder)
    here = sorted(each.name for each in folder.iterdir())
    raise ValueError(
        f"{folder}: expected train-images-idx3-ubyte and its three companions (MNIST; .gz or not), or "
        f"data_batch_1.bin to data_batch_5.bin and test_batch.bin (CIFAR-10), found {here[:10]}"
    )


def mnist(folder: Path) -> Images:
    """Read MNIST, or a set of the same form (Fashion-MNIST, KMNIST).

    Source of the format: Y. LeCun, C. Cortes and C. Burges, "The MNIST database of handwritten digits".
    """
    parts = []
    for part in ("train", "t10k"):
        image_file, label_file = _find(folder, f"{part}-images"), _find(folder, f"{part}-labels")
        images, labels = idx(image_file), idx(label_file)
        if images.ndim != 3 or images.dtype != np.uint8:
            raise ValueError(
                f"{image_file}: expected images (N, H, W) of bytes, got {images.shape}"
            )
        if labels.ndim != 1 or labels.dtype != np.uint8:
            raise ValueError(f"{label_file}: expected labels (N,) of bytes, got {labels.shape}")
        if len(images) != len(labels) or not len(images):
            raise ValueError(
                f"{label_file}: expected a label for each of {len(images)} images, got {len(labels)}"
            )
        parts += [images[:, None].astype(np.float32) / 255, labels.astype(np.int64)]
    if parts[0].shape[1:] != parts[2].shape[1:]:
        raise ValueError(
            f"{folder}: expected one size of image, got {parts[0].shape[2:]} and {parts[2].shape[2:]}"
        )
    count = 1 + max(int(parts[1].max()), int(parts[3].max()))
    return Images(folder.name, *parts, [str(i) for i in range(count)], shift=2)


def idx(path: Path) -> np.ndarray:
    """Read one IDX file: two zero bytes, a dtype, a rank, the extents (big-endian), the elements."""
    content = _content(path)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in IDX_DTYPES or not content[3]:
        raise ValueError(
            f"{path}: expected an IDX file, which starts with 00 00, a dtype and a rank, "
            f"got {content[:4].hex(' ') or 'an empty file'}"
        )
    dtype, rank = np.dtype(IDX_DTYPES[content[2]]), content[3]
    start = 4 + 4 * rank
    if len(content) < start:
        raise ValueError(f"{path}: truncated in its header, after {len(content)} bytes of {start}")
    shape = struct.unpack(f">{rank}I", content[4:start])
    expected = start + math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        state = "truncated" if len(content) < expected else "too long"
        raise ValueError(
            f"{path}: {state}: its header says shape {shape}, {expected:,} bytes, got {len(content):,}"
        )
    return (
        np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))
    )


def cifar10(folder: Path) -> Images:
    """Read CIFAR-10's binary version.

    Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
    """
    names = [f"data_batch_{i}.bin" for i in range(1, 6)]
    batches = [_cifar_batch(folder / name) for name in names]
    train_x, train_y = (np.concatenate(each) for each in zip(*batches))
    test_x, test_y = _cifar_batch(folder / "test_batch.bin")
    return Images("CIFAR-10", train_x, train_y, test_x, test_y, CIFAR10, shift=4, mirror=True)


def _cifar_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    content = _content(path)
    count, rest = divmod(len(content), CIFAR_RECORD)
    if rest or not count:
        raise ValueError(
            f"{path}: truncated or foreign: expected records of {CIFAR_RECORD:,} bytes, "
            f"got {count:,} of them and {rest:,} bytes more"
        )
    records = np.frombuffer(content, np.uint8).reshape(count, CIFAR_RECORD)
    labels = records[:, 0].astype(np.int64)
    if labels.max() > 9:
        raise ValueError(
            f"{path}: expected labels from 0 to 9, got {labels.max()} in record {labels.argmax()}: "
            "foreign, or a batch of CIFAR-100"
        )
    return records[:, 1:].reshape(count, 3, 32, 32).astype(np.float32) / 255, labels


def _find(folder: Path, stem: str, must: bool = True) -> Path | None:
    """The file that holds `stem`, however it is spelled: -idx3-ubyte or .idx3-ubyte, .gz or not."""
    rank = 3 if stem.endswith("images") else 1
    for name in (f"{stem}-idx{rank}-ubyte", f"{stem}.idx{rank}-ubyte"):
        for suffix in ("", ".gz"):
            if (folder / (name + suffix)).is_file():
                return folder / (name + suffix)
    if must:
        raise FileNotFoundError(f"{folder / stem}-idx{rank}-ubyte: no such file, nor with .gz")
    return None


def _content(path: Path) -> bytes:
    """Return a file's bytes, unpacked where they start as gzip does."""
    content = path.read_bytes()
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path}: truncated or damaged gzip: {error}") from None
