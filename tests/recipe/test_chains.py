"""Stages that build on others which do not make what they need are refused as the recipe is read."""

from typing import Any

import pytest
from pydantic import ValidationError

from outfold.settings.recipe import Recipe

HEAD = {"kind": "train", "view": {"kind": "embedding", "vectors": "v.parquet"}, "members": {"a": {}}}
PHASES = [{"name": "all", "epochs": 1}]
TABLE = {"numeric": ["height", "wind"], "widths": [4]}


def recipe(**stages: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "chains",
        "data": {"train": "train.csv", "test": "test.csv", "id": "plot", "unlabelled": "more.csv"},
        "task": {"kind": "regression", "target": "mass", "metric": "r2"},
        "folds": {"k": 3},
        "stages": stages,
    }


def fit(**changed: Any) -> dict[str, Any]:
    return {**HEAD, "phases": PHASES, **changed}


SENSOR = fit(target="height")
GIVEN = fit(table={**TABLE, "training_only": True})
PREDICTED = fit(table={**TABLE, "predicted_by": "sensor"})
SERVE = {"kind": "serve", "from": "fit", "inputs": "sensor"}
ADAPT = {"kind": "adapt", "from": "fit", "labels": "fit", "phases": PHASES}


def refused(match: str, /, *, folds: dict[str, Any] | None = None, **stages: Any) -> None:
    values = recipe(**stages)
    values["folds"] |= folds or {}
    with pytest.raises(ValidationError, match=match):
        Recipe.model_validate(values)


def test_what_fits_is_taken() -> None:
    chained = Recipe.model_validate(recipe(sensor=SENSOR, fit=PREDICTED, adapted=ADAPT))
    assert chained.predicted_columns(chained.members_of("fit")["a"]) == ("height",)
    assert chained.task_of("sensor").target == ("height",)
    assert chained.task_of("sensor").metric == "mae"
    assert chained.task_of("adapted") is chained.task
    assert chained.ancestors("fit") == ["sensor", "fit"]
    served = Recipe.model_validate(recipe(fit=GIVEN, sensor=SENSOR, served=SERVE))
    assert served.ancestors("served") == ["sensor", "served"]  # its models are used, the stage itself predicts nothing
    assert served.answerers("served") == {"fit", "served"}


def test_auxiliary_stages_answer_nothing() -> None:
    for reader in (
        {"kind": "submit", "from": "sensor"},
        {"kind": "blend", "from": ["fit", "sensor"]},
        {"kind": "label", "from": "sensor"},
        {**ADAPT, "labels": "sensor"},
    ):
        refused("'sensor' is an auxiliary stage: it predicts height", fit=fit(), sensor=SENSOR, last=reader)
    refused("'sensor' is an auxiliary stage", sensor=SENSOR, last={**ADAPT, "from": "sensor", "labels": "sensor"})
    refused("the recipe ends with 'sensor', an auxiliary stage", fit=fit(), sensor=SENSOR)
    refused("`metric` judges a stage with a `target` of its own", fit=fit(metric="mae"))
    refused("names a column twice", sensor=fit(target=["height", "height"]), fit=fit())


def test_stages_that_only_serve_stages_can_use() -> None:
    for reader in (
        {"kind": "submit", "from": "fit"},
        {"kind": "blend", "from": ["fit"]},
        {"kind": "label", "from": "fit"},
        ADAPT,
    ):
        refused("'fit' has inputs that only training tables have", sensor=SENSOR, fit=GIVEN, last=reader)
    refused("fit/a predicts by itself", sensor=SENSOR, fit=PREDICTED, served=SERVE)
    refused("no member of 'fit' has table inputs", sensor=SENSOR, fit=fit(), served=SERVE)
    refused("'other' is no auxiliary stage", other=fit(), fit=GIVEN, served={**SERVE, "inputs": "other"})
    refused("predicts none of the inputs of fit/a", sensor=fit(target="rain"), fit=GIVEN, served=SERVE)
    both = {**TABLE, "training_only": True, "predicted_by": "sensor"}
    refused("`training_only` says nothing", sensor=SENSOR, fit=fit(table=both))


