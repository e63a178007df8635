"""The piece of an image that one piece of work reads: padding written down, channels side by side.

A tile's rows are outputs and its vectors run along filters, so it needs one element of x for each of ROWS
outputs and multiplies it with a row of packed weights. Where those elements lie is free, for they are
broadcast one by one. So a *band* of x (some images whole, or some rows of one) is copied into the second
cache as pixels of BLOCK channels, [image][block][row][column][channel]: a pixel is one cache line of
float32, and whatever stride, dilation and padding do, tap t of an output lies shift[t] behind its first.
"""

from kernels.core import jit, simd

BLOCK = 16  # channels of a pixel: a cache line of float32
ROOM = 1 << 16  # elements of a band at most: what leaves half the second cache to weights
LEAST = (
    16  # pieces of work to have at least: more than threads, so that an uneven machine evens out
)


def extent(outputs, taps, stride, dilation):
    """Rows (or columns) of padded input that some outputs read."""
    return (outputs - 1) * stride + (taps - 1) * dilation + 1


def band(images, rows, channels, wide, high, more):
    """Images and rows of a band, of `images` that have `rows` each.

    `wide` columns; `high` rows of input behind the first output row, `more` for each further one.
    """
    pixels = (channels + BLOCK - 1) // BLOCK * min(channels, BLOCK) * wide
    whole = pixels * (high + (rows - 1) * more)
    if whole <= ROOM:
        return max(1, min(images, ROOM // whole)), max(1, rows)
    fitting = (ROOM // pixels - high) // more + 1
    return 1, max(1, min(rows, fitting))


def room(images, channels, high, wide, width):
    """Elements that one thread needs: a band, and a tile beside it, in whole cache lines."""
    blocks = (channels + BLOCK - 1) // BLOCK
    pixels = images * blocks * min(channels, BLOCK) * high * wide
    return simd.ROWS * width + (pixels + 15) // 16 * 16


extent_of = jit.exact(extent)  # for compiled code
band_of = jit.exact(band)


@jit.exact
def zeros(target, start, end):
    """target[start:end] = 0."""
    part = target[start:end]
    for t in range(part.shape[0]):
        part[t] = 0


@jit.exact
def copy_block(x, height, width, plane, channels, top, left, high, wide, target, place, size):
    """Copy `channels` channels from plane number `plane` of x on into pixels of `size`; zeros outside."""
    lanes = simd.lanes(x)
    first, last = min(wide, max(0, -left)), max(0, min(wide, width - left))
    for row in range(high):
        ih = row + top
        start = place + row * wide * size
        if ih < 0 or ih >= height or last <= first:
            zeros(target, start, start + wide * size)
            continue
        zeros(target, start, start + first * size)
        zeros(target, start + last * size, start + wide * size)
        line = (plane * height + ih) * width + left
        if size % lanes == 0:
            for part in range(0, channels, lanes):
                for column in range(first, last, lanes):
                    simd.transpose(
                        x, line + part * height * width + column, height * width,
                        min(lanes, channels - part), min(lanes, last - column),
                        target, start + column * size + part, size, lanes,
                    )  # fmt: skip
        else:
            for c in range(channels):
                source = x[line + c * height * width + first : line + c * height * width + last]
                pixels = target[start + first * size + c : start + last * size]
                for t in range(source.shape[0]):
                    pixels[t * size] = source[t]


@jit.exact
def copy_band(x, shape, groups, n, g, images, top, left, high, wide, target):
    """Copy group g of `images` images from n on."""
    channels = shape[1] // groups
    size = min(channels, BLOCK)
    place = 0
    for image in range(images):
        for c in range(0, channels, BLOCK):
            plane = (n + image) * shape[1] + g * channels + c
            copy_block(
                x, shape[2], shape[3], plane, min(BLOCK, channels - c), top, left, high, wide,
                target, place, size,
            )  # fmt: skip
            place += high * wide * size
