"""Models of the course and of the field, written as a user would write them: one module each."""

from phistar.zoo import lenet, logistic, mlp, mnist_mlp

__all__ = ["lenet", "logistic", "mlp", "mnist_mlp"]
