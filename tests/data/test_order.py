import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from phistar.data import order, positions
from phistar.errors import DataError


@given(st.integers(0, 300), st.integers(0, 2**64 - 1), st.integers(0, 1000))
def test_an_order_has_every_row_once(n: int, seed: int, epoch: int) -> None:
    assert_array_equal(np.sort(order(n, seed, epoch)), np.arange(n))


def test_an_order_is_the_same_on_every_machine() -> None:
    assert_array_equal(order(8, 0, 0), [0, 2, 1, 5, 4, 3, 6, 7])
    assert_array_equal(order(8, 0, 1), [5, 3, 7, 2, 4, 1, 0, 6])


def test_seed_and_epoch_change_the_order() -> None:
    assert len({tuple(order(50, seed, epoch)) for seed in range(4) for epoch in range(4)}) == 16


def test_without_shuffling_rows_stay_in_order() -> None:
    assert_array_equal(order(5, 3, 4, shuffle=False), np.arange(5))


@given(st.integers(0, 100), st.integers(1, 40))
def test_minibatches_cover_the_rows(n: int, size: int) -> None:
    rows = [row for at in positions(n, size) for row in range(n)[at]]
    assert rows == list(range(n))
    kept = list(positions(n, size, drop_last=True))
    assert [at.stop - at.start for at in kept] == [size] * (n // size)


def test_the_last_minibatch_ends_with_the_rows() -> None:
    assert list(positions(5, 2)) == [slice(0, 2), slice(2, 4), slice(4, 5)]


def test_a_minibatch_of_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="at least one example, not 0"):
        list(positions(5, 0))
