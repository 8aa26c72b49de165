"""From a file's names to a model's, and what a report says of them."""

from typing import Any

import pytest

from phistar.errors import UsageError, WeightsError
from phistar.parameters.matching import Report, match
from phistar.parameters.names import renamed, selected, transposition

FOUND = ["module.fc1.weight", "module.fc1.bias", "step"]


# fmt: off
MAPS: list[tuple[Any, list[str]]] = [
    (None,                  ["module.fc1.weight", "module.fc1.bias", "step"]),
    ({"step": "count"},     ["module.fc1.weight", "module.fc1.bias", "count"]),
    ({"step": None},        ["module.fc1.weight", "module.fc1.bias"]),
    ([(r"^module\.", "")],  ["fc1.weight", "fc1.bias", "step"]),
    ([(r"^module\.", ""), (r"fc(\d)", r"layers.\1"), ("step", None)],
                            ["layers.1.weight", "layers.1.bias"]),
    (lambda name: name.upper(), ["MODULE.FC1.WEIGHT", "MODULE.FC1.BIAS", "STEP"]),
    (lambda name: None if name == "step" else name, ["module.fc1.weight", "module.fc1.bias"]),
]
MISTAKES: list[tuple[Any, type[Exception], str]] = [
    ({"stop": "x"},      UsageError,   r"names has 'stop', not in the file: did you mean step\?"),
    ({"xyz": "x"},       UsageError,   r"not in the file: there is module\.fc1\.weight, "),
    ([("^nothing", "")], UsageError,   r"nothing in the file matches '\^nothing': there is module"),
    ([("(", "")],        UsageError,   r"'\(' is no regular expression"),
    ([("step", r"\7")],  UsageError,   r"cannot replace 'step': invalid group reference"),
    (["step"],           UsageError,   "a list of names holds .regular expression, replacement."),
    ([("step", 3)],      UsageError,   "a list of names holds .regular expression, replacement."),
    ("step",             UsageError,   "names is a dict, a list of .*, or a function"),
    (3,                  UsageError,   "names is a dict, a list of .*, or a function"),
    (lambda name: "W",   WeightsError, r"weight and module\.fc1\.bias would both be W"),
]
# fmt: on


@pytest.mark.parametrize(("names", "expected"), MAPS)
def test_maps(names: Any, expected: list[str]) -> None:
    assert list(renamed(FOUND, names).values()) == expected


@pytest.mark.parametrize(("names", "error", "message"), MISTAKES)
def test_mistakes(names: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        renamed(FOUND, names)


def test_patterns() -> None:
    assert selected(FOUND, "*.bias", "partial") == ["module.fc1.bias"]
    assert selected(FOUND, ["s*", "module.*.weight"], "partial") == ["module.fc1.weight", "step"]
    with pytest.raises(UsageError, match=r"partial's pattern 'x\*' matches none of module\.fc1"):
        selected(FOUND, "x*", "partial's pattern")


def test_transposition() -> None:
    ranks = {"a.W": 2, "a.b": 1, "c.W": 4}
    assert transposition(ranks, ranks, None) == {}
    assert transposition(ranks, ranks, "a.W") == {"a.W": (1, 0)}
    assert transposition(ranks, ranks, ["*.W"]) == {"a.W": (1, 0), "c.W": (3, 2, 1, 0)}
    given = {"c.*": (3, 2, 0, 1), "a.W": None}
    assert transposition(ranks, ranks, given) == {"c.W": (3, 2, 0, 1), "a.W": (1, 0)}
    with pytest.raises(UsageError, match=r"axes \(1, 0\) for c\.W, which has 4 axes"):
        transposition(ranks, ranks, {"c.W": (1, 0)})
    with pytest.raises(UsageError, match=r"transpose's pattern '\*\.V' matches none of"):
        transposition(ranks, ranks, "*.V")


def test_matching_by_name_and_shape() -> None:
    wanted = {"W": (2, 3), "b": (2,), "c": None, "d": (1,), "e": (None, 4), "f": (None, 4)}
    report = match(wanted, {"W": (2, 3), "b": (3,), "c": (9,), "e": (5, 4), "f": (4,), "g": ()})
    assert report == Report(
        ("W", "c", "e"), ("d",), ("g",), {"b": ((2,), (3,)), "f": ((None, 4), (4,))}
    )
    assert not report.complete
    assert str(report) == (
        "3 matched\n"
        "1 missing in the file: d\n"
        "1 unexpected in the file: g\n"
        "b has shape (2,) in the model, (3,) in the file\n"
        "f has shape (?, 4) in the model, (4,) in the file"
    )


def test_a_complete_match() -> None:
    report = match({"W": (2,)}, {"W": (2,)})
    assert report.complete
    assert str(report) == "1 matched"


def test_long_lists_are_counted() -> None:
    many = {f"W{n}": (n,) for n in range(10)}
    assert str(match(many, {})).endswith("W6, W7 and 2 more")
    assert str(match(many, dict.fromkeys(many, (99,)))).endswith("and 2 more have another shape")


def test_a_report_of_renaming() -> None:
    report = Report(("W",), (), (), {}, {"module.W": "W"}, ("step",))
    assert str(report) == "1 matched, 1 of them renamed: module.W -> W\n1 left out: step"


@pytest.mark.parametrize(
    ("wanted", "found", "hint"),
    [
        (["W", "b"], ["module.W", "module.b"], r"they would match with names=[(r'^module\.', '')]"),
        (["m.W", "m.b"], ["W", "b"], "they would match with names=[(r'^', 'm.')]"),
        (["W", "b"], ["module.W", "module.c"], ""),
        (["W"], [], ""),
    ],
)
def test_hints(wanted: list[str], found: list[str], hint: str) -> None:
    said = str(match(dict.fromkeys(wanted), dict.fromkeys(found, ())))
    assert said.endswith(hint) if hint else "would match" not in said
