"""Recipes: a model, its loss, its data and settings that work, under a name for the command line.

A new recipe is a file beside this one, or a row in one, and a line in ROWS.
"""

from phistar.cli.recipes import clothes, digits, generative, mnist_mlp, sequences
from phistar.cli.recipes.recipe import Recipe
from phistar.errors import UsageError, suggestion

# fmt: off
ROWS: tuple[Recipe, ...] = (
    mnist_mlp.RECIPE,
    digits.LOGISTIC,
    digits.MLP,
    digits.LENET,
    *clothes.ROWS,
    *generative.ROWS,
    *sequences.ROWS,
)
# fmt: on

RECIPES: dict[str, Recipe] = {row.name: row for row in ROWS}


def recipe(name: str) -> Recipe:
    """The recipe of that name; UsageError with the nearest name if there is none."""
    if name not in RECIPES:
        raise UsageError(f"there is no recipe {name!r}: {suggestion(name, RECIPES)}")
    return RECIPES[name]
