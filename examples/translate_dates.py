"""An encoder and a decoder that translate written dates, in two languages and 36 styles, into ISO form.

    le mardi 3 mars 1998                        → 1998-03-03
    the third of March, nineteen ninety-eight   → 1998-03-03

    python -m examples.translate_dates                       train, report, draw
    python -m examples.translate_dates --model FILE          save after every epoch, and go on from there
    python -m examples.translate_dates --model FILE --translate "3 mars 1998"
    python -m examples.translate_dates --beam 10             hypotheses kept while decoding

The texts come from a seeded generator (examples/dates.py); the model is in examples/translator.py, greedy
and beam search in examples/decoding.py.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

import kernels
import layers
from examples import dates
from examples.command import above_zero, whole
from examples.dates import Writing
from examples.decoding import Hypothesis
from examples.translator import Translator

BATCH = 128
LIMIT = 12  # symbols that a translation may have: ten and the end, and one to spare
OUTSIDE = ["04/03/1998", "30 February 1998", "3 Marz 1998"]  # two readings, no such day, misspelt


@dataclass
class Run:
    """One training: what it started from, and what each epoch gave."""

    seed: int
    hidden: int
    epochs: int
    steps: int = 250
    lr: float = 3e-3
    minutes: float = math.inf
    history: list[dict[str, float]] = field(default_factory=list)


def network(run: Run) -> Translator:
    """Build the model."""
    rng = np.random.default_rng([run.seed, 1])
    return Translator(len(dates.ALPHABET) + 1, len(dates.DIGITS) + 2, run.hidden, rng=rng)


def train(
    model: Translator,
    optimizer: layers.Optimizer,
    run: Run,
    shown: list[Writing],
    after_epoch: Callable[[], None] = lambda: None,
) -> None:
    """Train until ``run.epochs`` epochs, or the minutes, are over, under a progress bar.

    No writing is kept: every step draws fresh ones, from a generator of the epoch's own, so that a run
    which is resumed goes the same way; but on a machine too slow for all epochs, the learning rate falls
    with the minutes. `shown` is translated after every epoch, to be told of.
    """
    loss = layers.CrossEntropyLoss()
    days, _ = dates.split(run.seed)
    parameters = model.parameters()
    spent = sum(each["seconds"] for each in run.history)
    limit = 60 * run.minutes
    todo = range(len(run.history), run.epochs if spent < limit else 0)
    start = time.perf_counter()
    with tqdm(total=len(todo) * run.steps, unit="step", disable=None) as bar:
        bar.set_description("compiling the loops")
        for epoch in todo:
            rng = np.random.default_rng([run.seed, 2, epoch])
            total, taken, begun = 0.0, 0, time.perf_counter()
            for step in range(run.steps):
                late = (spent + time.perf_counter() - start) / limit  # after a tenth, for compiling
                done = max((epoch + step / run.steps) / run.epochs, (late - 0.1) / 0.9)
                if done >= 1:
                    break
                writings = dates.draw(days, BATCH, rng)
                symbols, lengths = dates.encode(each.text for each in writings)
                right = dates.targets(writings)
                logits, cache = model.forward(symbols, lengths, right[:-1])
                value, loss_cache = loss.forward(logits, right[1:].ravel())
                optimizer.zero_grad()
                model.backward(loss.backward(1.0, loss_cache), cache)
                layers.clip_grad_norm_(parameters, 1.0)
                optimizer.lr = run.lr * (1 + math.cos(math.pi * done)) / 2
                optimizer.step()
                total, taken = total + float(value), taken + 1
                bar.update()
                bar.set_description(f"epoch {epoch + 1}/{run.epochs}", refresh=False)
            if not taken:
                break
            found = [each[0] for each in translate(model, [each.text for each in shown])]
            exact = float(np.mean([is_right(*pair) for pair in zip(found, shown)]))
            seconds = time.perf_counter() - begun
            run.history.append({"loss": total / taken, "exact": exact, "seconds": seconds})
            bar.set_postfix_str(f"loss {total / taken:.4f}, held out {exact:.2%}")
            after_epoch()


def translate(
    model: Translator, texts: Sequence[str], width: int = 1, batch: int = 512
) -> list[list[Hypothesis]]:
    """Return up to `width` translations of each text, likeliest first; greedily where `width` is 1."""
    options = {"start": dates.START, "end": dates.END, "limit": LIMIT, "width": width}
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # like lengths, little padding
    result: list[list[Hypothesis]] = [[]] * len(texts)
    for first in range(0, len(texts), batch):
        part = order[first : first + batch]
        found = model.translate(*dates.encode(texts[i] for i in part), **options)
        for i, each in zip(part, found):
            result[i] = each
    return result


def is_right(found: Hypothesis, writing: Writing) -> bool:
    """Tell whether a translation is the ISO form to the letter, and ends there."""
    return found.symbols[-1] == dates.END and dates.spell(found.symbols) == writing.iso


def report(model: Translator, run: Run, count: int, width: int) -> tuple[list[Writing], np.ndarray]:
    """Translate `count` held-out writings, print how well, and return them with what was right."""
    _, held = dates.split(run.seed)
    writings = dates.draw(held, count, np.random.default_rng([run.seed, 3]))
    texts = [each.text for each in writings]
    right = np.zeros(0, bool)
    for name, k in (("greedy", 1), (f"beam of {width}", width))[: 1 + (width > 1)]:
        start = time.perf_counter()
        found = [each[0] for each in translate(model, texts, k)]
        seconds = time.perf_counter() - start
        right = np.array([is_right(*pair) for pair in zip(found, writings)])
        mean = np.mean([each.log_probability for each in found])
        print(
            f"{name}: {right.sum():,} of {count:,} writings of {len(held):,} unseen dates exactly right, "
            f"{right.mean():.2%}; mean log-probability {mean:.5f}; {1e6 * seconds / count:.0f} µs each"
        )
    style = np.array([each.style for each in writings])
    for language in dates.LANGUAGES:
        mine = np.isin(style, [i for i, each in enumerate(dates.EVERY) if each[0] == language])
        print(f"\n{language}: {right[mine].mean() if mine.any() else math.nan:.2%}")
        for i, (its, _) in enumerate(dates.EVERY):
            if its == language and (style == i).any():
                share, example = (
                    right[style == i].mean(),
                    dates.write(dates.EXAMPLE, *dates.EVERY[i]),
                )
                print(f"  {share:7.2%} of {(style == i).sum():3}  {example}")
    for title, chosen in (
        ("Right", np.flatnonzero(right)[:6]),
        ("Wrong", np.flatnonzero(~right)[:8]),
    ):
        print(f"\n{title}:" + " none" * (len(chosen) == 0))
        for i in chosen:
            told = f", is {writings[i].iso}" if title == "Wrong" else ""
            print(f"  {texts[i]} → {dates.spell(found[i].symbols)}{told}")
    return writings, right


def tell(model: Translator, texts: Iterable[str], width: int) -> None:
    """Print the translations of texts, each with its probability."""
    texts = list(texts)
    for text, found in zip(texts, translate(model, texts, width)):
        print(text)
        for each in found:
            print(f"  {dates.spell(each.symbols)}  {math.exp(each.log_probability):.2%}")


def keep(path: Path, model: Translator, optimizer: layers.Optimizer, run: Run) -> None:
    """Save all that `resume` needs."""
    about = {"example": "translate_dates", "seed": str(run.seed), "hidden": str(run.hidden)}
    layers.save(path, model, optimizer, {**about, "history": json.dumps(run.history)})


def about(path: Path) -> dict[str, str]:
    """Return what `keep` wrote beside the weights."""
    import safetensors

    with open(path, "rb"):
        pass  # a missing file, or a folder, is an OSError in its own words
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            found = dict(file.metadata() or {})
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path}: expected a safetensors file: {error}") from None
    if found.get("example") != "translate_dates":
        raise ValueError(
            f"{path}: expected a file that this example wrote, got {found or 'no metadata'}"
        )
    return found


def resume(path: Path, model: Translator, optimizer: layers.Optimizer, run: Run) -> None:
    """Take up the weights, the optimiser and the history that an earlier run left in a file."""
    saved = layers.load(path, model, optimizer)
    if int(saved["seed"]) != run.seed:
        raise ValueError(
            f"--seed: expected {saved['seed']}, with which {path} was trained (another seed would hold "
            f"out other dates), got {run.seed}"
        )
    run.history = json.loads(saved["history"])


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.translate_dates", description=__doc__.split("\n")[0]
    )
    add = parser.add_argument
    add("--translate", nargs="+", metavar="TEXT", help="translate these with the model of --model")
    add("--model", type=Path, metavar="FILE", help="safetensors file to save to and resume from")
    add("--out", type=Path, default=Path("figures"), metavar="FOLDER", help="where the figures go")
    add("--epochs", type=whole(1), help="of 250 steps of 128 writings, in all (24; 1 with --quick)")
    add("--minutes", type=above_zero, default=9, help="for training, at most (9)")
    add("--hidden", type=whole(1), help="size of the encoder's and the decoder's state (192)")
    add("--beam", type=whole(1), default=5, help="hypotheses kept while decoding (5; 1 is greedy)")
    add("--seed", type=whole(0), default=0, help="of split, weights and writings (0)")
    add("--threads", type=whole(1), help="threads of the kernels (all)")
    add("--quick", action="store_true", help="a small model and few steps: does it run?")
    options = parser.parse_args(argv)
    if options.translate and not (options.model and options.model.exists()):
        parser.error(
            f"--translate: expected the file of a trained model in --model, got {options.model}"
        )
    options.fail = parser.error
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Train, report, draw; or translate."""
    options = arguments(argv)
    epochs = options.epochs or (1 if options.quick else 24)
    hidden = options.hidden or (32 if options.quick else 192)
    run = Run(options.seed, hidden, epochs, 10 if options.quick else 250, minutes=options.minutes)
    count, width = (200 if options.quick else 5000), options.beam
    save: Callable[[], None] = lambda: None  # noqa: E731
    try:
        kernels.set_num_threads(options.threads)
        saved = about(options.model) if options.model and options.model.exists() else None
        if saved:
            run.hidden = int(saved["hidden"])
            if options.hidden not in (None, run.hidden):
                raise ValueError(
                    f"--hidden: expected {run.hidden}, with which {options.model} was trained, "
                    f"got {options.hidden}"
                )
        model = network(run)
        if options.translate:
            layers.load(options.model, model, layers.Adam(model.parameters()))
            tell(model, options.translate, width)
            return 0
        optimizer = layers.Adam(model.parameters(), lr=run.lr)
        if options.model:
            save = lambda: keep(options.model, model, optimizer, run)  # noqa: E731
        if saved:
            resume(options.model, model, optimizer, run)
        options.out.mkdir(parents=True, exist_ok=True)
        days, held = dates.split(run.seed)
        size = sum(each.size for each in model.parameters())
        print(
            f"{len(days):,} dates to learn from, {len(held):,} held out, in {len(dates.EVERY)} styles; "
            f"{size:,} parameters; {kernels.get_num_threads()} threads"
        )
        shown = dates.draw(held, count // 5, np.random.default_rng([run.seed, 4]))
        begun = len(run.history)
        if begun:
            print(f"{options.model}: {begun} epochs done")
        train(model, optimizer, run, shown, save)
        if len(run.history) == begun:
            print(f"trained already; --epochs {begun + 4}, or more --minutes, would go on")
    except (OSError, ValueError) as error:
        options.fail(str(error))
    seconds = sum(each["seconds"] for each in run.history)
    print(f"seed {run.seed}: {len(run.history)} epochs of {run.steps} steps in {seconds:.0f} s")
    writings, right = report(model, run, count, width)
    if width > 1:
        print("\nWhat no style says, and what the beam makes of it:")
        tell(model, OUTSIDE, width)
    from examples import dates_figures as figures  # matplotlib is slow to import

    for path in figures.draw(options.out, model, run.history, writings, right):
        print(f"figure: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
