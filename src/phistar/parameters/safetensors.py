"""The safetensors format: eight bytes of length, a header in JSON, the bytes of the arrays.

{"W": {"dtype": "F32", "shape": [128, 784], "data_offsets": [0, 401408]}, ...}

https://github.com/huggingface/safetensors: the arrays fill the rest of the file, in any order,
without holes and without overlaps.
"""

import json
import os
from collections.abc import Iterator, Mapping
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from phistar.data.writing import write_atomically
from phistar.errors import DTypeError, WeightsError
from phistar.ir.dtypes import DType, as_dtype
from phistar.parameters.stored import (
    Array,
    Damaged,
    Stored,
    as_read,
    checked_shape,
    numpy_type,
    read_exactly,
    unreadable,
)

METADATA = "__metadata__"
LONGEST_HEADER = 100_000_000  # as the library has it
ALIGNED = 8

# fmt: off
WRITTEN = {
    DType.BOOL: "BOOL", DType.U8:  "U8",  DType.I8:  "I8",  DType.I16: "I16", DType.I32: "I32",
    DType.I64:  "I64",  DType.F16: "F16", DType.F32: "F32", DType.F64: "F64", DType.BF16: "BF16",
}
NUMPY = {  # the type of its elements in the file
    "BOOL": "|b1", "U8":  "|u1", "I8":   "|i1", "I16": "<i2", "U16": "<u2", "I32": "<i4",
    "U32":  "<u4", "I64": "<i8", "U64":  "<u8", "F16": "<f2", "F32": "<f4", "F64": "<f8",
    "C64":  "<c8", "BF16": "bfloat16",
}
BITS = {name: 8 * np.dtype(numpy).itemsize for name, numpy in NUMPY.items() if name != "BF16"} | {
    "BF16": 16,    "F8_E4M3": 8,  "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "F6_E2M3": 6,  "F6_E3M2": 6,  "F4": 4,
}
# fmt: on


def write_safetensors(
    path: Path, arrays: Mapping[str, Array], metadata: Mapping[str, str] | None = None
) -> None:
    """Write arrays by name; the file is replaced only when the new one is whole.

    Raises WeightsError if a type or a name cannot be written, or the file cannot.
    """
    ready = {name: writable(name, arrays[name]) for name in arranged(arrays)}
    try:
        write_atomically(path, contents(ready, metadata or {}))
    except OSError as error:
        raise WeightsError(f"{path} cannot be written: {error.strerror}") from None


def arranged(arrays: Mapping[str, Array]) -> list[str]:
    """Names in the order of their arrays in the file: wide types first, so that all lie aligned."""
    return sorted(arrays, key=lambda name: (-np.asarray(arrays[name]).dtype.itemsize, name))


def writable(name: str, array: Array) -> Array:
    """The array in row-major order with its low bytes first."""
    array = np.asarray(array)
    try:
        dtype = as_dtype(array.dtype)
    except DTypeError:
        raise WeightsError(f"{name} cannot be saved: it holds {array.dtype}") from None
    if name == METADATA or not encodable(name):
        raise WeightsError(f"{name!r} cannot be the name of an array in a safetensors file")
    # ascontiguousarray gives a number one axis
    little = dtype.numpy.newbyteorder("<")
    return np.ascontiguousarray(array, little).reshape(array.shape)


def encodable(name: str) -> bool:
    try:
        return bool(name.encode())
    except UnicodeEncodeError:
        return False


def contents(arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> Iterator[Any]:
    """The bytes of a file, piece by piece."""
    header: dict[str, Any] = {METADATA: dict(metadata)} if metadata else {}
    end = 0
    for name, array in arrays.items():
        start, end = end, end + array.nbytes
        kind = WRITTEN[as_dtype(array.dtype)]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [start, end]}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNED)
    yield len(text).to_bytes(8, "little") + text
    for array in arrays.values():
        yield array.reshape(-1).view(np.uint8)


def read_safetensors(path: Path) -> dict[str, Stored]:
    """The arrays of a file by name; WeightsError if it is damaged."""
    try:
        entries, start = header_of(path)
        return {name: stored(path, name, entry, start) for name, entry in entries.items()}
    except Damaged as error:
        raise unreadable(path, "a safetensors file", error) from None


