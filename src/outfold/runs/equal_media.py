"""Rows of one photo or recording that is in the table several times, under labels of its own each time."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from outfold.data.audio.labels import Labels, label_lists
from outfold.data.dataset import Rows
from outfold.settings.task import Task


def join_equal(rows: Rows, task: Task) -> tuple[Rows, list[tuple[str, str]]]:
    """One row for all that use identical media, with the labels of all.

    A label that is a target of any of them is one of the row that stays, and no secondary label any more. Everything
    else of it is the first row's.

    Args:
        rows: of the training table, with label sets.
        task: the recipe's.

    Returns:
        The rows that are left, and the (id, reason) of the others.
    """
    first = first_of_equal(rows.media_keys)
    kept = np.flatnonzero(first == np.arange(len(rows)))
    gone = np.flatnonzero(first != np.arange(len(rows)))
    if not len(gone):
        return rows, []
    frame, ids = rows.samples.frame.copy(), rows.samples.ids
    own = _joined(label_lists(frame, task.target[0]), first)
    frame[task.target[0]] = _texts(own)
    if task.secondary is not None:
        beside = _joined(label_lists(frame, task.secondary.column), first)
        frame[task.secondary.column] = _texts(
            [[label for label in labels if label not in known] for labels, known in zip(beside, own, strict=True)]
        )
    dropped = [(str(ids[row]), f"the same media as {ids[first[row]]}, whose labels it joins") for row in gone]
    return replace(rows, samples=replace(rows.samples, frame=frame)).take(kept), dropped


def first_of_equal(keys: Sequence[str]) -> np.ndarray:
    """int64 (n,): the first row with the same key as each row."""
    codes, _ = pd.factorize(np.array(keys, dtype=object))
    return np.unique(codes, return_index=True)[1][codes]


def _joined(lists: Sequence[Labels], first: np.ndarray) -> list[list[str]]:
    """The labels of each row, and of those whose first row it is, each once."""
    found: list[dict[str, None]] = [dict.fromkeys(labels) for labels in lists]
    for row, place in enumerate(first.tolist()):
        found[place].update(dict.fromkeys(lists[row]))
    return [list(labels) for labels in found]


def _texts(lists: Sequence[Sequence[str]]) -> pd.Series:
    return pd.Series([str(list(labels)) for labels in lists])
