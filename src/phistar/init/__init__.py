"""Initialisers: `ph.param(10, 784, init=ph.init.xavier_uniform())`.

Each is a value that is called as init(rng, shape, fan_in, fan_out); the fans are read off the
equation that uses the parameter. A parameter without one gets `he_normal()`.
"""

from phistar.init.plain import constant, normal, ones, truncated_normal, uniform, zeros
from phistar.init.scaled import (
    gain,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    xavier_normal,
    xavier_uniform,
)
from phistar.init.structured import dirac, identity, orthogonal, sparse

__all__ = [
    "constant",
    "dirac",
    "gain",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "ones",
    "orthogonal",
    "sparse",
    "truncated_normal",
    "uniform",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]
