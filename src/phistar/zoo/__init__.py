"""Models of the course and of the field, written as a user would write them: one module each."""

from phistar.zoo import lenet, logistic, mlp, mnist_mlp, mobilenet, resnet, vgg, vit

__all__ = ["lenet", "logistic", "mlp", "mnist_mlp", "mobilenet", "resnet", "vgg", "vit"]
