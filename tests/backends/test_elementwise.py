"""The table of array rules has a row for every primitive."""

import numpy as np
from numpy.testing import assert_array_equal

from phistar.backends import special
from phistar.backends.arrays.elementwise import integer_rules, rules
from phistar.ir.primitives import Primitive


def test_every_primitive_has_a_rule() -> None:
    assert set(rules(np, special.erf, special.erfc)) == set(Primitive)
    assert set(integer_rules(np)) <= set(Primitive)


def test_integer_powers() -> None:
    power = integer_rules(np)[Primitive.POW]
    base, exponent = np.array([2, 1, -1, -1, 3, 0]), np.array([-1, -3, -3, -2, 4, 0])
    assert_array_equal(power(base, exponent), [0, 1, -1, 1, 81, 1])
