"""A recipe trained as `phistar train` does it; its accuracy on the test set."""

import phistar as ph
from phistar.cli.recipes import recipe


def accuracy(name: str, seed: int, epochs: int | None) -> float:
    """In percent, after the recipe's epochs, or after so many."""
    chosen = recipe(name)
    train, test = chosen.data()
    epochs = epochs or chosen.epochs
    model = chosen.model()
    steps = epochs * -(-len(train) // chosen.batch_size)
    print(f"{name}, seed {seed}: {epochs} epochs", flush=True)
    ph.fit(
        model,
        chosen.loss,
        train,
        optimizer=chosen.training(chosen.rate, steps),
        epochs=epochs,
        batch_size=chosen.batch_size,
        validation={"test": test},
        metrics=chosen.metrics,
        seed=seed,
    )
    return 100 * float(ph.evaluate(model, None, test, ["accuracy"])["accuracy"])
