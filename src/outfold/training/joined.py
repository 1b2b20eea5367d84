"""Rows of a second table that are learned from too, beside the training rows of the first."""

from dataclasses import replace

import numpy as np

from outfold.settings.label import PseudoBatch
from outfold.training.examples import Beside, Examples, Split
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

    Bounds of rows a class are those of the first table's rows.

    Args:
        split: of the first table's rows.
        count: how many rows the first table has.
        repetitions: int64 (m,), how often each row of the second table is seen in an epoch.
        chances: float64, relative chances of the training rows of both, repetitions one by one; None: each once.
    """
    below = np.repeat(np.arange(count, count + len(repetitions)), repetitions)
    bounds = None if split.bounds is None else split.bounds.with_more(len(repetitions))
    return replace(split, train=np.concatenate([split.train, below]), chances=chances, bounds=bounds)


def split_beside(split: Split, count: int, more: int, batch: PseudoBatch, recording: np.ndarray | None = None) -> Split:
    """The split in which every batch has rows of the second table beside those of the first; none of them judges.

    Args:
        split: of the first table's rows.
        count: how many rows the first table has.
        more: how many rows the second table has.
        batch: what every batch has of them.
        recording: (more,), the recording of each of them; None where recordings do not matter.
    """
    return replace(split, beside=Beside(np.arange(count, count + more), batch, recording))


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
