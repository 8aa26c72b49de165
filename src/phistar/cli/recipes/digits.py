"""Classifiers of MNIST's handwritten digits: logistic regression, a perceptron, LeNet."""

from phistar import optim
from phistar.cli.recipes.recipe import Batch, Columns, Recipe, Rng
from phistar.data import Dataset, mnist
from phistar.language.models import Model
from phistar.zoo import lenet, logistic, mlp

FLAT: Columns = {"x": ((784,), "f32"), "label": ((), "i64")}
IMAGES: Columns = {"x": ((28, 28), "f32"), "label": ((), "i64")}


def images() -> tuple[Dataset, Dataset]:
    return mnist(flat=False)


def small_logistic(rng: Rng) -> tuple[Model, Batch]:
    x, label = rng.random((4, 5)), rng.integers(0, 3, 4)
    return logistic.LogisticRegression(5, 3), {"x": x, "label": label}


def small_mlp(rng: Rng) -> tuple[Model, Batch]:
    x, label = rng.random((4, 5)), rng.integers(0, 3, 4)
    return mlp.MLP(5, (6, 4), 3), {"x": x, "label": label}


def small_lenet(rng: Rng) -> tuple[Model, Batch]:
    x, label = rng.random((2, 28, 28)), rng.integers(0, 10, 2)
    return lenet.LeNet((2, 3), (5, 4)), {"x": x, "label": label}


LOGISTIC = Recipe(
    name="logistic",
    summary="handwritten digits, logistic regression: 92.2 % after 10 epochs",
    model=logistic.LogisticRegression,
    loss=logistic.loss,
    data=mnist,
    columns=FLAT,
    small=small_logistic,
    optimizer=optim.SGD,
    rate=0.2,
    epochs=10,
    batch_size=128,
    metrics=("accuracy",),
)
MLP = Recipe(
    name="mlp",
    summary="handwritten digits, two hidden layers of 512 with dropout: 98.6 % after 10 epochs",
    model=mlp.MLP,
    loss=mlp.loss,
    data=mnist,
    columns=FLAT,
    small=small_mlp,
    optimizer=optim.Adam,
    rate=1e-3,
    schedule=optim.schedules.cosine,
    epochs=10,
    batch_size=128,
    metrics=("accuracy",),
)
LENET = Recipe(
    name="lenet",
    summary="handwritten digits, LeNet-5: 99.1 % after 5 epochs",
    model=lenet.LeNet,
    loss=lenet.loss,
    data=images,
    columns=IMAGES,
    small=small_lenet,
    optimizer=optim.Adam,
    rate=2e-3,
    schedule=optim.schedules.cosine,
    epochs=5,
    batch_size=64,
    metrics=("accuracy",),
)
