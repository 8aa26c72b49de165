"""The idx format of MNIST's files, for bytes: what MNIST and the sets in its form hold.

    file = 0 0 8 axes size{axes} byte*         sizes: 32 bits, big-endian

Files may be gzipped; nothing but a whole, exact file is read.
"""

import gzip
import zlib
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from phistar.errors import DataError

Bytes: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]

GZIP = b"\x1f\x8b"
BYTE = 8  # the code of unsigned bytes


def read_idx(path: Path, rank: int | None) -> Bytes:
    """The array in a file, gzipped or not; DataError if it is damaged or has another rank.

    rank: how many axes it has; None: any number.
    """
    try:
        content = path.read_bytes()
        if content.startswith(GZIP):
            content = gzip.decompress(content)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path} is damaged: it cannot be unpacked ({error})") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    return parse_idx(content, str(path), rank)


def parse_idx(content: bytes, name: str, rank: int | None) -> Bytes:
    """The array in the content of a file, which messages call `name`."""
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != BYTE:
        raise DataError(
            f"{name} is not an idx file of bytes: it begins with {content[:4].hex(' ')}"
        )
    rank = content[3] if rank is None else rank
    if content[3] != rank:
        raise DataError(f"{name} has {content[3]} axes, but {rank} were expected")
    start = 4 + 4 * rank
    if len(content) < start:
        raise DataError(f"{name} is cut short: its header has {len(content)} of {start} bytes")
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", rank, 4))
    count = int(np.prod(shape, dtype=object))
    if len(content) - start != count:
        raise DataError(
            f"{name} is damaged: shape {shape} takes {count} bytes, "
            f"but {len(content) - start} follow the header"
        )
    if rank > 32:  # NumPy 1 has no more axes
        raise DataError(f"{name} has {rank} axes, more than an array can have")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def format_idx(array: Bytes) -> bytes:
    """The content of a file with this array."""
    if array.dtype != np.uint8:
        raise DataError(f"an idx file of bytes cannot hold {array.dtype}")
    sizes = np.array(array.shape, ">u4").tobytes()
    return bytes([0, 0, BYTE, array.ndim]) + sizes + array.tobytes()
