"""Every recipe: its small model learns, every backward statement of it is right."""

import re
from pathlib import Path

import numpy as np
import pytest

import phistar as ph
from phistar.cli.recipes import RECIPES
from phistar.language.verification import gradient_report
from phistar.training.columns import asked_by

PARTS = [(name, part) for name, recipe in RECIPES.items() for part in recipe.losses]


@pytest.mark.parametrize(("name", "part"), PARTS)
def test_backward_statements(name: str, part: str) -> None:
    recipe = RECIPES[name]
    model, batch = recipe.minimal(0)
    loss = recipe.losses[part]
    report = gradient_report(loss, (model,), asked_by(loss, batch))
    assert report.verdicts
    report.raise_for_mismatch()


@pytest.mark.parametrize("name", [name for name, r in RECIPES.items() if len(r.losses) == 1])
def test_some_steps_lower_the_loss(name: str) -> None:
    recipe = RECIPES[name]
    model, batch = recipe.minimal(0)
    data, size = ph.data.Dataset(**batch), len(next(iter(batch.values())))
    history = (recipe.fit or ph.fit)(
        model,
        recipe.loss,
        data,
        optimizer=recipe.optimizer(recipe.rate),
        epochs=60,
        batch_size=size,
        backend="numpy",
        progress=False,
    )
    losses = np.asarray(history.losses)
    assert losses[-20:].mean() < losses[:5].mean()


PAGE = Path(__file__).parents[2] / "docs" / "zoo.md"


def test_the_page_of_the_zoo_runs() -> None:
    names: dict[str, object] = {}
    for text in re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S):
        exec(compile(text, PAGE.name, "exec"), names)
    assert "history" in names


@pytest.mark.parametrize("name", RECIPES)
def test_the_page_names_every_recipe(name: str) -> None:
    assert f"`{name}`" in PAGE.read_text("utf-8")
