"""What is folded under a window: the loops of this folder take these as arguments.

    fold(a, b)           one value of two
    term(v)              what of x is folded
    doubt(a, b)          where folding may have gone wrong, because one of the two is NaN
    finish(v, …)         what becomes of the fold

Each works on vectors. The maximum is optimistic: `larger` is a single instruction, which forgets a NaN;
every vector that is read is asked whether it holds one, and a plane that has any is done again with care.
"""

from kernels.core import jit, simd


@jit.inlined
def larger(a, b):
    """Return the larger of two numbers; a, the earlier, where they are equal."""
    return simd.select(b > a, b, a)


@jit.inlined
def largest(a, b):
    """As `larger`, and NaN if either is; the later of two."""
    return simd.select((b > a) | (b != b), b, a)


@jit.inlined
def total(a, b):
    """Return the sum."""
    return a + b


@jit.inlined
def itself(v):
    """x as it is."""
    return v


@jit.inlined
def square(v):
    """x²."""
    return v * v


@jit.inlined
def of_nan(a, b):
    """Return where either is NaN."""
    return simd.unordered(a, b)


@jit.inlined
def nowhere(a, b):
    """Return an empty mask: a sum keeps its NaN by itself."""
    return a < a


@jit.inlined
def as_it_is(v, weights, o, factor):
    """Return the fold."""
    return v


@jit.inlined
def weighted(v, weights, o, factor):
    """Return the fold times weights[o], weights[o + 1], … times a factor."""
    return v * (simd.vector(weights, o) * factor)


@jit.inlined
def root(v, weights, o, factor):
    """Return the square root of `weighted`."""
    return simd.sqrt(v * (simd.vector(weights, o) * factor))


@jit.inlined
def whole(dy, weights, o, factor, y, at, left):
    """Return what a window hands back: dy itself."""
    return dy


@jit.inlined
def part(dy, weights, o, factor, y, at, left):
    """Return dy's share for each tap of a mean."""
    return dy * (simd.vector(weights, o) * factor)


@jit.inlined
def part_of_root(dy, weights, o, factor, y, at, left):
    """Return dy's share for each tap of a root of squares, to be multiplied by the tap; none of a root of 0."""
    root = simd.vector_part(y, at, left)
    share = dy * (simd.vector(weights, o) * factor) / simd.select(root == 0, 1.0, root)
    return simd.select(root == 0, 0.0, share)
