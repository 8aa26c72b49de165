"""VAE, VQ-VAE, GAN and diffusion: PyTorch's losses and gradients in f64, and what they are for."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from peers import Row, cases, check

import phistar as ph
from phistar.cli import main, recipes
from phistar.cli.recipes import generative
from phistar.training.alternating import alternate
from phistar.zoo import diffusion, gan, vqvae

# Peers --------------------------------------------------------------------------------------------


def linear(torch: Any, p: Any, W: str, c: str, x: Any) -> Any:
    return torch.nn.functional.linear(x, p[W], p[c])


def vae_loss(torch: Any, p: Any, x: Any) -> Any:
    """With the noise read off the model's own z."""
    F = torch.nn.functional
    h = linear(torch, p, "A", "a", x).relu()
    mean, v = linear(torch, p, "M", "m", h), linear(torch, p, "V", "n", h)
    noise = ((p["z"] - mean) / (v / 2).exp()).detach()
    z = mean + (v / 2).exp() * noise
    s = linear(torch, p, "S", "s", linear(torch, p, "D", "d", z).relu())
    nll = F.binary_cross_entropy_with_logits(s, x, reduction="none").sum(1)
    N = torch.distributions.Normal
    KL = torch.distributions.kl_divergence(N(mean, (v / 2).exp()), N(0.0, 1.0)).sum(1)
    return (nll + KL).mean()


def vqvae_loss(torch: Any, p: Any, x: Any) -> Any:
    F = torch.nn.functional
    e = x[:, None]
    for n, stride in ((0, 2), (2, 2), (4, 1)):
        pad = 1 if stride == 2 else 0
        e = F.conv2d(e, p[f"encoder.{n}.weight"], p[f"encoder.{n}.bias"], stride, pad)
        e = e.relu() if n < 4 else e
    flat = e.movedim(1, -1)
    word = torch.cdist(flat.flatten(0, 2), p["C"]).argmin(1)
    z = p["C"][word].view(flat.shape).movedim(-1, 1)
    y = e + (z - e).detach()
    y = F.conv2d(y, p["decoder.0.weight"], p["decoder.0.bias"], padding=1).relu()
    y = F.conv_transpose2d(y, p["decoder.2.weight"], p["decoder.2.bias"], 2, 1).relu()
    y = F.conv_transpose2d(y, p["decoder.4.weight"], p["decoder.4.bias"], 2, 1).sigmoid()
    code = ((e.detach() - z) ** 2).sum() + 0.25 * ((e - z.detach()) ** 2).sum()
    return (((x[:, None] - y) ** 2).sum() + code) / len(x)


def made(torch: Any, p: Any) -> Any:
    h = linear(torch, p, "generator.W0", "generator.c0", p["z"]).relu()
    h = linear(torch, p, "generator.W1", "generator.c1", h).relu()
    return linear(torch, p, "generator.W2", "generator.c2", h).sigmoid()


def judged(torch: Any, p: Any, x: Any) -> Any:
    F = torch.nn.functional
    x = 2 * x - 1
    for n in range(2):
        x = linear(torch, p, f"discriminator.W{n}", f"discriminator.c{n}", x)
        x = F.leaky_relu(x, 0.2)
    return x @ p["discriminator.w2"] + p["discriminator.c2"]


def discriminator_loss(torch: Any, p: Any, x: Any) -> Any:
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    real, fake = judged(torch, p, x), judged(torch, p, made(torch, p).detach())
    return bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake))


def generator_loss(torch: Any, p: Any, x: Any) -> Any:
    s = judged(torch, p, made(torch, p))
    return torch.nn.functional.binary_cross_entropy_with_logits(s, torch.ones_like(s))