def metadata_of(path: Path) -> dict[str, str]:
    """What was written beside the arrays: words by name."""
    try:
        with path.open("rb") as file:
            found: dict[str, str] = parsed_header(path, file).get(METADATA, {})
            return found
    except Damaged as error:
        raise unreadable(path, "a safetensors file", error) from None


def header_of(path: Path) -> tuple[dict[str, Any], int]:
    """The entry of every array, checked; and where the arrays begin."""
    with path.open("rb") as file:
        header = parsed_header(path, file)
        start = file.tell()
    header.pop(METADATA, None)
    check_offsets(header, os.path.getsize(path) - start)
    return header, start


def parsed_header(path: Path, file: Any) -> dict[str, Any]:
    size = os.path.getsize(path)
    length = int.from_bytes(read_exactly(file, 8), "little")
    if length > size - 8:
        raise Damaged(f"its header would be longer than it is ({length:,} bytes)")
    if length > LONGEST_HEADER:
        raise Damaged(f"its header is longer than any is ({length:,} bytes)")
    try:
        header = json.loads(read_exactly(file, length).decode(), object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise Damaged(f"its header cannot be read ({error})") from None
    if not isinstance(header, dict) or not is_words(header.get(METADATA, {})):
        raise Damaged("its header is not one")
    return header


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose names differ."""
    made: dict[str, Any] = {}
    for name, value in pairs:
        if name in made:
            raise Damaged(f"it holds {name} twice")
        made[name] = value
    return made


def is_words(metadata: Any) -> bool:
    return isinstance(metadata, dict) and all(isinstance(v, str) for v in metadata.values())


def check_offsets(header: Mapping[str, Any], size: int) -> None:
    """Damaged unless the arrays fill the bytes there are, each as large as it says."""
    for name, entry in header.items():
        check_entry(name, entry)
    end = 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, stop = entry["data_offsets"]
        if stop > size:
            raise Damaged(f"{name} ends {stop - size:,} bytes after the file")
        if begin != end:
            raise Damaged(f"{name} {'overlaps another' if begin < end else 'begins after a hole'}")
        end = stop
    if end != size:
        raise Damaged(f"{size - end:,} bytes at its end belong to nothing")


def check_entry(name: str, entry: Any) -> None:
    """Damaged unless an entry has a type, a shape, and the bytes that these need."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise Damaged(f"the entry of {name} is not one")
    if not isinstance(entry["dtype"], str) or entry["dtype"] not in BITS:
        raise Damaged(f"the type of {name} is not known")
    shape, offsets = checked_shape(entry["shape"], name), entry["data_offsets"]
    if not isinstance(offsets, list) or [type(n) for n in offsets] != [int, int]:
        raise Damaged(f"the place of {name} is not one")
    bits = prod(shape) * BITS[entry["dtype"]]
    if not 0 <= offsets[0] <= offsets[1] or bits != 8 * (offsets[1] - offsets[0]):
        raise Damaged(f"{name} has {offsets[1] - offsets[0]:,} bytes, it needs {bits / 8:,.0f}")


def stored(path: Path, name: str, entry: Mapping[str, Any], start: int) -> Stored:
    """An array of the file, to be read when it is asked for."""
    kind, shape = entry["dtype"], tuple(entry["shape"])
    if kind not in NUMPY:
        return Stored(shape, np.dtype("V1"), partial(refuse, path, name, kind))
    file, memory = numpy_type(NUMPY[kind])
    place = start + entry["data_offsets"][0]
    return Stored(shape, memory, partial(elements, path, place, shape, file, memory))


def refuse(path: Path, name: str, kind: str) -> Array:
    raise WeightsError(f"{name} in {path} holds {kind}, a type that phistar does not have")


def elements(
    path: Path, place: int, shape: tuple[int, ...], file: np.dtype[Any], memory: np.dtype[Any]
) -> Array:
    """An array out of the file."""
    raw = np.fromfile(path, np.uint8, prod(shape) * file.itemsize, offset=place)
    if raw.nbytes != prod(shape) * file.itemsize:
        raise unreadable(path, "a safetensors file", "it has become shorter")
    return as_read(raw.view(file).reshape(shape), memory)
