"""A BERT out of a folder: what its config.json says, with the weights that there are.

Files of a model that guesses words have `bert.` before the names of the encoder, and the guessing
under `cls.`; old ones call a norm's weight and bias gamma and beta.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from phistar.language.models import Model
from phistar.zoo.bert import BERT, Config, MaskedLM

GUESSING = "cls.predictions."
# What follows from the rest: positions counted from 0, the table of words once more.
DERIVED = ("embeddings.position_ids", "cls.predictions.decoder.", "cls.seq_relationship.")

Rename = Callable[[str], str | None]


def bert_from(config: Mapping[str, Any], names: Iterable[str]) -> tuple[Model, Rename]:
    """The model for a file's names, and the model's name of each of them."""
    names = list(names)
    if any(name.startswith(GUESSING) for name in names):
        return MaskedLM(Config.of(config)), guessing_name
    model = BERT(Config.of(config))
    if not any(".pooler." in f".{name}" for name in names):
        model.pooler = {}
    return model, plain_name


def plain_name(name: str) -> str | None:
    """bert.embeddings.LayerNorm.gamma -> embeddings.LayerNorm.weight"""
    name = name.removeprefix("bert.")
    if name.startswith(DERIVED):
        return None
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace(
        "LayerNorm.beta", "LayerNorm.bias"
    )


def guessing_name(name: str) -> str | None:
    """The same in a model that guesses words: it has no use for the pooler."""
    plain = plain_name(name)
    if plain is None or plain.startswith("pooler."):
        return None
    return plain if plain.startswith(GUESSING) else f"bert.{plain}"
