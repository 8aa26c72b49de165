"""Every loss against PyTorch, or against the paper's formula written in PyTorch."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from judging import Function, assert_same, of_arrays, one_number
from numpy.testing import assert_allclose

import phistar as ph
from phistar import losses
from phistar.errors import DTypeError, IndexRangeError, ShapeError, UsageError

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytestmark = pytest.mark.torch
F = torch.nn.functional
rng = np.random.default_rng(5)


class Row(NamedTuple):
    name: str
    what: str
    ours: Function
    theirs: Function
    args: tuple[np.ndarray, ...]

    def __str__(self) -> str:
        return f"{self.name}-{self.what}"


def normal(*shape: int) -> np.ndarray:
    return rng.normal(size=shape)


def uniform(*shape: int) -> np.ndarray:
    return rng.uniform(0.05, 0.95, shape)


def labels(k: int, *shape: int) -> np.ndarray:
    return rng.integers(0, k, shape)


def rows_of(*shape: int) -> np.ndarray:
    """Probabilities that sum to 1 on the last axis."""
    made = rng.uniform(0.1, 1, shape)
    return made / made.sum(-1, keepdims=True)


def signs(*shape: int) -> np.ndarray:
    return rng.choice([-1, 1], shape)


def first(x: Any) -> Any:
    """The last axis as PyTorch's second."""
    return x.movedim(-1, 1) if x.ndim > 2 else x


# The rows -----------------------------------------------------------------------------------------


def regression() -> Iterator[Row]:
    pairs = {"mse": F.mse_loss, "l1": F.l1_loss, "huber": F.huber_loss}
    pairs |= {"smooth_l1": F.smooth_l1_loss}
    options: dict[str, list[dict[str, Any]]] = {
        "huber": [{}, {"delta": 0.3}],
        "smooth_l1": [{}, {"beta": 0.2}, {"beta": 0.0}],
    }
    for name, theirs in pairs.items():
        for shape in ((4, 3), (), (2, 3, 2, 2)):
            yield pair(name, theirs, {}, normal(*shape), normal(*shape))
        for some in options.get(name, []):
            yield pair(name, theirs, some, 2 * normal(7), normal(7))
        for reduction in ("sum", "none"):
            yield pair(name, theirs, {"reduction": reduction}, normal(5, 2), normal(5, 2))
        yield pair(name, theirs, {}, np.array([1e4, -1e4, 0.3]), np.array([-1e4, 1e4, 0.3]))

    def log_cosh(p: Any, y: Any) -> Any:
        return (torch.logaddexp(p - y, y - p) - math.log(2)).mean()

    yield Row("log_cosh", "plain", losses.log_cosh, log_cosh, (2 * normal(4, 3), normal(4, 3)))
    large = np.array([1e4, -1e4, 0.9, 1.1]), np.array([-1e4, 1e4, 0, 0])
    yield Row("log_cosh", "large", losses.log_cosh, log_cosh, large)
    yield from likelihoods()


def likelihoods() -> Iterator[Row]:
    counts = rng.integers(0, 6, (4, 3)).astype(float)
    for some in ({}, {"log_input": False}, {"full": True}, {"reduction": "none"}):
        p = np.abs(normal(4, 3))
        yield Row(
            "poisson_nll",
            str(some),
            lambda p, y, some=some: losses.poisson_nll(p, y, **some),
            lambda p, y, some=some: F.poisson_nll_loss(p, y, **some),
            (p, counts.astype(int) if not some else counts + 0.5),
        )
    for shape in ((4, 3), (4, 1), (4,)):
        for some in ({}, {"full": True}, {"reduction": "sum"}):
            yield Row(
                "gaussian_nll",
                f"{shape} {some}",
                lambda p, y, v, some=some: losses.gaussian_nll(p, y, v, **some),
                lambda p, y, v, some=some: F.gaussian_nll_loss(p, y, v, **some),
                (normal(4, 3), normal(4, 3), uniform(*shape)),
            )
    small = np.array([[0.0, 1e-9, 0.5]])
    yield Row(
        "gaussian_nll",
        "no variance",
        losses.gaussian_nll,
        F.gaussian_nll_loss,
        (normal(1, 3), normal(1, 3), small),
    )


