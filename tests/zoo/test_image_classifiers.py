"""The zoo's classifiers of images: PyTorch's loss and gradients in f64, counts of parameters."""

from math import prod
from typing import Any

import numpy as np
import pytest
from peers import Row, cases, check

import phistar as ph
from phistar.cli.recipes import clothes, digits
from phistar.zoo import lenet, logistic, mlp, mobilenet, resnet, vgg, vit

# Peers --------------------------------------------------------------------------------------------


def logistic_loss(torch: Any, p: Any, x: Any, label: Any) -> Any:
    F = torch.nn.functional
    return F.cross_entropy(F.linear(x, p["W"], p["c"]), label)


def mlp_loss(torch: Any, p: Any, x: Any, label: Any) -> Any:
    F = torch.nn.functional
    for n in range(2):
        x = F.linear(x, p[f"layers.{n}.W"], p[f"layers.{n}.c"]).relu()
    return F.cross_entropy(F.linear(x, p["W"], p["c"]), label)


def dropout_loss(torch: Any, p: Any, x: Any, label: Any) -> Any:
    """Which units stay is read off the model's own."""
    F = torch.nn.functional
    for n, kept in enumerate(("d", "d_2")):
        x = F.linear(x, p[f"layers.{n}.W"], p[f"layers.{n}.c"]).relu()
        x = torch.where(p[kept] != 0, x / 0.7, 0)
    return F.cross_entropy(F.linear(x, p["W"], p["c"]), label)


def lenet_loss(torch: Any, p: Any, x: Any, label: Any) -> Any:
    F = torch.nn.functional
    h = F.max_pool2d(F.conv2d(x[:, None], p["K1"][:, None], p["c1"], padding=2).relu(), 2)
    h = F.max_pool2d(F.conv2d(h, p["K2"], p["c2"]).relu(), 2).flatten(1)
    h = F.linear(h, p["W3"].flatten(1), p["c3"]).relu()
    h = F.linear(h, p["W4"], p["c4"]).relu()
    return F.cross_entropy(F.linear(h, p["W5"], p["c5"]), label)


def norm(torch: Any, p: Any, name: str, x: Any) -> Any:
    weight, bias = p[f"{name}.weight"], p[f"{name}.bias"]
    return torch.nn.functional.batch_norm(x, None, None, weight, bias, training=True)


def conv(torch: Any, p: Any, name: str, x: Any, stride: int = 1, groups: int = 1) -> Any:
    K, bias = p[f"{name}.weight"], p.get(f"{name}.bias")
    pad = K.shape[-1] // 2
    return torch.nn.functional.conv2d(x, K, bias, stride, pad, groups=groups)


def classified(torch: Any, p: Any, name: str, x: Any, label: Any) -> Any:
    F = torch.nn.functional
    return F.cross_entropy(F.linear(x, p[f"{name}.weight"], p[f"{name}.bias"]), label)


def small_resnet_loss(torch: Any, p: Any, x: Any, label: Any) -> Any:
    F = torch.nn.functional
    h = norm(torch, p, "bn1", conv(torch, p, "conv1", x)).relu()
    for n, stride in ((1, 1), (2, 2), (3, 2)):
        f = norm(torch, p, f"layer{n}.0.bn1", conv(torch, p, f"layer{n}.0.conv1", h, stride)).relu()
        f = norm(torch, p, f"layer{n}.0.bn2", conv(torch, p, f"layer{n}.0.conv2", f))
        s = h[:, :, ::stride, ::stride]
        h = (f + F.pad(s, (0, 0, 0, 0, 0, f.shape[1] - s.shape[1]))).relu()
    return classified(torch, p, "fc", h.mean((2, 3)), label)


def resnet_loss(torch: Any, p: Any, x: Any, label: Any) -> Any:
    F = torch.nn.functional

    def cell(name: str, n: int, x: Any, stride: int = 1) -> Any:
        return norm(torch, p, f"{name}.bn{n}", conv(torch, p, f"{name}.conv{n}", x, stride))

    h = norm(torch, p, "bn1", conv(torch, p, "conv1", x, 2)).relu()
    h = F.max_pool2d(h, 3, 2, 1)
    for name, stride in (("1.0", 1), ("1.1", 1), ("2.0", 2)):
        name = f"layer{name}"
        f = cell(name, 3, cell(name, 2, cell(name, 1, h).relu(), stride).relu())
        if f"{name}.downsample.0.weight" in p:
            h = conv(torch, p, f"{name}.downsample.0", h, stride)
            h = norm(torch, p, f"{name}.downsample.1", h)
        h = (f + h).relu()
    return classified(torch, p, "fc", h.mean((2, 3)), label)


def vgg_loss(torch: Any, p: Any, x: Any, label: Any) -> Any:
    """Without dropout: evaluating, but for the statistics."""
    F = torch.nn.functional
    h, n = F.pad(x, (1, 1, 1, 1)), 0
    for stage in ((2,), (2, 3), (3,)):
        for _ in stage:
            h = conv(torch, p, f"features.{n}", h)
            h = evaluated_norm(torch, p, f"features.{n + 1}", h).relu()
            n += 3
        h, n = F.max_pool2d(h, 2), n + 1
    h = F.adaptive_avg_pool2d(h, 2).flatten(1)
    for n in (0, 3):
        h = F.linear(h, p[f"classifier.{n}.weight"], p[f"classifier.{n}.bias"]).relu()
    return classified(torch, p, "classifier.6", h, label)


