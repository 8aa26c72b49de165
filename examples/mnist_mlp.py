"""The lecture's multilayer perceptron on MNIST, from equations to a picture of its training.

python examples/mnist_mlp.py [epochs]
"""

import sys

import phistar as ph
from phistar import log, relu, softmax
from phistar.training.plotting import plot_history

b, i, j, y = ph.indices("b i j y")  # batch, input feature, hidden unit, label


class MLP(ph.Model):
    def __init__(self, hidden=128):
        self.W0 = ph.param(hidden, 784)
        self.b0 = ph.param(hidden, init=0)
        self.W1 = ph.param(10, hidden)
        self.b1 = ph.param(10, init=0)

    def __call__(self, x):  # x[b, i] -> P[b, y]
        h, s, P = ph.tensors("h s P")
        h[b, j] = relu(self.W0[j, i] * x[b, i] + self.b0[j])
        s[b, y] = self.W1[y, j] * h[b, j] + self.b1[y]
        P[b, y] = softmax[y](s[b, y])
        return P


def loss(model, x, label):
    P = model(x)
    return ph.mean[b](-log(P[b, label[b]]))  # E over the minibatch of -ln P(y|x)


def main(epochs):
    train, test = ph.data.mnist()
    model = MLP()
    print(ph.compile(loss, model, optimizer=ph.SGD(0.1), batch=train.spec(128), epochs=epochs))
    history = ph.fit(
        model,
        loss,
        train,
        optimizer=ph.SGD(0.1),
        epochs=epochs,
        batch_size=128,
        validation=test,
        metrics=["accuracy"],
    )
    print(history)
    ph.save(model, "mnist_mlp.safetensors")
    print(plot_history(history, "mnist_mlp.png"))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
