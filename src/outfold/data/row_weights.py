"""How much each training row counts in the loss: a column of weights, ratings, or their product."""

import numpy as np
import pandas as pd

from outfold.data.audio.labels import rating_weights
from outfold.data.columns import require_columns
from outfold.data.findings import Finding, count
from outfold.data.rows import name_rows
from outfold.errors import DataError
from outfold.settings.data import Data
from outfold.settings.labels import Rating


def row_weights(data: Data, frame: pd.DataFrame) -> np.ndarray | None:
    """Sample weights of the training rows, float32 (n, 1); None where the recipe gives none.

    Args:
        data: with the columns of weights and ratings; `data.weight` holds usable numbers.
        frame: the training table, n rows.

    Raises:
        DataError: a rating is missing as a column, no number or out of range, or no row weighs anything at all.
    """
    parts = [] if data.weight is None else [frame[data.weight].to_numpy(np.float32)]
    parts += [] if data.rating is None else [weights_of_ratings(data.rating, frame)]
    if not parts:
        return None
    weight = np.prod(parts, axis=0)
    if len(weight) and not weight.any():
        names = [name for name in ("weight", "rating") if getattr(data, name) is not None]
        raise DataError(f"no training row weighs anything, by data.{' and data.'.join(names)}")
    return weight[:, None]


def weights_of_ratings(rating: Rating, frame: pd.DataFrame) -> np.ndarray:
    """The weight of each row by its rating, float32 (n,); see `outfold.data.audio.labels.rating_weights`.

    Raises:
        DataError: the column is missing, or a cell is no number from 0 to the best rating; the rows are named.
    """
    ratings = _ratings(rating, frame)
    return rating_weights(
        ratings,
        best=rating.best,
        lowest_weight=rating.lowest_weight,
        unrated_weight=rating.unrated_weight,
        drop_below=rating.drop_below,
    )


def rating_findings(rating: Rating | None, frame: pd.DataFrame) -> list[Finding]:
    """How many rows weigh nothing by their rating.

    Raises:
        DataError: as `weights_of_ratings`.
    """
    nothing = 0 if rating is None else int((weights_of_ratings(rating, frame) == 0).sum())
    if rating is None or not nothing:
        return []
    what = f"{count(nothing, 'training row')} of {len(frame):,} weigh nothing, by their rating in {rating.column!r}"
    return [Finding("warning", f"{what}: they are predicted and judged, but not learned from")]


def _ratings(rating: Rating, frame: pd.DataFrame) -> np.ndarray:
    """Float64 (n,), NaN where the cell is empty."""
    require_columns(frame, [rating.column], role="a rating", table="training table")
    column = frame[rating.column]
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    given = ~column.isna().to_numpy(dtype=bool)
    wrong = np.flatnonzero(given & ~((values >= 0) & (values <= rating.best)))
    if len(wrong):
        raise DataError(
            f"{len(wrong)} ratings in column {rating.column!r} are not usable: {name_rows(frame, wrong)}",
            got=column.iloc[wrong[:5]].tolist(),
            expected=f"numbers up to {rating.best:g}; 0 or nothing where there is no rating",
        )
    return values