def pair(name: str, theirs: Function, some: dict[str, Any], *args: np.ndarray) -> Row:
    ours = getattr(losses, name)
    return Row(
        name,
        f"{args[0].shape} {some}",
        lambda *xs: ours(*xs, **some),
        lambda *xs: theirs(*xs, **some),
        args,
    )


def classification() -> Iterator[Row]:
    w = np.array([0.5, 2.0, 1.5])
    options: list[dict[str, Any]] = [
        {},
        {"reduction": "sum"},
        {"reduction": "none"},
        {"label_smoothing": 0.1},
        {"weight": w},
        {"weight": w, "label_smoothing": 0.2},
        {"ignore_index": 1},
        {"ignore_index": -100, "weight": w, "reduction": "none"},
        {"ignore_index": -100, "weight": w, "label_smoothing": 0.2},
    ]
    for some in options:
        for shape in ((5, 3), (2, 4, 3)):
            k = labels(3, *shape[:-1])
            if "ignore_index" in some:
                k.flat[0] = some["ignore_index"]
            yield of_classes("cross_entropy", F.cross_entropy, some, normal(*shape), k)
            if "label_smoothing" not in some:
                yield of_classes("nll", F.nll_loss, some, normal(*shape), k)
    yield of_classes("cross_entropy", F.cross_entropy, {}, normal(3), np.array(2))
    extreme = np.array([[1e4, -1e4, 0], [-1e4, 0, 1e4]])
    yield of_classes("cross_entropy", F.cross_entropy, {}, extreme, np.array([1, 0]))
    smoothed = {"label_smoothing": 0.1}
    yield of_classes("cross_entropy", F.cross_entropy, smoothed, extreme, np.array([1, 0]))
    yield from soft_labels(w)
    for name, theirs in (("cross_entropy", F.cross_entropy), ("nll", F.nll_loss)):
        yield Row(
            name,
            "axis 1",
            lambda s, k, name=name: getattr(losses, name)(s, k, axis=1),
            lambda s, k, theirs=theirs: theirs(s, k),
            (normal(2, 3, 4, 2), labels(3, 2, 4, 2)),
        )
    yield from focal(w)
    for some in ({}, {"p": 2}, {"margin": 0.3}, {"weight": w}, {"reduction": "none"}):
        s, k = normal(6, 3), labels(3, 6)
        yield of_classes("multi_margin", F.multi_margin_loss, some, s, k)
    yield of_classes("multi_margin", F.multi_margin_loss, {}, extreme, np.array([1, 2]))


def of_classes(
    name: str, theirs: Function, some: dict[str, Any], s: np.ndarray, k: np.ndarray
) -> Row:
    """Classes last; weights as lists of numbers here, as tensors there."""
    numbers = {n: v.tolist() if isinstance(v, np.ndarray) else v for n, v in some.items()}
    given = {n: torch.tensor(v) if isinstance(v, np.ndarray) else v for n, v in some.items()}
    ours = getattr(losses, name)
    return Row(
        name,
        f"{s.shape} {numbers}",
        lambda s, k: ours(s, k, **numbers),
        lambda s, k: theirs(first(s), k, **given),
        (s, k),
    )


def soft_labels(w: np.ndarray) -> Iterator[Row]:
    for some in ({}, {"label_smoothing": 0.1}, {"weight": w}, {"reduction": "none"}):
        for shape in ((5, 3), (2, 4, 3)):
            row = of_classes(
                "cross_entropy", F.cross_entropy, some, normal(*shape), rows_of(*shape)
            )
            theirs = row.theirs
            yield row._replace(
                what=f"soft {row.what}", theirs=lambda s, q, theirs=theirs: theirs(s, first(q))
            )


