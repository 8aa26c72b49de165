"""`phistar check`: a verdict a backward statement, exit status 1 where one is wrong."""

from dataclasses import replace
from typing import Any

import pytest

import phistar as ph
from phistar.cli import main, recipes

b, i, y = ph.indices("b i y")


def test_every_statement_has_its_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "mnist-mlp"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("# mnist-mlp: every backward statement against finite differences")
    assert lines[1].split() == ["verdict", "error", "backward", "statement"]
    shown = [line for line in lines if "W0.grad[j, i]" in line]
    assert len(shown) == 1 and shown[0].startswith("ok")
    assert lines[-1] == f"{len(lines) - 3} verdicts: {len(lines) - 3} ok"


def test_a_wrong_statement_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @ph.elementwise(d=lambda y, x: 3 * x)
    def wrong(x: Any) -> Any:
        return x * x

    def loss(model: Any, x: Any, label: Any) -> Any:
        s = ph.tensors("s")
        s[b, y] = wrong(model(x)[b, y])
        return ph.mean[b](s[b, label[b]])

    own = replace(recipes.RECIPES["mnist-mlp"], loss=loss)
    monkeypatch.setitem(recipes.RECIPES, "mnist-mlp", own)
    assert main(["check", "mnist-mlp"]) == 1
    out, err = capsys.readouterr()
    assert "mismatch" in out
    assert err.startswith("phistar: 6 gradients of mnist-mlp disagree with finite")
    assert "P.grad[b, y]" in err


def test_every_objective_is_checked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipes.RECIPES["mnist-mlp"]
    both = replace(recipe, loss={"one": recipe.loss, "two": recipe.loss})
    monkeypatch.setitem(recipes.RECIPES, "mnist-mlp", both)
    assert main(["check", "mnist-mlp", "--seed", "1"]) == 0
    titles = [line for line in capsys.readouterr().out.splitlines() if line.startswith("#")]
    assert [title.split(":")[0] for title in titles] == ["# mnist-mlp one", "# mnist-mlp two"]


def test_a_recipe_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "mnist-mpl"]) == 2
    assert "there is no recipe 'mnist-mpl': did you mean mnist-mlp?" in capsys.readouterr().err