def evaluated_norm(torch: Any, p: Any, name: str, x: Any) -> Any:
    running = p[f"{name}.running_mean"], p[f"{name}.running_var"]
    weight, bias = p[f"{name}.weight"], p[f"{name}.bias"]
    return torch.nn.functional.batch_norm(x, *running, weight, bias)


def mobilenet_v1_loss(torch: Any, p: Any, x: Any, label: Any) -> Any:
    h = norm(torch, p, "features.0.1", conv(torch, p, "features.0.0", x, 2)).relu()
    for n, stride in ((1, 1), (2, 1), (3, 2), (4, 1)):
        K = p[f"features.{n}.0.weight"]
        groups = K.shape[0] if n % 2 else 1
        h = conv(torch, p, f"features.{n}.0", h, stride, groups)
        h = norm(torch, p, f"features.{n}.1", h).relu()
    return classified(torch, p, "classifier.1", h.mean((2, 3)), label)


def mobilenet_v2_loss(torch: Any, p: Any, x: Any, label: Any) -> Any:
    relu6 = torch.nn.functional.relu6
    h = relu6(norm(torch, p, "features.0.1", conv(torch, p, "features.0.0", x, 2)))
    for n, stride in ((1, 1), (2, 2), (3, 1)):
        f, name, m = h, f"features.{n}.conv", 0
        if n > 1:
            f = relu6(norm(torch, p, f"{name}.0.1", conv(torch, p, f"{name}.0.0", f)))
            m = 1
        f = conv(torch, p, f"{name}.{m}.0", f, stride, f.shape[1])
        f = relu6(norm(torch, p, f"{name}.{m}.1", f))
        f = norm(torch, p, f"{name}.{m + 2}", conv(torch, p, f"{name}.{m + 1}", f))
        h = h + f if f.shape == h.shape and stride == 1 else f
    h = relu6(norm(torch, p, "features.4.1", conv(torch, p, "features.4.0", h)))
    return classified(torch, p, "classifier.1", h.mean((2, 3)), label)


def vit_loss(torch: Any, p: Any, x: Any, label: Any) -> Any:
    F = torch.nn.functional
    z = F.conv2d(x, p["E"], p["a"], stride=4).flatten(2).transpose(1, 2)
    z = torch.cat([p["token"].expand(len(z), 1, -1), z], 1) + p["T"]
    for n in range(2):
        layer = torch.nn.TransformerEncoderLayer(
            6, 2, 5, 0.0, "gelu", 1e-6, batch_first=True, norm_first=True
        ).double()
        own = {k.removeprefix(f"layers.{n}."): v for k, v in p.items() if k.startswith("layers.")}
        own = {k: v for k, v in own.items() if not k.startswith("layers.")}
        z = torch.func.functional_call(layer, own, z)
    z = F.layer_norm(z, (6,), p["norm.weight"], p["norm.bias"], 1e-6)
    return F.cross_entropy(F.linear(z[:, 0], p["W"], p["c"]), label)


ROWS = {
    "logistic": Row(logistic_loss),
    "mlp": Row(mlp_loss, training=False),
    "mlp: dropout": Row(dropout_loss, fields=("d", "d_2")),
    "lenet": Row(lenet_loss),
    "resnet-20": Row(small_resnet_loss),
    "resnet-50": Row(resnet_loss),
    "vgg-11": Row(vgg_loss, training=False),
    "mobilenet-v1": Row(mobilenet_v1_loss),
    "mobilenet-v2": Row(mobilenet_v2_loss),
    "vit": Row(vit_loss),
}
# What the papers' own sizes come to, as torchvision and others count them.
COUNTS = {
    "logistic": (logistic.LogisticRegression, 7_850),
    "mlp": (mlp.MLP, 669_706),
    "LeNet-5": (lenet.LeNet, 61_706),
    "ResNet-20": (resnet.resnet20, 269_722),
    "ResNet-50": (resnet.resnet50, 25_557_032),
    "VGG-11": (vgg.VGG, 132_863_336),
    "VGG-11 with batch norm": (lambda: vgg.VGG(vgg.VGG11, True), 132_868_840),
    "VGG-16": (lambda: vgg.VGG(vgg.VGG16), 138_357_544),
    "VGG-16 with batch norm": (lambda: vgg.VGG(vgg.VGG16, True), 138_365_992),
    "MobileNet": (lambda: mobilenet.MobileNet(1), 4_231_976),
    "MobileNetV2": (mobilenet.MobileNet, 3_504_872),
    "ViT-B/16": (vit.ViT, 86_567_656),
}


@pytest.mark.parametrize(("name", "backend"), cases(ROWS, xla=("lenet",)))
def test_against_torch(name: str, backend: str) -> None:
    check(name, ROWS[name], backend)


def test_every_classifier_has_a_row() -> None:
    names = {r.name for r in (digits.LOGISTIC, digits.MLP, digits.LENET, *clothes.ROWS)}
    assert names - set(ROWS) == {"vgg-16"}  # whose small model is that of vgg-11


@pytest.mark.parametrize("name", COUNTS)
def test_counts_of_parameters(name: str) -> None:
    model, count = COUNTS[name]
    assert sum(prod(p.shape) for p in model().parameters.values()) == count


def test_images_of_another_form_are_refused() -> None:
    model = resnet.resnet20()
    with pytest.raises(ph.ShapeError, match=r"sees 3 channels, but images .* have 1"):
        ph.predict(model, np.zeros((2, 28, 28), np.float32))
    with pytest.raises(ph.ShapeError, match=r"images are .* not of shape"):
        ph.predict(model, np.zeros((2, 784), np.float32))
