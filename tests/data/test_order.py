"""Orders are true shuffles, computed in parts, the same everywhere and for any number of shards."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.stats import chi2, chisquare

from phistar.data.order import Order, minibatches, order, positions
from phistar.errors import DataError

ALL = "PHISTAR_FUZZ" in os.environ


def test_a_bijection_for_every_number_of_rows_to_5000() -> None:
    """All of them with PHISTAR_FUZZ; else small ones, those around powers of two, and a spread."""
    near = [2**bits + k for bits in range(9, 13) for k in (-1, 0, 1)]
    some = [*range(1, 300), *near, *range(300, 5001, 37), 5000]
    for n in range(1, 5001) if ALL else some:
        seen = np.zeros(n, np.int8)
        seen[order(n, 7, n)] = 1  # out of range would be an IndexError
        assert seen.all(), n


@pytest.mark.parametrize("n", [10**4, 10**6, 2**31, 10**9, 2**32 + 1, 10**12, 2**62])
def test_large_orders_never_give_a_row_twice(n: int) -> None:
    drawn = np.random.default_rng(0).integers(0, n, 50_000)
    at = np.unique(np.concatenate([drawn, [0, n - 1]]))
    rows = Order(n, 3, 1).at(at)
    assert rows.min() >= 0 and rows.max() < n
    assert len(np.unique(rows)) == len(at)
    assert rows[: len(at) // 2].mean() / n == pytest.approx(0.5, abs=0.01)


@given(st.integers(0, 300), st.integers(0, 2**64 - 1), st.integers(0, 1000))
def test_an_order_has_every_row_once(n: int, seed: int, epoch: int) -> None:
    assert_array_equal(np.sort(order(n, seed, epoch)), np.arange(n))


def test_an_order_is_the_same_on_every_machine() -> None:
    assert_array_equal(order(8, 0, 0), [6, 5, 4, 7, 3, 2, 1, 0])
    assert_array_equal(order(8, 0, 1), [3, 1, 0, 4, 6, 2, 5, 7])
    rows = Order(10**12, 5, 2).rows(10**11, 10**11 + 3)
    assert_array_equal(rows, [392971165883, 10986687834, 249842769450])


def test_all_permutations_of_few_rows_are_equally_frequent() -> None:
    """4 rows have 24 orders."""
    drawn = np.array([order(4, seed, seed % 5) for seed in range(4800)]) @ [64, 16, 4, 1]
    _, found = np.unique(drawn, return_counts=True)
    assert len(found) == 24
    assert chisquare(found).pvalue > 0.01


@pytest.mark.parametrize("n", [100, 1000, 65_537])
def test_every_row_is_equally_frequent_at_every_position(n: int) -> None:
    """Positions and rows in ten classes each: a table of 81 degrees of freedom an order."""
    statistic, orders = 0.0, 60
    for seed in range(orders):
        table = np.histogram2d(np.arange(n), order(n, seed, 0), bins=10)[0]
        expected = n / 100
        # Rows and columns have fixed sums, so the variance is that of a table without replacement.
        statistic += ((table - expected) ** 2 / expected).sum() * (n - 1) / n
    p = chi2.sf(statistic, 81 * orders)
    assert 0.005 < p < 0.995


def test_neighbours_are_not_correlated() -> None:
    """Orders of epochs and of seeds that follow each other, and rows within one order."""
    n = 100_000
    first, limit = order(n, 1, 1), 4 / np.sqrt(n)
    for other in (order(n, 1, 2), order(n, 2, 1), order(n, 2, 2), np.roll(first, 1), np.arange(n)):
        assert abs(np.corrcoef(first, other)[0, 1]) < limit
        assert (first == other).sum() < 8  # one is expected


def test_any_part_is_computed_by_itself() -> None:
    whole = Order(1000, 4, 5)
    assert_array_equal(whole.rows(300, 310), whole.rows()[300:310])
    assert_array_equal(whole.rows(1, 1000, 7), whole.rows()[1::7])
    assert_array_equal(whole.at(np.array([999, 0])), whole.rows()[[999, 0]])
    assert len(whole.rows(998, 2000)) == 2
    assert len(whole) == 1000


def test_seed_and_epoch_change_the_order() -> None:
    assert len({tuple(order(50, seed, epoch)) for seed in range(4) for epoch in range(-1, 4)}) == 20


def test_without_shuffling_rows_stay_in_order() -> None:
    assert_array_equal(order(5, 3, 4, shuffle=False), np.arange(5))


@pytest.mark.parametrize("shards", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("size", [4, 8, 10])
def test_shards_interleave_to_the_order_of_one(shards: int, size: int) -> None:
    whole = Order(43, 2, 3)
    one = list(minibatches(whole, size))
    parts = [list(minibatches(whole, size, shard=(k, shards))) for k in range(shards)]
    for number, rows in enumerate(one):
        together = np.empty_like(rows)
        for k in range(shards):
            together[k::shards] = parts[k][number]
        assert_array_equal(together, rows)
    assert_array_equal(np.concatenate(one), whole.rows())


def test_training_goes_on_at_any_step() -> None:
    whole = Order(100_000, 0, 0)
    rows = list(minibatches(whole, 128, drop_last=True))
    later = list(minibatches(whole, 128, drop_last=True, first=700))
    assert len(rows) == 781
    assert_array_equal(later, rows[700:])


@given(st.integers(0, 100), st.integers(1, 40))
def test_minibatches_cover_the_rows(n: int, size: int) -> None:
    rows = [row for at in positions(n, size) for row in range(n)[at]]
    assert rows == list(range(n))
    kept = list(positions(n, size, drop_last=True))
    assert [at.stop - at.start for at in kept] == [size] * (n // size)


def test_the_last_minibatch_ends_with_the_rows() -> None:
    assert list(positions(5, 2)) == [slice(0, 2, 1), slice(2, 4, 1), slice(4, 5, 1)]


def test_a_minibatch_of_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="at least one example, not 0"):
        list(positions(5, 0))


@pytest.mark.parametrize("n", [-1, 2**62 + 1])
def test_too_many_rows(n: int) -> None:
    with pytest.raises(DataError, match=rf"from 0 to 2\*\*62 rows, not {n}"):
        Order(n)


@pytest.mark.parametrize("at", [[-1], [0, 10]])
def test_positions_that_are_not_there(at: list[int]) -> None:
    with pytest.raises(DataError, match=f"positions {at[0]} to {at[-1]} do not fit .* of 10 rows"):
        Order(10).at(np.array(at))


@pytest.mark.parametrize("shard", [(2, 2), (-1, 2), (0, 0)])
def test_a_shard_that_is_none(shard: tuple[int, int]) -> None:
    with pytest.raises(DataError, match=r"shard=\(k, n\) is process k of n, with 0 <= k < n"):
        list(minibatches(Order(10), 2, shard=shard))
