"""Files out of .tar, .tar.gz and .zip archives, read in memory: nothing is written to disk.

Only plain files are read; links, devices and what else an archive may hold are passed over.
"""

import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator

from phistar.errors import DataError

DAMAGE = (tarfile.TarError, zipfile.BadZipFile, OSError, EOFError, zlib.error, lzma.LZMAError)


def unpack(content: bytes, name: str) -> bytes:
    """The content of a .gz file; DataError if it is damaged."""
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{name} is damaged: it cannot be unpacked ({error})") from None


def members(
    content: bytes, name: str, wanted: Callable[[str], bool] = lambda member: True
) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the plain files in an archive that are wanted, in its order."""
    kind = of_zip if zipfile.is_zipfile(io.BytesIO(content)) else of_tar
    try:
        yield from kind(content, wanted)
    except DAMAGE as error:
        raise DataError(f"{name} is damaged: it cannot be unpacked ({error})") from None


def of_tar(content: bytes, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            if member.isfile() and wanted(member.name) and (file := archive.extractfile(member)):
                yield member.name, file.read()


def of_zip(content: bytes, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for member in archive.infolist():
            if not member.is_dir() and wanted(member.filename):
                yield member.filename, archive.read(member)
