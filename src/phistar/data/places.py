"""Where data lie: the user's own folder, the cache, and whether the network may be asked.

PHISTAR_DATA      a folder with data sets, read before anything else
PHISTAR_HOME      phistar's own files; else XDG_CACHE_HOME/phistar, else ~/.cache/phistar
PHISTAR_OFFLINE   1: never use the network
"""

import os
from pathlib import Path

from phistar.errors import DataError


def data_folder() -> Path | None:
    """The folder the user gives, if one is given; DataError if it does not exist."""
    named = os.environ.get("PHISTAR_DATA")
    if not named:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise DataError(f"PHISTAR_DATA is {named}, but there is no such folder")
    return folder


def cache_folder() -> Path:
    """Where fetched data sets are kept."""
    home = os.environ.get("PHISTAR_HOME")
    if home:
        return Path(home).expanduser() / "data"
    xdg = os.environ.get("XDG_CACHE_HOME")
    return (Path(xdg) if xdg else Path.home() / ".cache") / "phistar" / "data"


def offline() -> bool:
    """True if the user forbids the network."""
    return os.environ.get("PHISTAR_OFFLINE", "0").lower() not in ("", "0", "false", "no")
