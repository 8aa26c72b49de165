"""`ph.freeze` and `ph.unfreeze`: which parameters training leaves as they are.

A frozen parameter has no gradient, and an optimizer keeps nothing beside it.
"""

from phistar.language.models import Model, check_model
from phistar.parameters.names import selected


def freeze(model: Model, *patterns: str) -> tuple[str, ...]:
    """Freeze the parameters that a pattern matches (`*`, `?`, `[abc]`), or all; gives their names.

    A model inside a model may be given itself: `ph.freeze(model.encoder)`. States are not frozen.
    Raises UsageError for a pattern that matches none.
    """
    return make_trainable(model, patterns, False)


def unfreeze(model: Model, *patterns: str) -> tuple[str, ...]:
    """Let training change again what was frozen; as `freeze` otherwise."""
    return make_trainable(model, patterns, True)


def make_trainable(model: Model, patterns: tuple[str, ...], trainable: bool) -> tuple[str, ...]:
    check_model(model)
    parameters = model.parameters
    names = selected(parameters, patterns, "the pattern") if patterns else list(parameters)
    for name in names:
        parameters[name].trainable = trainable
    return tuple(names)
