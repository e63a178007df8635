"""What a rung is expected to take, in microseconds of an H100: what ``algorithm="auto"`` compares.

A model, not a measurement: no GPU has timed these rungs yet. FLOPs over the share of the peak that a rung's loop
can reach, or bytes over the bandwidth, whichever is longer; on as many multiprocessors as there are blocks for.
Peak, bandwidth and multiprocessors are the H100 SXM's (NVIDIA H100 Tensor Core GPU Architecture, whitepaper, 2022).
"""

from kernels.conv.cuda.depthwise import strip
from kernels.conv.cuda.implicit_gemm import needs
from kernels.conv.cuda.shared import tiles
from kernels.core.cuda.choices import MULTIPROCESSORS

PEAK = 60e6  # multiplies and adds of float32 a microsecond; of float64 half as many
BANDWIDTH = 3e6  # bytes a microsecond
LAUNCH = 4.0  # until a queued kernel runs


def time(problem, direction, *, share, blocks, traffic=None, flops=None, peak=None, launches=1):
    """Microseconds of a rung.

    Parameters
    ----------
    problem : ConvProblem
    direction : str
    share : float
        Of the peak, where all multiprocessors work.
    blocks : int
        As many of them have work, if each of them suffices to keep one busy.
    traffic, flops : float, optional
        Bytes that it moves, multiplies and adds that it makes; the problem's least if not given.
    peak : float, optional
        FLOPs a microsecond; the arrays' dtype's, outside tensor cores, if not given.
    launches : int
        Kernels one after the other.
    """
    traffic = problem.bytes(direction) if traffic is None else traffic
    flops = problem.flops(direction) if flops is None else flops
    peak = PEAK * min(1.0, 4 / problem.itemsize) if peak is None else peak
    busy = min(1.0, max(blocks, 1) / MULTIPROCESSORS)
    # half of the multiprocessors can draw all that memory gives
    return launches * LAUNCH + max(
        flops / (peak * share * busy), traffic / (BANDWIDTH * min(1.0, 2 * busy))
    )


def naive(problem, direction):
    """A load, a test and an address for each factor: a fiftieth of the peak; less where dx divides for each tap."""
    p = problem
    elements = {
        "forward": p.n * p.k * p.oh * p.ow,
        "dx": p.n * p.c * p.h * p.w,
        "dw": p.k * p.taps,
        "db": p.k,
    }[direction]
    share = 0.005 if direction == "dx" else 0.02
    return time(p, direction, share=share, blocks=elements / 512)


def shared(problem, direction):
    """Five loads from shared memory for 16 multiply-adds: a quarter of the peak, of what the tiles are filled."""
    p = problem
    channels, filters = p.c // p.groups, p.k // p.groups
    if direction == "db":
        return time(p, direction, share=0.05, blocks=p.k)
    if direction == "dw":
        held, positions = tiles.columns(p.ow, channels, p.r, p.s, p.stride[1], p.dilation[1])
        blocks = p.groups * _tiles(filters, tiles.MAPS) * _tiles(channels, held)
        filled = held * p.r * p.s / tiles.THREADS * _filled(filters, tiles.MAPS)
        filled *= _filled(p.ow, positions) * positions / (positions + 4)  # two barriers a piece
        count = tiles.parts(p)
        return time(
            p, direction, share=0.25 * filled, blocks=blocks * count, launches=min(2, count)
        )
    maps, h, w = (filters, p.oh, p.ow) if direction == "forward" else (channels, p.h, p.w)
    wide, high, lanes = tiles.fitting(w, p.r, p.s, p.stride, p.dilation, direction)[0]
    blocks = p.n * p.groups * _tiles(maps, 16 * lanes) * _tiles(h, high) * _tiles(w, wide)
    filled = _filled(maps, 16 * lanes) * _filled(h, high) * _filled(w, wide)
    if direction == "dx":
        filled /= p.stride[1]  # lanes whose column the tap does not meet wait
    return time(p, direction, share=0.25 * filled, blocks=blocks / 2)


def implicit_gemm(problem, direction):
    """Whole steps of whole tiles, on multiprocessors that take one after the other: 85 of 100 instructions multiply."""
    steps, launches = needs.work(problem, direction)
    one = MULTIPROCESSORS * 2 * 256 * (512 if problem.itemsize == 4 else 128)
    return time(
        problem, direction, share=0.75, blocks=MULTIPROCESSORS, flops=steps * one, launches=launches
    )


def depthwise(problem, direction):
    """Count instructions: about 60 + 2.5 for each tap and output (compiled for compute capability 9.0)."""
    p = problem
    taps = p.r * p.s
    share = taps / (60 + 2.5 * taps)
    if direction == "dw":
        count = strip.parts(p)
        return time(p, direction, share=share, blocks=p.k * count / 2, launches=min(2, count))
    planes, h, w = (p.k, p.oh, p.ow) if direction == "forward" else (p.c, p.h, p.w)
    threads = p.n * planes * _tiles(h, strip.ROWS) * w
    return time(p, direction, share=share, blocks=threads / 1024)


def _tiles(extent, tile):
    return -(-extent // tile)


def _filled(extent, tile):
    """Share of the tiles over an extent that lies inside it."""
    return extent / (_tiles(extent, tile) * tile)
