"""Weights in one file or in several, as Hugging Face lays them out.

model.safetensors
model-00001-of-00002.safetensors  model-00002-of-00002.safetensors  model.safetensors.index.json

The index says which file holds which array. It is written last: until then a reader finds what was
there before, and a file that an older index names is removed only afterwards.
"""

import json
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from phistar.data.writing import write_atomically
from phistar.errors import UsageError, WeightsError
from phistar.parameters.safetensors import arranged, write_safetensors
from phistar.parameters.stored import Array, unreadable

PathLike = str | os.PathLike[str]

INDEX = ".index.json"
FILE = "model.safetensors"
LONGEST_INDEX = 100_000_000
# In a folder, what is looked for, in this order; and any one file of weights else.
KNOWN = (
    FILE,
    FILE + INDEX,
    "pytorch_model.bin",
    "pytorch_model.bin" + INDEX,
    "model.weights.h5",
)
UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12} | {
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}


def write(
    path: PathLike,
    arrays: Mapping[str, Array],
    *,
    max_shard_size: int | str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write arrays by name in the safetensors format.

    path: a file, or a folder (one that exists, or a name that ends in /), where it is called
    model.safetensors. max_shard_size: bytes, or "5GB": several files and an index if the arrays
    need more. What was there before stays until the new is whole. Raises WeightsError if a type
    cannot be written, or a file cannot; UsageError for a size that is none.
    """
    limit = bytes_of(max_shard_size)
    path = target(path)
    shards = split(arrays, limit)
    old = {*shards_of(path), path} if path.with_name(path.name + INDEX).exists() else {path}
    if len(shards) == 1:
        write_safetensors(path, shards[0], metadata)
        remove([path.with_name(path.name + INDEX), *(old - {path})])
    else:
        remove(old - set(write_shards(path, shards, metadata)))


def target(path: PathLike) -> Path:
    """The file that a user means by a file or a folder."""
    path, named = Path(path), os.fspath(path)
    if not (named.endswith(("/", os.sep)) or path.is_dir()):
        return path
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise WeightsError(f"{path} cannot be made: {error.strerror}") from None
    return path / FILE


def bytes_of(size: int | str | None) -> int | None:
    """A number of bytes: 5_000_000, "5MB", "2GiB"."""
    if size is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?I?B|)", str(size).upper())
    if isinstance(size, bool) or not found or found[2] not in UNITS or float(found[1]) <= 0:
        raise UsageError(f'max_shard_size is a size such as "5GB" or 5_000_000, not {size!r}')
    return int(float(found[1]) * UNITS[found[2]])


def split(arrays: Mapping[str, Array], limit: int | None) -> list[dict[str, Array]]:
    """The arrays in as many files as it takes; one larger than a file may be has its own."""
    if limit is None:
        return [dict(arrays)]
    shards: list[dict[str, Array]] = [{}]
    room = limit
    for name, array in arrays.items():
        if shards[-1] and array.nbytes > room:
            shards.append({})
            room = limit
        shards[-1][name] = array
        room -= array.nbytes
    return shards


def write_shards(
    path: Path, shards: list[dict[str, Array]], metadata: Mapping[str, str] | None
) -> list[Path]:
    """Write the files, then the index that names them."""
    files = free_names(path, len(shards))
    total = sum(np.asarray(a).nbytes for shard in shards for a in shard.values())
    places = {
        name: file.name
        for file, shard in zip(files, shards, strict=True)
        for name in arranged(shard)
    }
    text = json.dumps({"metadata": {"total_size": total}, "weight_map": places}, indent=1)
    try:
        for file, shard in zip(files, shards, strict=True):
            write_safetensors(file, shard, metadata)
        write_index(path.with_name(path.name + INDEX), text)
    except BaseException:
        remove(files)
        raise
    return files


def write_index(path: Path, text: str) -> None:
    try:
        write_atomically(path, [text.encode()])
    except OSError as error:
        raise WeightsError(f"{path} cannot be written: {error.strerror}") from None


def free_names(path: Path, count: int) -> list[Path]:
    """The usual names of shards; other ones if there are such files, which stay until the end."""
    stem = path.stem
    while True:
        files = [
            path.with_name(f"{stem}-{n:05}-of-{count:05}{path.suffix}") for n in range(1, count + 1)
        ]
        if not any(file.exists() for file in files):
            return files
        stem = f"{path.stem}-{secrets.token_hex(4)}"


def shards_of(path: Path) -> list[Path]:
    """The files of an index that was there before, if it can be read."""
    try:
        return sorted(set(read_index(path.with_name(path.name + INDEX)).values()))
    except (WeightsError, OSError):
        return []


def remove(files: Iterable[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)


def read_index(path: Path) -> dict[str, Path]:
    """The file of each array; WeightsError if one would lie outside the index's folder."""
    if path.stat().st_size > LONGEST_INDEX:
        raise unreadable(path, "an index of weights", "it is too long")
    try:
        places: Any = json.loads(path.read_bytes().decode())["weight_map"]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise unreadable(path, "an index of weights", error) from None
    if not isinstance(places, dict) or not all(isinstance(f, str) for f in places.values()):
        raise unreadable(path, "an index of weights", "weight_map does not name files")
    for name, file in places.items():
        if not is_plain(file):
            raise WeightsError(f"{path} places {name} in {file!r}, which is not beside it")
    return {name: path.with_name(file) for name, file in places.items()}


def is_plain(name: str) -> bool:
    """Whether a name is that of a file beside, on any system."""
    return name not in ("", ".", "..") and not set(name) & set("/\\:\0")


def weights_in(folder: Path) -> Path:
    """The file of a folder that holds its weights, or names those that do."""
    for name in KNOWN:
        if (folder / name).is_file():
            return folder / name
    others = sorted(p for p in folder.iterdir() if p.suffix == ".safetensors" and p.is_file())
    if len(others) == 1:
        return others[0]
    if others:
        names = ", ".join(p.name for p in others)
        raise WeightsError(f"{folder} has several files of weights and no index: {names}")
    raise WeightsError(f"{folder} has no file of weights: none of {', '.join(KNOWN)}")
