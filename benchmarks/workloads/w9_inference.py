"""W9: a call for one example, an array in and an array out: the MLP of W1, the GPT of W6."""

from collections.abc import Callable
from typing import Any

import numpy as np

import phistar as ph
from benchmarks.workload import SEED, Adapter, Array, Arrays, Workload
from benchmarks.workloads import w1_mlp, w6_gpt
from benchmarks.workloads.w5_lstm import columns

# phistar ------------------------------------------------------------------------------------------


def predict(model: ph.Model, x: Any) -> Any:
    return model(x)


# The MLP ------------------------------------------------------------------------------------------


def mlp(sizes: tuple[int, int, int]) -> Workload:
    features, hidden, labels = sizes
    p = w1_mlp.parameters(sizes, np.random.default_rng(SEED))
    x = np.random.default_rng(SEED).random((1024, features), np.float32)

    def in_numpy(p: Arrays, x: Array) -> Array:
        h = np.maximum(x @ p["W0"].T + p["b0"], 0)
        s = h @ p["W1"].T + p["b1"]
        P = np.exp(s - s.max())
        return P / P.sum()

    return Workload(
        name="W9-MLP",
        title=f"MLP {features}-{hidden}-{labels}, one example a call",
        flops=2 * (features * hidden + hidden * labels),
        bytes=sum(array.nbytes for array in p.values()),
        in_cache=True,
        batch=1,
        examples=len(x),
        adapters=adapters(
            p,
            x,
            lambda: w1_mlp.MLP(*sizes),
            w1_mlp.torch_scores,
            w1_mlp.jax_scores,
            w1_mlp.tensorflow_scores,
        )
        | {"numpy": lambda: NumPy(lambda x: in_numpy(p, x), x)},
    )


class NumPy:
    def __init__(self, model: Callable[[Array], Array], x: Array) -> None:
        self.model, self.x = model, x

    def start(self) -> None: ...

    def steps(self, state: None, rows: Array) -> tuple[list[Array], None]:
        return [self.model(self.x[at]) for at in rows], None


# The GPT ------------------------------------------------------------------------------------------


def gpt(sizes: w6_gpt.Sizes) -> Workload:
    p = w6_gpt.parameters(sizes, np.random.default_rng(SEED))
    rng = np.random.default_rng(SEED)
    text = columns(256, sizes.context, sizes.vocabulary, rng)["text"]
    return Workload(
        name="W9-GPT",
        title=f"GPT, {sizes.layers} layers, d {sizes.width}, one text a call",
        flops=2 * sizes.context * w6_gpt.products(sizes),
        bytes=sum(array.nbytes for array in p.values()),
        in_cache=True,
        batch=1,
        examples=len(text),
        adapters=adapters(
            p,
            text,
            lambda: w6_gpt.GPT(sizes),
            lambda p: w6_gpt.torch_scores(sizes, p),
            lambda p, text: w6_gpt.jax_scores(sizes, p, text),
            lambda p, text: w6_gpt.tensorflow_scores(sizes, p, text),
        ),
    )


# Both ---------------------------------------------------------------------------------------------


def adapters(
    p: Arrays,
    x: Array,
    model: Callable[[], ph.Model],
    torch_scores: Callable[[Any], Any],
    jax_scores: Callable[[Any, Any], Any],
    tensorflow_scores: Callable[[Any, Any], Any],
) -> dict[str, Callable[[], Adapter]]:
    """What each library does with a model and its parameters; scores are not yet probabilities."""

    def in_phistar() -> Adapter:
        from benchmarks.peers.phistar import Predictor

        return Predictor(predict, model(), p, x)

    def in_torch(compiled: bool = False) -> Adapter:
        from benchmarks.peers.torch import Predictor, tensors

        scores = torch_scores(tensors(p))
        return Predictor(lambda x: scores(x).softmax(-1), x, compiled=compiled)

    def in_jax() -> Adapter:
        import jax

        from benchmarks.peers.jax import Predictor

        return Predictor(lambda p, x: jax.nn.softmax(jax_scores(p, x)), p, x)

    def in_tensorflow() -> Adapter:
        import tensorflow as tf

        from benchmarks.peers.tensorflow import Predictor

        constants = {n: tf.constant(a) for n, a in p.items()}
        return Predictor(lambda x: tf.nn.softmax(tensorflow_scores(constants, x)), x)

    return {
        "phistar": in_phistar,
        "torch-eager": in_torch,
        "torch-compile": lambda: in_torch(compiled=True),
        "jax-jit": in_jax,
        "tensorflow": in_tensorflow,
    }


def workloads(tiny: bool) -> list[Workload]:
    if tiny:
        return [mlp((12, 6, 3)), gpt(w6_gpt.TINY)]
    return [mlp((784, 128, 10)), gpt(w6_gpt.W6)]
