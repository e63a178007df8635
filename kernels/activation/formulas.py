"""Each activation and its gradient as one formula without a branch, for numbers and vectors alike.

    relu: x where x > 0, else 0           dx = dy where x > 0
    leaky_relu: x where x > 0, else s·x   dx = dy where x > 0, else s·dy
    exp                                   dx = dy · y
    sigmoid σ: 1 / (1 + exp(−x))          dx = dy · y · (1 − y)
    tanh                                  dx = dy · (1 − y²)
    silu: x · σ(x)                        dx = dy · σ · (1 + x · (1 − σ))
    gelu: x · Φ(x)                        dx = dy · (Φ + x · φ)
    gelu, tanh: x · σ(2u)                 dx = dy · σ · (1 + x · (1 − σ) · 2u′)
        u = √(2/π)·(x + 0.044715·x³), for ½·(1 + tanh u) = σ(2u)

silu and gelu fall to −0 on the left through all the denormal numbers, so the factor x comes in before the
power of two does (`vecmath.scaled`): a product that is denormal is rounded once. At −∞ they are NaN (−∞·0), and
their gradients at both infinities, as PyTorch's are: 0·x is added for that.

Source: Hendrycks and Gimpel, "Gaussian Error Linear Units", arXiv 1606.08415 (gelu, and silu as an aside).
"""

from kernels.core import jit, simd, vecmath
from kernels.core.coefficients import EXP2, NORMAL
from kernels.core.simd.bits import of, polynomial, scaled
from kernels.core.vecmath import at_least, at_most

HALF_ROOT = 0.3989422804014327  # 1/√(2π), the height of φ
TWICE_ROOT = 1.5957691216057308  # 2·√(2/π)
CUBE = 0.044715
HALF_LOG2_E = -0.7213475204444817  # −½·log₂ e
SILU_END = (110.0, 755.0)  # −x from which y and dx round to 0
GELU_END = (11.5, 22.0)  # the same, with tanh


@jit.inlined
def relu(x):
    """y; NaN stays."""
    return simd.select(x < of(x, 0.0), of(x, 0.0), x)


@jit.inlined
def relu_dx(dy, x):
    """dx."""
    return simd.select(x <= of(x, 0.0), of(x, 0.0), dy)


@jit.inlined
def leaky_relu(x, slope):
    """y."""
    return simd.select(x > of(x, 0.0), x, x * of(x, slope))


@jit.inlined
def leaky_relu_dx(dy, x, slope):
    """dx."""
    return simd.select(x > of(x, 0.0), dy, dy * of(x, slope))


@jit.inlined
def exp_dx(dy, y):
    """dx."""
    return dy * y


@jit.inlined
def sigmoid_dx(dy, y):
    """dx."""
    return dy * y * (of(y, 1.0) - y)


@jit.inlined
def tanh_dx(dy, y):
    """dx; (1 − y)(1 + y) keeps the digits that 1 − y² loses near ±1."""
    one = of(y, 1.0)
    return dy * ((one - y) * (one + y))


@jit.inlined
def within(x, end):
    """x, no further from 0 than `end`; NaN stays."""
    return at_least(at_most(x, end), -end)


@jit.inlined
def weighed(x, near, z):
    """x · σ(z): x·e/(1 + e) below zero, e = exp(−|z|), x/(1 + e) above. `near` is x, not far from 0."""
    n, r = vecmath.reduced(-simd.absolute(z))
    e = vecmath.exp_near(r)
    below = simd.fma(x, of(x, 0.0), scaled(near * e, n))
    return simd.select(x < of(x, 0.0), below, x) / (of(x, 1.0) + scaled(e, n))


@jit.inlined
def weighed_dx(dy, x, z, rise):
    """dy · σ(z) · (1 + (1 − σ(z))·rise), rise = x·z′; σ is e/(1 + e) below zero and 1/(1 + e) above."""
    one = of(x, 1.0)
    below = x < of(x, 0.0)
    n, r = vecmath.reduced(-simd.absolute(z))
    e = vecmath.exp_near(r)
    power = scaled(e, n)
    share = one / (one + power)
    slope = share * simd.fma(rise, simd.select(below, share, power * share), one)
    slope = simd.select(below, scaled(e * slope, n), slope)
    return dy * simd.fma(x, of(x, 0.0), slope)


@jit.inlined
def silu(x):
    """y."""
    near = within(x, of(x, SILU_END))
    return weighed(x, near, near)


@jit.inlined
def silu_dx(dy, x):
    """dx."""
    near = within(x, of(x, SILU_END))
    return weighed_dx(dy, x, near, near)


@jit.inlined
def gelu_tanh(x):
    """y, Φ approximated."""
    near = within(x, of(x, GELU_END))
    slope = simd.fma(near * near, of(x, TWICE_ROOT * CUBE), of(x, TWICE_ROOT))
    return weighed(x, near, near * slope)


@jit.inlined
def gelu_tanh_dx(dy, x):
    """dx, Φ approximated."""
    near = within(x, of(x, GELU_END))
    square = near * near
    z = near * simd.fma(square, of(x, TWICE_ROOT * CUBE), of(x, TWICE_ROOT))
    rise = near * simd.fma(square, of(x, 3 * TWICE_ROOT * CUBE), of(x, TWICE_ROOT))
    return weighed_dx(dy, x, z, rise)


@jit.inlined
def bell(x):
    """Return a, n, e and q: a = |x|, e^(−x²/2) = 2ⁿ·e, Φ(−a) = 2ⁿ·q.

    `vecmath.gauss` with fewer steps. It keeps what x² loses by rounding; here the exponent is off by x²·eps/2, no
    more than the result moves if x itself moves by half a unit in its last place.
    """
    a = at_most(simd.absolute(x), of(x, vecmath.NORMAL_END))
    square = a * a
    n = simd.rint(square * of(x, HALF_LOG2_E))
    f = simd.fma(square, of(x, HALF_LOG2_E), -n)
    e = simd.fma(f, polynomial(f, EXP2), of(x, 1.0))
    share = of(x, 1.0) / (a + of(x, 4.0))
    return a, n, e, e * (share * polynomial(simd.fma(a + a, share, of(x, -1.0)), NORMAL))


@jit.inlined
def gelu(x):
    """y: −a·Φ(−a) below zero, x − a·Φ(−a) above."""
    a, n, _, q = bell(x)
    tail = scaled(a * q, n)
    return simd.select(x > of(x, 0.0), x - tail, simd.fma(x, of(x, 0.0), -tail))


@jit.inlined
def gelu_dx(dy, x):
    """dx; Φ + x·φ is t = Φ(−a) − a·φ below zero, 1 − t above."""
    a, n, e, q = bell(x)
    tail = scaled(simd.fma(a * of(x, -HALF_ROOT), e, q), n)
    slope = simd.select(x > of(x, 0.0), of(x, 1.0) - tail, tail)
    return dy * simd.fma(x, of(x, 0.0), slope)
