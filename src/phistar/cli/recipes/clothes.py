"""Classifiers of Fashion-MNIST's pictures of clothes, 28 x 28 pixels of one channel."""

from functools import partial

from phistar import optim
from phistar.cli.recipes.recipe import Batch, Columns, Recipe, Rng
from phistar.data import Dataset, fashion_mnist
from phistar.language.models import Model
from phistar.zoo import mobilenet, resnet, vgg, vit

IMAGES: Columns = {"x": ((28, 28), "f32"), "label": ((), "i64")}


def images() -> tuple[Dataset, Dataset]:
    return fashion_mnist(flat=False)


def momentum(rate: float) -> optim.Optimizer:
    """SGD as He et al. (2016) train: momentum 0.9, weight decay 1e-4."""
    return optim.SGD(rate, momentum=0.9, weight_decay=1e-4)


def decayed(rate: float) -> optim.Optimizer:
    return optim.AdamW(rate, weight_decay=0.05)


# Models for pictures of this size, and small ones -------------------------------------------------


def resnet20() -> Model:
    return resnet.resnet20(labels=10, channels=1)


def resnet50() -> Model:
    return resnet.resnet50(labels=10, channels=1)


def vgg11() -> Model:
    return vgg.VGG(vgg.VGG11, True, labels=10, channels=1, hidden=512, size=1, border=2)


def vgg16() -> Model:
    return vgg.VGG(vgg.VGG16, True, labels=10, channels=1, hidden=512, size=1, border=2)


def mobilenet_v1() -> Model:
    return mobilenet.MobileNet(1, 0.5, labels=10, channels=1, first_stride=1)


def mobilenet_v2() -> Model:
    return mobilenet.MobileNet(2, 0.5, labels=10, channels=1, first_stride=1)


def small_vit() -> Model:
    return vit.ViT(28, 4, width=64, layers=4, heads=4, hidden=128, labels=10, channels=1)


def pictures(rng: Rng, size: int, channels: int = 2, labels: int = 3) -> Batch:
    """Three pictures of that many pixels to a side."""
    x, label = rng.normal(size=(3, channels, size, size)), rng.integers(0, labels, 3)
    return {"x": x, "label": label}


def tiny_resnet20(rng: Rng) -> tuple[Model, Batch]:
    return resnet.SmallResNet(1, 2, 3, 2), pictures(rng, 6)


def tiny_resnet50(rng: Rng) -> tuple[Model, Batch]:
    return resnet.ResNet((2, 1), 2, 3, 2), pictures(rng, 14)


def tiny_vgg(rng: Rng) -> tuple[Model, Batch]:
    stages = ((2,), (2, 3), (3,))
    return vgg.VGG(stages, True, 3, 2, hidden=4, size=2, border=1), pictures(rng, 14)


def tiny_mobilenet_v1(rng: Rng) -> tuple[Model, Batch]:
    blocks = ((4, 1), (4, 2))
    return mobilenet.MobileNet(1, 0.1, 3, 2, 2, 0.0, blocks), pictures(rng, 9)


def tiny_mobilenet_v2(rng: Rng) -> tuple[Model, Batch]:
    blocks = ((1, 4, 1, 1), (2, 4, 2, 2))
    return mobilenet.MobileNet(2, 0.1, 3, 2, 2, 0.0, blocks), pictures(rng, 9)


def tiny_vit(rng: Rng) -> tuple[Model, Batch]:
    return vit.ViT(8, 4, 6, 2, 2, 5, 3, 2), pictures(rng, 8)


# Rows ---------------------------------------------------------------------------------------------

clothes = partial(
    Recipe,
    data=images,
    columns=IMAGES,
    optimizer=momentum,
    schedule=optim.schedules.cosine,
    batch_size=128,
    metrics=("accuracy",),
    measured=("test",),
)
RESNET20 = clothes(
    name="resnet-20",
    summary="clothes, the ResNet of 20 layers for small images: 272,186 parameters",
    model=resnet20,
    loss=resnet.loss,
    small=tiny_resnet20,
    rate=0.1,
    epochs=20,
)
RESNET50 = clothes(
    name="resnet-50",
    summary="clothes, the ResNet of 50 layers, made for larger images: 23.5 million parameters",
    model=resnet50,
    loss=resnet.loss,
    small=tiny_resnet50,
    rate=0.05,
    epochs=20,
)
VGG11 = clothes(
    name="vgg-11",
    summary="clothes, VGG of 11 layers with batch norm, and 512 units before the labels",
    model=vgg11,
    loss=vgg.loss,
    small=tiny_vgg,
    rate=0.02,
    epochs=15,
)
VGG16 = clothes(
    name="vgg-16",
    summary="clothes, VGG of 16 layers with batch norm, and 512 units before the labels",
    model=vgg16,
    loss=vgg.loss,
    small=tiny_vgg,
    rate=0.02,
    epochs=15,
)
MOBILENET_V1 = clothes(
    name="mobilenet-v1",
    summary="clothes, depthwise separable convolutions with half of the filters",
    model=mobilenet_v1,
    loss=mobilenet.loss,
    small=tiny_mobilenet_v1,
    rate=0.05,
    epochs=20,
)
MOBILENET_V2 = clothes(
    name="mobilenet-v2",
    summary="clothes, inverted residuals with half of the filters",
    model=mobilenet_v2,
    loss=mobilenet.loss,
    small=tiny_mobilenet_v2,
    rate=0.05,
    epochs=20,
)
VIT = clothes(
    name="vit",
    summary="clothes, a vision transformer of 4 layers over patches of 4 x 4 pixels",
    model=small_vit,
    loss=vit.loss,
    small=tiny_vit,
    optimizer=decayed,
    rate=1e-3,
    epochs=20,
)
ROWS = (RESNET20, RESNET50, VGG11, VGG16, MOBILENET_V1, MOBILENET_V2, VIT)
