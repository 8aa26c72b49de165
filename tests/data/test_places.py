"""Folders and the switch for the network, as the environment says."""

from pathlib import Path

import pytest

import phistar as ph
from phistar.data.places import cache_folder, data_folder, offline


def test_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHISTAR_HOME", "/here")
    assert cache_folder() == Path("/here/data")
    monkeypatch.delenv("PHISTAR_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/xdg/phistar/data")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert cache_folder() == Path("/home/me/.cache/phistar/data")


def test_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert data_folder() is None
    monkeypatch.setenv("PHISTAR_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    monkeypatch.setenv("PHISTAR_DATA", "/no/where")
    with pytest.raises(ph.DataError, match="PHISTAR_DATA is /no/where, but there is no such"):
        data_folder()


@pytest.mark.parametrize(("value", "is_off"), [("1", True), ("true", True), ("0", False)])
def test_offline(value: str, is_off: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHISTAR_OFFLINE", value)
    assert offline() is is_off
