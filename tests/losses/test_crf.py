"""Conditional random fields against the sum over all chains, one by one."""

import itertools
from typing import Any

import numpy as np
import pytest
from judging import assert_same
from numpy.testing import assert_array_equal

import phistar as ph
from phistar import losses
from phistar.errors import DTypeError, ShapeError

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytestmark = pytest.mark.torch
rng = np.random.default_rng(4)
STEPS, TAGS = 4, 3
EVERY = ("numpy", "reference", "c", pytest.param("xla", marks=pytest.mark.xla))


def scores() -> list[np.ndarray]:
    """Emissions, transitions, start, end."""
    return [rng.normal(size=s) for s in ((2, STEPS, TAGS), (TAGS, TAGS), (TAGS,), (TAGS,))]


def score(e: Any, y: Any, A: Any, start: Any, end: Any) -> Any:
    """The score of one chain y of one example's emissions."""
    s = start[y[0]] + end[y[-1]] + sum(e[t, k] for t, k in enumerate(y))
    return s + sum(A[i, j] for i, j in itertools.pairwise(y))


def chains(n: int) -> list[tuple[int, ...]]:
    return list(itertools.product(range(TAGS), repeat=n))


def theirs(tags: np.ndarray, lengths: list[int]) -> Any:
    def loss(e: Any, A: Any, start: Any, end: Any) -> Any:
        total = 0 * e.sum()
        for b, n in enumerate(lengths):
            if n:
                all_of_them = torch.stack([score(e[b], y, A, start, end) for y in chains(n)])
                total = total + torch.logsumexp(all_of_them, 0)
                total = total - score(e[b], tags[b, :n].tolist(), A, start, end)
        return total / len(lengths)

    return loss


def ours(tags: np.ndarray, lengths: list[int] | None) -> Any:
    given = None if lengths is None else np.array(lengths)

    def loss(e: Any, A: Any, start: Any, end: Any) -> Any:
        return losses.crf_nll(e, tags, A, start, end, given)

    return loss


XLA = pytest.param([4, 2], "xla", marks=pytest.mark.xla)
ALL = [(lengths, "numpy") for lengths in (None, [4, 2], [1, 3], [0, 4])]


@pytest.mark.parametrize(
    "lengths, backend", [*ALL, ([4, 2], "reference"), ([4, 2], "c"), XLA], ids=str
)
def test_the_sum_over_all_chains(lengths: list[int] | None, backend: str) -> None:
    if backend == "xla":
        pytest.importorskip("jax", reason="the xla backend needs jax: phistar[xla]")
    tags = rng.integers(0, TAGS, (2, STEPS))
    if lengths is not None:
        tags = np.where(np.arange(STEPS) < np.array(lengths)[:, None], tags, -1)
    wanted = theirs(tags, lengths or [STEPS, STEPS])
    assert_same(ours(tags, lengths), wanted, scores(), backend)


def test_one_chain_of_one_step() -> None:
    tags = np.array([1])

    def loss(e: Any, A: Any) -> Any:
        return losses.crf_nll(e, tags, A)

    def wanted(e: Any, A: Any) -> Any:
        return torch.logsumexp(e[0], 0) - e[0, 1] + 0 * A.sum()

    assert_same(loss, wanted, [rng.normal(size=(1, TAGS)), rng.normal(size=(TAGS, TAGS))])


def test_large_scores() -> None:
    tags = rng.integers(0, TAGS, (2, STEPS))
    given = [1e4 * s for s in scores()]
    assert_same(ours(tags, None), theirs(tags, [STEPS, STEPS]), given)


@pytest.mark.parametrize("backend", EVERY)
@pytest.mark.parametrize("lengths", [[4, 4], [2, 4], [1, 0]], ids=str)
def test_the_best_chain(lengths: list[int], backend: str) -> None:
    if backend == "xla":
        pytest.importorskip("jax", reason="the xla backend needs jax: phistar[xla]")
    e, *others = scores()

    def decode(e: Any, A: Any, start: Any, end: Any) -> Any:
        return losses.crf_decode(e, A, start, end, np.array(lengths), padding=-7)

    found = ph.jit(decode, backend=backend)(e, *others)
    for b, n in enumerate(lengths):
        best = max(chains(n), key=lambda y: score(e[b], y, *others)) if n else ()
        assert_array_equal(found[b], [*best, *[-7] * (STEPS - n)])


def test_the_best_chain_of_one_example() -> None:
    e, A, start, end = scores()
    best = max(chains(STEPS), key=lambda y: score(e[0], y, A, start, end))
    assert_array_equal(losses.crf_decode(e[0], A, start, end).value, best)


def test_refusals() -> None:
    e, tags, A = np.zeros((2, 4, 3)), np.zeros((2, 4), int), np.zeros((3, 3))
    with pytest.raises(ShapeError, match=r"transitions of crf_nll must have shape \(3, 3\)"):
        losses.crf_nll(e, tags, A[:2])
    with pytest.raises(ShapeError, match=r"tags of crf_nll must have shape \(2, 4\)"):
        losses.crf_nll(e, tags[0], A)
    with pytest.raises(DTypeError, match="tags must hold whole numbers, not f64"):
        losses.crf_nll(e, 1.0 * tags, A)
    with pytest.raises(ShapeError, match=r"end of crf_decode must have shape \(3,\)"):
        losses.crf_decode(e, A, end=[0.0, 1.0])
    with pytest.raises(ShapeError, match=r"lengths of crf_decode must have shape \(2,\)"):
        losses.crf_decode(e, A, lengths=[1])
    with pytest.raises(ShapeError, match=r"emissions of crf_decode have no steps: \(2, 0, 3\)"):
        losses.crf_decode(e[:, :0], A)
