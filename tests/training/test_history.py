"""The record of a training, and its table."""

import numpy as np
from numpy.testing import assert_array_equal

from phistar.training.history import Epoch, History


def made() -> History:
    epochs = [
        Epoch(1, 0.5, {"test.accuracy": 0.9}, 1.26, 100),
        Epoch(2, 0.25, {"test.accuracy": 0.95, "late": 3.0}, 1.0, 100),
    ]
    return History([0.6, 0.4, 0.3, 0.2], epochs)


def test_columns() -> None:
    history = made()
    assert history.epoch_losses == [0.5, 0.25]
    assert history.seconds == 2.26
    assert_array_equal(history.metrics["late"], [np.nan, 3.0])


def test_it_prints_as_a_table() -> None:
    assert str(made()).splitlines() == [
        "epoch    loss  test.accuracy  seconds    late",
        "    1  0.5000         0.9000      1.3        ",
        "    2  0.2500         0.9500      1.0  3.0000",
    ]
    assert repr(made()) == str(made())
    assert str(History()) == "no epoch was finished"
