"""Rows of a second table that are learned from too, beside the training rows of the first."""

import numpy as np

from outfold.training.examples import Examples, Split
from outfold.views.inputs import JoinedInput


def joined_examples(first: Examples, second: Examples) -> Examples:
    """The rows of two tables as one: those of the second lie below those of the first.

    Both have the same inputs by name and the same targets; a table without weights counts every row as 1.
    """
    count = len(first.ids)
    return Examples(
        ids=np.concatenate([first.ids, second.ids]),
        inputs={name: JoinedInput(one, second.inputs[name], count) for name, one in first.inputs.items()},
        target=np.concatenate([first.target, second.target]),
        weight=_joined_weights(first, second),
    )


def joined_split(split: Split, count: int, repetitions: np.ndarray, chances: np.ndarray | None = None) -> Split:
    """The split in which rows of the second table train too, and none of them judges.

    Args:
        split: of the first table's rows.
        count: how many rows the first table has.
        repetitions: int64 (m,), how often each row of the second table is seen in an epoch.
        chances: float64, relative chances of the training rows of both, repetitions one by one; None: each once.
    """
    below = np.repeat(np.arange(count, count + len(repetitions)), repetitions)
    return Split(np.concatenate([split.train, below]), split.valid, chances)


def _joined_weights(first: Examples, second: Examples) -> np.ndarray | None:
    weights = [first.weight, second.weight]
    if all(weight is None for weight in weights):
        return None
    width = max(weight.shape[1] for weight in weights if weight is not None)
    sizes = (len(first.ids), len(second.ids))
    full = [
        np.ones((size, width), np.float32) if weight is None else np.broadcast_to(weight, (size, width))
        for size, weight in zip(sizes, weights, strict=True)
    ]
    return np.concatenate(full)
