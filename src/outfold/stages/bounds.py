"""How many rows of a class a member's epochs have, and which of them."""

import numpy as np
import pandas as pd

from outfold.data.balance import ClassBounds, primary_classes
from outfold.data.columns import require_columns
from outfold.data.dataset import Dataset
from outfold.settings.recipe import Recipe
from outfold.settings.train import TrainSettings
from outfold.stages.outputs import classes_of


def class_bounds(settings: TrainSettings, dataset: Dataset) -> ClassBounds | None:
    """The member's bounds of rows a class, for all training rows; None where it has none.

    Raises:
        DataError: the column that says which rows stay is missing.
    """
    cap = settings.class_cap
    if cap is None and settings.class_floor is None:
        return None
    classes = primary_classes(classes_of(settings, dataset, np.arange(len(dataset.train))))
    order = None if cap is None or cap.by is None else order_by(dataset.train.samples.frame, cap.by)
    return ClassBounds(classes, None if cap is None else cap.rows, settings.class_floor, order)


def order_by(frame: pd.DataFrame, column: str) -> np.ndarray:
    """Places in a column's rising order, int64 (n,): numbers by size, texts by the alphabet; -1 for empty cells.

    Raises:
        DataError: the column is missing.
    """
    require_columns(frame, [column], role="the order of `class_cap.by`", table="training table")
    return pd.factorize(frame[column], sort=True)[0].astype(np.int64)


def check_caps(recipe: Recipe, frame: pd.DataFrame) -> None:
    """Refuse a training table that lacks a column by which members choose the rows of a class.

    Raises:
        DataError: names the column.
    """
    for _, _, settings in recipe.members():
        if settings.class_cap is not None and settings.class_cap.by is not None:
            order_by(frame, settings.class_cap.by)


def epoch_rows(bounds: ClassBounds | None, train: np.ndarray) -> int:
    """How many of these training rows, int64, an epoch has, repetitions included."""
    return len(train) if bounds is None else len(bounds.drawn(train, np.random.default_rng(0)))


def key_of_bounds(bounds: ClassBounds | None, train: np.ndarray) -> list[np.ndarray]:
    """What decides which of these training rows, int64, the bounds keep, beyond the settings and the targets."""
    return [] if bounds is None or bounds.order is None else [np.unique(bounds.order[train], return_inverse=True)[1]]
