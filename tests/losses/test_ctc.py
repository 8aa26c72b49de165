"""CTC against PyTorch: repeated labels, empty targets, alignments that cannot be."""

from typing import Any

import numpy as np
import pytest
from judging import assert_same
from numpy.testing import assert_allclose

import phistar as ph
from phistar import losses
from phistar.errors import DTypeError, ShapeError, UsageError

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytestmark = pytest.mark.torch
rng = np.random.default_rng(8)


def theirs(z: np.ndarray, steps: Any, labels: Any, **options: Any) -> Any:
    """PyTorch's, from scores [b, t, y]."""

    def loss(s: Any) -> Any:
        lnP = torch.log_softmax(s, -1).transpose(0, 1)
        given = (torch.tensor(x) for x in (z, steps, labels))
        return torch.nn.functional.ctc_loss(lnP, *given, **options)

    return loss


def ours(z: np.ndarray, steps: Any, labels: Any, **options: Any) -> Any:
    t, b, y = ph.indices("t b y")

    def loss(s: Any) -> Any:
        lnP = ph.tensors("lnP")
        lnP[b, t, y] = ph.log_softmax[y](s[b, t, y])
        return losses.ctc(lnP, z, steps, labels, **options)

    return loss


CASES: dict[str, tuple[list[list[int]], list[int], list[int]]] = {
    "plain": ([[1, 2, 3], [3, 1, 2]], [6, 6], [3, 3]),
    "repeated": ([[1, 1, 2], [2, 2, 2]], [6, 6], [3, 3]),
    "lengths": ([[1, 2, 0], [3, 3, 1]], [4, 6], [2, 3]),
    "empty": ([[1, 2, 3], [1, 2, 3]], [6, 3], [0, 2]),
    "one path": ([[1, 1, 2], [1, 2, 3]], [4, 3], [3, 3]),
    "one label": ([[2, 0, 0], [1, 0, 0]], [1, 6], [1, 1]),
    "nothing heard": ([[1, 2, 3], [1, 2, 3]], [6, 0], [3, 0]),
}


XLA = pytest.param("repeated", "xla", marks=pytest.mark.xla)
SOME = [(case, backend) for case in ("repeated", "empty") for backend in ("reference", "c")]


@pytest.mark.parametrize("case, backend", [*((c, "numpy") for c in CASES), *SOME, XLA])
def test_against_torch(case: str, backend: str) -> None:
    if backend == "xla":
        pytest.importorskip("jax", reason="the xla backend needs jax: phistar[xla]")
    z, steps, labels = map(np.array, CASES[case])
    s = rng.normal(size=(2, 6, 4))
    assert_same(ours(z, steps, labels), theirs(z, steps, labels), [s], backend)


@pytest.mark.parametrize("reduction", ["sum", "none"])
def test_other_reductions(reduction: str) -> None:
    z, steps, labels = map(np.array, CASES["lengths"])
    s, some = rng.normal(size=(2, 6, 4)), {"reduction": reduction}
    assert_same(ours(z, steps, labels, **some), theirs(z, steps, labels, **some), [s])


def test_another_blank() -> None:
    z, steps, labels = np.array([[0, 1, 1], [2, 0, 2]]), np.array([6, 5]), np.array([3, 2])
    s = rng.normal(size=(2, 6, 4))
    assert_same(ours(z, steps, labels, blank=3), theirs(z, steps, labels, blank=3), [s])


def test_one_sequence_without_lengths() -> None:
    z, t, y = np.array([2, 2, 1]), ph.index("t"), ph.index("y")

    def loss(s: Any) -> Any:
        return losses.ctc(ph.log_softmax[y](s[t, y]), z)

    def wanted(s: Any) -> Any:
        lengths = torch.tensor(7), torch.tensor(3)
        lnP = torch.log_softmax(s, -1)
        return torch.nn.functional.ctc_loss(lnP, torch.tensor(z), *lengths)

    assert_same(loss, wanted, [rng.normal(size=(7, 4))])


def test_what_cannot_be() -> None:
    """Three equal labels need five steps: inf, or 0; the gradient is 0 and no NaN."""
    z, steps, labels = np.array([[1, 1, 1], [1, 2, 3]]), np.array([4, 4]), np.array([3, 3])
    s = rng.normal(size=(2, 4, 4))
    value = ph.jit(ours(z, steps, labels, reduction="none"))(s)
    assert np.isinf(value[0]) and np.isfinite(value[1])
    some = {"zero_infinity": True}
    assert_same(ours(z, steps, labels, **some), theirs(z, steps, labels, **some), [s])
    gradient = ph.grad(ours(z, steps, labels))(s)
    assert_allclose(gradient[0], 0)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("scale", [1e3, 1e4])
def test_large_scores(scale: float) -> None:
    z, steps, labels = map(np.array, CASES["repeated"])
    s = scale * rng.normal(size=(2, 6, 4))
    assert_same(ours(z, steps, labels), theirs(z, steps, labels), [s])


def test_probabilities_of_zero() -> None:
    P = np.array([[[1.0, 0, 0], [0, 1, 0], [0.5, 0, 0.5]]])
    with np.errstate(divide="ignore"):
        lnP = np.log(P)
    value, gradient = ph.value_and_grad(lambda lnP: losses.ctc(lnP, [[1, 2]]))(lnP)
    assert_allclose(value, np.log(2) / 2)
    assert np.isfinite(gradient).all()


def test_padding_may_be_anything() -> None:
    z, steps, labels = np.array([[1, -1, 99]]), np.array([4]), np.array([1])
    s = rng.normal(size=(1, 4, 4))
    assert_same(ours(z, steps, labels), theirs(np.array([[1]]), steps, labels), [s])


def test_refusals() -> None:
    lnP = np.zeros((2, 5, 3))
    with pytest.raises(ShapeError, match=r"targets of ctc must have shape \(2, 4\), not \(1, 4\)"):
        losses.ctc(lnP, np.zeros((1, 4), int))
    with pytest.raises(DTypeError, match="targets must hold whole numbers, not f64"):
        losses.ctc(lnP, np.zeros((2, 4)))
    with pytest.raises(DTypeError, match="ctc sums in f32 or f64, not f16"):
        losses.ctc(lnP.astype("f2"), np.zeros((2, 4), int))
    with pytest.raises(UsageError, match="blank of ctc is one of the 3 labels, not 3"):
        losses.ctc(lnP, np.zeros((2, 4), int), blank=3)
    with pytest.raises(ShapeError, match="input_lengths of ctc is at most 5, not 6"):
        losses.ctc(lnP, np.zeros((2, 4), int), 6)
    with pytest.raises(ShapeError, match=r"target_lengths of ctc must have shape \(2,\)"):
        losses.ctc(lnP, np.zeros((2, 4), int), None, np.zeros(3, int))
    with pytest.raises(ShapeError, match="log_probabilities of ctc must have at least 2 axes"):
        losses.ctc(np.zeros(3), np.zeros(2, int))
