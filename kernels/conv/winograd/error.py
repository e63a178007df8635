"""How large Winograd's rounding error is, and the rule that reads it.

The transforms add and subtract numbers that partly cancel, so each rounding weighs more than in a plain sum;
on the other hand the sum is over channels alone, nine times shorter. Measured on normal data against float64,
largest error over largest output, by `python -m bench.errors` (which writes the README's table as well).
"""

LIMIT = 1e-4  # of the output's scale: a rung that is expected to pass it refuses

# Error by channels summed over: the worst of four draws, rounded up by a third.
MEASURED = {
    ("float32", 2): {1: 3e-7, 16: 4e-7, 64: 5e-7, 256: 1e-6, 1024: 2e-6, 4096: 4e-6},
    ("float32", 4): {1: 2e-6, 16: 2e-6, 64: 3e-6, 256: 7e-6, 1024: 1e-5, 4096: 2e-5},
    ("float64", 2): {1: 8e-16, 16: 1.5e-15, 64: 1.5e-15, 256: 2.5e-15, 1024: 4e-15, 4096: 8e-15},
    ("float64", 4): {1: 4e-15, 16: 4e-15, 64: 5e-15, 256: 1e-14, 1024: 2e-14, 4096: 4e-14},
}


def expected(m: int, dtype: str, channels: int) -> float:
    """Error to expect of tiles of m × m: the next larger entry's, growing with the root beyond the last."""
    table = MEASURED[dtype, m]
    for count, error in table.items():
        if channels <= count:
            return error
    return error * (channels / count) ** 0.5


def refusal(m: int, problem, direction: str) -> str | None:
    """Why rounding forbids a problem, or None."""
    p = problem
    terms = {"forward": p.c // p.groups, "dx": p.k // p.groups, "dw": p.n * p.oh * p.ow // m**2}
    error = expected(m, p.dtype.name, terms[direction])
    if error <= LIMIT:
        return None
    return f"its error is expected to be {error:.0e} of the output's scale, above {LIMIT:.0e}"
