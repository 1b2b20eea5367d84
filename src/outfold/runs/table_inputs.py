"""The columns of a recipe's tables that its members read beside the photos."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from outfold.data.table import Samples, load_samples
from outfold.data.table_columns import read_columns
from outfold.settings.chains import columns_from
from outfold.settings.recipe import Recipe
from outfold.settings.serve import ServeStage
from outfold.settings.table_inputs import TableInputs


def table_inputs(recipe: Recipe) -> list[TableInputs]:
    """The table inputs of all members that have some, as the training tables must have them."""
    return [settings.table for _, _, settings in recipe.members() if settings.table is not None]


def served_inputs(recipe: Recipe) -> list[TableInputs]:
    """The table inputs as all other tables must have them: without columns that a stage predicts.

    Inputs of `training_only` members are read where a serve stage uses these models, and nowhere else.
    """
    served = []
    for name, _, settings in recipe.members():
        table = settings.table
        if table is None:
            continue
        if table.training_only:
            stages = [one for one in recipe.stages.values() if isinstance(one, ServeStage) and one.source == name]
            served += [_without(table, columns_from(table, one.inputs, recipe.stages)) for one in stages]
        else:
            served.append(_without(table, recipe.predicted_columns(settings)))
    return served


def _without(table: TableInputs, columns: Collection[str]) -> TableInputs:
    return table.model_copy(update={"numeric": tuple(one for one in table.numeric if one.column not in columns)})


def read_table_inputs(recipe: Recipe, samples: Samples, table: str) -> dict[str, np.ndarray]:
    """What the members read of a table, by key; nothing where no member reads one.

    Args:
        recipe: the effective recipe.
        samples: all rows of the table that are in use: rows of a group are counted among them.
        table: what the table is called in errors; `train` has columns that the others may lack.

    Raises:
        DataError: a column is missing, or a cell or a file cannot be used; the row is named.
    """
    return read_columns(
        table_inputs(recipe) if table == "train" else served_inputs(recipe),
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
    if not table_inputs(recipe):
        return
    targets, data = recipe.task.target, recipe.data
    tables = {"train": load_samples(data, root, targets=targets).frame if train is None else train}
    if data.test is not None:
        tables["test"] = load_samples(data, root, "test", targets=targets).frame
    if data.unlabelled and recipe.labels_unlabelled():
        tables["unlabelled"] = load_samples(data, root, "unlabelled", targets=targets).frame
    for name, frame in tables.items():
        needed = table_inputs(recipe) if name == "train" else served_inputs(recipe)
        columns = [one.model_copy(update={"derived": ()}) for one in needed]
        read_columns(columns, frame, unknown_group=recipe.folds.unknown_group, table=f"the {name} table")
