"""Rows as a member reads them: columns that an auxiliary stage predicts are that stage's predictions."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from outfold.data.dataset import Rows
from outfold.data.predictions import Predictions
from outfold.data.table_columns import keys_of, number_key
from outfold.errors import DataError
from outfold.settings.recipe import Recipe
from outfold.settings.train import TrainSettings
from outfold.stages.base import Job, Result


def shown_rows(settings: TrainSettings, rows: Rows, results: Mapping[str, Result], step: str) -> Rows:
    """Rows as a member's network reads them.

    Args:
        settings: the member's.
        rows: as the table has them.
        results: of the stages before.
        step: `oof` for training rows, each of which the auxiliary stage predicted out of fold; anything else for rows
            that it predicted with all its models.

    Raises:
        DataError: the auxiliary stage did not predict one of the rows.
    """
    if settings.table is None or settings.table.predicted_by is None:
        return rows
    result = results[settings.table.predicted_by]
    predictions = result.oof if step == "oof" else result.test
    assert predictions is not None  # auxiliary stages predict all tables that the members reading them do
    return with_predicted(rows, predictions)


def with_predicted(rows: Rows, predictions: Predictions) -> Rows:
    """Rows whose columns of the predictions' names are the predictions.

    Raises:
        DataError: a row has no prediction.
    """
    places = pd.Index(predictions.ids, dtype=object).get_indexer(pd.Index(rows.samples.ids, dtype=object))
    missing = rows.samples.ids[places < 0]
    if len(missing):
        raise DataError(
            f"{len(missing)} rows have no prediction of {', '.join(predictions.outputs)}",
            got=", ".join(map(str, missing[:3])) + (", .." if len(missing) > 3 else ""),
            expected="a prediction for every row that reads it",
        )
    values = predictions.values[places].astype(np.float64)
    own = {number_key(name): values[:, place] for place, name in enumerate(predictions.outputs)}
    return replace(rows, columns={**rows.columns, **own})


def cells_read(settings: TrainSettings, recipe: Recipe, *, training: bool) -> list[str]:
    """The keys of the columns whose cells in the table decide what a member learns or predicts.

    Args:
        settings: the member's.
        recipe: the run's.
        training: of training rows, where `train_on: mixed` shows the given values too.
    """
    mixed = training and settings.table is not None and settings.table.train_on == "mixed"
    return cells_without(settings, () if mixed else recipe.predicted_columns(settings))


def cells_without(settings: TrainSettings, columns: Collection[str]) -> list[str]:
    """The keys of the columns that a member's table inputs read, but for numeric ones of these names."""
    if settings.table is None:
        return []
    predicted = {number_key(name) for name in columns}
    return [key for key in keys_of(settings.table) if key not in predicted]


def keys_of_inputs(settings: TrainSettings, jobs: Sequence[Job], step: str) -> list[str]:
    """The keys of the planned jobs that predict a member's inputs: of training rows (`oof`), or of other rows."""
    name = None if settings.table is None else settings.table.predicted_by
    return [] if name is None else [job.key for job in jobs if job.stage == name and job.step == step]
