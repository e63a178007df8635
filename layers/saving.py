"""Models on disk, as safetensors: names, dtypes, shapes and bytes; nothing in the file is ever executed."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kernels.core import checks
from layers.layer import Layer
from layers.optimizer import Optimizer

OPTIMIZER = "optimizer."  # prefix of the optimiser's keys; a model's are bare, as PyTorch's


def save(
    path: str | os.PathLike,
    model: Layer,
    optimizer: Optimizer | None = None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a model's weights, and an optimiser's state if given, to one safetensors file.

    The file is written whole beside its place and then moved there: a run that is cut off leaves the
    old file as it was.

    Parameters
    ----------
    path : path
    model : Layer
    optimizer : Optimizer, optional
    metadata : mapping of str to str, optional
        Kept in the file's header; `load` returns it.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be.
    OSError
        If the file cannot be written.
    """
    numpy = _safetensors()
    tensors = _of(Layer, "model", model).state_dict()
    if clash := [key for key in tensors if key.startswith(OPTIMIZER)]:
        raise ValueError(f"model: expected no key that starts with {OPTIMIZER!r}, got {clash}")
    if optimizer is not None:
        state = _of(Optimizer, "optimizer", optimizer).state_dict()
        tensors.update({OPTIMIZER + key: value for key, value in state.items()})
    metadata = dict(metadata or {})
    for key, value in metadata.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"metadata: expected strings for strings, got {key!r}: {value!r}")
    path = Path(path)
    payload = numpy.save(tensors, metadata)
    part = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with open(part, "xb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def load(
    path: str | os.PathLike,
    model: Layer,
    optimizer: Optimizer | None = None,
    *,
    strict: bool = True,
) -> dict[str, str]:
    """Read weights into a model, and state into an optimiser if given; nothing changes unless all fits.

    Parameters
    ----------
    path : path
        A safetensors file, `save`'s or any with the model's keys (PyTorch's names for its layers).
    model : Layer
    optimizer : Optimizer, optional
        Its state must be in the file.
    strict : bool
        As `Layer.load_state_dict`.

    Returns
    -------
    dict of str to str
        The file's metadata.

    Raises
    ------
    TypeError, ValueError
        If the file is damaged or no safetensors file, or its keys, shapes or dtypes do not fit; the
        message names the file.
    OSError
        If it cannot be read.
    """
    _safetensors()
    import safetensors

    _of(Layer, "model", model)
    if optimizer is not None:
        _of(Optimizer, "optimizer", optimizer)
    checks.flag("strict", strict)
    path = Path(path)
    with open(path, "rb"):
        pass  # a missing file, or a folder, is an OSError in its own words
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118, no mapping
            metadata = dict(file.metadata() or {})
    except (safetensors.SafetensorError, TypeError, AttributeError) as error:
        raise ValueError(
            f"path: expected a safetensors file, {path} cannot be read: {error}"
        ) from None
    weights = {key: value for key, value in tensors.items() if not key.startswith(OPTIMIZER)}
    state = {
        key.removeprefix(OPTIMIZER): value
        for key, value in tensors.items()
        if key.startswith(OPTIMIZER)
    }
    try:
        pairs, _ = model.fit_state(weights, strict)
        if optimizer is not None:
            optimizer.load_state_dict(state)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{path}: {error}") from None
    for each, array in pairs:
        each.writable()[...] = array
    return metadata


def _of(kind: type, name: str, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{name}: expected a {kind.__name__}, got {type(value).__name__}")
    return value


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError:
        raise ImportError(
            "saving and loading need the package safetensors: python -m pip install 'loopwise[examples]'"
        ) from None
    return safetensors.numpy
