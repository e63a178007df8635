"""What `simd.bits` becomes: integer instructions on a float's own bits, one IR for a number and for vectors.

LLVM's vectoriser takes the form for numbers apart and makes vectors of it, so nothing here branches.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from llvmlite import ir
from numba.extending import intrinsic

from kernels.core.simd.lowering.elementwise import _call, _common, _parts, _typed, _whole
from kernels.core.simd.values import I32, TileType, function, splat
from kernels.core.simd.width import BITS


class Format(NamedTuple):
    """A float's layout: its bits, those of the fraction, the exponent of 1.0, the bits of √½."""

    bits: int
    fraction: int
    bias: int
    root_half: int

    @property
    def magic(self) -> float:
        """1.5 · 2^fraction: a small whole number added to it lies in the lowest bits of the sum."""
        return 1.5 * 2.0**self.fraction


SINGLE = Format(32, 23, 127, 0x3F3504F3)
DOUBLE = Format(64, 52, 1023, 0x3FE6A09E667F3BCD)


class Lanes:
    """The constants and casts that fit one LLVM type: a float, or a vector of them."""

    def __init__(self, builder: Any, kind: Any) -> None:
        self.builder, self.kind = builder, kind
        element = getattr(kind, "element", kind)
        self.format = SINGLE if element == ir.FloatType() else DOUBLE
        word = ir.IntType(self.format.bits)
        self.words = word if element is kind else ir.VectorType(word, kind.count)

    def number(self, value: float) -> ir.Constant:
        """The same float in all lanes."""
        return _all(self.kind, value)

    def word(self, value: int) -> ir.Constant:
        """The same integer in all lanes."""
        return _all(self.words, value)

    def to_bits(self, value: Any) -> Any:
        """The floats' bits as integers."""
        return self.builder.bitcast(value, self.words)

    def from_bits(self, value: Any) -> Any:
        """The floats of these bits."""
        return self.builder.bitcast(value, self.kind)

    def power(self, n: Any) -> Any:
        """2ⁿ for a whole n in the normal range: n + bias, moved to the exponent's place."""
        f = self.format
        low = self.to_bits(self.builder.fadd(n, self.number(f.magic + f.bias)))
        return self.from_bits(self.builder.shl(low, self.word(f.fraction)))


def _all(kind: Any, value: Any) -> ir.Constant:
    return ir.Constant(kind, [value] * kind.count if isinstance(kind, ir.VectorType) else value)


@intrinsic
def polynomial(typing, x, table):
    """Horner's rule, unrolled.

    Even and odd powers in two chains, which wait half as long for themselves: tried, 4 % faster in erf, 25 % in
    float64's, and 0.7 ulp worse; several vectors are under way at once anyway.
    """
    kind = _common(x)
    scalar = getattr(kind, "dtype", kind)

    def build(context, builder, signature, args):
        value, numbers = args
        numbers = [
            context.cast(builder, builder.extract_value(numbers, i), table.dtype, scalar)
            for i in range(table.count)
        ]
        totals = []
        for part in _parts(context, builder, kind, x, value):
            vector = isinstance(part.type, ir.VectorType)
            spread = [splat(builder, c, part.type) if vector else c for c in numbers]
            total = spread[-1]
            for c in spread[-2::-1]:
                total = _call("fma")(builder, total, part, c)
            totals.append(total)
        return _whole(context, builder, kind, totals)

    return kind(x, table), build


def _halves(builder: Any, x: Any, n: Any) -> Any:
    """x · 2^⌊n/2⌋ · 2^(n − ⌊n/2⌋): only the second can leave the normal range, so it is rounded once."""
    lanes = Lanes(builder, x.type)
    half = _call("floor")(builder, builder.fmul(n, lanes.number(0.5)))
    return builder.fmul(builder.fmul(x, lanes.power(half)), lanes.power(builder.fsub(n, half)))


def _scalef(builder: Any, x: Any, n: Any) -> Any:
    """AVX-512's own instruction for it."""
    kind = x.type
    mask = ir.IntType(kind.count)
    letter = "s" if kind.element == ir.FloatType() else "d"
    name = f"llvm.x86.avx512.mask.scalef.p{letter}.512"
    scale = function(builder, name, kind, [kind, kind, kind, mask, I32])
    every, as_set = ir.Constant(mask, -1), I32(4)  # all lanes; rounding as it is set
    return builder.call(scale, [x, n, ir.Constant(kind, None), every, as_set])


@intrinsic
def scaled(typing, x, n):
    """One instruction where there is one, else two multiplications by powers of two."""
    return _typed(_scalef if BITS == 512 and isinstance(x, TileType) else _halves, (x, n))


def _above(builder: Any, x: Any) -> tuple[Lanes, Any, Any, Any]:
    """Where x is denormal; its bits, it being made normal; and its exponent, as bits above √½'s."""
    lanes = Lanes(builder, x.type)
    f = lanes.format
    tiny = builder.fcmp_ordered("<", x, lanes.number(2.0 ** (1 - f.bias)))
    grown = builder.fmul(x, lanes.number(2.0**f.fraction))
    bits = lanes.to_bits(builder.select(tiny, grown, x))
    over = builder.sub(bits, lanes.word(f.root_half))
    return lanes, tiny, bits, builder.ashr(over, lanes.word(f.fraction))


def _mantissa(builder: Any, x: Any) -> Any:
    lanes, _, bits, above = _above(builder, x)
    shifted = builder.shl(above, lanes.word(lanes.format.fraction))
    return lanes.from_bits(builder.sub(bits, shifted))


def _exponent(builder: Any, x: Any) -> Any:
    """To a float through the lowest bits of the magic number: AVX2 converts no integers of 64 bits."""
    lanes, tiny, _, above = _above(builder, x)
    magic = lanes.number(lanes.format.magic)
    n = builder.fsub(lanes.from_bits(builder.add(above, lanes.to_bits(magic))), magic)
    shift = lanes.number(-float(lanes.format.fraction))
    return builder.fadd(n, builder.select(tiny, shift, lanes.number(0.0)))


@intrinsic
def mantissa(typing, x):
    """What is left when the exponent is taken off."""
    return _typed(_mantissa, (x,))


@intrinsic
def exponent(typing, x):
    """The exponent as a float."""
    return _typed(_exponent, (x,))
