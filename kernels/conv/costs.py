"""What each rung is expected to take, in nanoseconds: what `auto` chooses by.

Each is a sum of what the rung does: a start, multiplies in whole register tiles, elements that are copied,
turned round, transformed or packed. The factors were fitted to 36 problems, on two threads of a Zen 5 (median
of prediction over measurement 0.97 to 1.0, quartiles 0.7 to 1.2), those of `few` to 200 on one, those of `depthwise` to
ten on a Zen 4, multiplies at the Zen 5's rate; what matters is where two rungs cross. They
read shapes, options, dtype and vector width, never the data or the number of threads.
"""

from kernels.conv.few import panels as few_panels
from kernels.conv.register import tile
from kernels.core import simd

NAIVE = {"forward": 0.9, "dx": 3.6, "dw": 0.4, "db": 1.0}  # a FLOP
START = {"forward": 13000, "dx": 17000, "dw": 17000}
ROW = {"forward": (2.1, 0.014, 0.17), "dx": (2.1, 0.014, 0.17), "dw": (2.1, 0.09, 0.22)}
COLUMN = {
    "forward": (24000, 0.17),
    "dx": (29000, 0.17),
    "dw": (28000, 0.4),
}  # an element of the matrix
CACHE = 1 << 22  # packed weights of which the last cache does not hold more


