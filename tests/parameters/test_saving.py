"""`ph.save` and `ph.load`: what is saved comes back, and what does not fit is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import phistar as ph
from phistar.errors import DTypeError, ModelError, WeightsError
from phistar.parameters import write
from training.blobs import Line, Net, blobs, loss

b, i, j = ph.indices("b i j")


def test_a_model_comes_back(tmp_path: Path) -> None:
    model, other = Net(), Net()
    ph.fit(model, loss, blobs(), optimizer=ph.SGD(0.1), progress=False)
    ph.save(model, tmp_path / "net.safetensors")
    report = ph.load(other, tmp_path / "net.safetensors")
    assert report.complete and report.matched == ("W0", "b0", "W1")
    x = blobs(9).batch(np.arange(9))["x"]
    assert_array_equal(ph.predict(other, x), ph.predict(model, x))


class Open(ph.Model):
    """A layer without shapes, in a list, and a state."""

    def __init__(self) -> None:
        self.layers = [ph.param(dtype="f64")]
        self.count = ph.state((), init=3, dtype="i64")

    def __call__(self, x: Any) -> Any:
        return self.layers[0][j, i] * x[b, i]


def test_shapes_may_come_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "open.safetensors"
    W = np.arange(6.0).reshape(3, 2)
    write(path, {"layers.0": W, "count": np.array(5)})
    model = Open()
    ph.load(model, path)
    assert_array_equal(model.layers[0].value, W)
    assert model.count.value == 5


def test_initial_values_can_be_saved_once_shapes_are_known(tmp_path: Path) -> None:
    path = tmp_path / "new.safetensors"
    with pytest.raises(
        ModelError, match=r"layers\.0 has no value to save: no equation has used it"
    ):
        ph.save(Open(), path)
    model, other = Line(), Line(w=9.0)
    ph.save(model, path)
    ph.load(other, path)
    assert other.w.value == 0.5


def test_partial_loading(tmp_path: Path) -> None:
    path = tmp_path / "part.safetensors"
    write(path, {"b0": np.ones(8, np.float32), "extra": np.ones(2)})
    model = Net()
    with pytest.raises(WeightsError, match=r"not everything in .*part\.safetensors fits Net: 1"):
        ph.load(model, path)
    assert model.b0.data is None
    report = ph.load(model, path, strict=False)
    assert report.missing == ("W0", "W1") and report.unexpected == ("extra",)
    assert_array_equal(model.b0.value, np.ones(8))


def test_types(tmp_path: Path) -> None:
    path = tmp_path / "types.safetensors"
    write(path, {"w": np.float32(2), "c": np.float32(1)})
    model = Line()
    ph.load(model, path)
    assert model.w.value.dtype == np.float64
    write(path, {"w": np.array(2), "c": np.array(1.0)})
    with pytest.raises(DTypeError, match="w is f64, but the file holds i64"):
        ph.load(model, path)
    assert model.w.value == 2


def test_what_does_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    write(path, {"W0": np.zeros((4, 4), np.float32)})
    with pytest.raises(WeightsError, match=r"(?s)nothing in .* fits Net: .*W0 has shape \(8, 2\)"):
        ph.load(Net(), path, strict=False)
    with pytest.raises(ModelError, match=r"an object of a subclass of ph\.Model, not None"):
        ph.load(None, path)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"an object of a subclass of ph\.Model, not None"):
        ph.save(None, path)  # type: ignore[arg-type]
