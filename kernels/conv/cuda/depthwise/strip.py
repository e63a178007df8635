"""What the three directions share: index arithmetic, unrolling by constants, how long a strip is.

A thread works on a strip: a few neighbouring rows of one column, next to its neighbours' columns. Row i of the
strip's x and row j of its y meet in tap r where i = j·stride + r·dilation, as numbers known when the kernel is
compiled: each sum then has a register of its own.
"""

from kernels.core.cuda import choices
from kernels.core.cuda.compiler import inlined

THREADS = 256
ROWS = 7  # in a strip: the sides of usual images are multiples of it
MOST_PRODUCTS = 350  # in a kernel's text
FEW_THREADS = (
    choices.MULTIPROCESSORS * 1024
)  # a strip is short where long ones would not give as many
MOST_STRIDE = 32  # of dx: a strip is no shorter
MOST_TAPS = 49  # of a filter that waits in registers as a whole
SIDE = 7  # taps of a block of dw, down and across, at most
ENOUGH = 4 * choices.MULTIPROCESSORS  # blocks
LOADS = 16  # that a thread starts before it waits for the first


def in_turn(functions):
    """Make one function that calls several, one after the other: a loop of constants that is always unrolled."""
    if len(functions) == 1:
        return functions[0]
    half = len(functions) // 2
    first, second = in_turn(functions[:half]), in_turn(functions[half:])

    @inlined
    def both(*args):
        first(*args)
        second(*args)

    return both


def batches(load, use, rows, width, loads=LOADS):
    """Make a function that loads a few rows, uses them, and goes on to the next few; and say how many it holds.

    `load(i, slot)` and `use(i, slot)` make the functions of row i; `width` values are loaded for each.
    """
    count = min(max(1, loads // width), len(rows))
    steps = []
    for start in range(0, len(rows), count):
        some = rows[start : start + count]
        steps += [load(i, slot) for slot, i in enumerate(some)]
        steps += [use(i, slot) for slot, i in enumerate(some)]
    return in_turn(steps), count


def length(planes, height, width, taps):
    """Rows of a strip: twice as many where the text stays short and threads enough are left."""
    long = 2 * ROWS
    wide = planes * -(-height // long) * width >= FEW_THREADS
    return long if wide and height > ROWS and long * taps <= MOST_PRODUCTS else ROWS


def refuses(problem, direction):
    """Why a problem cannot be done so, or None."""
    p = problem
    if p.itemsize < 4:
        return choices.halves(p, direction)
    if p.groups != p.c:
        return f"it is for a channel a group, not {p.c // p.groups}"
    if direction == "dx" and p.r * p.s > MOST_TAPS and p.stride != (1, 1):
        return f"with a stride, dx wants at most {MOST_TAPS} taps, not {p.r}×{p.s}"
    if direction == "dx" and max(p.stride) > MOST_STRIDE:
        return f"dx wants a stride of at most {MOST_STRIDE}, not {p.stride[0]}×{p.stride[1]}"
    if direction == "dx" and p.stride[1] ** 2 * p.dilation[1] + p.w + p.padding[1][0] >= 1 << 31:
        return "it divides columns in 31 bits"
    planes = max(p.k, p.c)
    if p.n * planes * max(_strips(p.oh), _strips(p.h) + 1) * max(p.ow, p.w) >= 1 << 31:
        return "it numbers strips in 31 bits"
    if direction == "dw" and p.n * p.oh * p.ow >= 1 << 31:
        return "it numbers the positions of a channel in 31 bits"
    return None


def _strips(height):
    return -(-height // ROWS)


def parts(problem):
    """Into how many parts the sum over images and positions is split: by shape alone."""
    p = problem
    blocks = p.k * -(-p.r // SIDE) * -(-p.s // SIDE)
    strips = p.n * _strips(p.oh) * p.ow
    return max(1, min(choices.PARTS, -(-ENOUGH // blocks), strips // (4 * THREADS)))


def scratch(problem, direction):
    """Elements for the parts of dw, where there are several."""
    split_into = parts(problem) if direction == "dw" else 1
    return split_into * problem.k * problem.taps if split_into > 1 else 0
