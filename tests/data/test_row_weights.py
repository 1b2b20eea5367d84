"""How much training rows count: a column, ratings, or both."""

import numpy as np
import pandas as pd
import pytest

from outfold.data.row_weights import row_weights
from outfold.errors import DataError
from outfold.settings.data import Data

FRAME = pd.DataFrame({"id": range(5), "stars": [5.0, 2.5, 0, np.nan, 1], "w": [1, 2, 3, 4, 5]})


def weights(frame: pd.DataFrame = FRAME, **given: object) -> np.ndarray | None:
    return row_weights(Data(train="t.csv", id="id", **given), frame)  # type: ignore[arg-type]


def test_ratings_and_a_column_multiply() -> None:
    assert weights() is None
    column = weights(weight="w")
    assert column is not None
    assert (column.dtype, column.tolist()) == (np.float32, [[1], [2], [3], [4], [5]])
    rated = weights(rating={"column": "stars", "lowest_weight": 0.2, "unrated_weight": 0.5, "drop_below": 2})
    assert rated is not None
    assert rated.dtype == np.float32
    np.testing.assert_allclose(rated[:, 0], [1, 0.6, 0.5, 0.5, 0])
    both = weights(weight="w", rating={"column": "stars", "lowest_weight": 0.2, "unrated_weight": 0.5, "drop_below": 2})
    np.testing.assert_allclose(both, column * rated)


@pytest.mark.parametrize(
    ("stars", "message"),
    [
        ([5, 6, -1, 0, 0], r"2 ratings in column 'stars' are not usable: row 1, row 2"),
        (["5", "good", "", None, "1"], r"2 ratings in column 'stars' are not usable: row 1, row 2"),
        ([np.inf, 1, 1, 1, 1], r"1 ratings .*: row 0"),
    ],
)
def test_ratings_that_are_refused_are_named(stars: list[object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        weights(FRAME.assign(stars=stars), rating={"column": "stars"})


def test_rows_that_all_weigh_nothing() -> None:
    with pytest.raises(DataError, match=r"no training row weighs anything, by data\.weight and data\.rating"):
        weights(FRAME.assign(w=[0, 0, 0, 0, 1]), weight="w", rating={"column": "stars", "drop_below": 2})
    with pytest.raises(DataError, match="no column 'star', needed as a rating"):
        weights(rating={"column": "star"})