def focal(w: np.ndarray) -> Iterator[Row]:
    def of_scores(s: Any, k: Any, gamma: float, w: Any, ignored: int = -100) -> Any:
        lnP = F.log_softmax(s, -1)[torch.arange(len(k)), k.clip(0)]
        l = -torch.tensor(w)[k.clip(0)] * (1 - lnP.exp()) ** gamma * lnP
        return torch.where(k == ignored, 0, l).sum() / (k != ignored).sum()

    for gamma in (0.0, 1.0, 2.0, 0.5):
        yield Row(
            "focal",
            f"gamma {gamma}",
            lambda s, k, gamma=gamma: losses.focal(s, k, gamma=gamma, weight=w.tolist()),
            lambda s, k, gamma=gamma: of_scores(s, k, gamma, w),
            (normal(5, 3), labels(3, 5)),
        )
    yield Row(
        "focal",
        "ignored",
        lambda s, k: losses.focal(s, k, ignore_index=-100),
        lambda s, k: of_scores(s, k, 2.0, np.ones(3)),
        (normal(4, 3), np.array([0, -100, 2, 1])),
    )

    def of_score(s: Any, t: Any, gamma: float, alpha: float | None) -> Any:
        p = torch.sigmoid(torch.where(t == 1, s, -s))
        a = 1 if alpha is None else alpha * t.double() + (1 - alpha) * (1 - t).double()
        return (-a * (1 - p) ** gamma * p.log()).mean()

    for gamma, alpha in ((2.0, 0.25), (0.0, None), (1.5, 0.6)):
        yield Row(
            "binary_focal",
            f"gamma {gamma}",
            lambda s, t, g=gamma, a=alpha: losses.binary_focal(s, t, gamma=g, alpha=a),
            lambda s, t, g=gamma, a=alpha: of_score(s, t, g, a),
            (normal(4, 3), labels(2, 4, 3)),
        )


def binary() -> Iterator[Row]:
    scores, t = normal(4, 3), labels(2, 4, 3).astype(float)
    with_logits = F.binary_cross_entropy_with_logits
    weights: list[dict[str, Any]] = [
        {},
        {"pos_weight": np.array([2.0, 0.5, 3.0])},
        {"weight": np.array([2.0, 0.5, 3.0])},
        {"weight": uniform(4, 3), "pos_weight": np.array([2.0, 0.5, 3.0])},
        {"reduction": "none"},
        {"reduction": "sum"},
    ]
    for some in weights:
        name = "binary_cross_entropy_with_logits"
        yield of_truth(name, with_logits, some, scores, t)
        if "pos_weight" not in some:
            p = uniform(4, 3)
            yield of_truth("binary_cross_entropy", F.binary_cross_entropy, some, p, t)
    yield of_truth(name, with_logits, {}, scores, uniform(4, 3))
    extreme = np.array([1e4, -1e4, 1e4, -1e4, 0.0])
    yield of_truth(name, with_logits, {}, extreme, np.array([0.0, 1, 1, 0, 1]))
    three = {"pos_weight": np.array(3.0)}
    yield of_truth(name, with_logits, three, extreme, np.array([0.0, 1, 1, 0, 1]))

    def margin(s: Any, t: Any, p: int, m: float) -> Any:
        return ((m - t * s).clip(0) ** p).mean()

    for m in (1.0, 0.2):
        for name, p in (("hinge", 1), ("squared_hinge", 2)):
            yield Row(
                name,
                f"margin {m}",
                lambda s, t, name=name, m=m: getattr(losses, name)(s, t, margin=m),
                lambda s, t, p=p, m=m: margin(s, t, p, m),
                (normal(4, 3), signs(4, 3)),
            )


def of_truth(
    name: str, theirs: Function, some: dict[str, Any], s: np.ndarray, t: np.ndarray
) -> Row:
    numbers = {n: v.tolist() if isinstance(v, np.ndarray) else v for n, v in some.items()}
    given = {n: torch.tensor(v) if isinstance(v, np.ndarray) else v for n, v in some.items()}
    ours = getattr(losses, name)
    return Row(
        name,
        f"{s.shape} {numbers}",
        lambda s: ours(s, t, **numbers),
        lambda s: theirs(s, torch.tensor(t), **given),
        (s,),
    )


