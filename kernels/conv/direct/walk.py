"""What one thread does: its bands of the input, and the outputs that they give."""

from kernels.conv.direct.band import BLOCK, copy_band
from kernels.conv.direct.tiles import ROWS, fill
from kernels.core import jit, simd


@jit.inlined
def next_band(shape, groups, unit, held, bands, images, rows, read, high):
    """Where unit's band lies in x: start, planes, how far apart, elements of each; none if it is held."""
    g, row, n = unit % groups, unit // groups % bands * rows, unit // groups // bands * images
    channels, area = shape[1] // groups, shape[2] * shape[3]
    top = max(0, row * read[0] - read[2])
    bottom = min(shape[2], row * read[0] - read[2] + high)
    planes = min(images, shape[0] - n) * channels if groups == 1 else channels
    start = (n * shape[1] + g * channels) * area + top * shape[3]
    return start, 0 if unit == held else planes, area, max(0, bottom - top) * shape[3]


@jit.exact
def walk(
    x, shape, groups, outs, read, packed, taps, span, shifts, order, phases, bias, relu, flat, size,
    apart, images, rows, high, wide, down, first, last, scratch,
):  # fmt: skip
    """Fill the outputs of items [first, last): each a unit and one of the `down` pieces of its panels.

    A unit is a group of `images` images, or of `rows` rows of outputs in one; its band of x, `high` rows of
    `wide` pixels, is copied once. Output row q reads rows q·read[0] − read[2] and on, column likewise.
    phases: a row each for the outputs (a + q·apart[0], b + t·apart[1]): a, b, and the bounds of its taps in
    shifts and order. size: extent of the plane of outputs.
    """
    width = simd.columns(packed)
    channels = shape[1] // groups
    pixel, blocks = min(channels, BLOCK), (channels + BLOCK - 1) // BLOCK
    panels = (outs + width - 1) // width
    lines = (size[0] + apart[0] - 1) // apart[0]
    bands = (lines + rows - 1) // rows
    plane, area = high * wide * pixel, size[0] * size[1]
    room = scratch[: ROWS * width]
    band = scratch[ROWS * width :]
    held = -1
    for item in range(first, last):
        unit, piece = item // down, item % down
        g, row, n = unit % groups, unit // groups % bands * rows, unit // groups // bands * images
        here = min(images, shape[0] - n)
        if unit != held:
            top = row * read[0] - read[2]
            copy_band(x, shape, groups, n, g, here, top, -read[3], high, wide, band)
            held = unit
        ahead = next_band(
            shape, groups, (item + 1) // down if item + 1 < last else unit, unit, bands, images, rows,
            read, high,
        )  # fmt: skip
        for phase in range(phases.shape[0]):
            a, b, low, end = phases[phase]
            height = min(rows, (size[0] - a + apart[0] - 1) // apart[0] - row)
            across = (size[1] - b + apart[1] - 1) // apart[1]
            if height <= 0 or across <= 0:
                continue
            fill(
                packed, g * panels * channels * taps * width, taps, channels, span, band, plane,
                shifts[low:end], order[low:end], bias[g * panels * width :], relu,
                (piece * panels // down, (piece + 1) * panels // down), outs, here, height, across,
                (blocks * plane, read[0] * wide * pixel, read[1] * pixel), flat,
                (n * groups + g) * outs * area + (a + row * apart[0]) * size[1] + b,
                (groups * outs * area, apart[0] * size[1], apart[1], area), room, x,
                ahead if phase == 0 else (0, 0, 0, 0),
            )  # fmt: skip
