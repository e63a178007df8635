"""A network that learns to write, one character at a time, on loops that you can read.

    character → embedding → LSTM → dropout → fully connected → softmax: which character comes next?

    python -m examples.char_lstm                      the English of Python's own documentation
    python -m examples.char_lstm --text FILE          a text of your own, UTF-8
    python -m examples.char_lstm --model FILE         save after every epoch, and go on from there
    python -m examples.char_lstm --model FILE --sample 500 --prompt "The list"     write, with what was saved

Perplexity is e to the mean cross-entropy: among how many equally likely characters the network might
as well be guessing. It is measured on the end of the text, which is held out.

Sources: I. Sutskever, J. Martens and G. Hinton, "Generating Text with Recurrent Neural Networks", ICML
2011; S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997; of the
windows with a state carried along: R. Williams and J. Peng, Neural Computation 2(4), 1990.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import kernels
import layers
from examples import text
from examples.char_model import CharLSTM, activations, sample
from examples.char_train import Run, keep, restore, resume, train
from examples.command import above_zero, number, whole
from examples.text import Corpus, Vocabulary

TEMPERATURES = (0.4, 0.7, 1.0)
PROMPT = "The "
USUAL = {"epochs": 40, "hidden": 256, "batch": 32}
QUICK = {"epochs": 2, "hidden": 64, "batch": 8}
CURVE = (0.2, 0.4, 0.6, 0.7, 0.8, 1.0, 1.2, 1.4)  # of the figure


def opening(vocabulary: Vocabulary, prompt: str | None) -> np.ndarray:
    """Return what the network reads before it writes: the start of a line, and the prompt."""
    if prompt is None:
        prompt = PROMPT if set(PROMPT) <= set(vocabulary.characters) else ""
    start = "\n" if "\n" in vocabulary.characters else ""
    return vocabulary.encode(start + prompt or vocabulary.characters[0])


def shown(vocabulary: Vocabulary, start: np.ndarray, samples: dict[float, str]) -> str:
    """Return samples as they are printed: each under its temperature, after its prompt."""
    prompt = vocabulary.decode(start).lstrip("\n")
    return "\n".join(f"--- temperature {t:g} ---\n{prompt}{each}\n" for t, each in samples.items())


def report(model: CharLSTM, vocabulary: Vocabulary, corpus: Corpus, run: Run, options: Any) -> None:
    """Write at several temperatures, count the words that are known, and draw."""
    from examples import char_figures, char_units  # matplotlib is slow to import

    model.eval()
    known = set(text.words(corpus.train))
    own = text.known_share([corpus.held_out], known)
    start = opening(vocabulary, options.prompt)
    rows, size = (8, 200) if options.quick else (16, 1000)
    samples, shares = {}, {}
    for t in sorted({*options.temperature, *(() if options.quick else CURVE)}):
        numbers = sample(model, start, size, t, run.seed, rows)
        samples[t] = [vocabulary.decode(each) for each in numbers]
        shares[t] = text.known_share(samples[t], known)
    print(shown(vocabulary, start, {t: samples[t][0][:400] for t in options.temperature}))
    (options.out / "samples.txt").write_text(
        shown(vocabulary, start, {t: samples[t][0] for t in options.temperature}), encoding="utf-8"
    )
    for t in options.temperature:
        print(
            f"temperature {t:g}: {shares[t]:.1%} of the words of three letters or more in "
            f"{rows}×{size:,} characters written occur in the text learnt from"
        )
    print(f"the held-out text: {own:.1%} of its words of three letters or more occur there")
    content = corpus.held_out[:6000]
    acts = activations(model, vocabulary.encode(content))
    units = char_units.telling(acts["c"], content)
    begin, end = char_units.sentence(content)
    scale = np.abs(acts["c"]).max(0)
    there = {name: each[begin:end] for name, each in acts.items()}
    for path in (
        char_figures.curves(options.out / "curves.png", run.history, shares, own),
        char_figures.gates(options.out / "gates.png", content[begin:end], there, units, scale),
    ):
        print(f"figure: {path}")


@contextlib.contextmanager
def blamed(option: str) -> Iterator[None]:
    """Name the option in whatever goes wrong inside."""
    try:
        yield
    except (OSError, TypeError, ValueError) as error:
        raise ValueError(f"{option}: {error}") from error


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.char_lstm", description=__doc__.split("\n")[0]
    )
    add = parser.add_argument
    add("--text", type=Path, metavar="FILE", help="UTF-8 (the English of Python's documentation)")
    add("--model", type=Path, metavar="FILE", help="safetensors file to save to and resume from")
    add("--out", type=Path, default=Path("figures"), metavar="FOLDER", help="where the figures go")
    add(
        "--epochs",
        type=whole(1),
        help=f"in all ({USUAL['epochs']}; {QUICK['epochs']} with --quick)",
    )
    add(
        "--minutes",
        type=above_zero,
        help="train for so long instead, the rate falling with the clock",
    )
    add(
        "--hidden",
        type=whole(1),
        help=f"units of the LSTM ({USUAL['hidden']}; {QUICK['hidden']} with --quick)",
    )
    add("--embedding", type=whole(1), default=64, help="features of a character (64)")
    add(
        "--dropout",
        type=number(0, 1),
        default=0.3,
        help="share of outputs hidden in training (0.3)",
    )
    add(
        "--batch",
        type=whole(1),
        help=f"streams of text read at once ({USUAL['batch']}; {QUICK['batch']} with --quick)",
    )
    add("--length", type=whole(1), default=64, help="characters that the gradient goes back (64)")
    add("--lr", type=above_zero, default=3e-3, help="learning rate, then a half cosine (0.003)")
    add("--temperature", type=number(0), nargs="+", default=list(TEMPERATURES), metavar="T",
        help="how boldly to write; 0 takes the likeliest (0.4 0.7 1.0)")  # fmt: skip
    add("--prompt", metavar="TEXT", help=f"what is written on from ({PROMPT!r})")
    add("--sample", type=whole(1), metavar="N", help="write N characters with --model, no training")
    add("--seed", type=whole(0), default=0, help="of weights, windows, dropout and samples (0)")
    add("--threads", type=whole(1), help="threads of the kernels (all)")
    add("--quick", action="store_true", help="a little text and two epochs: does it run?")
    options = parser.parse_args(argv)
    if options.epochs and options.minutes:
        parser.error("--minutes: expected without --epochs, got both")
    if options.sample and not options.model:
        parser.error("--sample: expected --model FILE with it, to write with")
    if options.model and not options.model.absolute().parent.is_dir():
        parser.error(f"--model: expected a folder that exists, got {options.model}")
    for name, value in (QUICK if options.quick else USUAL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    options.fail = parser.error
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Train, report, draw; or write with what was trained."""
    options = arguments(argv)
    try:
        with blamed("--threads"):
            kernels.set_num_threads(options.threads)
        if options.sample:
            return write(options)
        with blamed("--text"):
            corpus = text.read(options.text) if options.text else text.pydoc()
            if options.quick:
                corpus = text.part(corpus, 20_000, 3_000)
        vocabulary = Vocabulary.of(corpus.train + corpus.held_out)
        with blamed("--prompt"):
            opening(vocabulary, options.prompt)
        numbers, held_out = vocabulary.encode(corpus.train), vocabulary.encode(corpus.held_out)
        if len(numbers) <= options.batch:
            raise ValueError(
                f"--batch: expected fewer than {len(numbers):,} characters, got {options.batch}"
            )
        with blamed("--out"):
            options.out.mkdir(parents=True, exist_ok=True)
        print(f"{corpus.name}: {corpus.story}")
        run = Run(
            options.seed,
            options.epochs,
            options.minutes,
            options.batch,
            options.length,
            options.lr,
        )
        model = CharLSTM(
            len(vocabulary), options.embedding, options.hidden, options.dropout, options.seed
        )
        optimizer = layers.AdamW(model.parameters(), lr=run.lr)
        print(
            f"{len(numbers):,} characters to learn from, {len(held_out):,} held out, "
            f"{len(vocabulary)} different; {sum(each.size for each in model.parameters()):,} weights; "
            f"{kernels.get_num_threads()} threads"
        )
        save = lambda: None  # noqa: E731
        if options.model:
            if options.model.exists():
                with blamed("--model"):
                    resume(options.model, model, optimizer, corpus.name, vocabulary, run)
            save = lambda: keep(options.model, model, optimizer, corpus.name, vocabulary, run)  # noqa: E731
        begun = time.perf_counter()
        if run.over():
            print("trained already; more --epochs or --minutes would go on")
        else:
            train(model, optimizer, numbers, held_out, run, save)
            print(f"{len(run.history)} epochs, {time.perf_counter() - begun:.0f} s")
        print(f"perplexity of a held-out character: {run.history[-1]['held_out']:.3f}\n")
        report(model, vocabulary, corpus, run, options)
    except (OSError, ValueError) as error:
        options.fail(str(error))
    return 0


def write(options: argparse.Namespace) -> int:
    """Print what a saved network writes."""
    with blamed("--model"):
        model, vocabulary = restore(options.model)
    with blamed("--prompt"):
        start = opening(vocabulary, options.prompt)
    samples = {
        t: vocabulary.decode(sample(model, start, options.sample, t, options.seed)[0])
        for t in options.temperature
    }
    print(shown(vocabulary, start, samples))
    return 0


if __name__ == "__main__":
    sys.exit(main())