def divergences() -> Iterator[Row]:
    def kl(P: Any, Q: Any) -> Any:
        return F.kl_div(Q.log(), P, reduction="batchmean")

    P, Q = rows_of(4, 3), rows_of(4, 3)
    yield Row("kl_divergence", "plain", losses.kl_divergence, kl, (P, Q))
    yield Row(
        "kl_divergence",
        "reverse",
        lambda P, Q: losses.kl_divergence(P, Q, reverse=True),
        lambda P, Q: kl(Q, P),
        (P, Q),
    )
    yield Row(
        "kl_divergence",
        "logarithms, axis 1, none",
        lambda P, Q: losses.kl_divergence(P, Q, log_probabilities=True, axis=1, reduction="none"),
        lambda P, Q: F.kl_div(Q, P, reduction="none", log_target=True).sum(1),
        (normal(2, 3, 4), normal(2, 3, 4)),
    )

    def gaussians(m: Any, v: Any, n: Any, w: Any) -> Any:
        N = torch.distributions.Normal
        p, q = N(m, (v / 2).exp()), N(n, (w / 2).exp())
        return torch.distributions.kl_divergence(p, q).sum(-1)

    four = tuple(normal(4, 3) for _ in range(4))
    yield Row("gaussian_kl", "two", losses.gaussian_kl, lambda *x: gaussians(*x).mean(), four)
    zero = torch.zeros(4, 3, dtype=torch.float64)
    for reduction in ("mean", "none", "sum"):
        yield Row(
            "gaussian_kl",
            f"N(0, 1) {reduction}",
            lambda m, v, r=reduction: losses.gaussian_kl(m, v, reduction=r),
            lambda m, v, r=reduction: {"mean": torch.mean, "sum": torch.sum}.get(r, lambda x: x)(
                gaussians(m, v, zero, zero)
            ),
            four[:2],
        )


