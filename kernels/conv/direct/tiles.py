"""What forward and data gradient share: copying planes, one tile, one piece of the output."""

from kernels.core import jit, simd

ROWS = simd.ROWS
CHUNK = 6  # tiles side by side in a unit of work: its part of x stays in the second cache
SHARES = 64  # pieces of work at most
HEAVY = (
    1 << 17
)  # more weights than these are split up, for they share the second cache badly with x


def split(panels, units, weights):
    """Pieces of work: panels of filters down, units of outputs across."""
    if weights > HEAVY:
        down = min(panels, SHARES // 2)
        return down, max(1, min(units, SHARES // 2 // down))
    across = max(1, min(units, SHARES))
    return max(1, min(panels, SHARES // 2 // across)), across


split_of = jit.exact(split)


@jit.fast
def copy_rows(plane, top, left, steps, target):
    """target[q, t] = plane[q·steps[0] + top, t·steps[1] + left], zero where that is outside."""
    height, width = plane.shape
    first = max(0, (-left + steps[1] - 1) // steps[1])
    last = max(first, min(target.shape[1], (width - 1 - left) // steps[1] + 1))
    first = min(first, last)
    for q in range(target.shape[0]):
        row = target[q]
        ih = q * steps[0] + top
        if ih < 0 or ih >= height:
            for t in range(row.shape[0]):
                row[t] = 0
            continue
        for t in range(first):
            row[t] = 0
        inner = row[first:last]
        line = plane[ih, first * steps[1] + left :]
        if steps[1] == 1:
            for t in range(inner.shape[0]):
                inner[t] = line[t]
        else:
            for t in range(inner.shape[0]):
                inner[t] = line[t * steps[1]]
        for t in range(last, row.shape[0]):
            row[t] = 0


@jit.fast
def outputs(packed, place, images, start, offsets, channels, plane, bias, k, relu):
    """Return ROWS × COLUMNS outputs: all channels and taps summed in registers."""
    sums = simd.rows_of(bias, k)
    ahead = simd.columns(
        images
    )  # where the next tile will read: channels lie too far apart to be guessed
    for _ in range(channels):
        for t in range(offsets.shape[0]):
            simd.prefetch(images, start + offsets[t] + ahead + t % 3 * 16)
            sums = simd.multiply_add(sums, packed, place, images, start + offsets[t])
            place += ROWS
        start += plane
    return simd.relu(sums) if relu else sums


@jit.fast
def put(values, first, rows, p0, count, pitch, steps, target):
    """Write a tile's rows to the planes of `target` from `first` on, leaving out what is no output.

    Output p stands in row p // pitch, column p mod pitch, both times `steps`; columns past the plane's
    are what a tile computes between two rows.
    """
    width = simd.columns(values)
    valid = (target.shape[2] + steps[1] - 1) // steps[1]
    row, column = p0 // pitch, p0 % pitch
    done = 0
    while done < count:
        length = min(count - done, pitch - column)
        kept = min(length, valid - column)
        if kept > 0:
            for i in range(rows):
                source = values[i * width + done : i * width + done + kept]
                line = target[first + i, row * steps[0], column * steps[1] :]
                if steps[1] == 1:
                    for t in range(kept):
                        line[t] = source[t]
                else:
                    for t in range(kept):
                        line[t * steps[1]] = source[t]
        done += length
        row, column = row + 1, 0


@jit.fast
def share(
    packed, place, depth, images, channels, plane, offsets, groups, filters, part, down, across,
    positions, pitch, bias, relu, steps, target, flat, room,
):  # fmt: skip
    """Fill one piece of `target`: some panels of `filters` each group has, some units of its outputs.

    Where outputs lie without gaps, tiles go straight to `flat`, the target as one vector; else by `room`.
    """
    panels = (filters + ROWS - 1) // ROWS
    width = simd.columns(packed)
    step = CHUNK * width
    units = (positions + step - 1) // step
    total = target.shape[0] * groups * units
    i, j = part // across, part % across
    straight = steps[0] == 1 and steps[1] == 1 and pitch == target.shape[3]
    for unit in range(j * total // across, (j + 1) * total // across):
        n, g, first = unit // units // groups, unit // units % groups, unit % units * step
        last = min(first + step, positions)
        image = (n * groups + g) * channels * plane
        for panel in range(i * panels // down, (i + 1) * panels // down):
            weights = place + (g * panels + panel) * depth
            k = g * filters + panel * ROWS
            rows = min(ROWS, filters - panel * ROWS)
            for p in range(first, last, width):
                values = outputs(
                    packed, weights, images, image + p, offsets, channels, plane,
                    bias, (g * panels + panel) * ROWS, relu,
                )  # fmt: skip
                count = min(width, last - p)
                if not straight:
                    simd.store(values, room, 0, width)
                    put(room, k, rows, p, count, pitch, steps, target[n])
                elif rows == ROWS and count == width:
                    at = (n * target.shape[1] + k) * positions + p
                    simd.store(values, flat, at, positions)
                else:
                    at = (n * target.shape[1] + k) * positions + p
                    simd.store_part(values, flat, at, positions, rows, count)