def diffusion_loss(torch: Any, p: Any, x: Any) -> Any:
    """The U-net and the schedule of the noise, with the model's own t and noise."""
    F = torch.nn.functional
    t, noise = p["t"], p["noise"]

    def conv(name: str, x: Any, stride: int = 1) -> Any:
        K = p[f"network.{name}.weight"]
        return F.conv2d(x, K, p[f"network.{name}.bias"], stride, K.shape[-1] // 2)

    def norm(name: str, x: Any) -> Any:
        return F.group_norm(x, 2, p[f"network.{name}.weight"], p[f"network.{name}.bias"])

    def full(name: str, x: Any) -> Any:
        return F.linear(x, p[f"network.{name}.weight"], p[f"network.{name}.bias"])

    def block(name: str, x: Any) -> Any:
        h = conv(f"{name}.conv1", F.silu(norm(f"{name}.norm1", x)))
        h = h + full(f"{name}.time", F.silu(g))[:, :, None, None]
        h = conv(f"{name}.conv2", F.silu(norm(f"{name}.norm2", h)))
        return h + (conv(f"{name}.shortcut", x) if x.shape[1] != h.shape[1] else x)

    kept = p["kept"][t][:, None, None, None]
    x = kept.sqrt() * (2 * x[:, None] - 1) + (1 - kept).sqrt() * noise
    angle = t[:, None] * torch.exp(-np.log(10000.0) * torch.arange(4, dtype=torch.float64) / 4)
    g = full("time.linear2", F.silu(full("time.linear1", torch.cat([angle.sin(), angle.cos()], 1))))
    h1 = block("down1", conv("first", x))
    h2 = block("down2", conv("half1", h1, 2))
    h = block("middle", conv("half2", h2, 2))
    h = block("up2", torch.cat([F.interpolate(h, scale_factor=2), h2], 1))
    h = block("up1", torch.cat([F.interpolate(h, scale_factor=2), h1], 1))
    return F.mse_loss(conv("last", F.silu(norm("norm", h))), noise)


ROWS = {
    "vae": Row(vae_loss, fields=("z",)),
    "vq-vae": Row(vqvae_loss),
    "gan: discriminator": Row(discriminator_loss, part="discriminator", fields=("z",)),
    "gan: generator": Row(generator_loss, part="generator", fields=("z",)),
    "diffusion": Row(diffusion_loss, fields=("t", "noise")),
}


@pytest.mark.parametrize(("name", "backend"), cases(ROWS, xla=("vae", "vq-vae")))
def test_against_torch(name: str, backend: str) -> None:
    check(name, ROWS[name], backend)


def test_every_generative_model_has_a_row() -> None:
    assert {r.name for r in generative.ROWS} == {name.partition(":")[0] for name in ROWS}


# VQ-VAE -------------------------------------------------------------------------------------------


def test_code_words_are_the_nearest() -> None:
    model = vqvae.VQVAE(words=6, size=2, width=4)
    model.initialize(0)
    e = np.random.default_rng(0).normal(size=(2, 2, 3, 3)).astype(np.float32)
    words = ph.jit(lambda model, e: model.words(e), backend="numpy")(model, e)
    far = ((np.moveaxis(e, 1, -1)[..., None, :] - model.C.value) ** 2).sum(-1)
    assert_array_equal(words, far.argmin(-1))


# Diffusion ----------------------------------------------------------------------------------------


def test_noise_is_added_and_kept_as_the_paper_says() -> None:
    model = diffusion.Diffusion(1000, (1, 4, 4), 4, 2)
    model.initialize(0)
    beta = np.linspace(1e-4, 0.02, 1000)
    assert_allclose(model.kept.value, np.cumprod(1 - beta), rtol=1e-5)
    x, noise = np.random.default_rng(0).normal(size=(2, 3, 1, 4, 4)).astype(np.float32)
    t = np.array([0, 499, 999])
    noised = ph.jit(lambda model, x, n, t: model.noised(x, n, t), backend="numpy")
    kept = np.cumprod(1 - beta)[t][:, None, None, None]
    want = np.sqrt(kept) * x + np.sqrt(1 - kept) * noise
    assert_allclose(noised(model, x, noise, t), want, rtol=1e-4, atol=1e-5)


def test_a_step_back_is_algorithm_2() -> None:
    """At t = 0 there is no noise: a step of a network whose last layer is 0 only grows x."""
    model = diffusion.Diffusion(10, (1, 4, 4), 4, 2)
    model.initialize(0)
    x = np.random.default_rng(0).normal(size=(2, 1, 4, 4)).astype(np.float32)
    back = ph.jit(lambda model, x, t: model.denoised(x, t), backend="numpy")
    y = back(model, x, np.zeros(2, np.int64))
    assert_allclose(y, x / np.sqrt(1 - 1e-4), rtol=1e-5)
    later = back(model, x, np.full(2, 9))
    assert_allclose((later - x / np.sqrt(0.98)).std(), np.sqrt(0.02), rtol=0.4)


def test_sampling_follows_from_the_seed() -> None:
    model = diffusion.Diffusion(4, (1, 4, 4), 4, 2)
    model.initialize(0)
    one, same, other = (diffusion.sample(model, 2, s, "numpy") for s in (1, 1, 2))
    assert_array_equal(one, same)
    assert one.shape == (2, 1, 4, 4)
    assert np.abs(one - other).max() > 0.1


# GAN ----------------------------------------------------------------------------------------------


def small_gan() -> tuple[gan.GAN, ph.data.Dataset]:
    x = np.random.default_rng(0).random((40, 6)).astype(np.float32)
    return gan.GAN(6, 8, 3), ph.data.Dataset(x=x)


def test_each_part_learns_only_its_own() -> None:
    model, data = small_gan()
    model.initialize(0)
    before = {name: p.value.copy() for name, p in model.parameters.items()}
    losses = {"discriminator": gan.discriminator_loss}
    settings = {"optimizer": ph.Adam(1e-2), "backend": "numpy", "progress": False}
    alternate(model, losses, data, batch_size=16, epochs=2, **settings)
    for name, p in model.parameters.items():
        assert (np.abs(p.value - before[name]).max() > 0) == name.startswith("discriminator")


def test_turns_are_those_of_two_algorithms() -> None:
    model, data = small_gan()
    both = {"discriminator": ph.Adam(1e-2), "generator": ph.SGD(0.1)}
    history = alternate(
        model,
        gan.LOSSES,
        data,
        optimizer=both,
        batch_size=16,
        epochs=3,
        seed=4,
        validation={"test": data},
        backend="numpy",
        progress=False,
    )
    assert len(history.losses) == 9
    assert list(history.metrics) == [
        f"{name}.{part}" for name in ("train", "test") for part in gan.LOSSES
    ]
    again, _ = small_gan()
    algorithms = {
        part: ph.compile(
            loss,
            again,
            optimizer=ph.optim.Groups({f"{part}.*": both[part], "*": None}),
            batch=data.spec(16),
            backend="numpy",
        )
        for part, loss in gan.LOSSES.items()
    }
    values = {}
    for algorithm in algorithms.values():
        values |= algorithm.initial_values(4)
    order = [ph.data.order(40, 4, epoch) for epoch in range(3)]
    steps = [o[n : n + 16] for o in order for n in (0, 16, 32)]
    for number, rows in enumerate(steps):
        for n, algorithm in enumerate(algorithms.values()):
            _, values = algorithm.run(values, data.batch(rows), 4 + n * 2**20, number)
    for name, p in again.parameters.items():
        assert_array_equal(model.parameters[name].value, values[p], err_msg=name)


def test_a_gan_fools_a_little() -> None:
    """Points on a circle: what is made comes nearer to them."""
    rng = np.random.default_rng(0)
    angle = rng.random(2000) * 2 * np.pi
    x = (0.5 + 0.3 * np.stack([np.cos(angle), np.sin(angle)], 1)).astype(np.float32)
    model = gan.GAN(2, 64, 4)
    draw = ph.jit(lambda model: model.made(500), backend="numpy")
    model.initialize(0)
    before = np.abs(np.linalg.norm(draw(model) - 0.5, axis=1) - 0.3).mean()
    optimizer = ph.Adam(2e-3, beta1=0.5)
    alternate(
        model,
        gan.LOSSES,
        ph.data.Dataset(x=x),
        optimizer=optimizer,
        epochs=40,
        batch_size=64,
        backend="numpy",
        progress=False,
    )
    after = np.abs(np.linalg.norm(draw(model) - 0.5, axis=1) - 0.3).mean()
    assert after < 0.75 * before


@pytest.mark.parametrize(
    ("losses", "settings", "message"),
    [
        ({"painter": gan.generator_loss}, {}, "GAN has no parameters under the name painter"),
        (gan.LOSSES, {"optimizer": {"generator": ph.SGD(0.1)}},
         "optimizer= has none for discriminator: generator"),
        (gan.LOSSES, {"epochs": -1}, "epochs must be a whole number from 0 on, not -1"),
        (gan.LOSSES, {"optimizer": ph.SGD(1e30)}, "the loss is .* at epoch"),
    ],
)  # fmt: skip
def test_refusals(losses: Any, settings: Any, message: str) -> None:
    model, data = small_gan()
    settings = {"optimizer": ph.SGD(0.1), "backend": "numpy", "progress": False, **settings}
    with pytest.raises(ph.PhistarError, match=message):
        alternate(model, losses, data, **settings)


def test_nothing_to_train_on() -> None:
    model, _ = small_gan()
    empty = ph.data.Dataset(x=np.zeros((0, 6), np.float32))
    with pytest.raises(ph.DataError, match="there is nothing to train on"):
        alternate(model, gan.LOSSES, empty, optimizer=ph.SGD(0.1))


def test_the_command_line_knows_two_objectives(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    from dataclasses import replace

    _, data = small_gan()
    own = replace(
        recipes.RECIPES["gan"],
        model=lambda: gan.GAN(6, 8, 3),
        data=lambda: (data, data),
        columns={"x": ((6,), "f32")},
    )
    monkeypatch.setitem(recipes.RECIPES, "gan", own)
    monkeypatch.chdir(tmp_path)
    argv = ["train", "gan", "--epochs", "1", "--backend", "numpy", "--out", "here"]
    assert main(argv) == 0
    source = (tmp_path / "here" / "algorithm.txt").read_text()
    assert source.startswith("# discriminator\n") and "\n# generator\n" in source
    out = capsys.readouterr().out
    assert "test discriminator" in out and "test generator" in out
    assert main(["eval", "here", "--backend", "numpy"]) == 0
    assert "test generator loss" in capsys.readouterr().out
    assert main(["predict", "here"]) == 2
    assert "gan predicts nothing: it makes images of noise" in capsys.readouterr().err
    assert main(["show", "gan", "--backward"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("# discriminator\n") and "generator.W0.grad" in shown
    with pytest.raises(ph.UsageError, match="gan predicts nothing"):
        own.refuse_to_predict()
