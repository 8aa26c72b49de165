"""Golden files: texts kept in tests/golden; `pytest --update-golden` writes them anew."""

from pathlib import Path

FOLDER = Path(__file__).parent / "golden"
UPDATE = False


def assert_golden(name: str, text: str) -> None:
    """The text equals the golden file of that name."""
    path = FOLDER / name
    if UPDATE:
        FOLDER.mkdir(exist_ok=True)
        path.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    assert path.exists(), f"there is no golden file {name}: run pytest --update-golden and read it"
    assert text.rstrip("\n") + "\n" == path.read_text(encoding="utf-8")
