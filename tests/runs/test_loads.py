"""How many rows the models of a recipe see, by hand."""

from typing import Any

import numpy as np
import pytest

from outfold.runs.loads import Load, Rows, loads_of
from outfold.settings.recipe import Recipe
from outfold.stages.train import fit_work
from outfold.work import megapixels

CLASSES = np.repeat([0, 1, 2], [60, 27, 3])
"""Of 90 rows, dealt out over three folds."""


@pytest.fixture
def student(tiny_recipe: dict[str, Any]) -> dict[str, Any]:
    """A student of two seeds, whose teacher labels 480 windows of 10 recordings."""
    fit = tiny_recipe["stages"]["fit"]
    labels = {"kind": "label", "from": "fit", "per_class": "all"}
    student = fit | {"labels": "labels", "seeds": [0, 1]}
    tiny_recipe["stages"] = {"fit": fit, "labels": labels, "student": student}
    tiny_recipe["data"]["unlabelled"] = "more.csv"
    return tiny_recipe


def load(recipe: dict[str, Any], name: str) -> Load:
    """What the models of a stage's only member have to do."""
    made = Recipe.model_validate(recipe)
    fold = np.arange(90) % 3
    splits = [(np.flatnonzero(fold != number), np.flatnonzero(fold == number)) for number in range(3)]
    rows = Rows(90, splits, 30, 480, CLASSES, {"unlabelled": 48.0})
    (one,) = loads_of(name, made.stages[name], made.members_of(name)["a"], made, rows)
    return one


@pytest.mark.parametrize(
    ("settings", "learned", "beside"),
    [
        ({}, 60 + 480, 0),
        ({"pseudo_batch": {"windows": 5}}, 60 + 7 * 5, 5),
        ({"pseudo_batch": {"recordings": 2}}, 60 + 7 * 96, 96),
        ({"class_cap": {"rows": 20}}, 20 + 18 + 2 + 480, 0),
        ({"class_cap": {"rows": 20, "by": "amount"}, "class_floor": 4}, 20 + 18 + 4 + 480, 0),
        ({"class_floor": 25, "pseudo_batch": {"windows": 5}}, (40 + 25 + 25) + 11 * 5, 5),
    ],
)
def test_rows_of_an_epoch(settings: dict[str, Any], learned: int, beside: int, student: dict[str, Any]) -> None:
    student["stages"]["student"] |= settings
    assert load(student, "student") == Load(6, learned, 30, 30, beside)
    assert load(student, "fit") == Load(3, 60, 30, 30 + 480)


def test_work_of_rows_beside(student: dict[str, Any]) -> None:
    settings = Recipe.model_validate(student).members_of("fit")["a"]
    alone, beside = fit_work(settings, 60, 30), fit_work(settings, 60, 30, beside=5)
    assert beside - alone == pytest.approx(megapixels(3 * 7 * 5, (32, 32), training=True))
