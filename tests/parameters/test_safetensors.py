"""The safetensors format: what is written is read, by the library too; damage is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal

from phistar.errors import WeightsError
from phistar.parameters import read, write
from phistar.parameters.safetensors import NUMPY, metadata_of

# fmt: off
TYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]
# fmt: on


def by_the_library(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = pytest.importorskip("safetensors.numpy").load_file(path)
    return loaded


def same(loaded: Any, array: Any, name: str = "") -> None:
    assert (loaded.dtype.name, loaded.shape) == (array.dtype.name, array.shape), name
    assert_array_equal(loaded, array, err_msg=name)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (2, 3)])
def test_what_is_saved_is_loaded(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    write(tmp_path / "w", {"layer.W": array, "other": np.ones(3)})
    same(read(tmp_path / "w")["layer.W"], array)
    same(by_the_library(tmp_path / "w")["layer.W"], array)


@pytest.mark.parametrize("dtype", [*TYPES, "bfloat16"])
def test_what_the_library_writes_is_loaded(tmp_path: Path, dtype: str) -> None:
    library = pytest.importorskip("safetensors.numpy")
    if dtype == "bfloat16":
        dtype = pytest.importorskip("ml_dtypes").bfloat16
    arrays = {"b": np.arange(7).astype(dtype), "a.x": np.ones((2, 0, 3)), "ö": np.float32(3)}
    library.save_file({n: np.asarray(a) for n, a in arrays.items()}, tmp_path / "w", {"k": "v"})
    loaded = read(tmp_path / "w")
    assert set(loaded) == set(arrays)
    for name, array in arrays.items():
        same(loaded[name], np.asarray(array), name)
    assert metadata_of(tmp_path / "w") == {"k": "v"}


def test_brain_floats(tmp_path: Path) -> None:
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    write(tmp_path / "w", {"W": np.array([1.5, -2], bfloat16)})
    same(read(tmp_path / "w")["W"], np.array([1.5, -2], bfloat16))
    same(by_the_library(tmp_path / "w")["W"], np.array([1.5, -2], bfloat16))


def test_brain_floats_without_their_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    write(tmp_path / "w", {"W": np.array([[1.5, -2]], bfloat16)})

    def absent(name: str) -> Any:
        return np.dtype("<u2"), np.dtype(np.float32)

    monkeypatch.setattr("phistar.parameters.safetensors.numpy_type", absent)
    same(read(tmp_path / "w")["W"], np.array([[1.5, -2]], np.float32))


a = np.arange(24, dtype=np.float32).reshape(4, 6)
# fmt: off
NOT_CONTIGUOUS = {
    "transposed": a.T,                    "sliced":   a[:, ::2],      "reversed": a[::-1, ::-1],
    "fortran":    np.asfortranarray(a),   "swapped":  a.astype(">f4"), "column":  a[:, 1],
    "broadcast":  np.broadcast_to(a[0], (3, 6)),                       "corner":  a[1:3, 2:5],
    "permuted":   a.reshape(2, 3, 4).transpose(2, 0, 1),               "empty":   a[:, 6:].T,
    "number":     a[2, 3:4].reshape(()),  "byte":     a.astype("i1").T, "half":   a.astype("f2").T,
    "truth":      (a > 5).T,              "wide":     a.astype(">i8")[::-2],
}
# fmt: on


@pytest.mark.parametrize("name", NOT_CONTIGUOUS)
def test_arrays_in_any_order_are_saved_right(tmp_path: Path, name: str) -> None:
    """The library itself writes these wrongly."""
    array = NOT_CONTIGUOUS[name]
    write(tmp_path / "w", {name: array})
    assert_array_equal(read(tmp_path / "w")[name], array)
    assert_array_equal(by_the_library(tmp_path / "w")[name], array)


def test_brain_floats_in_any_order(tmp_path: Path) -> None:
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    write(tmp_path / "w", {"W": a.astype(bfloat16).T})
    assert_array_equal(read(tmp_path / "w")["W"].astype("f4"), a.T)


def test_arrays_lie_aligned(tmp_path: Path) -> None:
    arrays = {"a": np.ones(3, np.int8), "b": np.ones(3), "c": np.ones(1, np.float16)}
    write(tmp_path / "w", arrays)
    content = (tmp_path / "w").read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert length % 8 == 0
    for name, array in arrays.items():
        assert header[name]["data_offsets"][0] % array.itemsize == 0


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "w", {"W": np.zeros(2)})

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for step in ("os.fsync", "os.replace"):
        with monkeypatch.context() as patched:
            patched.setattr(step, fail)
            with pytest.raises(WeightsError, match="cannot be written: No space left"):
                write(tmp_path / "w", {"W": np.ones(2)})
    assert_array_equal(read(tmp_path / "w")["W"], np.zeros(2))
    assert [p.name for p in tmp_path.iterdir()] == ["w"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be written: No such file"):
        write(tmp_path / "none" / "w", {"W": np.zeros(2)})


def test_what_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="W cannot be saved: it holds object"):
        write(tmp_path / "w", {"W": np.array([None])})
    for name in ("__metadata__", "", "\ud800"):
        with pytest.raises(WeightsError, match="cannot be the name of an array"):
            write(tmp_path / "w", {name: np.zeros(2)})


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="there is no file"):
        read(tmp_path / "w")


@pytest.mark.parametrize("content", [b"", b"1234567", b"not a file of weights at all"])
def test_a_file_of_something_else(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(WeightsError, match="is not a safetensors file, or damaged"):
        read(tmp_path / "w")


def made(header: Any, data: bytes = b"\0" * 8) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(dtype: Any = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


# fmt: off
DAMAGED = {
    "header too long":    (b"\xff" * 8 + b"{}",                   "would be longer than it is"),
    "no object":          (made([1]),                             "its header is not one"),
    "no JSON":            (made(b"{nothing"),                     "its header cannot be read"),
    "no text":            (made(b'{"\xff": 1}'),                  "its header cannot be read"),
    "deep":               (made(b'{"a":' + b"[" * 200_000),       "its header cannot be read"),
    "many digits":        (made(b'{"a":' + b"1" * 9_999 + b"}"),  "its header cannot be read"),
    "twice":              (made(b'{"W":1,"W":2}'),                "it holds W twice"),
    "metadata":           (made({"__metadata__": {"a": 1}}),      "its header is not one"),
    "no entry":           (made({"W": 3}),                        "the entry of W is not one"),
    "further fields":     (made({"W": {**entry(), "run": 1}}),    "the entry of W is not one"),
    "unknown type":       (made({"W": entry("X32")}),             "the type of W is not known"),
    "type no word":       (made({"W": entry([])}),                "the type of W is not known"),
    "negative size":      (made({"W": entry(shape=[-2])}),        "is not made of sizes"),
    "size a truth":       (made({"W": entry(shape=[True])}),      "is not made of sizes"),
    "size a float":       (made({"W": entry(shape=[2.0])}),       "is not made of sizes"),
    "shape a number":     (made({"W": entry(shape=2)}),           "the shape of W is not one"),
    "many axes":          (made({"W": entry(shape=[1] * 65)}),    "the shape of W is not one"),
    "huge and empty":     (made({"W": entry(shape=[0, 2**62, 9], offsets=[0, 0])}, b""),
                                                                  "larger than any memory"),
    "more than there is": (made({"W": entry(shape=[2**40], offsets=[0, 2**42])}),
                                                                  "bytes after the file"),
    "too few bytes":      (made({"W": entry(offsets=[0, 4])}),    "W has 4 bytes, it needs 8"),
    "backwards":          (made({"W": entry(offsets=[8, 0])}),    "W has -8 bytes"),
    "before the file":    (made({"W": entry(offsets=[-8, 0])}),   "W has 8 bytes"),
    "one offset":         (made({"W": entry(offsets=[8])}),       "the place of W is not one"),
    "offset a float":     (made({"W": entry(offsets=[0, 8.0])}),  "the place of W is not one"),
    "overlap":            (made({"W": entry(), "V": entry()}),    "overlaps another"),
    "hole":               (made({"W": entry(offsets=[4, 12])}, b"\0" * 12), "after a hole"),
    "bytes left":         (made({"W": entry()}, b"\0" * 9),       "1 bytes at its end"),
}
# fmt: on


@pytest.mark.parametrize("name", DAMAGED)
def test_damage(tmp_path: Path, name: str) -> None:
    content, reason = DAMAGED[name]
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(WeightsError, match=f"is not a safetensors file, or damaged: .*{reason}"):
        read(tmp_path / "w")


@pytest.mark.parametrize("left", [0, 5, 8, 30, -1])
def test_a_file_cut_short(tmp_path: Path, left: int) -> None:
    write(tmp_path / "w", {"W": np.zeros(100)})
    (tmp_path / "w").write_bytes((tmp_path / "w").read_bytes()[:left])
    with pytest.raises(WeightsError, match="is not a safetensors file, or damaged"):
        read(tmp_path / "w")


def test_a_file_that_becomes_shorter(tmp_path: Path) -> None:
    from phistar.parameters.formats import stored

    write(tmp_path / "w", {"W": np.zeros(100)})
    entries = stored(tmp_path / "w")
    (tmp_path / "w").write_bytes((tmp_path / "w").read_bytes()[:-1])
    with pytest.raises(WeightsError, match="it has become shorter"):
        entries["W"].read()


def test_words_beside_the_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "w", {"W": np.zeros(2)}, metadata={"format": "pt"})
    assert metadata_of(tmp_path / "w") == {"format": "pt"}
    (tmp_path / "v").write_bytes(b"\xff" * 20)
    with pytest.raises(WeightsError, match="v is not a safetensors file, or damaged: its header"):
        metadata_of(tmp_path / "v")
    monkeypatch.setattr("phistar.parameters.safetensors.LONGEST_HEADER", 10)
    with pytest.raises(WeightsError, match="its header is longer than any is"):
        read(tmp_path / "w")


def test_a_file_larger_than_allowed_leaves_the_old_one(tmp_path: Path) -> None:
    """The system itself stops the writing in the middle."""
    resource = pytest.importorskip("resource")
    write(tmp_path / "w", {"W": np.zeros(2)})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(WeightsError, match="cannot be written: File too large"):
            write(tmp_path / "w", {"W": np.ones(1_000_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert_array_equal(read(tmp_path / "w")["W"], np.zeros(2))
    assert [p.name for p in tmp_path.iterdir()] == ["w"]


def test_types_that_phistar_does_not_have(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(made({"W": entry("F8_E4M3", [8])}))
    with pytest.raises(WeightsError, match=r"W in .* holds F8_E4M3, a type that phistar does not"):
        read(tmp_path / "w")


def test_every_type_of_the_library_is_known() -> None:
    library: Callable[..., Any] = pytest.importorskip("safetensors.numpy")._getdtype
    for name in ("F64", "F32", "F16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8"):
        assert np.dtype(library(name)) == np.dtype(NUMPY[name])


@st.composite
def views(draw: st.DrawFn) -> Any:
    """An array of any type and shape, seen in any order and with any steps."""
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    array = array.astype(draw(st.sampled_from([*TYPES, ">f4", ">i8"])))
    array = array.transpose(draw(st.permutations(range(array.ndim))))
    steps = st.sampled_from([slice(None), slice(None, None, 2), slice(None, None, -1), slice(1, 3)])
    return array[tuple(draw(steps) for _ in range(array.ndim))]


@settings(deadline=None, derandomize=True, max_examples=150)
@given(arrays=st.dictionaries(st.text(min_size=1, max_size=8), views(), min_size=1, max_size=4))
def test_any_arrays(arrays: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    assume(all(is_text(name) and name != "__metadata__" for name in arrays))
    write(path, arrays)
    loaded, alone = read(path), by_the_library(path)
    assert set(loaded) == set(alone) == set(arrays)
    for name, array in arrays.items():
        assert_array_equal(loaded[name], array)
        assert_array_equal(alone[name], array)
        assert alone[name].shape == loaded[name].shape == array.shape


def is_text(name: str) -> bool:
    try:
        return bool(name.encode())
    except UnicodeEncodeError:
        return False
