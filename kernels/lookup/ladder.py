"""The rungs of looking up, and what they cost."""

from kernels.core import threads
from kernels.core.ladder import Ladder, Rung
from kernels.lookup import by_row, naive, parallel

LIMIT = 1 << 31  # the sorted lists hold 32-bit numbers


def _room(problem, direction):
    """An integer for each index and each row of the table."""
    return problem.count + problem.rows if direction == "dtable" else 0


def _refuses(problem, direction):
    if direction == "dtable" and problem.count + problem.rows >= LIMIT:
        return f"{problem.count} indices and {problem.rows} rows are too many for its 32-bit lists"
    return None


def _naive(problem, direction):
    return 0.2 * problem.flops(direction) + 0.1 * problem.rows * problem.width


def _by_row(problem, direction):
    lists = 3.0 * (problem.count + problem.rows)
    return 0.1 * problem.flops(direction) + 0.1 * problem.rows * problem.width + lists


def _parallel(problem, direction):
    alone = _by_row(problem, direction) if direction == "dtable" else _naive(problem, direction)
    worth = problem.work(direction) >= threads.GRAIN
    return 0.6 * alone if worth else 0.99 * alone  # below that it is the same loop


EMBEDDING = Ladder(
    "embedding",
    "lookup",
    ("forward", "dtable"),
    [
        Rung(
            "naive",
            "the formula: each row to its place, or added to it",
            None,
            {"forward": naive.embedding, "dtable": naive.embedding_dtable},
            _naive,
        ),
        Rung(
            "by_row",
            "indices sorted by row: a row's sum stays in registers and is stored once",
            "naive",
            {"dtable": by_row.embedding_dtable},
            _by_row,
            refuses=_refuses,
            scratch=_room,
        ),
        Rung(
            "parallel",
            "rows over threads, in vectors",
            "by_row",
            {"forward": parallel.embedding, "dtable": parallel.embedding_dtable},
            _parallel,
            refuses=_refuses,
            scratch=_room,
        ),
    ],
)
