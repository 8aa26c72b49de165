"""What a user installs, and that the checks before a commit are those of continuous integration."""

import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import phistar as ph

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "phistar"

LATE = ["jax", "matplotlib", "torch", "scipy", "rich", "safetensors", "h5py"]
LATE += ["phistar.training", "phistar.data"]
IMPORT = f"import sys, phistar; print(*[m for m in {LATE} if m in sys.modules])"


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=]", r)[0] for r in requirements}


def test_what_a_user_gets(project: dict[str, Any]) -> None:
    about = project["project"]
    assert names(about["dependencies"]) == {"numpy", "opt_einsum", "rich"}
    assert about["scripts"] == {"phistar": "phistar.cli:main"}
    assert about["requires-python"] == ">=3.11"
    assert {"plot", "xla", "test", "dev"} <= set(about["optional-dependencies"])


def test_version(project: dict[str, Any]) -> None:
    path = ROOT / project["tool"]["hatch"]["version"]["path"]
    assert f'__version__ = "{ph.__version__}"' in path.read_text(encoding="utf-8")
    assert f"## [{ph.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_types_are_shipped() -> None:
    assert (SOURCE / "py.typed").is_file()


def test_every_folder_is_a_package() -> None:
    folders = {path.parent for path in SOURCE.rglob("*.py")}
    assert [f for f in folders if not (f / "__init__.py").is_file()] == []


def test_importing_phistar_imports_little() -> None:
    """Whoever does not train or plot does not wait for it."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_every_public_name_is_there() -> None:
    missing = [name for name in ph.__all__ if not hasattr(ph, name)]
    assert missing == []


def test_layers_are_those_of_the_folders(project: dict[str, Any]) -> None:
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    named = {name for layer in layers for name in layer.split(" | ")}
    found = {path.stem for path in SOURCE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert found - {"__init__", "__pycache__"} <= named
    assert all(find_spec(f"phistar.{name}") for name in named)


def test_hooks_run_what_continuous_integration_runs() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    entries = re.findall(r"entry: \.venv/bin/(.*)", hooks)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert lint is not None
    assert entries == [line.strip() for line in lint[1].splitlines()]


def test_the_readme_names_commands_that_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\$ make ([a-z]+)", readme, re.MULTILINE)) <= targets
    assert {"mnist", "test", "format", "golden", "clean", "help"} <= targets
