"""Where a tile's positions lie, and what each tap reads there: forward and dx in one form.

Along one axis, output i of a forward reads x at i·stride − padding + r·dilation, for each tap r. The gradient of x at
p takes dy at (p + padding − r·dilation) / stride, for the taps where that is whole. These depend on p's *phase*,
(p + padding) mod stride, alone; in one phase p = first + i·stride, and tap first_tap + j·step reads dy at
i + base − j·back: again a position, a start and a step a tap, with nothing left to divide.
"""

from kernels.core.cuda.compiler import inlined


@inlined
def gcd(a, b):
    """Greatest common divisor of two positive integers."""
    while b:
        a, b = b, a % b
    return a


@inlined
def phase(index, extent, taps, stride, lead, dilation):
    """One axis of dx, in phase `index`.

    Returns the first p and how many, the first tap, the step between taps and how many, base, and back.
    """
    first = (index + stride - lead % stride) % stride
    count = (extent - first + stride - 1) // stride if first < extent else 0
    tap = 0
    while tap < taps and (first + lead - tap * dilation) % stride != 0:
        tap += 1
    step = stride // gcd(stride, dilation)
    read = (taps - tap + step - 1) // step
    # exact: that is what the search was for (where it found no tap, nothing is read)
    return (
        first,
        count,
        tap,
        step,
        read,
        (first + lead - tap * dilation) // stride,
        step * dilation // stride,
    )
