"""What tests of the c backend share."""

import pytest


@pytest.fixture
def one_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """One cache of compiled programs for all tests."""
    monkeypatch.setenv("PHISTAR_HOME", str(tmp_path_factory.getbasetemp() / "c-home"))
