"""What readers of files share: a file and a library that are there, and one kind of error.

whatever a format's library raises for a damaged file -> DataError: FILE is damaged: REASON
"""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from phistar.errors import DataError


def need(module: str, extra: str) -> Any:
    """An optional library, or a DataError that says how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        library = module.partition(".")[0]
        raise DataError(
            f"this needs {library}, which is not installed: pip install 'phistar[{extra}]'"
        ) from None


def existing(path: Any) -> Path:
    """The path of a file or folder that is there."""
    found = Path(path).expanduser()
    if not found.exists():
        raise DataError(f"{found} does not exist")
    return found


@contextmanager
def damage(path: Path, kind: str) -> Iterator[None]:
    """What goes wrong inside is a DataError of this file."""
    try:
        yield
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    except Exception as error:  # libraries raise anything for damaged files
        reason = str(error) or type(error).__name__
        raise DataError(f"{path} is damaged or no {kind} file: {reason[:200]}") from None