def distances() -> Iterator[Row]:
    a, b, c = normal(5, 3), normal(5, 3), normal(5, 3)
    yield Row("cosine_similarity", "rows", losses.cosine_similarity, F.cosine_similarity, (a, b))
    yield Row(
        "cosine_similarity",
        "vectors",
        losses.cosine_similarity,
        lambda a, b: F.cosine_similarity(a, b, 0),
        (a[0], b[0]),
    )
    t = np.array([1, -1, 1, -1, -1])
    for some in ({}, {"margin": 0.2}, {"reduction": "sum"}):
        yield pair("cosine_embedding", F.cosine_embedding_loss, some, a, b, t)
    triplets: list[dict[str, Any]] = [
        {},
        {"p": 1.0},
        {"p": 3.0},
        {"swap": True},
        {"margin": 0.1, "eps": 1e-3},
        {"reduction": "none"},
    ]
    for some in triplets:
        yield pair("triplet_margin", F.triplet_margin_loss, some, a, b, c)

    def contrastive(a: Any, b: Any, same: Any, m: float = 1.0) -> Any:
        D = (a - b).norm(dim=-1)
        return torch.where(same > 0, D**2 / 2, (m - D).clip(0) ** 2 / 2).mean()

    yield Row("contrastive", "plain", losses.contrastive, contrastive, (a, 0.8 * a, (t + 1) // 2))
    yield Row(
        "contrastive",
        "margin, truths",
        lambda a, b, s: losses.contrastive(a, b, s, margin=3.0),
        lambda a, b, s: contrastive(a, b, s, 3.0),
        (a, b, t > 0),
    )


def overlaps() -> Iterator[Row]:
    def dice(p: Any, t: Any, over: Any, smooth: float = 1.0, power: int = 1) -> Any:
        size = (p**power).sum(over) + (t**power).sum(over)
        return (1 - (2 * (p * t).sum(over) + smooth) / (size + smooth)).mean()

    p, t = uniform(2, 3, 4), labels(2, 2, 3, 4)
    yield Row("dice", "plain", losses.dice, lambda p, t: dice(p, t, (1, 2)), (p, t))
    yield Row(
        "dice",
        "classes",
        lambda p, t: losses.dice(p, t, axis=1, squared=True, smooth=0.1),
        lambda p, t: dice(p, t, 2, 0.1, 2),
        (p, t > 0),
    )


def sampling() -> Iterator[Row]:
    def of(s: Any, n: Any) -> Any:
        return (-F.logsigmoid(s) - F.logsigmoid(-n).sum(-1)).mean()

    s, n = normal(4), normal(4, 5)
    large = np.array([1e4, -1e4]), np.array([[1e4, -1e4], [-1e4, 1e4]])
    yield Row("negative_sampling", "plain", losses.negative_sampling, of, (s, n))
    yield Row("negative_sampling", "large", losses.negative_sampling, of, large)
    yield Row(
        "nce",
        "plain",
        losses.nce,
        lambda s, n, q, r: of(s - q - math.log(5), n - r - math.log(5)),
        (s, n, np.log(uniform(4)), np.log(uniform(4, 5))),
    )


GROUPS = (regression, classification, binary, divergences, distances, overlaps, sampling)
ROWS = [row for group in GROUPS for row in group()]
FIRST = list({row.name: row for row in reversed(ROWS)}.values())
ELSEWHERE = {"ctc", "crf_nll", "crf_decode"}  # test_ctc.py, test_crf.py


def test_every_loss_has_its_row() -> None:
    assert {row.name for row in ROWS} | ELSEWHERE == set(losses.__all__)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_against_torch(row: Row) -> None:
    assert_same(row.ours, row.theirs, row.args)


@pytest.mark.parametrize("backend", ["reference", "c"])
@pytest.mark.parametrize("row", FIRST, ids=str)
def test_on_other_backends(row: Row, backend: str) -> None:
    assert_same(row.ours, row.theirs, row.args, backend)


@pytest.mark.xla
@pytest.mark.parametrize("row", FIRST, ids=str)
def test_on_xla(row: Row) -> None:
    pytest.importorskip("jax", reason="the xla backend needs jax: phistar[xla]")
    assert_same(row.ours, row.theirs, row.args, "xla")


# Numbers that a formula written down without care would not survive -------------------------------


LARGE = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]])
SAME = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
ZEROS = np.zeros((2, 3))
ONES = np.array([[1.0, 0, 0], [0, 1, 0]])
HARD: dict[str, tuple[Function, tuple[np.ndarray, ...]]] = {
    "cross_entropy": (lambda s: losses.cross_entropy(s, [1, 0]), (LARGE,)),
    "soft cross_entropy": (losses.cross_entropy, (LARGE, ONES)),
    "all ignored": (lambda s: losses.cross_entropy(s, [-1, -1], ignore_index=-1), (LARGE,)),
    "no weight": (lambda s: losses.cross_entropy(s, [1, 1], weight=[1.0, 0, 1]), (LARGE,)),
    "focal, right": (lambda s: losses.focal(s, [0, 1], gamma=0.5), (LARGE,)),
    "focal, wrong": (lambda s: losses.focal(s, [1, 0], gamma=0.5), (LARGE,)),
    "binary_focal": (lambda s: losses.binary_focal(s, ONES, gamma=0.5), (LARGE,)),
    "with_logits": (lambda s: losses.binary_cross_entropy_with_logits(s, ONES), (LARGE,)),
    "binary_cross_entropy": (lambda p: losses.binary_cross_entropy(p, ONES[::-1]), (ONES,)),
    "kl_divergence": (losses.kl_divergence, (ONES, ONES)),
    "kl_divergence of logarithms": (
        lambda p, q: losses.kl_divergence(p, q, log_probabilities=True),
        (np.array([[0.0, -np.inf]]), np.array([[-1.0, -np.inf]])),
    ),
    "log_cosh": (losses.log_cosh, (LARGE, -LARGE)),
    "cosine_similarity": (losses.cosine_similarity, (SAME, ZEROS)),
    "cosine_embedding": (lambda a, b: losses.cosine_embedding(a, b, [1, -1]), (SAME, ZEROS)),
    "triplet_margin": (lambda a, b, c: losses.triplet_margin(a, b, c, eps=0), (SAME,) * 3),
    "triplet_margin p=3": (
        lambda a, b, c: losses.triplet_margin(a, b, c, eps=0, p=3),
        (SAME,) * 3,
    ),
    "contrastive": (lambda a, b: losses.contrastive(a, b, [True, False]), (SAME, SAME)),
    "dice": (lambda p: losses.dice(p, ZEROS), (ZEROS,)),
    "nll of -inf": (lambda p: losses.nll(p, [-1, 1], ignore_index=-1), (np.log(ONES + 1e-300),)),
    "crf_nll": (lambda e, A: losses.crf_nll(e, [0, 0], A), (LARGE, np.diag([1e4, -1e4, 0]))),
    "ctc": (lambda p: losses.ctc(p, [1]), (LARGE - 1e4,)),
    "negative_sampling": (losses.negative_sampling, (LARGE[:, 0], LARGE)),
}


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("case", HARD)
def test_no_infinity_and_no_nan(case: str, dtype: str) -> None:
    loss, args = HARD[case]
    given = [a.astype(dtype) for a in args]
    value, gradients = ph.value_and_grad(of_arrays(one_number(loss), len(args)))(*given)
    assert np.isfinite(value)
    for gradient in gradients if isinstance(gradients, tuple) else (gradients,):
        assert np.isfinite(gradient).all()


