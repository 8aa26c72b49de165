"""NumPy's files: what NumPy writes is read; objects and damage are refused."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from phistar.errors import WeightsError
from phistar.parameters import read

a = np.arange(24, dtype=np.float32).reshape(4, 6)
# fmt: off
ARRAYS = {
    "plain":   a,       "fortran": np.asfortranarray(a), "swapped": a.astype(">f4"),
    "empty":   a[:0],   "number":  np.float64(3),        "i8":      a.astype("i1"),
    "complex": a * 1j,  "half":    a.astype("f2"),       "sliced":  a[::2, 1:],
    "truth":   a > 3,
}
# fmt: on


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path: Path, save: Callable[..., None]) -> None:
    save(tmp_path / "w.npz", **ARRAYS)
    loaded = read(tmp_path / "w.npz")
    assert list(loaded) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert_array_equal(loaded[name], array, err_msg=name)
        assert loaded[name].dtype == np.asarray(array).dtype.newbyteorder("="), name


@pytest.mark.parametrize("name", ARRAYS)
def test_npy(tmp_path: Path, name: str) -> None:
    np.save(tmp_path / "w.npy", ARRAYS[name])
    assert_array_equal(read(tmp_path / "w.npy")["w"], ARRAYS[name])


def test_what_shrinks_well_is_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "w.npz", W=np.zeros((1000, 1000)))
    assert read(tmp_path / "w.npz")["W"].shape == (1000, 1000)


@pytest.mark.parametrize(
    "array",
    [np.array([None]), np.zeros(2, "f4,f4"), np.array(["word"]), np.zeros(2, "M8[s]")],
    ids=["objects", "records", "words", "dates"],
)
def test_what_is_no_number(tmp_path: Path, array: Any) -> None:
    np.save(tmp_path / "w.npy", array, allow_pickle=True)
    np.savez(tmp_path / "w.npz", W=array)
    for name in ("w.npy", "w.npz"):
        with pytest.raises(
            WeightsError, match=r"is not a file of NumPy, or damaged: it holds .*, not"
        ):
            read(tmp_path / name)


def npy_of(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode("latin-1")
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + data


def described(shape: str = "(2,)", descr: str = "'<f4'") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"


# fmt: off
DAMAGED = {
    "cut":          (npy_of(described(), b"\0" * 7),              "other bytes than it needs"),
    "too long":     (npy_of(described(), b"\0" * 9),              "other bytes than it needs"),
    "huge":         (npy_of(described("(2**60,)")),               "."),
    "large":        (npy_of(described(f"({2**60},)")),            "larger than any memory"),
    "negative":     (npy_of(described("(-2,)")),                  "not made of sizes"),
    "many axes":    (npy_of(described("(" + "1," * 65 + ")")),    "of an array is not one"),
    "code":         (npy_of("__import__('os').getcwd()"),         "."),
    "deep":         (npy_of("(" * 5000),                          "."),
    "long header":  (npy_of(" " * 11_000 + described()),          "longer than any is"),
    "huge header":  (b"\x93NUMPY\x02\0\xff\xff\xff\x7f",          "longer than any is"),
    "version":      (npy_of(described(), b"\0" * 8, b"\x07\0"),   "."),
    "version 3":    (npy_of(described(), b"\0" * 8, b"\x03\0"),   "its version is not known"),
    "half a header": (npy_of(described())[:20],                   "."),
    "no header":    (b"\x93NUMPY\x01",                            "."),
}
# fmt: on


@pytest.mark.parametrize("name", DAMAGED)
def test_damage(tmp_path: Path, name: str) -> None:
    content, reason = DAMAGED[name]
    (tmp_path / "w.npy").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("W.npy", content)
    for file in ("w.npy", "w.npz"):
        with pytest.raises(WeightsError, match=f"is not a file of NumPy, or damaged: .*{reason}"):
            read(tmp_path / file)


def test_a_file_that_becomes_shorter(tmp_path: Path) -> None:
    from phistar.parameters.formats import stored

    np.save(tmp_path / "w.npy", a)
    entries = stored(tmp_path / "w.npy")
    (tmp_path / "w.npy").write_bytes((tmp_path / "w.npy").read_bytes()[:-1])
    with pytest.raises(Exception, match="other bytes than it needs"):
        entries["w"].read()


# Zips -------------------------------------------------------------------------------------------


def zipped(**options: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        content = io.BytesIO()
        np.save(content, np.zeros(1000))
        archive.writestr("W.npy", content.getvalue())
    return buffer.getvalue()


def edited(place: int, value: bytes) -> bytes:
    """A zip with some bytes of its directory's entry changed."""
    content = bytearray(zipped())
    start = content.rfind(b"PK\x01\x02") + place
    content[start : start + len(value)] = value
    return bytes(content)


def doubled() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("W.npy", b"")
        archive.writestr("W.npy", b"")
    return buffer.getvalue()


ZIPS = {
    "bzip2": (lambda: zipped(compression=zipfile.ZIP_BZIP2), "packed in a way that is not read"),
    "lzma": (lambda: zipped(compression=zipfile.ZIP_LZMA), "packed in a way that is not read"),
    "encrypted": (lambda: edited(8, b"\x01"), "is encrypted"),
    "larger": (lambda: edited(24, b"\xff\xff\xff\x7f"), "larger than it can be"),
    "all of it": (lambda: edited(20, b"\xff\xff\xff\x7f" * 2), "its members overlap"),
    "two of a name": (doubled, "two members of one name"),
    "no directory": (lambda: zipped()[:-30], "."),
    "a bad sum": (lambda: edited(16, b"\1\2\3\4"), "CRC"),
}


@pytest.mark.parametrize("name", ZIPS)
def test_damaged_zips(tmp_path: Path, name: str) -> None:
    content, reason = ZIPS[name]
    (tmp_path / "w.npz").write_bytes(content())
    with pytest.raises(WeightsError, match=f"damaged: .*{reason}"):
        read(tmp_path / "w.npz")


def test_long_reasons_are_cut(tmp_path: Path) -> None:
    """The library quotes what it finds in place of a name."""
    content = bytearray(zipped())
    content[26:28] = (5000).to_bytes(2, "little")
    (tmp_path / "w.npz").write_bytes(bytes(content))
    with pytest.raises(WeightsError, match=r"damaged: File name in directory .*\.\.\.$") as caught:
        read(tmp_path / "w.npz")
    assert len(str(caught.value)) < 1000


def test_a_bomb(tmp_path: Path) -> None:
    """What would be larger than deflate can make it is refused before memory is taken."""
    content = bytearray(zipped(compression=zipfile.ZIP_DEFLATED))
    start = content.rfind(b"PK\x01\x02")
    content[start + 24 : start + 28] = (2**31).to_bytes(4, "little")
    (tmp_path / "w.npz").write_bytes(bytes(content))
    with pytest.raises(WeightsError, match="says that it is larger than it can be"):
        read(tmp_path / "w.npz")


def test_a_zip_of_something_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.zip", "w") as archive:
        archive.writestr("a.txt", b"words")
    with pytest.raises(
        WeightsError, match="is a zip, but neither PyTorch's, nor Keras's, nor NumPy's"
    ):
        read(tmp_path / "w.zip")
