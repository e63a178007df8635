"""Text to learn from: a corpus, its characters, windows that follow one another, and a count of words.

The English of Python's own documentation comes with every CPython: `pydoc_data.topics`, what
``help("lambda")`` prints. Its topics quote one another at length, and a third of it is code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HELD_OUT = 0.08  # of the characters, at the end
LEAST = 1000  # characters; below that there is nothing to hold out

BLANK = re.compile(r"\n[ \t]*\n")
BULLET = re.compile(r"^(\* |[0-9]+\. |\[[0-9]+\] |\([0-9]+\) )")
EMPHASIS = re.compile(r"(\*\*?)(?=\w)([^*]+?)(?<=\w)\1")
FULL_STOP = re.compile(r"[.:!?][)\"”’]*( \[[0-9]+\])?$")
PLAIN_WORD = re.compile(r"[(\"“]*[A-Za-z’'-]+[)\"”.,:;!?]*")
WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class Corpus:
    """A text in two parts, and how it came about, in words."""

    name: str
    train: str
    held_out: str
    story: str


def pydoc(topics: Mapping[str, str] | None = None) -> Corpus:
    """Return the English of Python's documentation, its last topics held out.

    A paragraph is kept once, where it first stands: what is held out was never learnt from, though
    topics quote each other.
    """
    if topics is None:
        from pydoc_data.topics import topics
    seen: set[str] = set()
    parts: list[tuple[str, str]] = []
    prose_size = 0
    for topic, content in topics.items():
        paragraphs = [each for each in map(prose, BLANK.split(content)) if each]
        prose_size += sum(len(each) + 1 for each in paragraphs)
        new = list(dict.fromkeys(each for each in paragraphs if each not in seen))
        seen.update(new)
        if new:
            parts.append((topic, "\n".join(new) + "\n"))
    total = sum(len(each) for _, each in parts)
    cut, size = len(parts), 0
    while cut > 1 and size < HELD_OUT * total:
        cut -= 1
        size += len(parts[cut][1])
    whole = sum(map(len, topics.values()))
    return Corpus(
        "pydoc_data.topics",
        "".join(each for _, each in parts[:cut]),
        "".join(each for _, each in parts[cut:]),
        f"{len(topics)} topics of {whole:,} characters; {prose_size:,} of them English, the rest code, "
        f"tables, grammar and headings; {total:,} without the paragraphs that occur twice. "
        f"Held out: {', '.join(topic for topic, _ in parts[cut:])}",
    )


def read(path: Path) -> Corpus:
    """Return a text of your own as it stands, its last lines held out."""
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected UTF-8, got {error}") from None
    if len(content) < LEAST:
        raise ValueError(
            f"{path}: expected a text of at least {LEAST:,} characters, got {len(content):,}"
        )
    cut = int(len(content) * (1 - HELD_OUT))
    line = content.find("\n", cut) + 1
    cut = line if 0 < line < len(content) * (1 - HELD_OUT / 2) else cut
    return Corpus(
        path.name,
        content[:cut],
        content[cut:],
        f"{len(content):,} characters; the last {len(content) - cut:,} held out",
    )


def part(corpus: Corpus, train: int, held_out: int) -> Corpus:
    """Return the first characters alone."""
    return Corpus(
        corpus.name,
        corpus.train[:train],
        corpus.held_out[:held_out],
        f"the first {train:,} and {held_out:,} characters of its two parts",
    )


def prose(paragraph: str) -> str | None:
    """Return a paragraph of documentation on one line without its markup, or None if it is no English.

    English is what ends as a sentence does, has four words or more, and is made of plain words to
    three fifths. Bullets, and the asterisks of emphasis, are markup.
    """
    lines = paragraph.strip()
    if lines.startswith((">>>", "+-", "|")) or "::=" in lines:
        return None
    joined = re.sub(r"(?<=\w)-\n\s*(?=\w)", "-", lines)  # the wrapping broke a word at its hyphen
    line = BULLET.sub("", " ".join(joined.split()), count=1)
    words = line.split(" ")
    plain = sum(PLAIN_WORD.fullmatch(each) is not None for each in words)
    if len(words) < 4 or plain < 0.6 * len(words) or not FULL_STOP.search(line):
        return None
    return EMPHASIS.sub(r"\2", line)


@dataclass(frozen=True)
class Vocabulary:
    """The characters of a text, each with a number."""

    characters: str

    @classmethod
    def of(cls, content: str) -> Vocabulary:
        """Return the vocabulary of all characters in a text."""
        return cls("".join(sorted(set(content))))

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, content: str, name: str = "text") -> np.ndarray:
        """Return the numbers of a text's characters; a ValueError names one that has none."""
        number = {character: i for i, character in enumerate(self.characters)}
        unknown = sorted({each for each in content if each not in number})
        if unknown:
            raise ValueError(
                f"{name}: expected characters among {self.characters!r}, got {''.join(unknown)!r}"
            )
        return np.array([number[each] for each in content], np.int64)

    def decode(self, numbers: np.ndarray) -> str:
        """Return the text of numbers."""
        return "".join(self.characters[i] for i in numbers)


def windows(
    numbers: np.ndarray, batch: int, length: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield what is read and what comes next, (T, B) each, T = `length` (less for the last).

    The text is cut into B streams, one a column. A window begins in each stream where the window
    before it ended, so that the state after one is the state before the next. Each stream reads on
    to its last character; the rest that does not fill one more row is left out.
    """
    steps = (len(numbers) - 1) // batch
    if steps < 1:
        raise ValueError(
            f"batch: expected fewer than the text's {len(numbers)} characters, got {batch}"
        )
    read = numbers[: steps * batch].reshape(batch, steps).T
    after = numbers[1 : steps * batch + 1].reshape(batch, steps).T
    for start in range(0, steps, length):
        yield (
            np.ascontiguousarray(read[start : start + length]),
            np.ascontiguousarray(after[start : start + length]),
        )


def words(content: str) -> list[str]:
    """Return the words of a text: runs of letters, case folded."""
    return [each.casefold() for each in WORD.findall(content)]


def known_share(samples: list[str], corpus: Set[str], least: int = 3) -> float:
    """Return the share of the words of `least` letters or more that occur in a corpus, from 0 to 1.

    A sample's last word is left out where the sample ends inside it: it may have been cut short.
    """
    found = []
    for sample in samples:
        whole = re.sub(r"[^\W\d_]+\Z", "", sample)
        found += [each for each in words(whole) if len(each) >= least]
    return sum(each in corpus for each in found) / len(found) if found else float("nan")
