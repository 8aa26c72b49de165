"""The C compiler of this machine: which it is, how it is called, what it says when it fails.

    $CC, else cc, else gcc, else clang, else the package ziglang

A compiler's version is asked for once and remembered in the folder of the compiled code, so that
most processes start none.
"""

import functools
import hashlib
import os
import platform
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from phistar.errors import BackendError, CompileError

# Never -ffast-math: NaN, infinities and the order of sums are part of what a program means.
FLAGS = (
    "-O3",
    "-march=native",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fopenmp-simd",
    "-fwrapv",
    "-std=gnu11",
    "-fPIC",
    "-shared",
    *(("-mprefer-vector-width=512",) if platform.machine() in ("x86_64", "AMD64") else ()),
)
LINK = ("-pthread", "-lm")
NAMES = ("cc", "gcc", "clang")
SECONDS = 300.0  # until a compilation is given up
VERSION_SECONDS = 60.0  # until a compiler that does not say its version is given up
WORDS = 30  # lines of the compiler's messages that an error shows
EXCERPT = 40  # lines of the source that an error shows
AROUND = 2  # lines before and after the one that a message points to
WIDTH = 200  # characters of a line that an error shows
CPU = (  # what /proc/cpuinfo calls the features, by architecture
    "model name",
    "flags",
    "Features",
    "features",
    "CPU implementer",
    "CPU architecture",
    "CPU variant",
    "CPU part",
    "cpu",
    "isa",
)


@dataclass(frozen=True)
class Compiler:
    """A C compiler that runs here: the words that call it and the first line of its version."""

    command: tuple[str, ...]
    version: str


def find_compiler() -> Compiler | None:
    """The C compiler to use, None without one; BackendError for a $CC that does not run."""
    return first_compiler(os.environ.get("CC", ""), os.environ.get("PATH"))


@functools.cache
def first_compiler(named: str, path: str | None) -> Compiler | None:
    """The compiler that $CC names, else the first that runs."""
    if named.strip():
        return named_compiler(named, path)
    for command in candidates(path):
        try:
            return Compiler(command, version(command))
        except BackendError:  # such as the cc of a macOS without its command line tools
            continue
    return None


def named_compiler(named: str, path: str | None) -> Compiler:
    try:
        first, *rest = shlex.split(named)
    except ValueError as error:
        raise BackendError(f"CC is {named!r}, which is no command: {error}") from None
    import shutil

    found = shutil.which(first, path=path)
    if found is None:
        raise BackendError(f"CC is {named!r}, but there is no program {first} that can be run")
    command = (os.path.abspath(found), *rest)
    try:
        return Compiler(command, version(command))
    except BackendError as error:
        raise BackendError(f"CC is {named!r}, but it does not run\n{error}") from None


def candidates(path: str | None) -> Iterator[tuple[str, ...]]:
    """The commands to try, without $CC."""
    import shutil

    for name in NAMES:
        if found := shutil.which(name, path=path):
            yield (os.path.abspath(found),)
    if sys.executable and zig() is not None:
        yield sys.executable, "-m", "ziglang", "cc"


def zig() -> Path | None:
    """The folder of the package ziglang, None if it is not installed."""
    from importlib.util import find_spec

    spec = find_spec("ziglang")
    return Path(spec.origin).parent if spec and spec.origin else None


def version(command: tuple[str, ...]) -> str:
    """The first line of `--version`, from memory if no executable of the command has changed."""
    name = hashlib.sha256(repr((command, *stamps(command))).encode()).hexdigest() + ".version"
    try:
        memory = open_folder() / name
    except OSError:
        return ask_version(command)
    try:
        return memory.read_text(encoding="utf-8")
    except (OSError, ValueError):
        pass
    line = ask_version(command)
    try:
        write_whole(memory, line)
    except OSError:
        pass  # the next process asks again
    return line


