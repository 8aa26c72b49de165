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


class Tower(ph.Model):
    """A body and a head, and the body's matrix once more at the end."""

    def __init__(self) -> None:
        self.body = Net(4)
        self.head = ph.param(2, 3)
        self.tied = self.body.W0


def filled(model: ph.Model, start: float = 0.0) -> dict[str, Any]:
    """Give every parameter numbers of its own; returns them."""
    for n, tensor in enumerate(model.named_tensors().values()):
        tensor.value = np.arange(np.prod(tensor.shape, dtype=int)).reshape(tensor.shape) + n + start
    return {name: tensor.value.copy() for name, tensor in model.named_tensors().items()}


def unchanged(model: ph.Model, values: dict[str, Any]) -> None:
    for name, tensor in model.named_tensors().items():
        assert_array_equal(tensor.value, values[name], err_msg=name)


def test_folders_shards_and_configurations(tmp_path: Path) -> None:
    model, other = Tower(), Tower()
    values = filled(model)
    ph.save(model, f"{tmp_path}/tower/", max_shard_size="50B", config={"layers": 2})
    names = sorted(p.name for p in (tmp_path / "tower").iterdir())
    assert names[0] == "config.json" and names[-1] == "model.safetensors.index.json"
    assert (tmp_path / "tower" / "config.json").read_text() == '{\n  "layers": 2\n}\n'
    assert ph.load(other, tmp_path / "tower").complete
    unchanged(other, values)


def test_configurations_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Tower()
    with pytest.raises(WeightsError, match=r"config goes into a folder, and .*w is a file"):
        ph.save(model, tmp_path / "w", config={})
    with pytest.raises(WeightsError, match="config cannot be written as JSON: "):
        ph.save(model, tmp_path, config={"a": object()})

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(WeightsError, match="cannot be written: No space left"):
        ph.save(model, tmp_path, config={})
    assert not list(tmp_path.iterdir())


def test_saved_files_are_for_the_library_too(tmp_path: Path) -> None:
    library = pytest.importorskip("safetensors")
    model = Tower()
    values = filled(model)
    ph.save(model, tmp_path / "w")
    with library.safe_open(tmp_path / "w", framework="np") as file:
        assert file.metadata() == {"format": "pt"}
        assert {n: file.get_tensor(n).tobytes() for n in file.keys()} == {  # noqa: SIM118
            n: a.tobytes() for n, a in values.items()
        }


def test_names_and_transposition(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    model = Net(4)
    values = filled(model)
    np.savez(
        path,
        **{"net.first.kernel": values["W0"].T, "net.first.bias": values["b0"], "step": np.array(3)},
        **{"net.second.kernel": values["W1"].T},
    )
    other = Net(4)
    report = ph.load(
        other,
        path,
        names=[
            ("^step$", None),
            (r"net\.first\.", "0."),
            (r"net\.second\.", "1."),
            (r"(\d)\.kernel", r"W\1"),
            (r"(\d)\.bias", r"b\1"),
        ],
        transpose="W*",
    )
    assert report.renamed == {
        "net.first.kernel": "W0",
        "net.first.bias": "b0",
        "net.second.kernel": "W1",
    }
    assert report.left_out == ("step",) and report.complete
    unchanged(other, values)


def test_some_of_a_file(tmp_path: Path) -> None:
    whole, model = Tower(), Tower()
    values, before = filled(whole), filled(model, 0.5)
    ph.save(whole, tmp_path / "w")
    report = ph.load(model, tmp_path / "w", partial="body.*")
    assert report.matched == ("body.W0", "body.b0", "body.W1")
    assert report.left_out == ("head",) and report.complete
    unchanged(model, {**values, "head": before["head"]})
    report = ph.load(model.body, tmp_path / "w", names=[(r"^body\.", ""), ("^head$", None)])
    assert report.complete
    with pytest.raises(ph.UsageError, match=r"partial's pattern 'tail' matches none of body\.W0"):
        ph.load(model, tmp_path / "w", partial=["tail"])


def test_shared_parameters_have_any_of_their_names(tmp_path: Path) -> None:
    model = Tower()
    values = filled(model)
    ph.save(model, tmp_path / "w")
    arrays = ph.parameters.read(tmp_path / "w")
    assert "tied" not in arrays
    for names in ({"body.W0": "tied"}, {}):
        other = Tower()
        both = {**arrays, "tied": arrays["body.W0"]}
        both = {n: a for n, a in both.items() if n not in names}
        write(tmp_path / "v", both)
        report = ph.load(other, tmp_path / "v")
        assert report.complete and not report.left_out
        unchanged(other, values)
    write(tmp_path / "v", {**arrays, "tied": arrays["body.W0"] + 1})
    with pytest.raises(WeightsError, match=r"tied is body\.W0 in the model, but another array"):
        ph.load(other, tmp_path / "v")


class Steps(ph.Model):
    def __init__(self) -> None:
        self.a, self.b = ph.param(2), ph.param(2, dtype="f64")
        self.n = ph.state((), dtype="i64")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"b": np.zeros(3)}, WeightsError),
        ({"n": np.zeros(())}, DTypeError),
        ({"n": np.zeros((), np.uint32)}, DTypeError),
        ({"extra": np.zeros(3)}, WeightsError),
    ],
)
def test_nothing_is_changed_by_a_failure(tmp_path: Path, change: Any, error: Any) -> None:
    model = Steps()
    before = filled(model)
    np.savez(tmp_path / "w.npz", **{**before, "a": np.ones(2, "f4"), **change})
    with pytest.raises(error):
        ph.load(model, tmp_path / "w.npz")
    unchanged(model, before)


def test_nothing_is_changed_by_damage_that_is_found_late(tmp_path: Path) -> None:
    """The header of the last array is good, its values are not."""

    class Long(ph.Model):
        def __init__(self) -> None:
            self.a, self.b = ph.param(2), ph.param(100_000)

    model = Long()
    before = filled(model)
    np.savez(tmp_path / "w.npz", a=np.ones(2, "f4"), b=np.ones(100_000, "f4"))
    content = bytearray((tmp_path / "w.npz").read_bytes())
    content[300_000] ^= 1
    (tmp_path / "w.npz").write_bytes(bytes(content))
    with pytest.raises(WeightsError, match=r"is not a file of weights, or damaged: .*CRC"):
        ph.load(model, tmp_path / "w.npz")
    unchanged(model, before)


def test_a_file_that_vanishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Steps()
    ph.save(model, tmp_path / "w")
    from phistar.parameters import saving

    def stored(path: Any) -> Any:
        entries = formats_stored(path)
        (tmp_path / "w").unlink()
        return entries

    formats_stored = saving.stored
    monkeypatch.setattr(saving, "stored", stored)
    with pytest.raises(WeightsError, match="w cannot be read: No such file"):
        ph.load(model, tmp_path / "w")


def test_weights_of_pytorch(tmp_path: Path) -> None:
    """A layer that has PyTorch's names is loaded from PyTorch's file as it is."""
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    torch.save(theirs.state_dict(), tmp_path / "net.pth")

    class Mine(ph.Model):
        def __init__(self) -> None:
            self.weight, self.bias = ph.param(4, 3), ph.param(4)

    model = Mine()
    ph.load(model, tmp_path / "net.pth", names=[(r"^0\.", ""), (r"^1\.", None)])
    assert_array_equal(model.weight.value, theirs[0].weight.detach().numpy())
