"""Students, their batches, and bounds of rows a class: what a recipe may ask for, and what is refused."""

from contextlib import nullcontext
from typing import Any

import pytest
from pydantic import ValidationError

from outfold.errors import RecipeError
from outfold.runs.labels import check_labels
from outfold.settings.label import LabelStage
from outfold.settings.recipe import Recipe

MULTICLASS = {"kind": "multiclass", "target": "call", "metric": "macro_f1"}
BINARY = {"kind": "binary", "target": "call", "metric": "roc_auc"}
REGRESSION = {"kind": "regression", "target": "amount", "metric": "r2"}


@pytest.fixture
def recipe() -> dict[str, Any]:
    """Teachers of two seeds, labels of soundscapes by seed, and students that learn from them."""
    train = {
        "kind": "train",
        "view": {"kind": "embedding", "vectors": "vectors.parquet"},
        "phases": [{"name": "all", "epochs": 2}],
        "seeds": [0, 1],
        "members": {"a": {}},
    }
    labels = {"kind": "label", "from": "teacher", "teachers": "same_seed", "sharpen": "recording"}
    return {
        "name": "soundscapes",
        "data": {
            "train": "train.csv",
            "unlabelled": {"recordings": "scapes/*.ogg"},
            "id": "row_id",
            "audio": {"path": "clips/{row_id}.ogg"},
        },
        "task": {"kind": "multilabel", "target": ["owl", "wren"], "metric": "macro_roc_auc"},
        "stages": {
            "teacher": train,
            "labels": labels,
            "student": train | {"labels": "labels", "pseudo_batch": {"recordings": 4}},
        },
    }


def no_audio(recipe: dict[str, Any]) -> None:
    del recipe["data"]["audio"]
    recipe["data"]["unlabelled"] = "more.csv"


@pytest.mark.parametrize(
    ("stage", "changes", "said"),
    [
        ("labels", {}, None),
        ("labels", {"complete_windows": 48, "average": "probability", "confidence": 0.3}, None),
        ("labels", {"teachers": "same_fold"}, None),
        ("labels", {"per_class": "all"}, None),
        ("student", {"seeds": [1]}, None),
        ("student", {"pseudo_batch": {"windows": 128}, "balance": "sampler"}, None),
        ("student", {"seeds": [1, 2, 7]}, r"teachers of the same seed(.|\n)*seeds 2, 7"),
        ("teacher", {"seeds": [1]}, "teachers of the same seed"),
    ],
)
def test_what_goes_together(stage: str, changes: dict[str, Any], said: str | None, recipe: dict[str, Any]) -> None:
    recipe["stages"][stage] |= changes
    with nullcontext() if said is None else pytest.raises(RecipeError, match=said):
        check_labels(Recipe.model_validate(recipe))


@pytest.mark.parametrize(
    ("task", "label", "said"),
    [
        (MULTICLASS, {}, "`sharpen` raises classes one by one"),
        (BINARY, {}, "`sharpen` raises classes one by one"),
        (REGRESSION, {}, "`sharpen` raises classes one by one"),
        (REGRESSION, {"sharpen": None, "average": "logit"}, "no other mean"),
        (MULTICLASS, {"sharpen": None}, "repeats those of some classes"),
        (MULTICLASS, {"sharpen": None, "per_class": 20}, "repeats those of some classes"),
    ],
)
def test_labels_of_recordings_fit_the_task(
    task: dict[str, Any], label: dict[str, Any], said: str, recipe: dict[str, Any]
) -> None:
    recipe["task"] = task
    recipe["stages"]["labels"] |= label
    with pytest.raises(RecipeError, match=said):
        check_labels(Recipe.model_validate(recipe))


