"""Downloads: a few tries, a time limit, a checksum, and a line on the terminal that shows progress.

A failure is a DataError that says what was asked for and what came.
"""

import hashlib
import sys
from typing import Any, Protocol

from phistar.errors import DataError

SECONDS = 20.0  # without a byte, until an address is given up
TRIES = 2
CHUNK = 1 << 16


class Source(Protocol):
    """What a download is read from."""

    def read(self, size: int, /) -> bytes: ...


def download(url: str, title: str) -> bytes:
    """The whole content of an address; title: what the progress line calls it."""
    # These are slow to import, and most runs find their data in the cache.
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError

    reason: object = None
    for _ in range(TRIES):
        try:
            return request(url, title)
        except HTTPError as error:
            reason = f"{error.code} {error.reason}"
            if error.code < 500:
                break
        except URLError as error:
            reason = error.reason
        except (OSError, HTTPException) as error:
            reason = error
    raise DataError(f"{url} could not be fetched: {reason}")


def request(url: str, title: str) -> bytes:
    """One try."""
    from urllib.request import Request, urlopen

    with urlopen(Request(url, headers={"User-Agent": "phistar"}), timeout=SECONDS) as response:
        length = response.headers.get("Content-Length")
        data = read_all(response, title, int(length) if length else None)
    if length and len(data) != int(length):
        raise OSError(f"it ended after {len(data):,} of {int(length):,} bytes")
    return data


def read_all(source: Source, title: str, total: int | None) -> bytes:
    """All bytes of a response, with a line on the terminal."""
    data = bytearray()
    line = Line(title, total)
    while chunk := source.read(CHUNK):
        data += chunk
        line.show(len(data))
    line.clear()
    return bytes(data)


class Line:
    """`train-images-idx3-ubyte.gz  3.2 / 9.9 MB`, rewritten in place; nothing off a terminal."""

    def __init__(self, title: str, total: int | None, stream: Any = None) -> None:
        self.title, self.total = title, total
        self.stream = sys.stderr if stream is None else stream
        self.width = 0

    def show(self, done: int) -> None:
        of = f" / {self.total / 1e6:.1f}" if self.total else ""
        self.write(f"{self.title}  {done / 1e6:.1f}{of} MB")

    def write(self, text: str) -> None:
        if self.stream.isatty():
            self.stream.write("\r" + text.ljust(self.width))
            self.stream.flush()
            self.width = len(text)

    def clear(self) -> None:
        if self.width:
            self.write("")
            self.stream.write("\r")
            self.stream.flush()


def check_sum(data: bytes, algorithm: str, expected: str, what: str) -> None:
    """DataError if the data is not what was expected."""
    got = digest(data, algorithm)
    if got != expected:
        raise DataError(
            f"{what} is not what was expected: its {algorithm} is {got}, it should be {expected}"
        )


def digest(data: bytes, algorithm: str) -> str:
    """The checksum of the data, in hexadecimal."""
    return hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()