def stamps(command: tuple[str, ...]) -> Iterator[tuple[str, int, int]]:
    """Real path, size and time of each executable in a command such as `ccache gcc`."""
    import shutil

    files = [shutil.which(word) for word in command]
    if "ziglang" in command and (folder := zig()):
        files.append(str(folder / "zig"))
    for file in files:
        if file and os.path.exists(file):
            real = os.path.realpath(file)
            facts = os.stat(real)
            yield real, facts.st_size, facts.st_mtime_ns


def ask_version(command: tuple[str, ...]) -> str:
    status, words = run((*command, "--version"), VERSION_SECONDS)
    if status:
        raise BackendError(f"  {shlex.join(command)} --version\n{indented(words)}  {status}")
    return next((line.strip() for line in words.splitlines() if line.strip()), "unknown")


def run(command: tuple[str, ...], seconds: float) -> tuple[str, str]:
    """Why a command failed, empty if it did not; and all that it printed."""
    import subprocess  # slow to import, and most processes find all that they need in the cache

    environment = {**os.environ, "LC_ALL": "C"}  # its messages are searched for, and sent to us
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        return f"it could not be started: {error.strerror}", ""
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        end(process.pid)
        output, _ = process.communicate()
        return f"it was stopped after {seconds:g} seconds", output.decode(errors="replace")
    except BaseException:
        end(process.pid)
        process.communicate()
        raise
    status = process.returncode
    how = f"exit status {status}" if status > 0 else f"ended by signal {-status}"
    return how if status else "", output.decode(errors="replace")


def end(group: int) -> None:
    """End a compiler and the programs it has started."""
    import signal

    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass


@functools.cache
def cpu_features() -> str:
    """What decides the code that -march=native gives: the model and the features of the CPU."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            found = list(features(file))
    except OSError:
        found = []
    return "\n".join(found) or f"{platform.machine()} {platform.processor()}"


def features(lines: Iterator[str]) -> Iterator[str]:
    """The lines of the first processor that name its model and its features."""
    for line in lines:
        name, _, value = line.partition(":")
        if not name.strip():
            return
        if name.strip() in CPU:
            yield f"{name.strip()}: {value.strip()}"


def compile_shared(
    compiler: Compiler,
    source: str,
    out: Path,
    include: Path | None = None,
    extra: tuple[str, ...] = (),
) -> None:
    """Compile C to a shared object, which is there whole or not at all; CompileError if it fails.

    include: a folder with headers. extra: flags after the usual ones, such as -fsanitize=undefined.
    """
    work = out.absolute().with_name(f".building-{token()}")
    text, built = work / f"{out.stem}.c", work / out.name  # an object holds the name of its source
    command = (
        *(*compiler.command, *FLAGS, "-w", "-g0"),
        *(() if include is None else (f"-I{include}",)),
        *("-o", str(built), str(text), *extra, *LINK),
    )
    work.mkdir(mode=0o700)
    try:
        text.write_text(source, encoding="utf-8")
        status, words = run(command, SECONDS)
        if not status and not built.exists():
            status = "it wrote nothing"
        if status:
            raise CompileError(explanation(command, status, words, text, source, include))
        os.replace(built, out)
    finally:
        remove(work)


def explanation(
    command: tuple[str, ...], status: str, words: str, text: Path, source: str, include: Path | None
) -> str:
    """The command, the compiler's words, and the lines that they point to; without long paths."""
    shown = words.splitlines()[:WORDS]
    places = "".join(f"{line}\n" for line in excerpts(shown, text, source, include))
    message = (
        f"the C compiler failed: {status}\n  {shlex.join(command)}\n"
        f"{indented(words)}{indented(places, EXCERPT)}"
    )
    message = message.replace(f"{text.parent}{os.sep}", "")
    return (message.replace(str(include), include.name) if include else message).rstrip("\n")