def examples() -> dict[str, tuple[Any, ...]]:
    """Arguments of every loss of two examples."""
    a, b, k = normal(2, 3), normal(2, 3), labels(3, 2)
    p, q, t = rows_of(2, 3), rows_of(2, 3), labels(2, 2, 3)
    pairs = ("mse", "l1", "huber", "smooth_l1", "log_cosh", "poisson_nll")
    made: dict[str, tuple[Any, ...]] = {name: (a[0], b[0]) for name in pairs}
    scored = ("cross_entropy", "nll", "focal", "multi_margin")
    made |= {name: (a, k) for name in scored}
    made |= {name: (a[0], t[0]) for name in ("hinge", "squared_hinge", "binary_focal")}
    made["gaussian_nll"] = a[0], b[0], p[0]
    made["binary_cross_entropy_with_logits"] = a[0], t[0]
    made["binary_cross_entropy"] = p[0], t[0]
    made |= {"kl_divergence": (p, q), "gaussian_kl": (a, b), "dice": (p, t)}
    made |= {"cosine_embedding": (a, b, [1, -1]), "contrastive": (a, b, [1, 0])}
    made |= {"triplet_margin": (a, b, normal(2, 3)), "negative_sampling": (a[:, 0], b)}
    made["nce"] = a[:, 0], b, np.log(p[:, 0]), np.log(q)
    made["ctc"] = np.log(rows_of(2, 5, 3)), [[1, 2], [2, 2]]
    made["crf_nll"] = normal(2, 4, 3), labels(3, 2, 4), normal(3, 3)
    return made


ARGUMENTS = examples()


def test_every_loss_has_its_reductions() -> None:
    no_losses = {"cosine_similarity", "crf_decode"}
    assert set(ARGUMENTS) | no_losses == set(losses.__all__)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_reductions(name: str) -> None:
    """None keeps the examples; the sum is theirs; the mean is the default."""
    loss, args = getattr(losses, name), ARGUMENTS[name]
    each = loss(*args, reduction="none").value
    assert each.ndim == 1
    assert_allclose(loss(*args, reduction="sum").value, each.sum(), rtol=1e-12)
    weights = np.full(len(each), 0.5) if name == "ctc" else np.ones(len(each))
    assert_allclose(loss(*args).value, (weights * each).mean(), rtol=1e-12)
    assert_allclose(loss(*args, reduction="mean").value, loss(*args).value, rtol=0)
    with pytest.raises(UsageError, match="reduction is"):
        loss(*args, reduction="avg")


def test_under_other_transformations() -> None:
    s, k = normal(4, 3), labels(3, 4)
    each = losses.cross_entropy(s, k, reduction="none").value
    mapped = ph.vmap(losses_of_one, ph.index("b"))(s, k)
    assert_allclose(mapped, each, rtol=1e-12)
    model, x = Line(), normal(4, 2).astype("f4")
    rows = ph.per_example_grad(loss_of_a_line)(model, x, k)["W"]
    assert rows.shape == (4, 3, 2)
    whole = ph.grad(loss_of_a_line)(model, x, k)["W"]
    assert_allclose(rows.sum(0), whole, rtol=1e-5, atol=1e-6)
    second = ph.grad(lambda s: ph.sum[i, j](ph.grad(total_of)(s)[i, j] ** 2))(s)
    P = np.exp(s) / np.exp(s).sum(1, keepdims=True)
    D = P - np.eye(3)[np.zeros(4, int)]
    wanted = 2 * P * (D - (P * D).sum(1, keepdims=True))
    assert_allclose(second, wanted, rtol=1e-10)


class Line(ph.Model):
    def __init__(self) -> None:
        self.W = ph.param(3, 2, init=0)

    def __call__(self, x: Any) -> Any:
        s, b, y, i = ph.tensors("s"), *ph.indices("b y i")
        s[b, y] = self.W[y, i] * x[b, i]
        return s


def loss_of_a_line(model: Line, x: Any, k: Any) -> Any:
    return losses.cross_entropy(model(x), k)


