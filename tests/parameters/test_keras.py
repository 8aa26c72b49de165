"""Keras's files: both of its layouts are read; links to elsewhere and false sizes are refused."""

import io
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from phistar.errors import WeightsError
from phistar.parameters import read

h5py = pytest.importorskip("h5py")

KERNEL = np.arange(12, dtype=np.float32).reshape(3, 4)
BIAS = np.arange(4, dtype=np.float32)


def keras_3(file: Any) -> None:
    """What keras.Model.save_weights writes."""
    group = file.create_group("layers/dense/vars")
    group.attrs["name"] = "out"
    group.create_dataset("0", data=KERNEL)
    group.create_dataset("1", data=BIAS)
    brain = file.create_dataset(
        "layers/half/vars/0",
        data=(np.array([1.5, -2], "f4").view("u4") >> 16).astype("<u2").view("V2"),
    )
    brain.attrs["dtype"] = "bfloat16"
    file.create_group("vars").attrs["name"] = "sequential"


def keras_2(file: Any) -> None:
    """What Keras 2 and save(..., 'h5') write."""
    group = file.create_group("model_weights/dense")
    group.attrs["weight_names"] = ["dense/kernel:0", "dense/bias:0"]
    group.create_dataset("dense/kernel:0", data=KERNEL)
    group.create_dataset("dense/bias:0", data=BIAS)
    file.attrs["model_config"] = "{}"
    file["words"] = "not an array"


def file_of(path: Path, fill: Any) -> Path:
    with h5py.File(path, "w") as file:
        fill(file)
    return path


def test_keras_3(tmp_path: Path) -> None:
    file_of(tmp_path / "model.weights.h5", keras_3)
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", "{}")
        archive.write(tmp_path / "model.weights.h5", "model.weights.h5")
    for path in (tmp_path / "model.weights.h5", tmp_path / "m.keras", tmp_path / "m.keras"):
        loaded = read(path)
        assert list(loaded) == ["layers.dense.vars.0", "layers.dense.vars.1", "layers.half.vars.0"]
        assert_array_equal(loaded["layers.dense.vars.0"], KERNEL)
        assert_array_equal(loaded["layers.half.vars.0"].astype("f4"), [1.5, -2])


def test_keras_2(tmp_path: Path) -> None:
    loaded = read(file_of(tmp_path / "m.h5", keras_2))
    assert list(loaded) == ["model_weights.dense.dense.bias", "model_weights.dense.dense.kernel"]
    assert_array_equal(loaded["model_weights.dense.dense.kernel"], KERNEL)


def test_what_keras_itself_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(4)])
    model.save(tmp_path / "m.keras")
    assert_array_equal(read(tmp_path / "m.keras")["layers.dense.vars.0"], model.weights[0])


def test_packed_arrays(tmp_path: Path) -> None:
    def fill(file: Any) -> None:
        file.create_dataset(
            "zeros", data=np.zeros((500, 500)), chunks=(500, 500), compression="gzip"
        )
        file.create_dataset(
            "all",
            data=np.arange(99).reshape(9, 11),
            chunks=(3, 4),
            compression="lzf",
            shuffle=True,
            fletcher32=True,
        )
        file.create_dataset("swapped", data=KERNEL.astype(">f8"))
        file.create_dataset("empty", data=np.zeros((0, 3)))
        file.create_dataset("number", data=np.int64(3))
        file.create_dataset("truth", data=np.array([True, False]))
        file.create_dataset("nothing", dtype="f4")
        file.create_dataset("records", data=np.zeros(2, "f4,i4"))

    loaded = read(file_of(tmp_path / "w.h5", fill))
    assert list(loaded) == ["all", "empty", "number", "swapped", "truth", "zeros"]
    assert_array_equal(loaded["all"], np.arange(99).reshape(9, 11))
    assert_array_equal(loaded["swapped"], KERNEL)
    assert (loaded["number"], loaded["empty"].shape) == (3, (0, 3))


def outside(file: Any) -> None:
    file["W"] = h5py.ExternalLink("secret.h5", "/W")


def alias(file: Any) -> None:
    file["V"] = KERNEL
    file["W"] = h5py.SoftLink("/V")


def external(file: Any) -> None:
    file.create_dataset("W", (3,), "u1", external=[("/etc/passwd", 0, 3)])


def virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource("secret.h5", "W", (3,))
    file.create_virtual_dataset("W", layout)


def cycle(file: Any) -> None:
    group = file.create_group("a")
    group["b"] = group
    group["W"] = KERNEL


