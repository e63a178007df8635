"""Which units of an LSTM have learnt something that a reader can name.

A cell that stays high inside quotation marks, or that counts on through a line, was first shown by
A. Karpathy, J. Johnson and L. Fei-Fei, "Visualizing and Understanding Recurrent Networks", 2015.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Unit:
    """A unit, what its cell follows, and how closely (Pearson's r)."""

    number: int
    name: str
    r: float


def traits(content: str) -> dict[str, np.ndarray]:
    """Return what can be said of each place in a text, after its character was read."""
    quoted, depth, since_space, since_line = False, 0, 0, 0
    rows = []
    for character in content:
        if character == "\n":
            quoted, depth, since_line = False, 0, -1
        quoted = character == "“" or (quoted ^ (character == '"') and character != "”")
        depth = max(0, depth + (character in "([{") - (character in ")]}"))
        since_space = since_space + 1 if character.isalnum() or character in "_’'" else 0
        since_line += 1
        rows.append((quoted, depth > 0, since_space, since_line, character == " "))
    names = (
        "inside quotation marks",
        "inside brackets",
        "letters since the word began",
        "characters since the line began",
        "at a space",
    )
    return dict(zip(names, np.array(rows, np.float64).reshape(-1, len(names)).T))


def correlation(cells: np.ndarray, trait: np.ndarray) -> np.ndarray:
    """Return Pearson's r of each column of cells (T, H) with a trait (T,); 0 where either is constant."""
    a = cells.astype(np.float64) - cells.mean(0, dtype=np.float64)
    b = trait - trait.mean()
    size = np.sqrt((a**2).sum(0) * (b**2).sum())
    return np.divide(b @ a, size, out=np.zeros(a.shape[1]), where=size > 1e-12)


def telling(cells: np.ndarray, content: str, most: int = 4) -> list[Unit]:
    """Return for each trait the unit whose cell follows it most closely; the closest few, no unit twice."""
    found: list[Unit] = []
    for name, trait in traits(content).items():
        r = correlation(cells, trait)
        r[[each.number for each in found]] = 0
        best = int(np.abs(r).argmax())
        if r[best]:
            found.append(Unit(best, name, float(r[best])))
    return sorted(found, key=lambda each: -abs(each.r))[:most]


def sentence(content: str, least: int = 60, most: int = 105) -> tuple[int, int]:
    """Return where a line of readable length begins and ends, one with a quotation if there is one."""
    lines, begin = [], 0
    for line in content.splitlines(keepends=True):
        if least <= len(line) <= most:
            lines.append((line.count('"') + line.count("“") < 2, begin, begin + len(line)))
        begin += len(line)
    if not lines:
        return 0, min(len(content), most)
    return min(lines)[1:]
