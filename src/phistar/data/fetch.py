"""Downloads: a few tries, a time limit, a checksum, and a line on the terminal that shows progress.

    request -> 206: what is missing, appended   200: all of it, from the first byte on
    try again while bytes come; give up after TRIES without any

What came stays in the cache until it is whole (`partial`). A failure is a DataError that says what
was asked for and what came.
"""

import hashlib
import sys
import time
from typing import Any, Protocol

from phistar.data.partial import Content, Partial, partial
from phistar.data.places import offline
from phistar.errors import DataError

SECONDS = 20.0  # without a byte, until an address is given up
PAUSE = 0.3  # seconds, before an address that failed is asked again
TRIES = 2
CHUNK = 1 << 16


class Source(Protocol):
    """What a download is read from."""

    def read1(self, size: int, /) -> bytes: ...


def download(url: str, title: str) -> bytes:
    """The whole content of an address; title: what the progress line calls it.

    Goes on with what came before, in this process or an earlier one. Raises DataError if the
    address fails, or if PHISTAR_OFFLINE forbids the network.
    """
    if offline():
        raise DataError(f"{url} was not fetched: PHISTAR_OFFLINE is set")
    with partial(url) as part:
        complete(url, title, part)
        data = part.read()
        part.forget()
    return data


def complete(url: str, title: str, part: Partial) -> None:
    """Ask until the whole content is here."""
    # These are slow to import, and most runs find their data in the cache.
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError

    reason: object = None
    left = TRIES
    while left:
        try:
            return request(url, title, part)
        except HTTPError as error:
            reason = f"{error.code} {error.reason}"
            if error.code == 416:  # there is no such range: what is here is of something else
                part.begin(Content())
            elif error.code < 500 and error.code != 429:
                break
        except URLError as error:
            reason = error.reason
        except (OSError, HTTPException) as error:
            reason = error
        left = TRIES - 1 if part.grown() else left - 1
        time.sleep(PAUSE if left else 0)
    if not len(part):
        part.forget()
    kept = f" ({len(part):,} bytes are kept)" if part.note and len(part) else ""
    raise DataError(f"{url} could not be fetched: {reason}{kept}")


def request(url: str, title: str, part: Partial) -> None:
    """One try: what is missing, or all if the server gives no parts or has something else now."""
    from urllib.request import Request, urlopen

    headers = {"User-Agent": "phistar", "Accept-Encoding": "identity", **missing(part)}
    with urlopen(Request(url, headers=headers), timeout=SECONDS) as response:
        content, start = content_of(response)
        if start and (start != len(part) or content.total != part.content.total):
            part.begin(Content())
            raise OSError("its content changed while it was fetched")
        if not start:
            part.begin(content)
        append_all(response, title, part)
    if content.total is not None and len(part) != content.total:
        raise OSError(f"it ended after {len(part):,} of {content.total:,} bytes")


def missing(part: Partial) -> dict[str, str]:
    """Headers that ask for the bytes that are not here, if the content is still the same."""
    if not len(part) or part.content.total is None:
        return {}
    headers = {"Range": f"bytes={len(part)}-"}
    if part.content.validator:
        headers["If-Range"] = part.content.validator
    return headers


def content_of(response: Any) -> tuple[Content, int]:
    """Which content comes, and from which byte on."""
    etag = response.headers.get("ETag", "")
    strong = "" if etag.startswith("W/") else etag
    validator = strong or response.headers.get("Last-Modified", "")
    if response.status == 206:
        what, _, total = response.headers.get("Content-Range", "").partition("/")
        first = what.removeprefix("bytes ").partition("-")[0]
        if not (first.isdecimal() and total.isdecimal()):
            raise OSError(f"it answered with the range {what!r} of {total!r}")
        return Content(validator, int(total)), int(first)
    length = response.headers.get("Content-Length")
    return Content(validator, int(length) if length else None), 0


def append_all(source: Source, title: str, part: Partial) -> None:
    """All bytes of a response, with a line on the terminal."""
    done = len(part)
    line = Line(title, part.content.total)
    try:
        while chunk := source.read1(CHUNK):
            part.append(chunk)
            done += len(chunk)
            line.show(done)
    finally:
        line.clear()


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
