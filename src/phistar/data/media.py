"""Data sets out of folders and shards: pictures and sounds in a folder for each class, tar shards.

folder/CLASS/file    label = the number of the class, in the order of the alphabet
shard.tar            KEY.png KEY.cls KEY.npy ...: files of one key are one example

Files are opened when their examples are asked for; nothing is ever unpacked onto the disk.
"""

import io
import tarfile
import wave
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from phistar.data.columns import Array, Column, column
from phistar.data.dataset import Dataset
from phistar.data.files import parse_npy
from phistar.data.lazy import Lazy
from phistar.data.needs import damage, existing, need
from phistar.errors import DataError

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
SAMPLES = {1: "u1", 2: "<i2", 4: "<i4"}  # of WAV, by bytes; three bytes are widened
LONGEST = 1 << 31  # bytes of one example in a shard


class Decoded(Lazy):
    """One example a file."""

    def __init__(
        self, files: list[Any], decode: Callable[[Any], Array], shape: tuple[int, ...], dtype: Any
    ) -> None:
        self.files, self.decode = files, decode
        self.shape, self.dtype = (len(files), *shape), np.dtype(dtype)

    def read(self, rows: Array) -> Array:
        out = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for n, row in enumerate(rows):
            found = self.decode(self.files[row])
            if found.shape != self.shape[1:]:
                raise DataError(
                    f"{self.files[row]} has the shape {found.shape}, others {self.shape[1:]}"
                )
            out[n] = found
        return out


def decoded(files: list[Any], decode: Callable[[Any], Array], divisor: float | None) -> Column:
    """A column of files that look like the first of them."""
    first = decode(files[0])
    return column(Decoded(files, decode, first.shape, first.dtype), divisor=divisor)


def files_by_class(folder: Path, endings: tuple[str, ...]) -> tuple[list[Path], list[str]]:
    """The files, and the class of each: the name of its folder."""
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder")
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in endings and p.is_file())
    if not files:
        raise DataError(f"{folder} has no files that end in {', '.join(endings)}")
    return files, [path.relative_to(folder).parts[0] for path in files]


def labelled(x: Column, classes: list[str]) -> Dataset:
    number = {name: n for n, name in enumerate(sorted(set(classes)))}
    return Dataset(x=x, label=np.array([number[name] for name in classes], np.int64))


def image_folder(folder: Any, size: tuple[int, int] | None = None, grey: bool = False) -> Dataset:
    """Pictures in a folder for each class: x, f32 from 0 to 1, (height, width, 3), and label, i64.

    size: (height, width) that pictures are scaled to; without it all have that of the first.
    grey: x has the shape (height, width). Needs phistar[data]. Raises DataError as they are read.
    """
    need("PIL.Image", "data")
    files, classes = files_by_class(existing(folder), PICTURES)

    def decode(path: Path) -> Array:
        with damage(path, "picture"):
            return pixels(path, size, grey)

    return labelled(decoded(files, decode, 255), classes)


def pixels(source: Any, size: tuple[int, int] | None = None, grey: bool = False) -> Array:
    """The bytes of a picture, (height, width, 3) or (height, width)."""
    image = need("PIL.Image", "data")
    with image.open(source) as opened:
        picture = opened.convert("L" if grey else "RGB")
        if size is not None and picture.size != (size[1], size[0]):
            picture = picture.resize((size[1], size[0]), image.Resampling.BILINEAR)
        return np.asarray(picture, np.uint8)


def wav(folder: Any, samples: int) -> Dataset:
    """Sounds in a folder for each class: x, f32 from -1 to 1, (samples, channels), and label, i64.

    samples: longer sounds are cut, shorter ones end in silence. Raises DataError as they are read.
    """
    files, classes = files_by_class(existing(folder), (".wav",))
    return labelled(decoded(files, lambda path: sound(path, samples), None), classes)


def sound(path: Path, samples: int) -> Array:
    """The samples of a WAV file of 8, 16, 24 or 32 bits, each channel a column."""
    with damage(path, "WAV"), wave.open(str(path)) as file:
        channels, width = file.getnchannels(), file.getsampwidth()
        taken = file.readframes(min(samples, path.stat().st_size))
        taken = taken[: len(taken) // (width * channels) * width * channels]
        found = amplitudes(taken, width).reshape(-1, channels)
    out = np.zeros((samples, channels), np.float32)
    out[: len(found)] = found[:samples]
    return out


def amplitudes(content: bytes, width: int) -> Array:
    if width == 3:
        three = np.frombuffer(content, "u1").reshape(-1, 3)
        four = np.concatenate([np.zeros((len(three), 1), "u1"), three], 1)
        return np.asarray(np.ascontiguousarray(four).view("<i4")[:, 0] / 2.0**31, np.float32)
    values = np.frombuffer(content, SAMPLES[width]).astype(np.float64)
    values = values - 128 if width == 1 else values
    return np.asarray(values / 2.0 ** (8 * width - 1), np.float32)


def tar(*shards: Any, columns: Mapping[str, str]) -> Dataset:
    """Shards in the form of WebDataset: `tar("a.tar", "b.tar", columns={"x": "png", "y": "cls"})`.

    columns: names to endings. cls: a whole number; npy: an array; png, jpg, jpeg: a picture, f32
    from 0 to 1. Examples that lack one of the endings are left out. Raises DataError for damage.
    """
    examples = [found for shard in shards for found in members(existing(shard)).values()]
    whole = [found for found in examples if all(end in found for end in columns.values())]
    if not whole:
        raise DataError(f"no example has all of {', '.join(columns.values())}")
    return Dataset(**{name: member_column([f[e] for f in whole], e) for name, e in columns.items()})


Member = tuple[Path, str, int, int]  # shard, name, where it begins, how long it is


def members(shard: Path) -> dict[str, dict[str, Member]]:
    """Of each key, its files by ending; the headers alone are read."""
    found: dict[str, dict[str, Member]] = {}
    total = shard.stat().st_size
    with damage(shard, "tar"), tarfile.open(shard, "r:") as file:
        for info in file:
            folder, _, name = info.name.rpartition("/")
            key, _, ending = name.partition(".")
            if not info.isreg() or not ending:
                continue
            if info.offset_data + info.size > total or not 0 <= info.size < LONGEST:
                raise DataError(f"{shard} is damaged: {info.name} does not end in it")
            place = (shard, info.name, info.offset_data, info.size)
            found.setdefault(f"{folder}/{key}", {})[ending.lower()] = place
    return found


def member_column(places: list[Member], ending: str) -> Column:
    kinds: dict[str, Callable[[bytes], Array]] = {"cls": whole_number, "npy": array_in}
    picture = f".{ending}" in PICTURES
    read = (lambda content: pixels(io.BytesIO(content))) if picture else kinds.get(ending)
    if read is None:
        raise DataError(f"files that end in .{ending} are not read; cls, npy and pictures are")

    def decode(place: Member) -> Array:
        shard, name, start, size = place
        with damage(Path(f"{shard}:{name}"), f".{ending}"), shard.open("rb") as file:
            file.seek(start)
            return read(file.read(size))

    return decoded(places, decode, 255 if picture else None)


def whole_number(content: bytes) -> Array:
    return np.array(int(content), np.int64)


def array_in(content: bytes) -> Array:
    return parse_npy(content, "it")
