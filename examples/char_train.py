"""How `char_lstm` trains: windows whose state goes on, one schedule, and a file to go on from."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

import layers
from examples import text
from examples.char_model import CharLSTM, perplexity
from examples.text import Vocabulary

CLIP = 1.0  # the gradient's norm: a long memory now and then sends back a very large one
WARM = 0.02  # share of the training in which the rate climbs to its height


@dataclass
class Run:
    """One training: what it started from, and what each epoch gave."""

    seed: int
    epochs: int
    minutes: float | None
    batch: int
    length: int
    lr: float
    history: list[dict[str, float]] = field(default_factory=list)

    def spent(self) -> float:
        """Return the seconds of the epochs that are done."""
        return sum(each["seconds"] for each in self.history)

    def over(self) -> bool:
        """Return whether nothing is left to do."""
        if self.minutes is None:
            return len(self.history) >= self.epochs
        return self.spent() >= 60 * self.minutes


def rate(done: float) -> float:
    """Return the share of the learning rate when a share of the training is done: a climb, a half cosine."""
    return min(1, done / WARM) * (1 + math.cos(math.pi * done)) / 2


def train(
    model: CharLSTM,
    optimizer: layers.Optimizer,
    numbers: np.ndarray,
    held_out: np.ndarray,
    run: Run,
    after_epoch: Callable[[], None] = lambda: None,
) -> None:
    """Train until the run's epochs, or its minutes, are over, under a progress bar.

    The gradient reaches back to the start of a window and no further; the state goes on into the next
    one. Each epoch starts at another character of the text, so that windows end elsewhere, and draws
    that from a generator of its own: a run that is resumed goes the same way.
    """
    loss = layers.CrossEntropyLoss()
    steps = math.ceil((len(numbers) - 1) // run.batch / run.length)
    timed = run.minutes is not None
    total = 60 * run.minutes if run.minutes else run.epochs * steps
    before = run.spent() if timed else len(run.history) * steps
    with tqdm(total=round(total), initial=round(before), disable=None) as bar:
        unit = "s" if timed else "steps"
        bar.bar_format = f"{{l_bar}}{{bar}}| {{n:.0f}}/{{total}} {unit} [{{elapsed}}]{{postfix}}"
        bar.set_description("compiling the loops")
        while not run.over():
            epoch, start, earlier = len(run.history), time.perf_counter(), run.spent()
            rng = np.random.default_rng([run.seed, epoch])
            turned = np.roll(numbers, -int(rng.integers(len(numbers))))
            state, entropy, count = None, 0.0, 0
            for step, (x, y) in enumerate(text.windows(turned, run.batch, run.length)):
                done = epoch * steps + step
                now = earlier + time.perf_counter() - start if timed else done
                if now >= total:
                    break
                (logits, state), cache = model.forward(x, state, stream=done)
                value, loss_cache = loss.forward(logits.reshape(y.size, -1), y.reshape(-1))
                optimizer.zero_grad()
                model.backward(loss.backward(1.0, loss_cache).reshape(logits.shape), cache)
                layers.clip_grad_norm_(model.parameters(), CLIP)
                optimizer.lr = run.lr * rate((now + 1) / (total + 1))
                optimizer.step()
                entropy += float(value) * y.size
                count += y.size
                bar.update(now - bar.n)
                bar.set_description(f"epoch {epoch + 1}", refresh=False)
            held = perplexity(model, held_out)
            run.history.append(
                {
                    "perplexity": math.exp(entropy / max(1, count)),
                    "held_out": held,
                    "seconds": time.perf_counter() - start,
                }
            )
            bar.set_postfix_str(f"perplexity held out {held:.3f}")
            after_epoch()
        bar.update(bar.total - bar.n)


def keep(
    path: Path,
    model: CharLSTM,
    optimizer: layers.Optimizer,
    name: str,
    vocabulary: Vocabulary,
    run: Run,
) -> None:
    """Save all that `resume` and `restore` need."""
    metadata = {
        "data": name,
        "vocabulary": vocabulary.characters,
        "sizes": json.dumps(model.sizes),
        "seed": str(run.seed),
        "history": json.dumps(run.history),
    }
    layers.save(path, model, optimizer, metadata)


def notes(path: Path) -> dict[str, str]:
    """Return what `keep` wrote beside the weights."""
    import safetensors

    with open(path, "rb"):
        pass  # a missing file, or a folder, is an OSError in its own words
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            saved = dict(file.metadata() or {})
    except safetensors.SafetensorError as error:
        raise ValueError(f"expected a safetensors file, {path} cannot be read: {error}") from None
    if not {"data", "vocabulary", "sizes", "seed", "history"} <= saved.keys():
        raise ValueError(
            f"expected a file that this example wrote, {path} holds {saved or 'no notes'}"
        )
    return saved


def resume(
    path: Path,
    model: CharLSTM,
    optimizer: layers.Optimizer,
    name: str,
    vocabulary: Vocabulary,
    run: Run,
) -> None:
    """Take up the weights, the optimiser and the history that an earlier run left in a file."""
    saved = notes(path)
    for what, expected, got in (
        ("text", saved["data"], name),
        ("characters", saved["vocabulary"], vocabulary.characters),
        ("sizes", json.loads(saved["sizes"]), model.sizes),
        ("seed", int(saved["seed"]), run.seed),
    ):
        if expected != got:
            raise ValueError(f"{path} was trained with the {what} {expected!r}, got {got!r}")
    layers.load(path, model, optimizer)
    run.history = json.loads(saved["history"])
    print(f"{path}: {len(run.history)} epochs done")


def restore(path: Path) -> tuple[CharLSTM, Vocabulary]:
    """Return the network in a file, to write with."""
    saved = notes(path)
    model = CharLSTM(**json.loads(saved["sizes"]))
    layers.load(path, model)
    model.eval()
    return model, Vocabulary(saved["vocabulary"])
