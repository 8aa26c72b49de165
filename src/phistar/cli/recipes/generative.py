"""Models that make handwritten digits: VAE, VQ-VAE, GAN, denoising diffusion."""

from phistar import optim
from phistar.cli.recipes.digits import FLAT, IMAGES, images
from phistar.cli.recipes.recipe import Batch, Recipe, Rng
from phistar.data import mnist
from phistar.language.models import Model
from phistar.training.alternating import alternate
from phistar.zoo import diffusion, gan, vae, vqvae


def little_momentum(rate: float) -> optim.Optimizer:
    """Adam as Radford et al. (2016) train GANs."""
    return optim.Adam(rate, beta1=0.5)


def short_diffusion() -> Model:
    return diffusion.Diffusion(steps=400, shape=(1, 28, 28), width=16)


def small_vae(rng: Rng) -> tuple[Model, Batch]:
    return vae.VAE(6, 5, 2), {"x": rng.random((4, 6))}


def small_vqvae(rng: Rng) -> tuple[Model, Batch]:
    return vqvae.VQVAE(words=5, size=3, width=4), {"x": rng.random((3, 8, 8))}


def small_gan(rng: Rng) -> tuple[Model, Batch]:
    return gan.GAN(6, 5, 3, dropout=0.0), {"x": rng.random((4, 6))}


def small_diffusion(rng: Rng) -> tuple[Model, Batch]:
    return diffusion.Diffusion(10, (1, 8, 8), width=4, groups=2), {"x": rng.random((2, 8, 8))}


VAE = Recipe(
    name="vae",
    summary="handwritten digits, a variational autoencoder with 20 latent dimensions",
    model=vae.VAE,
    loss=vae.loss,
    data=mnist,
    columns=FLAT,
    small=small_vae,
    optimizer=optim.Adam,
    rate=1e-3,
    epochs=10,
    batch_size=128,
    measured=("test",),
    output="the image seen again, from the mean of Q(z|x)",
)
VQVAE = Recipe(
    name="vq-vae",
    summary="handwritten digits in 7 x 7 code words, of 128",
    model=vqvae.VQVAE,
    loss=vqvae.loss,
    data=images,
    columns=IMAGES,
    small=small_vqvae,
    optimizer=optim.Adam,
    rate=1e-3,
    epochs=10,
    batch_size=128,
    measured=("test",),
    output="the image seen again",
)
GAN = Recipe(
    name="gan",
    summary="a generator of handwritten digits and a discriminator, each with its own objective",
    model=gan.GAN,
    loss=gan.LOSSES,
    data=mnist,
    columns=FLAT,
    small=small_gan,
    optimizer=little_momentum,
    rate=2e-4,
    epochs=30,
    batch_size=128,
    measured=("test",),
    output=None,
    instead="it makes images of noise, gan.made(25)",
    fit=alternate,
)
DIFFUSION = Recipe(
    name="diffusion",
    summary="handwritten digits, denoising diffusion in 400 steps with a small U-net",
    model=short_diffusion,
    loss=diffusion.loss,
    data=images,
    columns=IMAGES,
    small=small_diffusion,
    optimizer=optim.Adam,
    rate=1e-3,
    schedule=optim.schedules.cosine,
    epochs=5,
    batch_size=64,
    measured=("test",),
    output=None,
    instead="it makes images of noise, phistar.zoo.diffusion.sample(model, 25)",
)
ROWS = (VAE, VQVAE, GAN, DIFFUSION)
