"""The lecture in one file: source code as the graph, the swap rule, a minibatch, gradient descent.

python examples/lecture.py
"""

import numpy as np

import phistar as ph

b, i, j = ph.indices("b i j")


def heading(text):
    print(f"\n# {text}\n")


heading("A computation graph is source code; backpropagation walks it in reverse")
x, y = ph.tensor(3.0, name="x"), ph.tensor(4.0, name="y")
u = x**2
w = y**2
r = u + w
L = ph.sqrt(r)
L.backward()
print(ph.source(L))
print(ph.backward_source(L))
print(f"L = {L.value}, x.grad = {x.grad:.3g}, y.grad = {y.grad:.3g}")

heading("The swap rule: a load and the store change places")
rng = np.random.default_rng(0)
W = ph.tensor(rng.normal(size=(2, 3)), name="W")
X = ph.tensor(rng.normal(size=(5, 3)), name="X")
z = ph.tensors("z")
z[b, j] = W[j, i] * X[b, i]
print(ph.source(z))
print(ph.backward_source(z))

heading("Finite differences confirm every backward statement")
total = ph.mean[b](ph.sum[j](ph.tanh(z[b, j]) ** 2))
print(ph.check_gradients(total))

heading("Gradient descent: each step is one more statement")
target = ph.tensor(X.value @ np.array([1.0, -2.0, 0.5]), name="target")


class Line(ph.Model):
    def __init__(self):
        self.v = ph.param(3, init=0, dtype="f64")
        self.c = ph.param((), init=0, dtype="f64")

    def __call__(self, x):
        out = ph.tensors("out")
        out[b] = self.v[i] * x[b, i] + self.c
        return out


def loss(model, x, t):
    out = model(x)
    return (out[b] - t[b]) ** 2  # keeps its batch index: averaged over the minibatch


data = ph.data.Dataset(x=X.value, t=target.value)
line = Line()
print(ph.compile(loss, line, optimizer=ph.SGD(0.1), batch=data.spec(5), epochs=200))
history = ph.fit(line, loss, data, optimizer=ph.SGD(0.1), epochs=200, batch_size=5, progress=False)
print(f"\nloss {history.losses[0]:.3g} -> {history.losses[-1]:.3g}, v = {line.v.value.round(3)}")
