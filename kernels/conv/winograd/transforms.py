"""Winograd's transforms along one axis, on vectors of channels or filters.

A polynomial of degree m + 1 is settled by its values at m + 1 points and its leading coefficient. So the m
outputs of a filter of three taps need m + 2 products instead of 3·m: evaluate both factors at the points,
multiply value by value, and go back. The README derives the matrices; here they are, written out:

    F(2, 3)   points 0, 1, −1, ∞
    F(4, 3)   points 0, ±a, ±b, ∞ with a = 5/8, b = 3/2

Points of opposite sign share their even and odd halves. a and b are exact in binary, and their powers spread
less than those of the usual 1 and 2: the error is 2.4 times smaller (measured: `python -m bench errors`).

Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016; on the points,
Barabasz et al., "Error Analysis and Improving the Accuracy of Winograd Convolution", ACM TOMS 46(4), 2020.
"""

from kernels.core import jit, simd

A, B = 0.625, 1.5
AA, BB = A * A, B * B
SUM, PRODUCT = AA + BB, AA * BB
AT_A = 1 / (2 * AA * (AA - BB))  # one over the product of a's distances from the other points
AT_B = 1 / (2 * BB * (BB - AA))


@jit.inlined
def data(m, source, start, step, target, place, to):
    """Write Bᵀd: m + 2 vectors `step` apart give as many `to` apart."""
    d0, d1 = simd.vector(source, start), simd.vector(source, start + step)
    d2, d3 = simd.vector(source, start + 2 * step), simd.vector(source, start + 3 * step)
    if m == 2:
        simd.put_vector(d0 - d2, target, place)
        simd.put_vector(d1 + d2, target, place + to)
        simd.put_vector(d2 - d1, target, place + 2 * to)
        simd.put_vector(d1 - d3, target, place + 3 * to)
        return
    d4, d5 = simd.vector(source, start + 4 * step), simd.vector(source, start + 5 * step)
    simd.put_vector(simd.fma(d0, PRODUCT, simd.fma(d2, -SUM, d4)), target, place)
    even, odd = simd.fma(d2, -BB, d4), simd.fma(d1, -BB, d3) * A
    simd.put_vector(even + odd, target, place + to)
    simd.put_vector(even - odd, target, place + 2 * to)
    even, odd = simd.fma(d2, -AA, d4), simd.fma(d1, -AA, d3) * B
    simd.put_vector(even + odd, target, place + 3 * to)
    simd.put_vector(even - odd, target, place + 4 * to)
    simd.put_vector(simd.fma(d1, PRODUCT, simd.fma(d3, -SUM, d5)), target, place + 5 * to)


@jit.inlined
def weights(m, source, start, step, target, place, to):
    """Write Gg: three vectors `step` apart give m + 2 `to` apart."""
    g0, g1 = simd.vector(source, start), simd.vector(source, start + step)
    g2 = simd.vector(source, start + 2 * step)
    if m == 2:
        even, odd = (g0 + g2) * 0.5, g1 * 0.5
        simd.put_vector(g0, target, place)
        simd.put_vector(even + odd, target, place + to)
        simd.put_vector(even - odd, target, place + 2 * to)
        simd.put_vector(g2, target, place + 3 * to)
        return
    simd.put_vector(g0 * (1 / PRODUCT), target, place)
    even, odd = simd.fma(g2, AA, g0) * AT_A, g1 * (A * AT_A)
    simd.put_vector(even + odd, target, place + to)
    simd.put_vector(even - odd, target, place + 2 * to)
    even, odd = simd.fma(g2, BB, g0) * AT_B, g1 * (B * AT_B)
    simd.put_vector(even + odd, target, place + 3 * to)
    simd.put_vector(even - odd, target, place + 4 * to)
    simd.put_vector(g2, target, place + 5 * to)


@jit.inlined
def outputs(m, source, start, step, plus, target, place, to):
    """Write Aᵀm plus a vector: m + 2 vectors `step` apart give m `to` apart."""
    m0, m1 = simd.vector(source, start), simd.vector(source, start + step)
    m2, m3 = simd.vector(source, start + 2 * step), simd.vector(source, start + 3 * step)
    if m == 2:
        simd.put_vector(m0 + m1 + m2 + plus, target, place)
        simd.put_vector(m1 - m2 - m3 + plus, target, place + to)
        return
    m4, m5 = simd.vector(source, start + 4 * step), simd.vector(source, start + 5 * step)
    even_a, odd_a, even_b, odd_b = m1 + m2, m1 - m2, m3 + m4, m3 - m4
    simd.put_vector(m0 + even_a + even_b + plus, target, place)
    simd.put_vector(simd.fma(odd_a, A, simd.fma(odd_b, B, plus)), target, place + to)
    simd.put_vector(simd.fma(even_a, AA, simd.fma(even_b, BB, plus)), target, place + 2 * to)
    simd.put_vector(
        simd.fma(odd_a, AA * A, simd.fma(odd_b, BB * B, m5 + plus)),
        target, place + 3 * to,
    )  # fmt: skip


@jit.inlined
def errors(m, source, start, step, target, place, to):
    """Write Ay, the transpose of `outputs`: m vectors `step` apart give m + 2 `to` apart."""
    y0, y1 = simd.vector(source, start), simd.vector(source, start + step)
    simd.put_vector(y0, target, place)
    if m == 2:
        simd.put_vector(y0 + y1, target, place + to)
        simd.put_vector(y0 - y1, target, place + 2 * to)
        simd.put_vector(y1 * -1, target, place + 3 * to)
        return
    y2, y3 = simd.vector(source, start + 2 * step), simd.vector(source, start + 3 * step)
    even, odd = simd.fma(y2, AA, y0), simd.fma(y3, AA, y1) * A
    simd.put_vector(even + odd, target, place + to)
    simd.put_vector(even - odd, target, place + 2 * to)
    even, odd = simd.fma(y2, BB, y0), simd.fma(y3, BB, y1) * B
    simd.put_vector(even + odd, target, place + 3 * to)
    simd.put_vector(even - odd, target, place + 4 * to)
    simd.put_vector(y3, target, place + 5 * to)


@jit.inlined
def taps(m, source, start, step, target, place, to):
    """Write Gᵀu, the transpose of `weights`: m + 2 vectors `step` apart give three `to` apart."""
    u0, u1 = simd.vector(source, start), simd.vector(source, start + step)
    u2, u3 = simd.vector(source, start + 2 * step), simd.vector(source, start + 3 * step)
    if m == 2:
        even = (u1 + u2) * 0.5
        simd.put_vector(u0 + even, target, place)
        simd.put_vector((u1 - u2) * 0.5, target, place + to)
        simd.put_vector(even + u3, target, place + 2 * to)
        return
    u4, u5 = simd.vector(source, start + 4 * step), simd.vector(source, start + 5 * step)
    even_a, odd_a = (u1 + u2) * AT_A, (u1 - u2) * (A * AT_A)
    even_b, odd_b = (u3 + u4) * AT_B, (u3 - u4) * (B * AT_B)
    simd.put_vector(simd.fma(u0, 1 / PRODUCT, even_a + even_b), target, place)
    simd.put_vector(odd_a + odd_b, target, place + to)
    simd.put_vector(simd.fma(even_a, AA, simd.fma(even_b, BB, u5)), target, place + 2 * to)
