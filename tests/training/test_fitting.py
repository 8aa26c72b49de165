"""`ph.fit`: it learns, it is a function of its seed, it stops where it should."""

import signal
from typing import Any

import numpy as np
import pytest
from blobs import Line, Net, blobs, line, loss, squares
from numpy.testing import assert_allclose, assert_array_equal

import phistar as ph
from phistar.data.dataset import Dataset
from phistar.data.order import order
from phistar.errors import DataError, ModelError, UsageError
from phistar.training.interruption import Interrupted

b = ph.index("b")


def test_three_blobs_are_learned() -> None:
    model = Net()
    history = ph.fit(
        model,
        loss,
        blobs(),
        optimizer=ph.SGD(0.3),
        epochs=10,
        batch_size=16,
        validation=blobs(50, seed=1),
        metrics=["accuracy"],
        progress=False,
    )
    assert history.epoch_losses[-1] < 0.1 < history.epoch_losses[0]
    assert history.metrics["validation.accuracy"][-1] >= 0.98
    assert len(history.losses) == 10 * 6  # 90 examples: five minibatches of 16 and one of 10


def test_the_steps_are_those_of_gradient_descent() -> None:
    """By hand: the smaller last minibatch is averaged over its own size."""
    model, data = Line(), line(10)
    ph.fit(
        model, squares, data, optimizer=ph.SGD(0.1), epochs=2, batch_size=4, shuffle=False,
        progress=False,
    )  # fmt: skip
    w, c = 0.5, 0.0
    for _ in range(2):
        for start in (0, 4, 8):
            x, t = data.batch(np.arange(start, min(start + 4, 10))).values()
            error = w * x + c - t
            w, c = w - 0.1 * np.mean(2 * error * x), c - 0.1 * np.mean(2 * error)
    assert_allclose([model.w.value, model.c.value], [w, c], rtol=1e-12)


def test_the_last_minibatch_may_be_dropped() -> None:
    model = Line()
    history = ph.fit(
        model, squares, line(10), optimizer=ph.SGD(0.1), batch_size=4, drop_last=True,
        progress=False,
    )  # fmt: skip
    assert len(history.losses) == 2


def test_more_in_a_batch_than_there_are_examples() -> None:
    history = ph.fit(
        Line(), squares, line(5), optimizer=ph.SGD(0.1), batch_size=32, drop_last=True,
        progress=False,
    )  # fmt: skip
    assert len(history.losses) == 1


def test_training_is_a_function_of_its_seed() -> None:
    def trained(seed: int) -> Any:
        model = Net()
        history = ph.fit(model, loss, blobs(), optimizer=ph.SGD(0.3), seed=seed, progress=False)
        return model.W0.value, history.losses

    (W, losses), (W_again, losses_again), (W_other, _) = trained(1), trained(1), trained(2)
    assert_array_equal(W, W_again)
    assert losses == losses_again
    assert np.abs(W - W_other).max() > 0.01


def test_values_that_are_there_are_trained_on() -> None:
    model = Line()
    model.w.value = 2.0
    ph.fit(model, squares, line(), optimizer=ph.SGD(0.01), epochs=0, progress=False)
    assert model.w.value == 2.0


def test_what_is_not_trainable_stays() -> None:
    class Frozen(Line):
        def __init__(self) -> None:
            super().__init__()
            self.c = ph.param((), init=7, trainable=False, dtype="f64")

    model = Frozen()
    ph.fit(model, squares, line(), optimizer=ph.SGD(0.1), progress=False)
    assert model.c.value == 7
    assert model.w.value != 0.5


def test_a_loss_that_is_a_mean_already_gives_the_same() -> None:
    def mean(model: Net, x: Any, label: Any) -> Any:
        return ph.mean[b](loss(model, x, label))

    models = Net(), Net()
    for model, f in zip(models, (loss, mean), strict=True):
        ph.fit(model, f, blobs(), optimizer=ph.SGD(0.3), progress=False)
    assert_array_equal(models[0].W0.value, models[1].W0.value)


def test_a_states_own_updates_are_kept() -> None:
    class Counting(Line):
        def __init__(self) -> None:
            super().__init__()
            self.steps = ph.state((), init=0, dtype="f64")

    def counting(model: Counting, x: Any, t: Any) -> Any:
        model.steps[()] += 1
        return squares(model, x, t)

    model = Counting()
    ph.fit(model, counting, line(10), optimizer=ph.SGD(0.1), epochs=3, batch_size=4, progress=False)
    assert model.steps.value == 9


def test_random_fields_change_from_step_to_step() -> None:
    def noise(model: Line, x: Any) -> Any:
        return ph.uniform[b] + 0 * model.w * x[b]

    history = ph.fit(
        Line(), noise, Dataset(x=np.zeros(1)), optimizer=ph.SGD(0.1), epochs=4, progress=False
    )
    assert len(set(history.losses)) == 4


