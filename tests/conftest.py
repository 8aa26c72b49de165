"""What all tests share: options, Hypothesis profiles, folders that never touch the user's own."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

import goldens

settings.register_profile("default", deadline=None)
settings.register_profile("ci", derandomize=True, deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write tests/golden anew")


def pytest_configure(config: pytest.Config) -> None:
    goldens.UPDATE = config.getoption("--update-golden")


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches and the network are out of reach of a test that does not ask for them."""
    monkeypatch.setenv("PHISTAR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PHISTAR_OFFLINE", "1")
    monkeypatch.setenv("PHISTAR_BACKEND", "numpy")  # compiling takes longer than most tests
    monkeypatch.delenv("PHISTAR_DATA", raising=False)
