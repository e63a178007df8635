"""One unit of work: some rows of Winograd's tiles, into his domain, multiplied there, and back."""

from kernels.conv.direct.band import BLOCK, copy_block
from kernels.conv.winograd import transforms
from kernels.conv.winograd.weights import APART
from kernels.core import jit, simd

ROWS = simd.ROWS


@jit.exact
def into(m, band, across, wide, rows, v, place, far, step):
    """Bᵀ d B for the tiles of one row: m + 2 rows of `wide` pixels in band; tile t's point p goes to
    place + t·step + p·far.
    """
    points = m + 2
    lanes = simd.lanes(band)
    line = wide * BLOCK
    for part in range(0, BLOCK, lanes):
        for column in range(0, line, BLOCK):
            transforms.data(m, band, column + part, line, rows, column + part, line)
    for tile in range(across):
        for part in range(0, BLOCK, lanes):
            for i in range(points):
                start = i * line + tile * m * BLOCK + part
                target = place + tile * step + part + i * points * far
                transforms.data(m, rows, start, BLOCK, v, target, far)


@jit.exact
def multiply(v, u, weights, apart, sums, count, tiles, first, end, products):
    """One point's product: products[panel][tile][output] = Σ_c v[block][tile][c] · u[panel][c][output].

    Panels [first, end), the first `count` of the `tiles` there is room for; u's panels begin at `weights`
    and lie `apart`.
    """
    width, whole = simd.columns(v), sums // BLOCK
    for panel in range(first, end):
        for tile in range(0, count, ROWS):
            total = simd.zero(v)
            a, b = tile * BLOCK, weights + panel * apart
            for _ in range(whole):
                for c in range(BLOCK):
                    total = simd.multiply_add(total, v, a + c, BLOCK, u, b + c * width)
                a += tiles * BLOCK
                b += BLOCK * width
            for c in range(sums - whole * BLOCK):
                total = simd.multiply_add(total, v, a + c, BLOCK, u, b + c * width)
            simd.store(total, products, (panel * tiles + tile) * width, width)


@jit.exact
def back(m, products, start, far, across, bias, k, relu, rows, lines):
    """Aᵀ M A for the tiles of one row and LANES outputs: m rows of across·m pixels of LANES in lines."""
    points = m + 2
    lanes, width = simd.lanes(products), simd.columns(products)
    nothing, plus = simd.vector(bias, k) * 0, simd.vector(bias, k)
    for tile in range(across):
        for j in range(points):
            transforms.outputs(
                m, products, start + tile * width + j * far, points * far, nothing,
                rows, j * lanes, points * lanes,
            )  # fmt: skip
        for i in range(m):
            transforms.outputs(
                m, rows, i * points * lanes, lanes, plus,
                lines, (i * across + tile) * m * lanes, lanes,
            )  # fmt: skip
    if relu:
        for at in range(0, m * across * m * lanes, lanes):
            simd.put_vector(simd.relu(simd.vector(lines, at)), lines, at)


@jit.exact
def unit(
    m, x, shape, plane, sums, outs, padding, u, weights, bias, k, relu, flat, first, size, start, end,
    tiles, across, row, last, scratch,
):  # fmt: skip
    """Fill the outputs of tile rows [row, last), counted over all images; panels [start, end) of one group.

    x's planes from `plane` on and flat's from `first` on are image 0's; shape holds their numbers an image
    and the extents of x's. The group's packed weights begin at u[weights]. tiles: how many there is room
    for, a multiple of ROWS; scratch holds v, products, a band, and rows in between.
    """
    points, width, lanes = (m + 2) * (m + 2), simd.columns(flat), simd.lanes(flat)
    blocks = (sums + BLOCK - 1) // BLOCK
    wide, lines = across * m + 2, (size[0] + m - 1) // m
    step = sums * width + APART
    far = blocks * tiles * BLOCK + APART
    spread = (outs + width - 1) // width * tiles * width + APART
    v, rest = scratch[: points * far], scratch[points * far :]
    products, rest = rest[: points * spread], rest[points * spread :]
    band, rows = rest[: (m + 2) * wide * BLOCK], rest[(m + 2) * wide * BLOCK :]
    for line in range(row, last):
        n, top = line // lines, line % lines * m - padding[0]
        for block in range(blocks):
            copy_block(
                x, shape[2], shape[3], n * shape[0] + plane + block * BLOCK,
                min(BLOCK, sums - block * BLOCK), top, -padding[1], m + 2, wide, band, 0, BLOCK,
            )  # fmt: skip
            into(
                m,
                band,
                across,
                wide,
                rows,
                v,
                (block * tiles + (line - row) * across) * BLOCK,
                far,
                BLOCK,
            )
    for point in range(points):
        multiply(
            v[point * far : (point + 1) * far], u, weights + point * step, points * step, sums,
            (last - row) * across, tiles, start, end, products[point * spread : (point + 1) * spread],
        )  # fmt: skip
    area = size[0] * size[1]
    for line in range(row, last):
        n, top = line // lines, line % lines * m
        for out in range(start * width, min(end * width, outs), lanes):
            place = (out // width * tiles + (line - row) * across) * width + out % width
            back(m, products, place, spread, across, bias, k + out, relu, rows, band)
            for i in range(min(m, size[0] - top)):
                place = first + (n * shape[1] + out) * area + (top + i) * size[1]
                for column in range(0, size[1], lanes):
                    count = min(lanes, size[1] - column)
                    simd.transpose(
                        band, (i * across * m + column) * lanes, lanes, count, min(lanes, outs - out),
                        flat, place + column, area, count,
                    )  # fmt: skip