def _up(n, step):
    return -(-n // step) * step


def _multiplied(p, elements):
    """Multiply-adds in whole tiles, as float32 in vectors of 512 bits would take."""
    return 2 * elements * p.itemsize / 4 * 512 / simd.BITS / 1000


def naive(p, direction):
    """A test at each tap."""
    return 12000 + NAIVE[direction] * p.flops(direction)


def reordered(p, direction):
    """A plane for each tap, a row for each of its outputs' rows, an element for each output."""
    return 2 * parallel(p, direction) - START[direction]


def parallel(p, direction):
    """Half of `reordered`'s loops."""
    if direction == "db":
        return naive(p, direction) / 2
    row, unit, strided = ROW[direction]
    element = unit if p.stride[1] == 1 else strided
    return START[direction] + p.n * p.k * p.taps * p.oh * (row + element * p.ow)


def register(p, direction):
    """Tiles at their rate, the rows of the bands copied, and the way from the tiles to the outputs."""
    if direction == "forward":
        filters, channels, high, wide, step = (
            p.k // p.groups,
            p.c // p.groups,
            p.oh,
            p.ow,
            p.stride[1],
        )
        rows, row, start = p.n * p.c * p.h, p.w, 20000
    else:
        filters, channels, high, wide, step = p.c // p.groups, p.k // p.groups, p.h, p.w, 1
        rows, row, start = p.n * p.k * p.oh, p.ow, 25000 + 0.5 * p.k * p.taps
    lone = filters % tile.ROWS  # by themselves, at half the rate
    positions = high * (wide + (p.s - 1) * p.dilation[1] // step)
    tiled = p.n * p.groups * (filters - lone) * _up(positions, tile.COLUMNS)
    others = p.n * p.groups * lone * _up(positions, tile.LONE)
    multiplied = _multiplied(p, (tiled + 2 * others) * channels * p.r * p.s)
    factor = 2.7 if simd.BITS == 512 else 4.3  # the sums fill more than 16 registers
    element = 1.2 if step > 1 else 0.08 + min(0.25, channels / 500)  # many outgrow the second cache
    copied = rows * (5.5 + element * row)
    return start + factor * multiplied + copied + 0.2 * tiled + 0.05 * others


def im2col(p, direction):
    """The product, whose rate wants many columns and some depth, and the column matrix."""
    pixels = p.oh * p.ow
    columns = p.taps if direction == "dw" else pixels
    depth = pixels if direction == "dw" else p.taps
    share = columns / (columns + 100) * depth / (depth + 16)
    start, element = COLUMN[direction]
    return start + p.flops(direction) / (150 * share) + element * p.n * p.groups * p.taps * pixels


def direct(p, direction):
    """Whole tiles, those tiles' beginnings and ends, and both operands copied or packed."""
    filters, channels, area = p.k // p.groups, p.c // p.groups, p.r * p.s
    x, y, weights = p.n * p.c * p.h * p.w, p.n * p.k * p.oh * p.ow, p.k * channels * area
    width = simd.columns_of(p.dtype)
    if direction == "dw":
        span = channels * (p.s if p.dilation[1] == 1 else 1)
        tiles = p.groups * _up(filters, width) * p.r * p.s * channels // span * _up(span, simd.ROWS)
        multiplied = _multiplied(p, tiles * p.n * p.oh * p.ow)
        return 28000 + 2.1 * multiplied + 0.16 * x + 0.19 * y + 0.19 * weights
    if direction == "forward":
        rows, outs, sums = _up(p.n * p.oh * p.ow, simd.ROWS), filters, channels
        taps, start, copied = area, 25000, 0.15 * x
    else:
        phases = p.stride[0] * p.stride[1]
        one = p.n * -(-p.h // p.stride[0]) * -(-p.w // p.stride[1])
        rows, outs, sums, taps = _up(one, simd.ROWS) * phases, channels, filters, area / phases
        start, copied = 35000, 0.21 * y + (0.0 if phases == 1 else 0.47) * x
    panels = p.groups * _up(outs, width)
    multiplied = _multiplied(p, rows * panels * sums * taps)
    return start + 1.88 * multiplied + 0.23 * rows * panels + copied + 0.2 * weights


def few(p, direction):
    """Whole tiles along rows of outputs, and x copied; or dy copied, whole tiles and dx's rows taken from them."""
    width = simd.columns_of(p.dtype)
    if direction == "dx":
        panels, rows, offsets = few_panels(p)
        tiles = p.n * p.groups * panels * rows * p.stride[1] * _up(-(-p.w // p.stride[1]), width)
        multiplied = _multiplied(
            p, tiles * simd.ROWS * (p.k // p.groups) * offsets * p.s / p.stride[1]
        )
        copied = 0.35 * p.n * p.c * p.h * p.w + 0.06 * p.n * p.k * p.oh * p.ow
        return 20000 + 2.2 * multiplied + 34 * tiles / width + copied
    outputs = p.n * p.groups * _up(p.k // p.groups, simd.ROWS) * p.oh * _up(p.ow, width)
    copied = (0.07 if p.stride[1] == 1 else 0.23) * p.n * p.c * p.h * p.w
    return 15000 + 2.3 * _multiplied(p, outputs * p.taps) + 4 * outputs / simd.ROWS / width + copied


def depthwise(p, direction):
    """Strips one vector wide, their beginnings, and the bytes."""
    wide = simd.lanes_of(p.dtype)
    across, rows = (p.w, p.h) if direction == "dx" else (p.ow, p.oh)
    if direction == "dx" and p.stride[0] == 2:
        strips, rows = 2 * -(-across // (2 * wide)), rows / 2
    else:
        strips = -(-across // wide)
    strips *= p.n * p.k
    multiplied = _multiplied(p, strips * rows * wide * p.r * p.s)
    turned = 0.8 * strips * rows if p.stride[0] == 2 and direction != "dx" else 0  # columns sorted
    return 12100 + 2.4 * multiplied + turned + 4 * strips + 0.0015 * p.bytes(direction)


def winograd(m):
    """Make the cost for tiles of m × m: transforms of both sides, products in whole tiles, weights packed."""
    points = (m + 2) ** 2
    into, back = {2: (1.5, 0.6), 4: (4.0, 1.5)}[m]

    def cost(p, direction):
        width = simd.columns_of(p.dtype)
        filters, channels = p.k // p.groups, p.c // p.groups
        size = (p.h, p.w) if direction == "dx" else (p.oh, p.ow)
        tiles = p.n * -(-size[0] // m) * -(-size[1] // m)
        sums, outs = (filters, channels) if direction == "dx" else (channels, filters)
        weights = points * p.groups * _up(outs, width) * sums
        packed = (0.1 if weights <= CACHE else 0.2) * weights
        if direction == "dx":  # filters lie far apart in w
            packed *= 1.6
        moved = p.groups * tiles * (into * _up(sums, 16) + back * _up(outs, 16))
        if direction == "dw":
            products = points * p.groups * tiles * _up(channels, width) * _up(filters, 16)
            return 25000 + 1.3 * _multiplied(p, products) + 2.5 * moved + packed
        products = points * p.groups * _up(tiles, simd.ROWS) * _up(outs, width) * sums
        return 38000 + 2.0 * _multiplied(p, products) + moved + packed

    return cost
