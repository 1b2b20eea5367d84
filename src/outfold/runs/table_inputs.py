"""The columns of a recipe's tables that its members read beside the photos."""

from pathlib import Path

import numpy as np
import pandas as pd

from outfold.data.table import Samples, load_samples
from outfold.data.table_columns import read_columns
from outfold.settings.recipe import Recipe
from outfold.settings.table_inputs import TableInputs


def table_inputs(recipe: Recipe) -> list[TableInputs]:
    """The table inputs of all members that have some."""
    return [settings.table for _, _, settings in recipe.members() if settings.table is not None]


def read_table_inputs(recipe: Recipe, samples: Samples, table: str) -> dict[str, np.ndarray]:
    """What the members read of a table, by key; nothing where no member reads one.

    Args:
        recipe: the effective recipe.
        samples: all rows of the table that are in use: rows of a group are counted among them.
        table: what the table is called in errors.

    Raises:
        DataError: a column is missing, or a cell or a file cannot be used; the row is named.
    """
    return read_columns(
        table_inputs(recipe),
        samples.frame,
        samples.media,
        unknown_group=recipe.folds.unknown_group,
        table=f"the {table} table",
    )


def check_table_inputs(recipe: Recipe, root: Path, train: pd.DataFrame | None = None) -> None:
    """Read the columns of all tables that will be predicted, before anything that takes long; files are left alone.

    Args:
        recipe: the effective recipe.
        root: data root, absolute.
        train: the training table, where it is read already.

    Raises:
        DataError: a column is missing, or a cell cannot be used; the row is named.
    """
    columns = [one.model_copy(update={"derived": ()}) for one in table_inputs(recipe)]
    if not columns:
        return
    targets, data = recipe.task.target, recipe.data
    tables = {"train": load_samples(data, root, targets=targets).frame if train is None else train}
    if data.test is not None:
        tables["test"] = load_samples(data, root, "test", targets=targets).frame
    if data.unlabelled and recipe.labels_unlabelled():
        tables["unlabelled"] = load_samples(data, root, "unlabelled", targets=targets).frame
    for name, frame in tables.items():
        read_columns(columns, frame, unknown_group=recipe.folds.unknown_group, table=f"the {name} table")
