"""Twenty kills, as `make chaos` has two hundred."""

import os

import pytest
from chaos import chaos


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes as Unix does")
@pytest.mark.parametrize("backend", ["numpy", "c"])
def test_ten_kills(backend: str) -> None:
    assert chaos(backend, kills=10, during=3) >= 1