def test_inputs_that_nobody_predicts() -> None:
    table = {**TABLE, "predicted_by": "sensor"}
    refused("'sensor' is no auxiliary stage", sensor=fit(), fit=PREDICTED)
    refused("none of them a numeric input", sensor=fit(target="rain"), fit=PREDICTED)
    refused("folds.only leaves training rows without", folds={"only": [0]}, sensor=SENSOR, fit=PREDICTED)
    refused("folds.time leaves training rows without", folds={"time": "day"}, sensor=SENSOR, fit=PREDICTED)
    refused("`train_on: mixed` .* needs `predicted_by`", fit=fit(table={**TABLE, "train_on": "mixed"}))
    plain = [{"name": "all", "epochs": 1, "augment": False}]
    refused("no phase has `augment: true`", sensor=SENSOR, fit=fit(table={**table, "train_on": "mixed"}, phases=plain))
    label = {"kind": "label", "from": "fit"}
    refused("predicts no rows of data.unlabelled", sensor=SENSOR, fit=PREDICTED, said=label, student=fit(labels="said"))
    student = fit(labels="said", table=table)
    refused("predicts no rows of data.unlabelled", sensor=SENSOR, fit=fit(), said=label, student=student)
    student = fit(labels="said", table={**TABLE, "training_only": True})
    refused("rows without labels lack its table inputs", fit=fit(), said={**label, "rows": "test"}, student=student)


def test_weights_to_start_from_that_are_not_there() -> None:
    two = fit(members={"a": {}, "b": {}})
    blend, from_blend = {"kind": "blend", "from": ["fit"]}, fit(init_from={"stage": "both", "part": "all"})
    refused("names a train stage, 'both' is none", fit=fit(), both=blend, more=from_blend)
    refused("has no member 'c'", fit=two, more=fit(init_from={"stage": "fit", "member": "c", "part": "all"}))
    refused("has several members", fit=two, more=fit(members={"c": {"init_from": {"stage": "fit", "part": "all"}}}))
    photos = {"kind": "train", "backbone": "resnet18", "phases": PHASES, "members": {"a": {}}}
    refused("either from `weights` or", fit=photos, more={**photos, "weights": "none", "init_from": "fit"})
    refused("no model of seed 3", fit=fit(seeds=[1, 2]), more=fit(seeds=[3], init_from={"stage": "fit", "part": "all"}))
    refused(
        "takes the model of the same fold, but fit/a has the recipe's folds and this member folds 'other'",
        folds={"variants": {"other": {"seed": 1}}},
        fit=fit(),
        more=fit(folds="other", init_from={"stage": "fit", "part": "all"}),
    )


def test_test_time_training_that_cannot_be_honest_or_cannot_be() -> None:
    refused("has no member 'b'", fit=fit(), adapted={**ADAPT, "members": "b"})
    refused("to choose an epoch by", fit=fit(), adapted={**ADAPT, "keep": {"best": "r2"}})
    plateau = [{"name": "all", "epochs": 1, "schedule": "plateau"}]
    refused("no validation loss for", fit=fit(), adapted={**ADAPT, "phases": plateau})
    refused("use `mix` or `weight`, not both", fit=fit(mix={}), adapted={**ADAPT, "weight": 0.5})
    ranks = {"kind": "blend", "from": ["fit"], "method": "rank_mean"}
    refused("gives ranks, and no rank is a label", fit=fit(), ranks=ranks, adapted={**ADAPT, "labels": "ranks"})
    alone = {**ADAPT, "out_of_fold": False}
    refused(
        "'adapted' predicts nothing out of fold",
        fit=fit(),
        adapted=alone,
        both={"kind": "blend", "from": ["fit", "adapted"]},
    )
    other = {"variants": {"other": {"seed": 1}}}
    two = {"fit": fit(), "again": fit(folds="other"), "both": {"kind": "blend", "from": ["fit", "again"]}}
    refused("models that held out the same rows", folds=other, **two, adapted={**ADAPT, "labels": "both"})
    values = recipe(**two, adapted={**ADAPT, "labels": "both", "out_of_fold": False})
    values["folds"] |= other
    assert Recipe.model_validate(values).final_stage() == "adapted"
    refused(
        "with folds.repeats, labels come from models that saw the fold", folds={"repeats": 2}, fit=fit(), adapted=ADAPT
    )
    values = recipe(fit=fit(), adapted=alone)
    del values["data"]["test"]
    with pytest.raises(ValidationError, match="has nothing to do"):
        Recipe.model_validate(values)
