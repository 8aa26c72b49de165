"""What docs/parameters.md shows runs from top to bottom, and its numbers are right."""

import re
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[2] / "docs" / "parameters.md").read_text(encoding="utf-8")


def test_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL):
        exec(compile(block, "parameters.md", "exec"), names)
    said = capsys.readouterr().out
    assert said.startswith("3 matched\n2 matched, 2 of them renamed: net.fc1.kernel -> W0, ")
    assert "1 left out: step" in said
    assert sorted(p.name for p in (tmp_path / "net").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]


def test_every_public_name_is_on_the_page() -> None:
    from phistar import parameters

    for name in ("save", "load", "freeze", "unfreeze", "pretrained", "parameters.read"):
        assert f"ph.{name}(" in TEXT, name
    for field in parameters.Report.__dataclass_fields__:
        assert f"`{field}`" in TEXT, field