def test_training_mode_is_on_during_training_and_off_while_measuring() -> None:
    modes: list[bool] = []

    def noting(model: Line, x: Any, t: Any) -> Any:
        modes.append(model.training)
        return squares(model, x, t)

    model = Line()
    model.training = False
    data = line(4)
    ph.fit(
        model, noting, data, optimizer=ph.SGD(0.1), validation=data, batch_size=4, progress=False
    )
    assert modes == [True, False]
    assert model.training is False


def test_several_validation_sets_have_names() -> None:
    sets = {"near": line(4), "far": line(6)}
    history = ph.fit(
        Line(), squares, line(), optimizer=ph.SGD(0.1), validation=sets, progress=False
    )
    assert list(history.metrics) == ["near.loss", "far.loss"]


def test_a_callback_can_end_the_training() -> None:
    history = ph.fit(
        Line(), squares, line(), optimizer=ph.SGD(0.1), epochs=10, progress=False,
        callbacks=[lambda history: len(history.epochs) == 3],
    )  # fmt: skip
    assert len(history.epochs) == 3


def test_callbacks_see_the_parameters_as_they_are() -> None:
    seen: list[float] = []
    model = Line()
    ph.fit(
        model, squares, line(), optimizer=ph.SGD(0.1), epochs=3, progress=False,
        callbacks=[lambda history: seen.append(float(model.w.value))],
    )  # fmt: skip
    assert len(set(seen)) == 3


def test_ctrl_c_finishes_the_step() -> None:
    """Ctrl-C while a minibatch is drawn: that step is made, then training ends."""

    class Pressing(Dataset):
        drawn = 0

        def batch(self, rows: Any) -> Any:
            type(self).drawn += 1
            if self.drawn == 3:
                signal.raise_signal(signal.SIGINT)
            return super().batch(rows)

    data = line(10)
    model, plain = Line(), Line()
    with pytest.raises(Interrupted, match="stopped by Ctrl-C after 3 steps") as caught:
        ph.fit(
            model, squares, Pressing(**data.batch(np.arange(10))), optimizer=ph.SGD(0.1), epochs=5,
            batch_size=2, progress=False,
        )  # fmt: skip
    assert isinstance(caught.value, KeyboardInterrupt)
    assert len(caught.value.history.losses) == 3
    rows = order(10, 0, 0)[:6]
    ph.fit(
        plain, squares, data[rows], optimizer=ph.SGD(0.1), batch_size=2, shuffle=False,
        progress=False,
    )  # fmt: skip
    assert_allclose(model.w.value, plain.w.value, rtol=1e-12)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"optimizer": 0.1}, UsageError, r"optimizer= wants an optimizer, such as ph.SGD\(0.1\)"),
        ({"epochs": -1}, UsageError, "epochs must be a whole number from 0 on, not -1"),
        ({"batch_size": 0}, UsageError, "batch_size must be a whole number from 1 on, not 0"),
        ({"batch_size": 2.5}, UsageError, "batch_size must be a whole number from 1 on, not 2.5"),
        ({"seed": True}, UsageError, "seed must be a whole number from 0 on, not True"),
        ({"data": 3}, DataError, r"data wants a data set, ph.data.Dataset\(x=..., label=...\)"),
        ({"model": squares}, ModelError, "a model is an object of a subclass of ph.Model, not"),
        ({"metrics": ["acuracy"], "validation": line()}, UsageError, "did you mean accuracy"),
    ],
)
def test_mistakes(change: dict[str, Any], error: type[Exception], match: str) -> None:
    settings: dict[str, Any] = {"model": Line(), "data": line(), "optimizer": ph.SGD(0.1)}
    settings |= change
    model, data = settings.pop("model"), settings.pop("data")
    with pytest.raises(error, match=match):
        ph.fit(model, squares, data, progress=False, **settings)


def test_nothing_to_train_on() -> None:
    data = line()[:0]
    with pytest.raises(DataError, match="there is nothing to train on: the data has no examples"):
        ph.fit(Line(), squares, data, optimizer=ph.SGD(0.1))


def test_a_column_that_is_not_there() -> None:
    message = r"squares\(model: .*, x: .*, t: .*\) .*asks for the column 't', but the data has x"
    with pytest.raises(DataError, match=message):
        ph.fit(Line(), squares, Dataset(x=np.zeros(3)), optimizer=ph.SGD(0.1))


def test_a_weighted_loss_is_not_summed_in_silence() -> None:
    b, i = ph.indices("b i")

    class Line(ph.Model):
        def __init__(self) -> None:
            self.w = ph.param(3, init=0)

        def __call__(self, x):
            y = ph.tensors("y")
            y[b] = self.w[i] * x[b, i]
            return y

    def loss(model, x, weight):
        e = ph.tensors("e")
        y = model(x)
        e[b] = ph.square(y[b] - 1)
        return weight[b] * e[b]

    data = ph.data.Dataset(x=np.ones((8, 3), np.float32), weight=np.ones(8, np.float32))
    with pytest.raises(ph.ExpressionError, match=r"have b, which sums them over the batch"):
        ph.fit(Line(), loss, data, optimizer=ph.SGD(0.1), batch_size=4, progress=False)
