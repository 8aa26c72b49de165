"""A perceptron with one hidden layer:  h = relu(W0 x + b0),  s = W1 h + b1,  P(y|x) = softmax s.

python examples/course/mlp.py
"""

import numpy as np

import phistar as ph

b, i, j, y = ph.indices("b i j y")  # example, input feature, hidden unit, label


class MLP(ph.Model):
    def __init__(self, inputs=4, hidden=16, labels=3):
        self.W0 = ph.param(hidden, inputs)
        self.b0 = ph.param(hidden, init=0)
        self.W1 = ph.param(labels, hidden)
        self.b1 = ph.param(labels, init=0)

    def __call__(self, x):
        h, s, P = ph.tensors("h s P")
        h[b, j] = ph.relu(self.W0[j, i] * x[b, i] + self.b0[j])
        s[b, y] = self.W1[y, j] * h[b, j] + self.b1[y]
        P[b, y] = ph.softmax[y](s[b, y])
        return P


def loss(model, x, label):
    P = model(x)
    return ph.mean[b](-ph.log(P[b, label[b]]))


rng = np.random.default_rng(0)
x = rng.normal(size=(300, 4)).astype(np.float32)
label = np.argmax(x @ rng.normal(size=(4, 3)) + np.abs(x) @ rng.normal(size=(4, 3)), axis=1)
data = ph.data.Dataset(x=x, label=label)

print(ph.trace(loss, MLP(), x[:8], label[:8]).backward())
history = ph.fit(MLP(), loss, data, optimizer=ph.SGD(0.3), epochs=20, batch_size=30, progress=False)
print(f"loss {history.epochs[0].loss:.3f} -> {history.epochs[-1].loss:.3f}")
