"""Label sets, secondary labels, ratings and frames in a recipe: what cannot work is refused with its reason."""

from typing import Any

import pytest
from pydantic import ValidationError

from outfold.settings.recipe import Recipe


def recipe(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": "birds",
        "data": {"train": "train.csv", "id": "name", "image": {"path": "{name}.png"}},
        "task": {"kind": "multilabel", "target": "bird", "metric": "macro_roc_auc", "label_sets": True},
        "stages": {
            "fit": {
                "kind": "train",
                "backbone": "test_efficientnet",
                "phases": [{"name": "all", "epochs": 1}],
                "members": {"a": {}},
            }
        },
    }
    for part, change in changes.items():
        place = made["stages"]["fit"] if part == "fit" else made[part]
        place |= change
    return made


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": {"kind": "multiclass", "metric": "macro_f1"}}, "label_sets are of a multilabel task"),
        ({"task": {"target": ["bird", "other"]}}, "label_sets are of a multilabel task with one target column"),
        ({"task": {"label_sets": False, "classes": ["a", "b"]}}, "classes has no effect on a multilabel task"),
        ({"task": {"label_sets": False, "secondary": {"column": "also"}}}, "set `label_sets: true`"),
        ({"task": {"secondary": {"column": "bird"}}}, "secondary.column is the target column itself"),
        ({"task": {"secondary": {"column": "also", "value": 0.5}}}, "set `mask: false`"),
        ({"task": {"secondary": {"column": "also", "mask": False}}}, "without a `value`"),
        ({"task": {"secondary": {"column": "also", "value": 2, "mask": False}}}, "less than or equal to 1"),
        ({"data": {"rating": {"column": "stars", "drop_below": 6}}}, "above the best rating"),
        ({"data": {"rating": {"column": "stars", "lowest_weight": 1}}}, "every row weighs 1"),
        (
            {
                "task": {"kind": "regression", "metric": "r2", "label_sets": False},
                "data": {"rating": {"column": "stars"}},
                "fit": {"mix": {}},
            },
            "use `mix` or `data.rating`",
        ),
        ({"fit": {"loss": {"name": "bce", "frame_share": 0.5}}}, "is for `head.name: sed`"),
        ({"fit": {"loss": {"name": "bce", "frame_share": 0}, "head": {"name": "sed"}}}, "greater than 0"),
        (
            {"fit": {"loss": {"name": "cross_entropy", "frame_share": 0.5}, "head": {"name": "sed"}}},
            "`frame_share` is for `name: bce or focal_bce`",
        ),
    ],
)
def test_what_cannot_work_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Recipe.model_validate(recipe(**changes))


def test_what_works() -> None:
    frames = {"loss": {"name": "focal_bce", "frame_share": 0.5}, "head": {"name": "sed"}, "mix": {}}
    soft = {"secondary": {"column": "also", "value": 0.3, "mask": False}}
    made = Recipe.model_validate(recipe(task=soft, fit=frames, data={"rating": {"column": "stars"}, "weight": "w"}))
    assert made.members_of("fit")["a"].learns_frames
    assert made.task.label_columns == ("bird", "also")
    linear = frames | {"members": {"a": {}, "b": {"head": {"name": "linear"}, "loss": {"frame_share": None}}}}
    made = Recipe.model_validate(recipe(fit=linear))
    assert [settings.learns_frames for _, _, settings in made.members()] == [True, False]
