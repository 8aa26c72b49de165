"""Which format a file has, by what it begins with, and its reader. A row a format.

A name that ends in .index.json is an index of several files; a folder is what Hugging Face and
Keras write: its weights, or their index, are looked for by their usual names.
"""

from collections.abc import Callable
from pathlib import Path

from phistar.errors import WeightsError
from phistar.parameters.folders import INDEX, PathLike, read_index, weights_in
from phistar.parameters.keras import WEIGHTS, read_hdf5, read_keras
from phistar.parameters.npz import read_npy, read_npz
from phistar.parameters.pytorch import read_pytorch_legacy, read_pytorch_zip
from phistar.parameters.safetensors import read_safetensors
from phistar.parameters.stored import Array, Contents, Damaged, Stored, unreadable
from phistar.parameters.zips import Zip

HEAD = 16
Reader = Callable[[Path], dict[str, Stored]]


def read(path: PathLike) -> dict[str, Array]:
    """All arrays of a file (safetensors, .pth, .h5, .keras, .npz, .npy), an index or a folder.

    Names inside one another are joined by dots; what is no array (the number of an epoch, a word)
    is left out. An array may be one that cannot be written to. Raises WeightsError if the file is
    missing, damaged or of another kind, or asks for something to be run.
    """
    return {name: values(path, entry) for name, entry in stored(path).items()}


def values(path: PathLike, entry: Stored) -> Array:
    """The values of an array in a file; WeightsError if they are damaged."""
    try:
        return entry.read()
    except Damaged as error:
        raise unreadable(path, "a file of weights", error) from None
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}") from None


def stored(path: PathLike) -> Contents:
    """The arrays of a file, an index or a folder, each to be read when it is asked for."""
    path = Path(path)
    try:
        return found_at(path)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}") from None


def found_at(path: Path) -> Contents:
    if path.is_dir():
        path = weights_in(path)
    if not path.is_file():
        index = path.with_name(path.name + INDEX)
        if not index.is_file():
            raise WeightsError(f"there is no file {path}")
        path = index
    if path.name.endswith(INDEX):
        return of_several(path)
    return reader_of(path)(path)


def of_several(index: Path) -> Contents:
    """The arrays of all files that an index names."""
    places = read_index(index)
    files: dict[Path, Contents] = {}
    for file in dict.fromkeys(places.values()):
        if not file.is_file():
            raise WeightsError(f"{index} names {file.name}, but there is no such file beside it")
        files[file] = reader_of(file)(file)
    for name, file in places.items():
        if name not in files[file]:
            raise WeightsError(f"{index} places {name} in {file.name}, but it is not there")
    return {name: files[file][name] for name, file in places.items()}


def reader_of(path: Path) -> Reader:
    """The reader for what a file begins with."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
        return read_safetensors
    return next((reader for start, reader in STARTS if head.startswith(start)), read_safetensors)


def read_zip(path: Path) -> dict[str, Stored]:
    """The arrays of a zip, by what it has members of."""
    try:
        names = Zip(path).names()
    except Damaged as error:
        raise unreadable(path, "a zip of weights", error) from None
    for reader, has in ZIPS:
        if any(has(name) for name in names):
            return reader(path)
    raise WeightsError(f"{path} is a zip, but neither PyTorch's, nor Keras's, nor NumPy's")


# fmt: off
STARTS: tuple[tuple[bytes, Reader], ...] = (
    (b"PK\x03\x04",              read_zip),
    (b"PK\x05\x06",              read_zip),  # an empty one
    (b"\x80",                    read_pytorch_legacy),
    (b"\x93NUMPY",               read_npy),
    (b"\x89HDF\r\n\x1a\n",       read_hdf5),
)
ZIPS: tuple[tuple[Reader, Callable[[str], bool]], ...] = (
    (read_pytorch_zip,          lambda name: name.split("/")[-1] == "data.pkl"),
    (read_keras,                lambda name: name == WEIGHTS),
    (read_npz,                  lambda name: name.endswith(".npy")),
)
# fmt: on
