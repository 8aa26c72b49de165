from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from phistar.errors import WeightsError
from phistar.training.weights import Report, load_arrays, match, save_arrays

# fmt: off
TYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]
# fmt: on


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_what_is_saved_is_loaded(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    save_arrays(tmp_path / "w", {"layer.W": array})
    loaded = load_arrays(tmp_path / "w")["layer.W"]
    assert (loaded.dtype, loaded.shape) == (array.dtype, array.shape)
    assert_array_equal(loaded, array)


def test_brain_floats(tmp_path: Path) -> None:
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    save_arrays(tmp_path / "w", {"W": np.array([1.5, -2], bfloat16)})
    loaded = load_arrays(tmp_path / "w")["W"]
    assert loaded.dtype == bfloat16
    assert_array_equal(loaded.astype("f4"), [1.5, -2])


def test_arrays_in_any_order_are_saved_right(tmp_path: Path) -> None:
    """safetensors itself writes these wrongly."""
    a = np.arange(12, dtype=np.float32).reshape(3, 4)
    arrays = {
        "transposed": a.T,
        "sliced": a[:, ::2],
        "reversed": a[::-1],
        "fortran": np.asfortranarray(a),
        "swapped": a.astype(">f4"),
    }
    save_arrays(tmp_path / "w", arrays)
    loaded = load_arrays(tmp_path / "w")
    for name, array in arrays.items():
        assert_array_equal(loaded[name], array, err_msg=name)


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_arrays(tmp_path / "w", {"W": np.zeros(2)})

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(WeightsError, match="cannot be written: No space left"):
        save_arrays(tmp_path / "w", {"W": np.ones(2)})
    assert_array_equal(load_arrays(tmp_path / "w")["W"], np.zeros(2))
    assert [p.name for p in tmp_path.iterdir()] == ["w"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be written: No such file"):
        save_arrays(tmp_path / "none" / "w", {"W": np.zeros(2)})


def test_a_type_that_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="W cannot be saved: it holds object"):
        save_arrays(tmp_path / "w", {"W": np.array([None])})


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="there is no file"):
        load_arrays(tmp_path / "w")


@pytest.mark.parametrize("content", [b"", b"not a file of weights at all", b"\x80\x04N."])
def test_a_file_of_something_else(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(WeightsError, match="is not a safetensors file, or damaged"):
        load_arrays(tmp_path / "w")


def test_a_file_cut_short(tmp_path: Path) -> None:
    save_arrays(tmp_path / "w", {"W": np.zeros(100)})
    (tmp_path / "w").write_bytes((tmp_path / "w").read_bytes()[:-1])
    with pytest.raises(WeightsError, match="is not a safetensors file, or damaged"):
        load_arrays(tmp_path / "w")


def test_matching_by_name_and_shape() -> None:
    report = match(
        {"W": (2, 3), "b": (2,), "c": None, "d": (1,)}, {"W": (2, 3), "b": (3,), "c": (9,), "e": ()}
    )
    assert report == Report(("W", "c"), ("d",), ("e",), {"b": ((2,), (3,))})
    assert not report.complete
    assert str(report) == (
        "2 matched\n"
        "1 missing in the file: d\n"
        "1 unexpected in the file: e\n"
        "b has shape (2,) in the model, (3,) in the file"
    )


def test_a_complete_match() -> None:
    report = match({"W": (2,)}, {"W": (2,)})
    assert report.complete
    assert str(report) == "1 matched"


def test_long_lists_are_counted() -> None:
    assert str(match({f"W{n}": () for n in range(10)}, {})).endswith("W6, W7 and 2 more")
