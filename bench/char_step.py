"""One training step of a character LSTM, ours and PyTorch's: ``python -m bench.char_step``.

Embedding 64 → LSTM 256 → linear to 96 classes, cross-entropy over 64 steps of 32 rows, gradients clipped to a norm of
1, Adam. Each engine lives in a process of its own and starts from the same weights; they take turns, and no time
is reported unless their losses stay together.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import os
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bench import clock

STEPS, ROWS, CLASSES, FEATURES, UNITS = 64, 32, 96, 64, 256
BATCHES = 8
TOGETHER = 30  # steps after which the losses are compared
RATE, NORM = 2e-3, 1.0

Weights = dict[str, dict[str, np.ndarray]]


def weights() -> Weights:
    """First weights of the three layers, by PyTorch's names."""
    rng = np.random.default_rng(0)

    def uniform(*shape: int) -> np.ndarray:
        return rng.uniform(-(UNITS**-0.5), UNITS**-0.5, shape).astype(np.float32)

    lstm = {
        "weight_ih_l0": uniform(4 * UNITS, FEATURES),
        "weight_hh_l0": uniform(4 * UNITS, UNITS),
        "bias_ih_l0": uniform(4 * UNITS),
        "bias_hh_l0": uniform(4 * UNITS),
    }
    table = rng.standard_normal((CLASSES, FEATURES)).astype(np.float32)
    head = {"weight": uniform(CLASSES, UNITS), "bias": uniform(CLASSES)}
    return {"embedding": {"weight": table}, "lstm": lstm, "head": head}


def batches() -> list[np.ndarray]:
    """Walks over the classes, (T + 1, B) each: something to be learnt."""
    rng = np.random.default_rng(1)
    return [rng.integers(0, 3, (STEPS + 1, ROWS)).cumsum(0) * 7 % CLASSES for _ in range(BATCHES)]


def ours(threads: int) -> Callable[[], float]:
    """A step with `layers`."""
    import kernels
    import layers

    kernels.set_num_threads(threads)
    first = weights()
    embedding = layers.Embedding(CLASSES, FEATURES)
    lstm, head = layers.LSTM(FEATURES, UNITS), layers.Linear(UNITS, CLASSES)
    parts = {"embedding": embedding, "lstm": lstm, "head": head}
    for name, part in parts.items():
        part.load_state_dict(first[name])
    parameters = [each for part in parts.values() for each in part.parameters()]
    optimizer, loss_of = layers.Adam(parameters, lr=RATE), layers.CrossEntropyLoss()
    turns = _turns()

    def step() -> float:
        text = next(turns)
        optimizer.zero_grad()
        x, seen = embedding.forward(text[:-1])
        (y, _), walked = lstm.forward(x)
        logits, read = head.forward(y.reshape(-1, UNITS))
        loss, judged = loss_of.forward(logits, text[1:].reshape(-1))
        dy = head.backward(loss_of.backward(1.0, judged), read)
        dx, _ = lstm.backward(dy.reshape(y.shape), walked)
        embedding.backward(dx, seen)
        layers.clip_grad_norm_(parameters, NORM)
        optimizer.step()
        return float(loss)

    return step


def torchs(threads: int) -> Callable[[], float]:
    """A step with PyTorch, eager."""
    import torch

    torch.set_num_threads(threads)
    first = weights()
    embedding = torch.nn.Embedding(CLASSES, FEATURES)
    lstm, head = torch.nn.LSTM(FEATURES, UNITS), torch.nn.Linear(UNITS, CLASSES)
    parts = {"embedding": embedding, "lstm": lstm, "head": head}
    for name, part in parts.items():
        part.load_state_dict({key: torch.from_numpy(v) for key, v in first[name].items()})
    parameters = [each for part in parts.values() for each in part.parameters()]
    optimizer, loss_of = torch.optim.Adam(parameters, lr=RATE), torch.nn.CrossEntropyLoss()
    turns = _turns()

    def step() -> float:
        text = torch.from_numpy(next(turns))
        optimizer.zero_grad()
        y, _ = lstm(embedding(text[:-1]))
        loss = loss_of(head(y.reshape(-1, UNITS)), text[1:].reshape(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, NORM)
        optimizer.step()
        return float(loss.detach())

    return step


def _turns() -> Any:
    while True:
        yield from batches()


ENGINES = {"loopwise": ours, "torch": torchs}


def _serve(pipe: Any, name: str, threads: int) -> None:
    """Send the first losses, then times for as long as they are asked for."""
    step = ENGINES[name](threads)
    pipe.send([step() for _ in range(TOGETHER)])
    contestant = clock.Local(step)
    while (seconds := pipe.recv()) is not None:
        pipe.send(contestant.sample(seconds))


def main(argv: Sequence[str] | None = None) -> int:
    """Print the median of each engine and their ratio; return 1 if their losses part."""
    parser = argparse.ArgumentParser(prog="python -m bench.char_step", description=__doc__)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args(argv)
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(options.threads)))
    context = multiprocessing.get_context("spawn")
    pipes, processes = {}, []
    for name in ENGINES:
        if name == "torch" and importlib.util.find_spec("torch") is None:
            print("torch: not installed")
            continue
        pipes[name], theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, name, options.threads), daemon=True)
        process.start()
        processes.append(process)
    losses = {name: pipe.recv() for name, pipe in pipes.items()}
    for name, found in losses.items():
        print(f"{name}: loss {found[0]:.5f}, after {TOGETHER} steps {found[-1]:.5f}")
    histories = list(losses.values())
    wrong = any(not np.allclose(each, histories[0], rtol=2e-3) for each in histories)
    if wrong:
        print("the losses part: nothing is timed")
    times: dict[str, list[float]] = {name: [] for name in pipes}
    for _ in range(0 if wrong else options.rounds):
        for name, pipe in pipes.items():
            pipe.send(0.4)
            times[name] += pipe.recv()
    for pipe in pipes.values():
        pipe.send(None)
    for process in processes:
        process.join(5)
        process.kill()
    medians = {name: statistics.median(each) for name, each in times.items() if each}
    for name, seconds in medians.items():
        print(f"{name}: {1e3 * seconds:.2f} ms a step, {options.threads} threads")
    if len(medians) == 2:
        print(f"{medians['torch'] / medians['loopwise']:.2f} times as fast as PyTorch")
    return int(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
