"""Each source is compiled once, whoever else is at work, and a bad folder costs only time."""

import ctypes
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from phistar.backends.c import cache
from phistar.backends.c.cache import CacheWarning, clear, key_of, shared_object
from phistar.backends.c.toolchain import (
    Compiler,
    compile_shared,
    entries,
    find_compiler,
    first_compiler,
    open_folder,
)
from phistar.errors import BackendError, CompileError

THREE = "int f(void) { return 3; }"
FOUR = "int f(void) { return 4; }"
HERE = """
import ctypes, os, sys, time
from pathlib import Path
from phistar.backends.c.cache import shared_object
"""


@pytest.fixture(autouse=True)
def nothing_found_yet() -> None:
    first_compiler.cache_clear()
    cache.say_once.cache_clear()


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Where the real compiler has built something."""
    if find_compiler() is None:
        pytest.skip("no C compiler is installed here")
    made: list[Path] = []

    def count(compiler: Compiler, source: str, out: Path, *others: Any) -> None:
        made.append(out)
        compile_shared(compiler, source, out, *others)

    monkeypatch.setattr(cache, "compile_shared", count)
    return made


def call(path: Path) -> int:
    result: int = ctypes.CDLL(str(path)).f()
    return result


def left() -> list[str]:
    """What is in the folder, by kind."""
    return sorted(path.suffix or "." for path in open_folder().iterdir())


def age(path: Path, seconds: float) -> None:
    before = time.time() - seconds
    os.utime(path, (before, before))


def fail(error: Exception) -> Callable[..., Any]:
    def function(*_: object, **__: object) -> None:
        raise error

    return function


def start(source: str, *words: str) -> "subprocess.Popen[str]":
    """A process of its own that runs Python with the words as arguments."""
    command = [sys.executable, "-W", "error", "-c", HERE + source, *words]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(process: "subprocess.Popen[str]") -> str:
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    return output


class TestFinding:
    def test_each_source_is_compiled_once(self, builds: list[Path]) -> None:
        first = shared_object(THREE)
        assert call(first) == 3
        assert shared_object(THREE) == first
        assert len(builds) == 1
        assert call(shared_object(FOUR)) == 4
        assert len(builds) == 2
        assert left() == [".so", ".so", ".sum", ".sum", ".version"]

    def test_headers(self, builds: list[Path]) -> None:
        source = '#include "phistar/number.h"\nint f(void) { return NUMBER; }'
        for number in (5, 6, 5):
            headers = {"phistar/number.h": f"#define NUMBER {number}\n"}
            assert call(shared_object(source, headers=headers)) == number
        assert len(builds) == 2

    def test_flags(self, builds: list[Path]) -> None:
        source = "int f(void) { return NUMBER; }"
        for number in (5, 6, 5):
            assert call(shared_object(source, extra=(f"-DNUMBER={number}",))) == number
        assert len(builds) == 2

    @pytest.mark.parametrize("name", ["../out.h", "/tmp/out.h"])
    def test_a_header_that_leads_out(self, name: str, builds: list[Path]) -> None:
        with pytest.raises(BackendError, match=f"the header '{name}' leads out of the folder"):
            shared_object(THREE, headers={name: ""})
        assert left() == [".version"]

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("FORMAT", 0),
            ("FLAGS", ("-O0",)),
            ("LINK", ()),
            ("cpu_features", lambda: "none"),
            ("libc", lambda: "another"),
        ],
    )
    def test_key_has_the_surroundings(
        self, name: str, value: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        compiler = Compiler(("cc",), "1")
        before = key_of(compiler, THREE, {}, ())
        assert before == key_of(compiler, THREE, {}, ())
        monkeypatch.setattr(cache, name, value)
        assert key_of(compiler, THREE, {}, ()) != before

    def test_key_has_every_argument(self) -> None:
        compilers = [Compiler(("cc",), "1"), Compiler(("cc",), "2"), Compiler(("cc", "1"), "")]
        headers = [{}, {"a": ""}, {"a": "b"}, {"b": "a"}, {"a": "", "b": ""}, {"a": "('b', '')"}]
        keys = {
            key_of(compiler, source, named, extra)
            for compiler in compilers
            for source in ("", "a", "\ud800")
            for named in headers
            for extra in ((), ("a",), ("a", "b"), ("a b",))
        }
        assert len(keys) == 3 * 3 * 6 * 4
        same = key_of(compilers[0], "", {"b": "", "a": ""}, ())
        assert same == key_of(compilers[0], "", {"a": "", "b": ""}, ())

    def test_it_is_touched(self, builds: list[Path]) -> None:
        found = shared_object(THREE)
        (summed,) = open_folder().glob("*.sum")
        for path in (found, summed):
            age(path, 1000)
        shared_object(THREE)
        assert min(found.stat().st_mtime, summed.stat().st_mtime) > time.time() - 100

    def test_a_folder_that_can_only_be_read(
        self, builds: list[Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = shared_object(THREE)
        monkeypatch.setattr(os, "utime", fail(OSError(30, "Read-only file system")))
        assert shared_object(THREE) == found

    def test_it_does_not_compile(self, builds: list[Path]) -> None:
        with pytest.raises(CompileError, match=r"(?s)-Iinclude .*kernel.c:1:.*> 1 \| nonsense"):
            shared_object("nonsense")
        assert left() == [".version"]

    def test_no_compiler(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cache, "find_compiler", lambda: None)
        with pytest.raises(BackendError, match="there is no C compiler: install cc, gcc or clang"):
            shared_object(THREE)

    def test_no_libc_to_ask(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "confstr", fail(ValueError("unrecognized configuration name")))
        assert cache.libc() == ""


class TestDamage:
    @pytest.mark.parametrize(
        "harm",
        [
            lambda data: b"",
            lambda data: data[:-1],
            lambda data: data[:2000] + bytes([data[2000] ^ 1]) + data[2001:],
            lambda data: data + b"\0",
        ],
        ids=["empty", "truncated", "changed", "longer"],
    )
    def test_object(self, harm: Callable[[bytes], bytes], builds: list[Path]) -> None:
        found = shared_object(THREE)
        data = found.read_bytes()
        found.write_bytes(harm(data))
        again = shared_object(THREE)
        assert call(again) == 3
        assert len(builds) == 2
        assert left() == [".so", ".sum", ".version"]

    @pytest.mark.parametrize("harm", [b"", b"\377", b"../../etc/passwd", b"0" * 64])
    def test_sum(self, harm: bytes, builds: list[Path]) -> None:
        found = shared_object(THREE)
        (summed,) = open_folder().glob("*.sum")
        good = summed.read_bytes()
        summed.write_bytes(harm)
        assert shared_object(THREE) == found
        assert summed.read_bytes() == good
        assert len(builds) == 2

    @pytest.mark.parametrize("suffix", [".so", ".sum"])
    def test_missing(self, suffix: str, builds: list[Path]) -> None:
        found = shared_object(THREE)
        for path in open_folder().glob(f"*{suffix}"):
            path.unlink()
        assert shared_object(THREE) == found
        assert len(builds) == 2

    @pytest.mark.parametrize("suffix", [".so", ".sum"])
    def test_what_others_may_have_written(self, suffix: str, builds: list[Path]) -> None:
        """A folder that was open to others may hold files that are not the user's own work."""
        shared_object(THREE)
        open_folder().chmod(0o777)
        (path,) = open_folder().glob(f"*{suffix}")
        path.chmod(0o666)
        shared_object(THREE)
        assert len(builds) == 2
        assert path.stat().st_mode & 0o022 == 0

    def test_what_others_have_written(
        self, builds: list[Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shared_object(THREE)
        monkeypatch.setattr(cache, "is_own", lambda facts: False)
        shared_object(THREE)
        assert len(builds) == 2


class TestManyProcesses:
    def test_sixteen_at_once(self, builds: list[Path], tmp_path: Path) -> None:
        source = """
while not Path(sys.argv[1]).exists():
    time.sleep(0.001)
for number in range(3):
    found = shared_object(f"int f(void) {{ return {number}; }}")
    assert ctypes.CDLL(str(found)).f() == number
"""
        go = tmp_path / "go"
        processes = [start(source, str(go)) for _ in range(16)]
        time.sleep(1)
        go.touch()
        for process in processes:
            assert finish(process) == ""
        assert left() == [".so"] * 3 + [".sum"] * 3 + [".version"]
        assert [call(shared_object(f"int f(void) {{ return {n}; }}")) for n in range(3)] == [
            0,
            1,
            2,
        ]
        assert builds == []

    def test_killed(
        self, builds: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A process that is killed while it compiles leaves nothing that another one takes."""
        slow = tmp_path / "slow"
        slow.write_text(
            '#!/bin/sh\n[ "$1" = --version ] && echo slow && exit\n'
            f"echo $$ > {tmp_path}/pid\nwhile [ $# -gt 0 ]; do\n"
            '[ "$1" = -o ] && echo half > "$2"\nshift\ndone\n'
            f"touch {tmp_path}/begun\nexec sleep 60\n"
        )
        slow.chmod(0o755)
        with monkeypatch.context() as patch:
            patch.setenv("CC", str(slow))
            process = start(f"shared_object({THREE!r})")
            deadline = time.monotonic() + 60
            while not (tmp_path / "begun").exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            process.kill()
            process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)

        (working,) = open_folder().glob(".building-*")
        assert {path.name for path in working.rglob("kernel.*")} == {"kernel.c", "kernel.so"}
        assert call(shared_object(THREE)) == 3
        assert working.exists()
        age(working, cache.STALE + 100)
        assert call(shared_object(FOUR)) == 4
        assert not working.exists()


class TestBadFolder:
    def assert_falls_back(self, match: str) -> None:
        with pytest.warns(CacheWarning, match=match) as caught:
            first = shared_object(THREE)
        assert caught[0].filename == __file__
        assert call(first) == 3
        assert first.parent.stat().st_mode & 0o777 == 0o700
        assert call(shared_object(FOUR)) == 4  # without another warning
        assert shared_object(THREE) == first

    def test_a_file(self, builds: list[Path], tmp_path: Path) -> None:
        clear()
        (tmp_path / "home" / "c").rmdir()
        (tmp_path / "home" / "c").touch()
        self.assert_falls_back("kept in .*/home/c: it is not a folder; it is compiled again")

    def test_below_a_file(
        self, builds: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setenv("PHISTAR_HOME", str(tmp_path / "file"))
        self.assert_falls_back("kept in .*/file/c: Not a directory; it is compiled again")

    def test_of_another_user(self, builds: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cache, "open_folder", fail(PermissionError("it belongs to another")))
        self.assert_falls_back("kept in .*/home/c: it belongs to another")

    def test_full(self, builds: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
        real, folder = os.replace, open_folder()

        def replace(source: Path, target: Path) -> None:
            if target.parent == folder:
                raise OSError(28, "No space left on device")
            real(source, target)

        monkeypatch.setattr(os, "replace", replace)
        self.assert_falls_back("kept in .*/home/c: No space left on device; it is compiled")
        assert left() == [".version"]

    @pytest.mark.parametrize("words", ["No space left on device", "Disk quota exceeded"])
    def test_full_for_the_compiler(
        self, words: str, builds: list[Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real, folder = cache.compile_shared, open_folder()

        def compiler_fails(compiler: Compiler, source: str, out: Path, *others: Any) -> None:
            if out.is_relative_to(folder):
                raise CompileError(f"the C compiler failed\n  ld: final link failed: {words}")
            real(compiler, source, out, *others)

        monkeypatch.setattr(cache, "compile_shared", compiler_fails)
        self.assert_falls_back(f"kept in .*/home/c: {words}; it is compiled")

    def test_full_for_a_compiler_that_crashes(
        self, builds: list[Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cache, "is_full", lambda folder: True)
        with (
            pytest.warns(CacheWarning, match="No space left on device"),
            pytest.raises(CompileError, match="nonsense"),
        ):
            shared_object("nonsense")

    def test_what_full_is(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert not cache.is_full(tmp_path / "gone")
        for blocks, answer in ((255, True), (256, False)):
            facts = SimpleNamespace(f_bavail=blocks, f_frsize=4096)
            monkeypatch.setattr(os, "statvfs", lambda path, facts=facts: facts)
            assert cache.is_full(tmp_path) is answer

    def test_neither_folder(
        self, builds: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cache, "open_folder", fail(PermissionError("it is not ours")))
        cache.private_folder.cache_clear()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
        with (
            pytest.warns(CacheWarning),
            pytest.raises(
                BackendError,
                match=r"neither in .*/home/c \(it is not ours\) nor in a temporary folder \(.*gone",
            ),
        ):
            shared_object(THREE)

    def test_the_temporary_folder_ends_with_its_process(
        self, builds: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A process that was forked from it leaves it alone."""
        (tmp_path / "file").touch()
        (tmp_path / "tmp").mkdir()
        monkeypatch.setenv("PHISTAR_HOME", str(tmp_path / "file"))
        monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
        source = f"""
import warnings
warnings.simplefilter("ignore")
found = shared_object({THREE!r})
child = os.fork()
if child == 0:
    sys.exit(0)
os.waitpid(child, 0)
assert ctypes.CDLL(str(found)).f() == 3
print(found)
"""
        found = Path(finish(start(source)).strip())
        assert found.parent.parent == tmp_path / "tmp"
        assert list((tmp_path / "tmp").iterdir()) == []


class TestSize:
    def test_the_oldest_go(self, builds: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
        sources = [f"int f(void) {{ return {number}; }}" for number in range(10, 15)]
        found = [shared_object(source) for source in sources[:4]]
        for place, path in enumerate(found):
            age(path, 10_000 - 1_000 * place)
        shared_object(sources[0])  # used again
        monkeypatch.setattr(cache, "LIMIT", 5 * (found[0].stat().st_size + 64) - 1)
        other = shared_object(sources[4])
        assert [path.exists() for path in (*found, other)] == [True, False, True, True, True]
        assert call(shared_object(sources[1])) == 11

    def test_what_was_just_found_stays(
        self, builds: list[Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cache, "LIMIT", 0)
        first, second = shared_object(THREE), shared_object(FOUR)
        assert (call(first), call(second)) == (3, 4)
        for path in open_folder().iterdir():
            age(path, 1000)
        shared_object(THREE)
        assert (first.exists(), second.exists()) == (True, True)  # nothing was built
        shared_object("int f(void) { return 9; }")
        assert (first.exists(), second.exists()) == (True, False)

    def test_limit(self) -> None:
        assert cache.LIMIT == 512 * 2**20

    def test_a_file_that_another_process_has_removed(self, tmp_path: Path) -> None:
        assert cache.age(tmp_path / "gone") == cache.size(tmp_path / "gone") == 0

    def test_clear(self, builds: list[Path]) -> None:
        shared_object(THREE)
        clear()
        assert left() == []
        assert call(shared_object(THREE)) == 3

    def test_clear_leaves_what_is_not_phistars(self, builds: list[Path]) -> None:
        """PHISTAR_HOME may be a folder in which the user has a folder c."""
        shared_object(THREE)
        folder = open_folder()
        mine = {"main.c", "libmine.so", "notes", ".building"}
        for name in mine:
            (folder / name).touch()
        working, stale = folder / ".building-1a", folder / ".building-2b"
        for path in (working, stale):
            path.mkdir()
            (path / "kernel.c").touch()
        age(stale, cache.STALE + 100)
        clear()
        assert {path.name for path in folder.iterdir()} == {*mine, working.name}
        assert list(entries(folder)) == [working]

    def test_clear_a_folder_that_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "home").touch()
        with pytest.raises(NotADirectoryError):
            clear()


def test_warning_is_for_the_user() -> None:
    assert issubclass(CacheWarning, UserWarning)
    with warnings.catch_warnings(), pytest.raises(CacheWarning, match="in /here/c: of a reason;"):
        warnings.simplefilter("error")
        cache.say_once(Path("/here/c"), "of a reason")