def indented(text: str, most: int = WORDS) -> str:
    """The first lines, indented and cut; the last one says how many were left out."""
    lines = text.splitlines()
    left = [f"... and {len(lines) - most} lines more"] if len(lines) > most else []
    cut = (line if len(line) <= WIDTH else line[: WIDTH - 3] + "..." for line in lines[:most])
    return "".join(f"  {line}\n" for line in (*cut, *left))


def excerpts(words: list[str], text: Path, source: str, include: Path | None) -> Iterator[str]:
    """Each file that messages of the form `file:line:column: ...` point to, around these lines."""
    pointed: dict[str, set[int]] = {}
    for line in words:
        if place := re.match(r"(.+?):(\d+):", line):
            pointed.setdefault(place[1], set()).add(int(place[2]))
    for name, numbers in pointed.items():
        content = source if Path(name) == text else header(name, include)
        if content is not None:
            yield f"{name}:"
            yield from numbered(content.removesuffix("\n").split("\n"), numbers)


def header(name: str, include: Path | None) -> str | None:
    """The text of a file in the folder of headers, None for another one."""
    if include is None or not Path(name).is_relative_to(include):
        return None
    try:
        return Path(name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def numbered(lines: list[str], pointed: set[int]) -> Iterator[str]:
    """The lines around the ones pointed to, which are marked; a gap is shown as one."""
    shown = sorted({
        number
        for center in pointed
        for number in range(center - AROUND, center + AROUND + 1)
        if 1 <= number <= len(lines)
    })  # fmt: skip
    width, before = len(str(max(shown, default=0))), None
    for number in shown:
        if before is not None and number != before + 1:
            yield "  ..."
        mark = ">" if number in pointed else " "
        yield f"{mark} {number:{width}} | {lines[number - 1]}".rstrip()
        before = number


def open_folder() -> Path:
    """PHISTAR_HOME/c, made if it is missing; an OSError says why it is not to be used.

    What lies here is run: nobody else may be able to write to it.
    """
    folder = home() / "c"
    if str(folder).startswith("~"):
        raise FileNotFoundError("the user has no home folder")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError("it is not a folder") from None
    if not (is_own(folder.lstat()) and is_own(folder.stat())):  # a link, and what it leads to
        raise PermissionError("it belongs to another user")
    if is_open(folder.stat()):
        folder.chmod(0o700)
        if is_open(folder.stat()):
            raise PermissionError("other users can write to it, and its mode cannot be changed")
    if os.statvfs(folder).f_flag & getattr(os, "ST_NOEXEC", 0):
        raise PermissionError("its file system does not allow code to be run (noexec)")
    return folder.absolute()


def home() -> Path:
    """Where phistar keeps its own files, as phistar.data.places has it (which is a layer above)."""
    if named := os.environ.get("PHISTAR_HOME"):
        return Path(os.path.expanduser(named))
    xdg = os.environ.get("XDG_CACHE_HOME")
    return Path(xdg or os.path.expanduser("~/.cache")) / "phistar"


def is_own(facts: os.stat_result) -> bool:
    """Whether a file or a folder belongs to the user."""
    return facts.st_uid == os.geteuid()


def is_open(facts: os.stat_result) -> bool:
    """Whether the group or others may write."""
    return bool(facts.st_mode & 0o022)


def entries(folder: Path) -> Iterator[Path]:
    """What phistar has put into the folder, and nothing else that may lie there."""
    for name in os.listdir(folder):
        if re.fullmatch(r"[0-9a-f]{64}\.(so|sum|version)|\.building-\w+", name):
            yield folder / name


def remove(path: Path) -> None:
    """Remove a file or a folder; another process may have been faster."""
    import shutil

    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    try:
        path.unlink()
    except OSError:
        pass


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all, and only the user may write to it."""
    beside = path.with_name(f".building-{token()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.chmod(0o600)
        os.replace(beside, path)
    finally:
        remove(beside)


def token() -> str:
    """What makes the name of a temporary file unique."""
    return os.urandom(8).hex()
