"""Language models of characters: validation loss of phistar's and of PyTorch's, trained alike.

    python -m benchmarks.quality.language_models input.txt --model gpt --seeds 0 1 2

Both start from the same parameters and see the same windows in the same order; training is Adam
at a rate that falls as a cosine. The loss is nats a character over all windows of the last tenth.
"""

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import phistar as ph
from benchmarks.quality import torch_models
from phistar.cli.recipes import texts
from phistar.data import Dataset
from phistar.data.order import Order, minibatches
from phistar.zoo import language_model
from phistar.zoo.char_lstm import CharLSTM
from phistar.zoo.gpt import GPT, Config
from phistar.zoo.ugrnn_lm import UGRNN


@dataclass(frozen=True)
class Setting:
    """A model, its peer, and how it is trained."""

    model: Callable[[], Any]
    peer: Callable[..., Any]
    rate: float
    epochs: int
    length: int = 64
    batch: int = 32


# fmt: off
SETTINGS = {
    "char_lstm": Setting(partial(CharLSTM, 65, 32, 128), torch_models.char_lstm, 5e-3, 2),
    "ugrnn_lm":  Setting(partial(UGRNN, 65, 32, 128), torch_models.ugrnn_lm, 5e-3, 2),
    "gpt":       Setting(partial(GPT, Config(3, 4, 64, 65, 64)),
                         partial(torch_models.gpt, heads=4), 3e-3, 2),
}
# fmt: on


def by_phistar(s: Setting, model: Any, train: Dataset, test: Dataset, seed: int) -> float:
    steps = s.epochs * math.ceil(len(train) / s.batch)
    optimizer = ph.optim.Adam(ph.schedules.cosine(s.rate, steps))
    fit = partial(ph.fit, optimizer=optimizer, epochs=s.epochs, batch_size=s.batch, seed=seed)
    fit(model, language_model.loss, train, progress=False)
    return float(ph.evaluate(model, language_model.loss, test)["loss"])


def by_torch(s: Setting, start: dict[str, Any], train: Dataset, test: Dataset, seed: int) -> float:
    p = {name: torch.tensor(x).requires_grad_() for name, x in start.items()}
    steps = s.epochs * math.ceil(len(train) / s.batch)
    adam = torch.optim.Adam(p.values(), s.rate)
    falling = torch.optim.lr_scheduler.LambdaLR(
        adam, lambda step: (1 + math.cos(math.pi * min(step / steps, 1))) / 2
    )
    for epoch in range(s.epochs):
        for rows in minibatches(Order(len(train), seed, epoch), s.batch):
            adam.zero_grad()
            s.peer(torch, p, text_of(train, rows)).backward()
            adam.step()
            falling.step()
    with torch.no_grad():
        total = 0.0
        for start_ in range(0, len(test), 256):
            rows = np.arange(start_, min(start_ + 256, len(test)))
            total += len(rows) * float(s.peer(torch, p, text_of(test, rows)))
    return total / len(test)


def text_of(data: Dataset, rows: Any) -> Any:
    return torch.tensor(data.batch(rows)["text"].astype(np.int64))


def compared(s: Setting, text: str, seed: int) -> dict[str, float]:
    """Both losses, and the seconds that each took."""
    train, test, _ = texts.parts(text, s.length)
    model = s.model()
    model.initialize(seed)
    start = {name: np.array(p.value) for name, p in model.parameters.items()}
    begin = time.perf_counter()
    ours = by_phistar(s, model, train, test, seed)
    middle = time.perf_counter()
    theirs = by_torch(s, start, train, test, seed)
    seconds = middle - begin, time.perf_counter() - middle
    found = {"seed": seed, "phistar": ours, "torch": theirs, "difference": ours - theirs}
    return found | {"seconds": round(seconds[0]), "torch seconds": round(seconds[1])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("--model", choices=SETTINGS, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rows = []
    for seed in given.seeds:
        rows.append(compared(SETTINGS[given.model], given.text.read_text(), seed))
        print(json.dumps(rows[-1]), flush=True)
    median = {k: statistics.median(r[k] for r in rows) for k in ("phistar", "torch", "difference")}
    print(json.dumps({"median": median}))
    sys.exit(abs(median["difference"]) > 0.02)


if __name__ == "__main__":
    main()