@pytest.mark.parametrize(
    ("label", "batch", "said"),
    [
        ({}, {"windows": 9}, "`sharpen` is about windows of recordings"),
        ({"sharpen": None, "complete_windows": 48}, {"windows": 9}, "`complete_windows` is about windows"),
        ({"sharpen": None}, {"recordings": 4}, "whole recordings, and the samples are none"),
        ({"sharpen": None}, {"windows": 9}, None),
    ],
)
def test_recordings_must_be_there(
    label: dict[str, Any], batch: dict[str, Any], said: str | None, recipe: dict[str, Any]
) -> None:
    no_audio(recipe)
    recipe["stages"]["labels"] |= label
    recipe["stages"]["student"]["pseudo_batch"] = batch
    with nullcontext() if said is None else pytest.raises(RecipeError, match=said):
        check_labels(Recipe.model_validate(recipe))


@pytest.mark.parametrize(
    ("stage", "changes", "said"),
    [
        ("student", {"pseudo_batch": {}}, "either whole `recordings` or `windows`"),
        ("student", {"pseudo_batch": {"recordings": 4, "windows": 9}}, "either whole `recordings` or `windows`"),
        ("teacher", {"pseudo_batch": {"windows": 9}}, "no effect without `labels`"),
        ("teacher", {"members": {"a": {"pseudo_batch": {"windows": 9}}}}, "no effect without `labels`"),
        ("teacher", {"class_floor": 1}, "greater than or equal to 2"),
        ("teacher", {"class_floor": 10, "class_cap": {"rows": 9}}, "asks for 10 rows of a class"),
        ("teacher", {"class_floor": 10, "balance": "sampler"}, "use one of the two"),
        ("teacher", {"class_cap": {"rows": 9}, "balance": "class_weight"}, "use one of the two"),
        ("labels", {"complete_windows": 1}, "greater than or equal to 2"),
        ("labels", {"teachers": "all", "sharpen": "row"}, "recording"),
    ],
)
def test_what_is_refused(stage: str, changes: dict[str, Any], said: str, recipe: dict[str, Any]) -> None:
    recipe["stages"][stage] |= changes
    with pytest.raises(ValidationError, match=said):
        Recipe.model_validate(recipe)


def test_a_regression_has_no_classes_to_bound(recipe: dict[str, Any]) -> None:
    recipe["task"] = REGRESSION
    recipe["stages"] = {"teacher": recipe["stages"]["teacher"] | {"class_floor": 10}}
    with pytest.raises(ValidationError, match="a regression has no classes"):
        Recipe.model_validate(recipe)


def test_members_have_batches_of_their_own(recipe: dict[str, Any]) -> None:
    windows = {"pseudo_batch": {"recordings": None, "windows": 128}}
    recipe["stages"]["student"]["members"] = {"whole": {}, "random": windows, "among": {"pseudo_batch": None}}
    batches = {name: one.pseudo_batch for name, one in Recipe.model_validate(recipe).members_of("student").items()}
    assert (batches["whole"].recordings, batches["random"].windows, batches["among"]) == (4, 128, None)


def test_rounds_take_the_settings_of_students(recipe: dict[str, Any]) -> None:
    label = {"teachers": "same_seed", "sharpen": "recording", "complete_windows": 48}
    student = {"pseudo_batch": {"windows": 128}, "class_floor": 10}
    noisy = {"kind": "noisy_student", "from": "teacher", "rounds": 2, "label": label, "student": student}
    recipe["stages"] = {"teacher": recipe["stages"]["teacher"], "noisy": noisy}
    made = Recipe.model_validate(recipe)
    check_labels(made)
    for name, source in (("noisy1", "teacher"), ("noisy2", "noisy1")):
        labels, settings = made.stages[f"{name}-labels"], made.members_of(name)["a"]
        assert isinstance(labels, LabelStage)
        assert (labels.source, labels.teachers, labels.complete_windows) == (source, "same_seed", 48)
        assert labels.averaged == "logit"
        assert (settings.class_floor, settings.pseudo_batch.windows) == (10, 128)


def test_settings_that_are_not_used_are_in_no_key() -> None:
    labels = LabelStage.model_validate({"kind": "label", "from": "teacher"})
    expected = {"rows", "confidence", "labels", "per_class", "teachers", "seen_groups", "weight"}
    assert set(labels.decisive()) == expected
    more = labels.model_copy(update={"sharpen": "recording", "complete_windows": 48})
    assert set(more.decisive()) == expected | {"sharpen", "complete_windows"}
