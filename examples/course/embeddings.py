"""Word embeddings by skip-gram with negative sampling (Mikolov et al. 2013).

loss = -ln σ(v[word] · u[near]) - Σ_n ln σ(-v[word] · u[other n])
"""

import numpy as np

import phistar as ph

b, d, n = ph.indices("b d n")


class SkipGram(ph.Model):
    def __init__(self, words, size=8):
        self.V = ph.param(words, size, init=ph.init.normal(0.0, 0.1))
        self.U = ph.param(words, size, init=0)


def loss(model, word, near, others):
    score, wrong = ph.tensors("score wrong")
    score[b] = model.V[word[b], d] * model.U[near[b], d]
    wrong[b, n] = model.V[word[b], d] * model.U[others[b, n], d]
    return ph.mean[b](-ph.log_sigmoid(score[b]) - ph.sum[n](ph.log_sigmoid(-wrong[b, n])))


text = (
    """the king rules the land . the queen rules the land . a dog eats meat . a cat eats fish .
the king and the queen eat . a dog and a cat play . """
    * 20
)
text = text.split()
vocabulary = sorted(set(text))
ids = np.array([vocabulary.index(word) for word in text])
near = np.concatenate([ids[2:], ids[1:-1], ids[:-2], ids[1:-1]])
word = np.concatenate([ids[1:-1], ids[2:], ids[1:-1], ids[:-2]])
others = np.random.default_rng(0).choice(ids, (len(word), 4))
data = ph.data.Dataset(word=word, near=near, others=others)

model = SkipGram(len(vocabulary))
print(ph.trace(loss, model, word[:4], near[:4], others[:4]).backward())
history = ph.fit(
    model, loss, data, optimizer=ph.Adam(0.02), epochs=4, batch_size=64, progress=False
)
print(f"loss {history.epochs[0].loss:.3f} -> {history.epochs[-1].loss:.3f}")
V = model.V.value / np.linalg.norm(model.V.value, axis=1, keepdims=True)
for first in ("king", "dog"):
    closest = np.argsort(-V @ V[vocabulary.index(first)])[1:4]
    print(f"near {first}: {', '.join(vocabulary[c] for c in closest)}")
