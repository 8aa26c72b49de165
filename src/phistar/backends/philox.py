"""Philox4x32-10: random numbers as a pure function of a key and a counter.

Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). The key is the
seed; the counter is (position in the field, step, place in the program). Written over an array
namespace; 32-bit words only, so that it needs no 64-bit types.
"""

from typing import Any

from phistar.ir.dtypes import DType

Array = Any

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
MASK = 0xFFFFFFFF
TWO_PI = 6.283185307179586


def multiply(xp: Any, a: int, b: Array) -> tuple[Array, Array]:
    """The high and the low 32 bits of a * b, by 16-bit halves."""
    a_low, a_high = xp.uint32(a & 0xFFFF), xp.uint32(a >> 16)
    b_low, b_high = b & xp.uint32(0xFFFF), b >> xp.uint32(16)
    low = a_low * b_low
    middle = a_high * b_low + (low >> xp.uint32(16))
    cross = a_low * b_high + (middle & xp.uint32(0xFFFF))
    high = a_high * b_high + (middle >> xp.uint32(16)) + (cross >> xp.uint32(16))
    return high, (cross << xp.uint32(16)) | (low & xp.uint32(0xFFFF))


def words(xp: Any, key: tuple[Array, Array], counter: tuple[Array, ...]) -> tuple[Array, ...]:
    """Four random 32-bit words for each counter (four arrays of uint32)."""
    k0, k1 = key
    c0, c1, c2, c3 = counter
    for _ in range(ROUNDS):
        high0, low0 = multiply(xp, MULTIPLIERS[0], c0)
        high1, low1 = multiply(xp, MULTIPLIERS[1], c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = k0 + xp.uint32(WEYL[0]), k1 + xp.uint32(WEYL[1])
    return c0, c1, c2, c3


def field_words(
    xp: Any, key: tuple[Array, Array], step: Array, place: int, low: Array, high: Array
) -> tuple[Array, ...]:
    """The words of a field: key is (seed low, seed high); low and high make the position."""
    counter = (low, high, step + xp.zeros_like(low), xp.full_like(low, place))
    return words(xp, (key[0] + xp.zeros_like(low), key[1] + xp.zeros_like(low)), counter)


def uniform(xp: Any, w: tuple[Array, ...], dtype: DType) -> Array:
    """Numbers in [0, 1): 24 random bits, 53 in float64."""
    if dtype is DType.F64:
        high = (w[0] >> xp.uint32(5)).astype(xp.float64)
        low = (w[1] >> xp.uint32(6)).astype(xp.float64)
        return (high * 67108864.0 + low) * 2.0**-53
    return ((w[0] >> xp.uint32(8)).astype(xp.float32) * xp.float32(2.0**-24)).astype(dtype.numpy)


def normal(xp: Any, w: tuple[Array, ...], dtype: DType, wide: Any) -> Array:
    """Numbers of mean 0 and standard deviation 1, by Box and Muller (1958), computed in `wide`."""
    u1 = (w[0].astype(wide) + wide(0.5)) * wide(2.0**-32)
    u2 = (w[1].astype(wide) + wide(0.5)) * wide(2.0**-32)
    radius = xp.sqrt(wide(-2.0) * xp.log(u1))
    return (radius * xp.cos(wide(TWO_PI) * u2)).astype(dtype.numpy)


def split_seed(seed: int) -> tuple[int, int]:
    """A seed as two 32-bit words."""
    return seed & MASK, (seed >> 32) & MASK
