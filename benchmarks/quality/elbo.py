"""The VAE's bound on the test set, and that of the same VAE in PyTorch.

Both start from the same parameters, see the same minibatches in the same order and make as many
steps of Adam; the noise is each one's own. The bound is the mean of so many draws for each image.
"""

from typing import Any

import numpy as np

import phistar as ph
from phistar.cli.recipes import recipe

DRAWS = 5


def ratio_to_torch(name: str, seed: int, epochs: int | None) -> float:
    """How far the two bounds are apart, in percent of PyTorch's."""
    chosen = recipe(name)
    train, test = chosen.data()
    epochs = epochs or chosen.epochs
    model = chosen.model()
    model.initialize(seed)
    start = {name: p.value.copy() for name, p in model.parameters.items()}
    optimizer = ph.Adam(chosen.rate)
    ph.fit(
        model,
        chosen.loss,
        train,
        optimizer=optimizer,
        epochs=epochs,
        batch_size=chosen.batch_size,
        seed=seed,
    )
    ours = bound(model, chosen.loss, test)
    orders = [ph.data.order(len(train), seed, epoch) for epoch in range(epochs)]
    images = [d.batch(slice(None))["x"] for d in (train, test)]
    theirs = torch_bound(start, *images, orders, chosen.batch_size, chosen.rate, seed)
    apart = 100 * abs(1 - ours / theirs)
    print(f"{name}, seed {seed}: -ELBO {ours:.3f} nats, PyTorch's {theirs:.3f}", flush=True)
    return float(apart)


def bound(model: ph.Model, loss: Any, test: ph.data.Dataset) -> float:
    """-ELBO on the test set, by ph.evaluate with other seeds of the noise."""
    found = []
    for draw in range(DRAWS):
        ph.seed(1000 + draw)
        found.append(ph.evaluate(model, loss, test)["loss"])
    return float(np.mean(found))


def torch_bound(
    start: dict[str, Any],
    train: Any,
    test: Any,
    orders: list[Any],
    batch: int,
    rate: float,
    seed: int,
) -> float:
    """The same training in PyTorch; -ELBO on the test set."""
    import torch

    torch.manual_seed(seed)
    p = {name: torch.tensor(value, requires_grad=True) for name, value in start.items()}
    optimizer = torch.optim.Adam(p.values(), lr=rate)
    x = torch.tensor(train)
    for order in orders:
        for n in range(0, len(order), batch):
            optimizer.zero_grad()
            torch_loss(torch, p, x[torch.tensor(order[n : n + batch])]).backward()
            optimizer.step()
    with torch.no_grad():
        return float(np.mean([torch_loss(torch, p, torch.tensor(test)) for _ in range(DRAWS)]))


def torch_loss(torch: Any, p: dict[str, Any], x: Any) -> Any:
    F = torch.nn.functional
    h = F.linear(x, p["A"], p["a"]).relu()
    mean, v = F.linear(h, p["M"], p["m"]), F.linear(h, p["V"], p["n"])
    z = mean + (v / 2).exp() * torch.randn_like(mean)
    s = F.linear(F.linear(z, p["D"], p["d"]).relu(), p["S"], p["s"])
    nll = F.binary_cross_entropy_with_logits(s, x, reduction="sum")
    KL = (v.exp() + mean**2 - 1 - v).sum() / 2
    return (nll + KL) / len(x)