def two_names(file: Any) -> None:
    file["a"] = KERNEL
    file["b"] = file["a"]


def unwritten(file: Any) -> None:
    file.create_dataset("W", (2**40,), "f4")


def mostly_unwritten(file: Any) -> None:
    file.create_dataset("W", (2**40,), "f4", chunks=(2**10,), compression="gzip")[:3] = 1


def scaled(file: Any) -> None:
    file.create_dataset("W", data=KERNEL, chunks=(3, 4), scaleoffset=3)


def twice(file: Any) -> None:
    file["a/b"] = KERNEL
    file["a.b"] = KERNEL


def long_name(file: Any) -> None:
    file["x" * 600] = KERNEL


# fmt: off
REFUSED = {
    "outside":   (outside,          "W is a link to somewhere else"),
    "alias":     (alias,            "W is a link to somewhere else"),
    "external":  (external,         "W is kept in another file"),
    "virtual":   (virtual,          "W is kept in another file"),
    "cycle":     (cycle,            "a/b has another name too"),
    "two names": (two_names,        "b has another name too"),
    "unwritten": (unwritten,        "W says that it is larger than it can be"),
    "mostly":    (mostly_unwritten, "W says that it is larger than it can be"),
    "scaled":    (scaled,           "W is packed in a way that is not read"),
    "twice":     (twice,            r"it holds a\.b twice"),
    "long":      (long_name,        "it holds more than any weights"),
}
# fmt: on


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(tmp_path: Path, name: str) -> None:
    fill, reason = REFUSED[name]
    path = file_of(tmp_path / "w.h5", fill)
    with pytest.raises(WeightsError, match=f"is not a file of HDF5, or damaged: {reason}"):
        read(path)


def test_data_sets_in_one_place(tmp_path: Path) -> None:
    """What is written once cannot be read as often as one likes."""

    def fill(file: Any) -> None:
        for n in range(9):
            file.create_dataset(f"W{n}", data=np.full(2000, n, "f4"))

    content = bytearray(file_of(tmp_path / "w.h5", fill).read_bytes())
    with h5py.File(tmp_path / "w.h5") as file:
        places = [file[f"W{n}"].id.get_offset() for n in range(9)]
    for place in places[1:]:
        at = content.index(place.to_bytes(8, "little"))
        content[at : at + 8] = places[0].to_bytes(8, "little")
    (tmp_path / "w.h5").write_bytes(bytes(content))
    assert_array_equal(read(tmp_path / "w.h5")["W8"], np.zeros(2000))
    del content[places[-1] :]  # what nobody points to any more
    content[40:48] = len(content).to_bytes(8, "little")
    (tmp_path / "w.h5").write_bytes(bytes(content))
    with pytest.raises(WeightsError, match="damaged: its data sets overlap"):
        read(tmp_path / "w.h5")


def test_damage(tmp_path: Path) -> None:
    content = file_of(tmp_path / "w.h5", keras_3).read_bytes()
    (tmp_path / "cut.h5").write_bytes(content[:-200])
    with pytest.raises(WeightsError, match=r"cut\.h5 is not a file of HDF5, or damaged"):
        read(tmp_path / "cut.h5")
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("model.weights.h5", content[:300])
    with pytest.raises(WeightsError, match=r"m\.keras is not a file of HDF5, or damaged"):
        read(tmp_path / "m.keras")
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("model.weights.h5", content)
    (tmp_path / "m.keras").write_bytes(whole.getvalue().replace(content[:100], b"\0" * 100))
    with pytest.raises(WeightsError, match=r"m\.keras is not a file of Keras, or damaged: .*CRC"):
        read(tmp_path / "m.keras")


def test_a_file_that_changes(tmp_path: Path) -> None:
    from phistar.parameters.formats import stored

    entries = stored(file_of(tmp_path / "w.h5", keras_3))
    file_of(tmp_path / "w.h5", lambda file: file.create_dataset("layers/dense/vars/0", data=BIAS))
    with pytest.raises(WeightsError, match=r"layers/dense/vars/0 has changed"):
        entries["layers.dense.vars.0"].read()
    (tmp_path / "w.h5").write_bytes(b"nothing any more")
    with pytest.raises(WeightsError, match="is not a file of HDF5, or damaged"):
        entries["layers.dense.vars.0"].read()


def test_without_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file_of(tmp_path / "w.h5", keras_2)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(WeightsError, match=r"h5py, which is not here: pip install phistar\[hdf5\]"):
        read(path)
