"""Models of the course and of the field, written as a user would write them: one module each."""

from phistar.zoo import (
    diffusion,
    gan,
    lenet,
    logistic,
    mlp,
    mnist_mlp,
    mobilenet,
    resnet,
    vae,
    vgg,
    vit,
    vqvae,
)

__all__ = [
    "diffusion",
    "gan",
    "lenet",
    "logistic",
    "mlp",
    "mnist_mlp",
    "mobilenet",
    "resnet",
    "vae",
    "vgg",
    "vit",
    "vqvae",
]