def losses_of_one(s: Any, k: Any) -> Any:
    return losses.cross_entropy(s, k)


def total_of(s: Any) -> Any:
    return losses.cross_entropy(s, [0, 0, 0, 0], reduction="sum")


i, j = ph.indices("i j")


def test_a_mean_over_nothing_is_zero() -> None:
    L = losses.cross_entropy(normal(2, 3), [7, 7], ignore_index=7)
    assert L.value == 0


def test_small_differences_keep_their_digits() -> None:
    small = np.array([1e-6], "f4")
    assert_allclose(losses.log_cosh(small, np.zeros(1, "f4")).value, 0.5e-12, rtol=1e-6)


def test_in_training() -> None:
    def loss(model: Line, x: Any, label: Any) -> Any:
        return losses.cross_entropy(model(x), label, weight=[1.0, 2.0, 1.0], ignore_index=255)

    x = normal(60, 2).astype("f4")
    label = (x > 0).sum(1).astype("u1")
    label[::7] = 255
    data = ph.data.Dataset(x=x, label=label)
    history = ph.fit(Line(), loss, data, optimizer=ph.SGD(0.5), epochs=5, progress=False)
    assert_allclose(history.losses[0], np.log(3), rtol=1e-5)
    assert history.losses[-1] < history.losses[0]


# Refusals -----------------------------------------------------------------------------------------

two, three = np.zeros((2, 3)), np.zeros(3)
whole = np.zeros(2, int)
REFUSED: list[tuple[Function, type[Exception], str]] = [
    (lambda: losses.mse(two, three), ShapeError, r"input and target of mse must have one shape"),
    (lambda: losses.mse(whole, whole), DTypeError, "input must hold floating numbers, not i64"),
    (lambda: losses.l1(two, two, reduction="avg"), UsageError, '"mean", "sum" or "none"'),
    (lambda: losses.huber(two, two, delta=0), UsageError, "delta of huber must be a number above"),
    (lambda: losses.smooth_l1(two, two, beta=-1), UsageError, "beta of smooth_l1 must be a number"),
    (lambda: losses.gaussian_nll(two, two, np.ones(4)), ShapeError, r"variance of gaussian_nll"),
    (lambda: losses.cross_entropy(two, three), ShapeError, "soft labels of cross_entropy"),
    (lambda: losses.cross_entropy(two, [0, 1, 2]), ShapeError, "without the axis of the classes"),
    (lambda: losses.cross_entropy(1.0, 0), ShapeError, "must have at least 1 axes"),
    (lambda: losses.cross_entropy(two, whole, axis=2), UsageError, "there is no axis 2"),
    (lambda: losses.cross_entropy(two, two, ignore_index=1), UsageError, "soft labels have none"),
    (lambda: losses.cross_entropy(two, whole, ignore_index=1.5), UsageError, "ignore_index must"),
    (lambda: losses.cross_entropy(two, whole, label_smoothing=2), UsageError, "from 0 to 1"),
    (lambda: losses.cross_entropy(two, whole, weight=[1.0]), ShapeError, "weight of cross_entropy"),
    (lambda: losses.nll(two, two), DTypeError, "label must hold whole numbers, not f64"),
    (lambda: losses.multi_margin(two, whole, p=3), UsageError, "p of multi_margin is 1 or 2"),
    (
        lambda: losses.binary_cross_entropy(two, two, weight=[1.0, 2.0]),
        ShapeError,
        r"weight must have shape \(2, 3\) or \(3,\), not \(2,\)",
    ),
    (lambda: losses.gaussian_kl(two, two, two), UsageError, "wants both other_mean and"),
    (lambda: losses.cosine_embedding(two, two, three), ShapeError, "label of cosine_embedding"),
    (lambda: losses.dice(two, two, axis=0), UsageError, "dice sums over axes that are neither"),
    (lambda: losses.dice(two, two, axis=1), UsageError, "dice sums over axes that are neither"),
    (lambda: losses.negative_sampling(two, three), ShapeError, "positive of negative_sampling"),
    (lambda: losses.nce(three, two.T, two, two.T), ShapeError, "positive_noise of nce"),
    (lambda: losses.cross_entropy(two, [3, 0]).value, IndexRangeError, "3"),
]


@pytest.mark.parametrize("call, error, message", REFUSED)
def test_refusals(call: Function, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
