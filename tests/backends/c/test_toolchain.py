"""The compiler is found in the order that is promised, and its failures are told in its words."""

import ctypes
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from phistar.backends.c import toolchain
from phistar.backends.c.toolchain import (
    FLAGS,
    Compiler,
    ask_version,
    compile_shared,
    cpu_features,
    features,
    find_compiler,
    first_compiler,
    home,
    indented,
    numbered,
    open_folder,
    run,
    write_whole,
)
from phistar.data.places import cache_folder
from phistar.errors import BackendError, CompileError

GOOD = "int three(void) { return 3; }"
BAD = "\n".join(f"int a{n};" for n in range(1, 10)) + "\nint f(void) { return missing; }\nint b;\n"


@pytest.fixture(autouse=True)
def nothing_found_yet() -> None:
    first_compiler.cache_clear()


@pytest.fixture
def compiler() -> Compiler:
    """The real one."""
    found = find_compiler()
    if found is None:
        pytest.skip("no C compiler is installed here")
    return found


def script(path: Path, body: str) -> Path:
    """A program that runs the lines of the body."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def no_ziglang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)


class TestFinding:
    @pytest.fixture(autouse=True)
    def path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A folder that is all of PATH but for the shell."""
        folder = tmp_path / "bin"
        folder.mkdir()
        monkeypatch.setenv("PATH", str(folder))
        monkeypatch.delenv("CC", raising=False)
        return folder

    def test_order(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CC", "mine --fast")
        for name in ("mine", "cc", "gcc", "clang"):
            script(path / name, f"echo; echo {name} 1.2; echo more")
        mine = (str(path / "mine"), "--fast")
        assert find_compiler() == Compiler(mine, "mine 1.2")
        monkeypatch.delenv("CC")
        for name in ("cc", "gcc", "clang"):
            first_compiler.cache_clear()
            assert find_compiler() == Compiler((str(path / name),), f"{name} 1.2")
            (path / name).unlink()

    def test_ziglang_is_the_last(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        package = tmp_path / "site" / "ziglang"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "zig").touch()
        (package / "__main__.py").write_text("import sys; print('zig', *sys.argv[1:])")
        monkeypatch.syspath_prepend(package.parent)
        monkeypatch.setenv("PYTHONPATH", str(package.parent))
        command = (sys.executable, "-m", "ziglang", "cc")
        assert find_compiler() == Compiler(command, "zig cc --version")
        assert str(package / "zig") in [name for name, _, _ in toolchain.stamps(command)]

    def test_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        no_ziglang(monkeypatch)
        assert find_compiler() is None

    def test_one_that_does_not_run_is_passed_over(self, path: Path) -> None:
        script(path / "cc", "echo install the tools first; exit 1")
        script(path / "gcc", "echo gcc 1")
        assert find_compiler() == Compiler((str(path / "gcc"),), "gcc 1")

    def test_an_empty_CC_is_none(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        script(path / "cc", "echo cc 1")
        monkeypatch.setenv("CC", " ")
        assert find_compiler() == Compiler((str(path / "cc"),), "cc 1")

    def test_it_is_looked_for_once(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        script(path / "cc", "echo cc 1")
        found = find_compiler()
        assert found is not None
        assert find_compiler() is found
        monkeypatch.setenv("CC", "gone")
        with pytest.raises(BackendError):
            find_compiler()

    def test_CC_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CC", "nocc -m32")
        with pytest.raises(
            BackendError, match="CC is 'nocc -m32', but there is no program nocc that can be run"
        ):
            find_compiler()

    def test_CC_is_no_command(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CC", "gcc '-m")
        with pytest.raises(BackendError, match='CC is "gcc \'-m", which is no command: No closing'):
            find_compiler()

    def test_CC_does_not_run(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        broken = script(path / "broken", "echo the licence has run out >&2; exit 3")
        monkeypatch.setenv("CC", str(broken))
        with pytest.raises(BackendError) as caught:
            find_compiler()
        assert str(caught.value) == (
            f"CC is '{broken}', but it does not run\n"
            f"  {broken} --version\n  the licence has run out\n  exit status 3"
        )

    def test_CC_is_no_program(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (path / "odd").write_bytes(b"\0\0\0\0")
        (path / "odd").chmod(0o755)
        monkeypatch.setenv("CC", "odd")
        with pytest.raises(BackendError, match="it could not be started: Exec format error"):
            find_compiler()

    def test_version_is_remembered(self, path: Path, tmp_path: Path) -> None:
        log = tmp_path / "log"
        cc = script(path / "cc", f"echo asked >> {log}; echo cc 1")
        for _ in range(3):
            first_compiler.cache_clear()
            assert find_compiler() == Compiler((str(cc),), "cc 1")
        assert log.read_text() == "asked\n"
        os.utime(cc, (1, 1))
        first_compiler.cache_clear()
        find_compiler()
        assert log.read_text() == "asked\nasked\n"

    def test_version_is_asked_for_without_a_folder(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cc = script(path / "cc", "echo cc 1")
        monkeypatch.setenv("PHISTAR_HOME", str(cc))
        assert find_compiler() == Compiler((str(cc),), "cc 1")

    def test_version_on_a_full_disk(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise OSError(28, "No space left on device")

        cc = script(path / "cc", "echo cc 1")
        monkeypatch.setattr(os, "replace", fail)
        assert find_compiler() == Compiler((str(cc),), "cc 1")
        assert list(open_folder().iterdir()) == []

    def test_version_of_one_that_says_nothing(self, path: Path) -> None:
        cc = script(path / "cc", "exit 0")
        assert find_compiler() == Compiler((str(cc),), "unknown")

    def test_one_that_hangs(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(toolchain, "VERSION_SECONDS", 1.0)
        monkeypatch.setenv("PATH", os.defpath)
        slow = script(path / "slow", "echo wait; exec sleep 60")
        with pytest.raises(BackendError, match=r"  wait\n  it was stopped after 1 seconds"):
            ask_version((str(slow),))


class TestCompiling:
    def test_it_runs(self, compiler: Compiler, tmp_path: Path) -> None:
        out = tmp_path / "made" / "three.so"
        out.parent.mkdir()
        compile_shared(compiler, GOOD, out)
        assert ctypes.CDLL(str(out)).three() == 3
        assert list(out.parent.iterdir()) == [out]

    def test_headers_and_flags(self, compiler: Compiler, tmp_path: Path) -> None:
        (tmp_path / "numbers.h").write_text("#define TWO 2\n")
        source = '#include "numbers.h"\nint f(void) { return TWO * THREE; }'
        compile_shared(compiler, source, tmp_path / "f.so", tmp_path, ("-DTHREE=3",))
        assert ctypes.CDLL(str(tmp_path / "f.so")).f() == 6

    def test_a_library_among_the_flags(self, compiler: Compiler, tmp_path: Path) -> None:
        compile_shared(compiler, GOOD, tmp_path / "libthree.so")
        source = "int three(void); int f(void) { return three() + 1; }"
        extra = (f"-L{tmp_path}", "-lthree", f"-Wl,-rpath,{tmp_path}")
        compile_shared(compiler, source, tmp_path / "f.so", None, extra)
        assert ctypes.CDLL(str(tmp_path / "f.so")).f() == 4

    def test_arithmetic_is_not_fast(self, compiler: Compiler, tmp_path: Path) -> None:
        """NaN and infinity are what they are, and a sum has the order in which it is written."""
        assert not [flag for flag in FLAGS if "fast" in flag or "finite" in flag]
        source = (
            "int is_nan(double x) { return x != x; }\n"
            "double kahan(double sum, double x) { return ((sum + x) - sum) - x; }"
        )
        compile_shared(compiler, source, tmp_path / "f.so")
        library = ctypes.CDLL(str(tmp_path / "f.so"))
        library.is_nan.argtypes = [ctypes.c_double]
        library.kahan.argtypes = [ctypes.c_double] * 2
        library.kahan.restype = ctypes.c_double
        assert library.is_nan(float("nan")) == 1
        assert library.kahan(1.0, 1e-20) == -1e-20

    def test_pointed_to(self, compiler: Compiler, tmp_path: Path) -> None:
        with pytest.raises(CompileError) as caught:
            compile_shared(compiler, BAD, tmp_path / "kernel.so", extra=("-DX",))
        message = str(caught.value)
        command = (
            f"{shlex.join(compiler.command)} {' '.join(FLAGS)} -w -g0 -o kernel.so kernel.c -DX"
        )
        assert message.startswith(f"the C compiler failed: exit status 1\n  {command} -pthread -lm")
        assert "\n  kernel.c:10:22: error: " in message
        assert message.endswith(
            "\n  kernel.c:"
            "\n     8 | int a8;"
            "\n     9 | int a9;"
            "\n  > 10 | int f(void) { return missing; }"
            "\n    11 | int b;"
        )
        assert str(tmp_path) not in message
        assert [path.name for path in tmp_path.iterdir()] == ["home"]

    def test_pointed_to_in_a_header(self, compiler: Compiler, tmp_path: Path) -> None:
        include = tmp_path / "include"
        include.mkdir()
        (include / "odd.h").write_text("int a;\nstrange b;\n")
        with pytest.raises(CompileError, match=r"(?s)include/odd.h:\n.*  > 2 \| strange b;"):
            compile_shared(compiler, '#include "odd.h"\n', tmp_path / "kernel.so", include)

    def test_a_broken_compiler(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        body = 'case "$*" in --version) echo cc 1;; *) echo I do not feel well; exit 1;; esac'
        broken = script(tmp_path / "bin" / "cc", body)
        monkeypatch.setenv("CC", str(broken))
        found = find_compiler()
        assert found is not None
        with pytest.raises(CompileError) as caught:
            compile_shared(found, GOOD, tmp_path / "kernel.so")
        assert str(caught.value) == (
            f"the C compiler failed: exit status 1\n  {broken} {' '.join(FLAGS)} -w -g0 "
            "-o kernel.so kernel.c -pthread -lm\n  I do not feel well"
        )

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ("exit 0", "it wrote nothing"),
            ("kill -11 $$", "ended by signal 11"),
            (
                "for n in $(seq 100); do echo line $n; done; exit 2",
                r"line 30\n  \.\.\. and 70 lines",
            ),
            ("echo x.c:1:1: error; echo $5:1; echo /none.h:3:; exit 1", "x.c:1:1: error"),
            (r"printf '\377\376'; exit 1", "�"),
        ],
    )
    def test_failures(self, body: str, words: str, tmp_path: Path) -> None:
        cc = script(tmp_path / "bin" / "cc", body)
        with pytest.raises(CompileError, match=words):
            compile_shared(Compiler((str(cc),), ""), GOOD, tmp_path / "kernel.so", tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["bin"]

    def test_a_header_that_is_gone(self, tmp_path: Path) -> None:
        cc = script(tmp_path / "bin" / "cc", f"echo {tmp_path}/gone.h:1:1: error; exit 1")
        with pytest.raises(CompileError, match=r"/gone.h:1:1: error$"):
            compile_shared(Compiler((str(cc),), ""), GOOD, tmp_path / "kernel.so", tmp_path)

    def test_a_compiler_that_is_gone(self, tmp_path: Path) -> None:
        with pytest.raises(CompileError, match="it could not be started: No such file"):
            compile_shared(Compiler(("/no/cc",), ""), GOOD, tmp_path / "kernel.so")

    def test_time_limit(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The programs that a compiler has started end with it."""
        monkeypatch.setattr(toolchain, "SECONDS", 2.0)
        pid = tmp_path / "pid"
        cc = script(tmp_path / "bin" / "cc", f"sleep 60 & echo $! > {pid}; wait")
        with pytest.raises(CompileError, match=r"it was stopped after 2 seconds"):
            compile_shared(Compiler((str(cc),), ""), GOOD, tmp_path / "kernel.so")
        assert is_ended(int(pid.read_text()))

    def test_interrupted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pid, real = tmp_path / "pid", subprocess.Popen.communicate

        def interrupt(process: Any, **options: Any) -> Any:
            while not (pid.exists() and pid.read_text().endswith("\n")):
                time.sleep(0.01)
            monkeypatch.setattr(subprocess.Popen, "communicate", real)
            raise KeyboardInterrupt

        monkeypatch.setattr(subprocess.Popen, "communicate", interrupt)
        cc = script(tmp_path / "bin" / "cc", f"sleep 60 & echo $! > {pid}; wait")
        with pytest.raises(KeyboardInterrupt):
            compile_shared(Compiler((str(cc),), ""), GOOD, tmp_path / "kernel.so")
        assert is_ended(int(pid.read_text()))
        assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "pid"]

    def test_messages_are_in_english(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
        assert run(("/bin/sh", "-c", "echo $LC_ALL"), 10) == ("", "C\n")

    def test_indented(self) -> None:
        assert indented("") == ""
        assert indented("a\nb\nc", 2) == "  a\n  b\n  ... and 1 lines more\n"
        assert indented("a" * 300) == "  " + "a" * 197 + "...\n"

    def test_numbered(self) -> None:
        lines = [f"line {n}" for n in range(1, 21)]
        assert list(numbered(lines, {1, 9, 10, 99})) == [
            ">  1 | line 1",
            "   2 | line 2",
            "   3 | line 3",
            "  ...",
            "   7 | line 7",
            "   8 | line 8",
            ">  9 | line 9",
            "> 10 | line 10",
            "  11 | line 11",
            "  12 | line 12",
        ]


def is_ended(pid: int) -> bool:
    """Whether a process ends within ten seconds; one that nobody waits for has ended too."""
    for _ in range(1000):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.01)
    return False


class TestProcessor:
    def test_it_is_stable(self) -> None:
        first = cpu_features()
        cpu_features.cache_clear()
        assert cpu_features() == first != ""

    def test_x86(self) -> None:
        lines = ["processor\t: 0", "cpu MHz : 1", "model name\t: Fast", "flags\t\t: avx2 fma", ""]
        assert list(features(iter([*lines, "flags : other"]))) == [
            "model name: Fast",
            "flags: avx2 fma",
        ]

    def test_arm(self) -> None:
        lines = ["processor : 0", "Features : asimd sve", "CPU part : 0xd0c", "\n"]
        assert list(features(iter(lines))) == ["Features: asimd sve", "CPU part: 0xd0c"]

    def test_elsewhere(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object, **__: object) -> None:
            raise FileNotFoundError

        monkeypatch.setattr(toolchain, "open", fail, raising=False)
        monkeypatch.setattr("platform.machine", lambda: "arm64")
        monkeypatch.setattr("platform.processor", lambda: "arm")
        cpu_features.cache_clear()
        assert cpu_features() == "arm64 arm"
        cpu_features.cache_clear()


class TestFolder:
    def test_only_the_user_may_write(self, tmp_path: Path) -> None:
        folder = open_folder()
        assert folder == tmp_path / "home" / "c"
        assert folder.stat().st_mode & 0o777 == 0o700
        folder.chmod(0o777)
        assert open_folder().stat().st_mode & 0o777 == 0o700

    def test_relative(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PHISTAR_HOME", "here")
        assert open_folder() == tmp_path / "here" / "c"

    def test_of_another_user(self, monkeypatch: pytest.MonkeyPatch) -> None:
        open_folder()
        other = os.geteuid() + 1
        monkeypatch.setattr(os, "geteuid", lambda: other)
        with pytest.raises(PermissionError, match="it belongs to another user"):
            open_folder()

    def test_a_link_of_another_user(self, tmp_path: Path) -> None:
        if os.geteuid() != 0:
            pytest.skip("only root can give a link to another user")
        (tmp_path / "mine").mkdir(mode=0o700)
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / "c").symlink_to(tmp_path / "mine")
        assert open_folder() == tmp_path / "home" / "c"
        os.lchown(tmp_path / "home" / "c", 1, 1)
        with pytest.raises(PermissionError, match="it belongs to another user"):
            open_folder()

    def test_that_cannot_be_closed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        open_folder().chmod(0o770)
        monkeypatch.setattr(Path, "chmod", lambda path, mode: None)
        with pytest.raises(PermissionError, match="other users can write to it, and its mode can"):
            open_folder()

    def test_without_the_right_to_run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "ST_NOEXEC", 8, raising=False)
        monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_flag=8))
        with pytest.raises(PermissionError, match=r"does not allow code to be run \(noexec\)"):
            open_folder()

    def test_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / "c").touch()
        with pytest.raises(NotADirectoryError, match="it is not a folder"):
            open_folder()

    def test_no_home(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("PHISTAR_HOME")
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setattr("os.path.expanduser", lambda path: path)
        with pytest.raises(FileNotFoundError, match="the user has no home folder"):
            open_folder()

    def test_home_is_where_data_are(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", "/home/me")
        monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
        for name in ("/here", "~/there"):
            monkeypatch.setenv("PHISTAR_HOME", name)
            assert home() == cache_folder().parent
        monkeypatch.delenv("PHISTAR_HOME")
        assert home() == cache_folder().parent == Path("/xdg/phistar")
        monkeypatch.delenv("XDG_CACHE_HOME")
        assert home() == cache_folder().parent == Path("/home/me/.cache/phistar")

    def test_write_whole(self, tmp_path: Path) -> None:
        write_whole(tmp_path / "text", "a")
        write_whole(tmp_path / "text", "b")
        assert (tmp_path / "text").read_text() == "b"
        assert (tmp_path / "text").stat().st_mode & 0o777 == 0o600
        (tmp_path / "folder").mkdir()
        with pytest.raises(IsADirectoryError):
            write_whole(tmp_path / "folder", "c")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "text"]
