"""A convolutional network that learns to read digits, on loops that you can read.

    convolution → relu → max-pool → convolution → relu → max-pool → fully connected → softmax

    python -m examples.digits_cnn                     scikit-learn's digits, under a minute
    python -m examples.digits_cnn --seeds 5           five splits and five weights: median and worst
    python -m examples.digits_cnn --data FOLDER       MNIST's IDX files, or CIFAR-10's binary batches
    python -m examples.digits_cnn --model FILE        save after every epoch, and go on from there

Source of the architecture: LeCun, Bottou, Bengio and Haffner, "Gradient-Based Learning Applied to
Document Recognition", 1998, with relu and maxima for its squashing and its means.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import kernels
import layers
from examples import datasets
from examples.datasets import Images


@dataclass
class Run:
    """One training: what it started from, and what each epoch gave."""

    seed: int
    epochs: int
    batch: int
    lr: float
    history: list[dict[str, float]] = field(default_factory=list)


def network(shape: tuple[int, ...], classes: int, seed: int) -> layers.Sequential:
    """Build the network for images (C, H, W)."""
    channels, height, width = shape
    if min(height, width) < 4:
        raise ValueError(f"images: expected at least 4×4 pixels, got {height}×{width}")
    rng = np.random.default_rng(seed)
    return layers.Sequential(
        layers.Conv2d(channels, 32, 3, padding="same", rng=rng),
        layers.ReLU(),
        layers.MaxPool2d(2),
        layers.Conv2d(32, 64, 3, padding="same", rng=rng),
        layers.ReLU(),
        layers.MaxPool2d(2),
        layers.Flatten(),
        layers.Linear(64 * (height // 4) * (width // 4), classes, rng=rng),
    )


def augmented(x: np.ndarray, images: Images, rng: np.random.Generator) -> np.ndarray:
    """Move each image by a few pixels, and mirror half of them where that means the same."""
    n, _, height, width = x.shape
    s = images.shift
    padded = np.pad(x, ((0, 0), (0, 0), (s, s), (s, s)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), (2, 3))
    down, right = rng.integers(0, 2 * s + 1, (2, n))
    moved = windows[np.arange(n), :, down, right]
    if images.mirror:
        turned = rng.random(n) < 0.5
        moved[turned] = moved[turned, :, :, ::-1]
    return moved


def train(
    model: layers.Sequential,
    optimizer: layers.Optimizer,
    images: Images,
    run: Run,
    after_epoch: Callable[[], None] = lambda: None,
) -> None:
    """Train until ``run.epochs`` epochs are in ``run.history``, under a progress bar.

    Each epoch draws from a generator of its own, so a run that is resumed goes the same way.
    """
    loss = layers.CrossEntropyLoss()
    count = len(images.train_x)
    steps = math.ceil(count / run.batch)
    todo = range(len(run.history), run.epochs)
    with tqdm(total=len(todo) * steps, unit="step", disable=None) as bar:
        bar.set_description("compiling the loops")
        for epoch in todo:
            rng = np.random.default_rng([run.seed, epoch])
            order = rng.permutation(count)
            total, right = 0.0, 0
            for step, chosen in enumerate(np.array_split(order, steps)):  # no small rest at the end
                x, labels = augmented(images.train_x[chosen], images, rng), images.train_y[chosen]
                logits, cache = model.forward(x)
                value, loss_cache = loss.forward(logits, labels)
                optimizer.zero_grad()
                model.backward_parameters(loss.backward(1.0, loss_cache), cache)
                done = (epoch * steps + step) / (run.epochs * steps)
                optimizer.lr = run.lr * (1 + math.cos(math.pi * done)) / 2
                optimizer.step()
                total += float(value) * len(chosen)
                right += int((logits.argmax(1) == labels).sum())
                bar.update()
                bar.set_description(f"epoch {epoch + 1}/{run.epochs}", refresh=False)
            test_loss, predicted = evaluate(model, images)
            run.history.append(
                {
                    "loss": total / count,
                    "accuracy": right / count,
                    "test_loss": test_loss,
                    "test_accuracy": float((predicted.argmax(1) == images.test_y).mean()),
                }
            )
            now = run.history[-1]
            bar.set_postfix_str(f"loss {now['loss']:.3f}, held out {now['test_accuracy']:.2%}")
            after_epoch()


def evaluate(model: layers.Sequential, images: Images) -> tuple[float, np.ndarray]:
    """Return the mean loss on the held-out part, and the probability of each class (N, classes)."""
    parts = [model(images.test_x[i : i + 256]) for i in range(0, len(images.test_x), 256)]
    logits = np.concatenate(parts)
    return float(kernels.cross_entropy(logits, images.test_y)), kernels.softmax(logits)


def resume(
    path: Path, model: layers.Sequential, optimizer: layers.Optimizer, images: Images, run: Run
) -> None:
    """Take up the weights, the optimiser and the history that an earlier run left in a file."""
    saved = layers.load(path, model, optimizer)
    if saved.get("data") != images.name or "history" not in saved:
        raise ValueError(
            f"{path}: expected a file that this example wrote for {images.name}, got {saved or 'no metadata'}"
        )
    if int(saved["seed"]) != run.seed:
        raise ValueError(
            f"--seed: expected {saved['seed']}, with which {path} was trained (another seed would hold "
            f"out other images), got {run.seed}"
        )
    run.history = json.loads(saved["history"])
    print(f"{path}: {len(run.history)} epochs done")


def keep(
    path: Path, model: layers.Sequential, optimizer: layers.Optimizer, images: Images, run: Run
) -> None:
    """Save all that `resume` needs."""
    metadata = {"data": images.name, "seed": str(run.seed), "history": json.dumps(run.history)}
    layers.save(path, model, optimizer, metadata)


def one(
    images: Images, run: Run, path: Path | None = None
) -> tuple[layers.Sequential, Run, np.ndarray]:
    """Train (or go on), and return the network, its run and its held-out probabilities."""
    model = network(images.train_x.shape[1:], len(images.classes), run.seed)
    optimizer = layers.AdamW(model.parameters(), lr=run.lr)
    save = lambda: None  # noqa: E731
    if path is not None:
        if path.exists():
            resume(path, model, optimizer, images, run)
        save = lambda: keep(path, model, optimizer, images, run)  # noqa: E731
    if len(run.history) < run.epochs:
        start = time.perf_counter()
        train(model, optimizer, images, run, save)
        print(f"seed {run.seed}: {time.perf_counter() - start:.1f} s", end=", ")
    else:
        print(f"seed {run.seed}: trained already; --epochs {run.epochs + 10} would go on", end=", ")
    _, probabilities = evaluate(model, images)
    wrong = int((probabilities.argmax(1) != images.test_y).sum())
    accuracy = 1 - wrong / len(images.test_y)
    print(f"{accuracy:.2%} of {len(images.test_y)} held-out images read right, {wrong} wrong")
    return model, run, probabilities


def first(images: Images, train: int, test: int) -> Images:
    """Keep the first images alone."""
    return datasets.Images(
        images.name,
        images.train_x[:train],
        images.train_y[:train],
        images.test_x[:test],
        images.test_y[:test],
        images.classes,
        images.shift,
        images.mirror,
    )


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""

    def positive(text: str) -> int:
        value = int(text)
        if value < 1:
            raise argparse.ArgumentTypeError(f"expected at least 1, got {text}")
        return value

    def rate(text: str) -> float:
        value = float(text)
        if not 0 < value < math.inf:
            raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
        return value

    parser = argparse.ArgumentParser(
        prog="python -m examples.digits_cnn", description=__doc__.split("\n")[0]
    )
    add = parser.add_argument
    add(
        "--data", type=Path, metavar="FOLDER", help="MNIST's IDX files or CIFAR-10's binary batches"
    )
    add("--model", type=Path, metavar="FILE", help="safetensors file to save to and resume from")
    add("--out", type=Path, default=Path("figures"), metavar="FOLDER", help="where the figures go")
    add("--epochs", type=positive, help="in all (60; 5 with --data; 2 with --quick)")
    add("--batch", type=positive, default=32, help="images a step (32)")
    add(
        "--lr",
        type=rate,
        default=3e-3,
        help="learning rate at the start, then a half cosine (0.003)",
    )
    add("--seed", type=int, default=0, help="of split, weights and order (0)")
    add("--seeds", type=positive, default=1, metavar="N", help="train N times, from --seed on")
    add("--threads", type=positive, help="threads of the kernels (all)")
    add("--quick", action="store_true", help="a few images and epochs: does it run?")
    options = parser.parse_args(argv)
    if options.seed < 0:
        parser.error(f"--seed: expected at least 0, got {options.seed}")
    if options.model and options.seeds > 1:
        parser.error("--model: expected a single run, got --seeds")
    options.fail = parser.error
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Train, report, draw."""
    options = arguments(argv)
    results = []
    try:
        kernels.set_num_threads(options.threads)
        given = options.data and datasets.load(options.data)
        for seed in range(options.seed, options.seed + options.seeds):
            images: Any = given or datasets.digits(seed)
            if options.quick:
                images = first(images, 512, 256)
            epochs = options.epochs or (2 if options.quick else 5 if given else 60)
            if not results:
                size = "×".join(map(str, images.train_x.shape[1:]))
                print(
                    f"{images.name}: {len(images.train_x)} images of {size} to learn from, "
                    f"{len(images.test_x)} held out; {kernels.get_num_threads()} threads"
                )
            run = Run(seed, epochs, options.batch, options.lr)
            results.append((images, *one(images, run, options.model)))
    except (OSError, ValueError) as error:
        options.fail(str(error))
    accuracies = [run.history[-1]["test_accuracy"] for _, _, run, _ in results]
    if len(results) > 1:
        print(
            f"{len(results)} seeds: median {statistics.median(accuracies):.2%}, "
            f"worst {min(accuracies):.2%}"
        )
    from examples import figures  # matplotlib is slow to import, and training does not need it

    images, model, _, probabilities = results[0]
    options.out.mkdir(parents=True, exist_ok=True)
    for path in (
        figures.curves(options.out / "curves.png", [run.history for _, _, run, _ in results]),
        figures.filters(options.out / "filters.png", model[0].weight.data),
        figures.features(options.out / "features.png", model, images),
        figures.confusion(options.out / "confusion.png", probabilities, images),
    ):
        print(f"figure: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
