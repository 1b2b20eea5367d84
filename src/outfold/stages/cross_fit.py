"""Which scored rows weights, factors or thresholds are learned on, and which others they are then used for."""

from typing import NamedTuple

import numpy as np

from outfold.data.dataset import Dataset
from outfold.ensemble.nested import Split


class Learned(NamedTuple):
    """Something that was fitted on rows and is judged on others."""

    name: str
    fitted_on: frozenset[str]
    judged_on: frozenset[str]


def splits_of(dataset: Dataset) -> dict[int, Split]:
    """By fold, the scored rows that are learned on and those that are held out, as places among scored rows.

    Of repeats only the first way of dealing rows out is used: each row is held out once.
    """
    scored, splits = dataset.scored_rows, {}
    left = np.ones(len(scored), dtype=bool)
    for fold in dataset.held_out:
        train, valid = (np.flatnonzero(np.isin(scored, rows)) for rows in dataset.folds.split(fold))
        if left[valid].any():
            splits[fold] = train, valid[left[valid]]
        left[valid] = False
    return splits


def learned_by_fold(name: str, dataset: Dataset) -> list[Learned]:
    """What is learned for each fold, as `name/fold0`: which rows it is learned on and which it is used for."""
    ids = dataset.train.samples.ids[dataset.scored_rows]

    def named(rows: np.ndarray) -> frozenset[str]:
        return frozenset(map(str, ids[rows]))

    return [
        Learned(f"{name}/fold{fold}", named(train), named(valid)) for fold, (train, valid) in splits_of(dataset).items()
    ]


def groups_of(dataset: Dataset) -> np.ndarray | None:
    """The groups of the scored rows, int64 (m,), where there are groups."""
    groups = dataset.folds.groups
    return None if groups is None else groups[dataset.scored_rows]
