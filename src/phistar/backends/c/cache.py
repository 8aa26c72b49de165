"""Compiled C on disk: each source is compiled once on a machine, by whichever process is first.

    <key>.sum       the SHA-256 of the object that a source gives; the key is a SHA-256 of the
                    source and of everything else that decides what the compiler makes of it
    <SHA-256>.so    an object, under the name that its content must have
    .building-...   what a process is working on

Every file appears under its name by one os.replace: a process that is killed leaves whole files and
a `.building-...`, and many at once at worst do the same work twice. An object that is damaged does
not have the sum in its name, and is built again.
"""

import atexit
import functools
import hashlib
import os
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from phistar.backends.c.toolchain import (
    FLAGS,
    LINK,
    Compiler,
    compile_shared,
    cpu_features,
    entries,
    find_compiler,
    home,
    is_open,
    is_own,
    open_folder,
    remove,
    write_whole,
)
from phistar.errors import BackendError, BackendWarning, CompileError

FORMAT = 1  # of this cache; a new number makes all that is in it unknown
LIMIT = 512 * 2**20  # bytes of the cache
GRACE = 60.0  # seconds in which what was just found may be about to be loaded
STALE = 86400.0  # seconds after which nobody works on a `.building-...` any more
SPARE = 2**20  # bytes; a disk with fewer is full
FULL = ("No space left on device", "Disk quota exceeded")
NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class CacheWarning(BackendWarning):
    """Compiled code cannot be kept for the next process."""


def shared_object(
    source: str, *, headers: Mapping[str, str] = NO_HEADERS, extra: tuple[str, ...] = ()
) -> Path:
    """The shared object of a C source, from the cache or compiled.

    headers: what the source includes, by name. extra: flags beyond the usual ones.
    CompileError if it does not compile, BackendError without a compiler.
    """
    compiler = find_compiler()
    if compiler is None:
        raise BackendError(
            "there is no C compiler: install cc, gcc or clang, name one in CC, "
            "or pip install ziglang"
        )
    key = key_of(compiler, source, headers, extra)
    try:
        folder = open_folder()
        return find(folder, key) or build(folder, key, compiler, source, headers, extra)
    except OSError as error:
        reason = error.strerror or str(error)
    except CompileError as error:
        reason = next((words for words in FULL if words in str(error)), "")
        if not reason and not is_full(folder):
            raise
    folder = home() / "c"
    say_once(folder, reason or FULL[0])
    try:
        private = private_folder(os.getpid())
        return find(private, key) or build(private, key, compiler, source, headers, extra)
    except OSError as error:
        raise BackendError(
            f"compiled code can be kept neither in {folder} ({reason}) "
            f"nor in a temporary folder ({error})"
        ) from None


def key_of(
    compiler: Compiler, source: str, headers: Mapping[str, str], extra: tuple[str, ...]
) -> str:
    """A name for everything that decides what the compiler makes."""
    facts = (
        *(FORMAT, source, sorted(headers.items()), FLAGS, LINK, extra),
        *(compiler.command, compiler.version, cpu_features(), libc()),
    )
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def libc() -> str:
    """The C library: machines that share a home folder may differ in it."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):
        return ""


def find(folder: Path, key: str) -> Path | None:
    """The object, if it is in the folder and what it was when it was built."""
    summed = folder / f"{key}.sum"
    try:
        digest = read_own(summed).decode("ascii")
        found = folder / f"{digest}.so"
        data = read_own(found)
    except (OSError, ValueError):
        return None
    if hashlib.sha256(data).hexdigest() != digest:
        return None
    try:
        os.utime(summed)
        os.utime(found)
    except OSError:
        pass  # a folder that can only be read
    return found


def read_own(path: Path) -> bytes:
    """The content of a file that nobody else can have written, as before the folder was closed."""
    with path.open("rb") as file:
        facts = os.fstat(file.fileno())
        if is_open(facts) or not is_own(facts):
            raise PermissionError("others may have written it")
        return file.read()


def build(
    folder: Path,
    key: str,
    compiler: Compiler,
    source: str,
    headers: Mapping[str, str],
    extra: tuple[str, ...],
) -> Path:
    """Compile, and put the result into the folder."""
    import tempfile  # slow to import, and most processes find all that they need

    with tempfile.TemporaryDirectory(
        prefix=".building-", dir=folder, ignore_cleanup_errors=True
    ) as work:
        include, made = Path(work, "include"), Path(work, "kernel.so")
        write_headers(include, headers)
        compile_shared(compiler, source, made, include, extra)
        made.chmod(0o700)
        digest = hashlib.sha256(made.read_bytes()).hexdigest()
        out = folder / f"{digest}.so"
        os.replace(made, out)
    write_whole(folder / f"{key}.sum", digest)
    sweep(folder)
    trim(folder)
    return out


def write_headers(include: Path, headers: Mapping[str, str]) -> None:
    for name, text in headers.items():
        path = include / name
        if ".." in path.parts or not path.is_relative_to(include):
            raise BackendError(f"the header {name!r} leads out of the folder of headers")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def sweep(folder: Path) -> None:
    """Remove what killed processes have left."""
    for path in entries(folder):
        if path.name.startswith(".") and age(path) > STALE:
            remove(path)


def trim(folder: Path) -> None:
    """Remove the objects that were used the longest ago, while there are too many."""
    kept = [(age(path), path) for path in entries(folder) if path.suffix in (".so", ".sum")]
    total = sum(size(path) for _, path in kept)
    for old, path in sorted(kept, reverse=True):
        if total <= LIMIT or old < GRACE:
            return
        total -= size(path)
        remove(path)


def age(path: Path) -> float:
    """Seconds since a file was made or used; 0 if another process has removed it."""
    try:
        return time.time() - path.lstat().st_mtime
    except OSError:
        return 0.0


def size(path: Path) -> int:
    """Bytes of a file; 0 if another process has removed it."""
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def clear() -> None:
    """Empty the cache, but for what is being built; an OSError says why it cannot be used."""
    folder = open_folder()
    sweep(folder)
    for path in entries(folder):
        if not path.name.startswith("."):
            remove(path)


def is_full(folder: Path) -> bool:
    """Whether the disk has no room, which some linkers say by a crash."""
    try:
        facts = os.statvfs(folder)
    except OSError:
        return False
    return facts.f_bavail * facts.f_frsize < SPARE


@functools.cache
def say_once(folder: Path, reason: str) -> None:
    warnings.warn(
        f"compiled code cannot be kept in {folder}: {reason}; "
        "it is compiled again in each process (PHISTAR_HOME names another folder)",
        CacheWarning,
        stacklevel=3,
    )


@functools.cache
def private_folder(process: int) -> Path:
    """A temporary folder that only this process uses, removed when it exits."""
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="phistar-"))

    def forget() -> None:
        if os.getpid() == process:  # and not one that was forked from it
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(forget)
    return folder
