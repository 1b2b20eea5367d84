"""Numbers of a log-mel that are not finite are refused by their own names."""

from math import inf, nan
from typing import Any

import pytest

from outfold.errors import RecipeError
from outfold.settings.mel import Decibels, LogMel, NaturalLog


@pytest.mark.parametrize("number", [inf, -inf, nan])
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *((LogMel, name) for name in ("f_min", "f_max", "subtract", "divide")),
        *((Decibels, name) for name in ("reference", "floor", "top_db")),
        (NaturalLog, "offset"),
    ],
)
def test_a_number_that_is_not_finite_is_refused_by_its_name(kind: Any, name: str, number: float) -> None:
    with pytest.raises(RecipeError, match=f"log-mel: {name} is out of range") as told:
        kind(**{name: number})
    assert told.value.expected == "a finite number"


def test_what_stands_for_a_number_is_none() -> None:
    assert Decibels(reference="max", top_db=None).floor == 1e-10
    assert LogMel(f_max=None).upper == 16_000
    with pytest.raises(RecipeError, match="divide is out of range"):
        LogMel(divide=0)
