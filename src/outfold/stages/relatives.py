"""Which of the rows to label belong to labelled ones: copies of the same photo, and rows of the same group."""

from collections.abc import Sequence

import numpy as np

from outfold.data.columns import cell_texts
from outfold.data.dataset import Dataset
from outfold.data.folds.grouping import group_column
from outfold.data.pseudo import Links, barred
from outfold.settings.folds import Folds
from outfold.settings.label import LabelStage
from outfold.settings.recipe import Recipe
from outfold.stages.pseudo_rows import rows_to_label

Column = tuple[Sequence[object], Sequence[object]]
"""A column of the training rows and of the rows to label; equal values link rows, None links nothing."""


def barred_rows(
    stage: LabelStage, trained: np.ndarray, held_out: np.ndarray, folds: Folds, dataset: Dataset
) -> np.ndarray:
    """Why rows to label may not be learned from; see `outfold.data.pseudo.barred`.

    Args:
        stage: says which rows are labelled.
        trained: int64, places of the training rows that the teacher trained on.
        held_out: int64, places of those that judge the student.
        folds: name the group columns.
        dataset: both tables.

    Returns:
        object (m,) of str.
    """
    same = _copies(stage, dataset)
    copies, groups = (
        Links.between(*zip(*columns, strict=True)) for columns in (same, [*same, *_groups(stage, folds, dataset)])
    )
    return barred(copies, groups, held_out=held_out, trained=trained, seen_groups=stage.seen_groups == "keep")


def not_compared(stage: LabelStage, recipe: Recipe, dataset: Dataset) -> list[str]:
    """By what the rows to label could not be compared with labelled ones, though the recipe compares those by it."""
    columns = rows_to_label(stage, dataset).samples.frame.columns
    missing = [f"column {name!r}" for name in recipe.folds.group if name not in columns]
    near = dataset.copies is not None and _copy_numbers(stage, dataset) is None
    return [*missing, *(["near-duplicates"] if near else [])]


def _copies(stage: LabelStage, dataset: Dataset) -> list[Column]:
    """Ids, contents of files, and near-duplicates where they were looked for."""
    train, rows = dataset.train, rows_to_label(stage, dataset)
    columns: list[Column] = [(train.samples.ids.tolist(), rows.samples.ids.tolist())]
    if train.content and rows.content:
        columns.append(([key or None for key in train.content], [key or None for key in rows.content]))
    numbers = _copy_numbers(stage, dataset)
    return columns if numbers is None else [*columns, numbers]


def _copy_numbers(stage: LabelStage, dataset: Dataset) -> Column | None:
    numbers = dataset.test_copies if stage.rows == "test" else dataset.unlabelled_copies
    return None if dataset.copies is None or numbers is None else (dataset.copies.tolist(), numbers.tolist())


def _groups(stage: LabelStage, folds: Folds, dataset: Dataset) -> list[Column]:
    """The group columns that both tables have."""
    frames = (dataset.train.samples.frame, rows_to_label(stage, dataset).samples.frame)

    def texts(name: str) -> Column:
        first, second = (cell_texts(group_column(frame[name], folds.unknown_group)) for frame in frames)
        return first, second

    return [texts(name) for name in folds.group if all(name in frame.columns for frame in frames)]
