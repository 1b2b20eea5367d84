"""Inputs that only training rows have: an auxiliary stage predicts them, for training too or for serving alone."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import outfold
from outfold.errors import DataError, RecipeError, RunError
from outfold.run_folder import AUDIT
from outfold.settings.recipe import Recipe


def run(recipe: dict[str, Any], folder: Path, root: Path, **given: Any) -> outfold.Run:
    return outfold.run(Recipe.model_validate(recipe), folder, data=root, device="cpu", **given)


@pytest.fixture(scope="module")
def chained(meadow_settings: dict[str, Any], meadow: Path, tmp_path_factory: pytest.TempPathFactory) -> outfold.Run:
    return run(meadow_settings, tmp_path_factory.mktemp("chained") / "run", meadow)


def done_jobs(recipe: dict[str, Any], folder: Path, root: Path) -> list[str]:
    events: list[dict[str, Any]] = []
    run(recipe, folder, root, emit=events.append)
    return [event["job"] for event in events if event["event"] == "job"]


def encoder(folder: Path, stage: str, fold: int) -> dict[str, Any]:
    record = json.loads((folder / "stages" / stage / "a" / f"fold{fold}-seed0" / "fit.json").read_text())
    return record["table"]["columns"][0]


def predicted_heights(folder: Path, stage: str = "sensor") -> pd.Series:
    """Out-of-fold heights by id."""
    parts = [pd.read_parquet(path) for path in sorted((folder / "stages" / stage / "a").glob("fold*/oof.parquet"))]
    return pd.concat(parts).set_index("id")["height"]


def training_only(recipe: dict[str, Any]) -> dict[str, Any]:
    """The main stage learns with given heights and serves with predicted ones."""
    stages = recipe["stages"]
    table = {**stages["fit"]["table"], "training_only": True}
    del table["predicted_by"]
    served = {"kind": "serve", "from": "fit", "inputs": "sensor"}
    return {**recipe, "stages": {**stages, "fit": {**stages["fit"], "table": table}, "served": served}}


def test_a_predicted_column_tells_what_vectors_alone_do_not(
    chained: outfold.Run, meadow_recipe: dict[str, Any], meadow: Path, tmp_path: Path
) -> None:
    sensor = chained.summary["stages"]["sensor"]
    assert (sensor["target"], sensor["metric"]) == (["height"], "mae")
    assert sensor["score"] < 0.5  # centimetres; the heights vary by 2
    heights = pd.read_csv(meadow / "train.csv", index_col="plot")["height"]
    apart = np.abs(predicted_heights(chained.path) - heights).mean()
    assert sensor["score"] == pytest.approx(apart, rel=1e-5)
    assert list(chained.oof.columns) == ["id", "fold", "mass", "pred_mass"]
    del meadow_recipe["stages"]["fit"]["table"], meadow_recipe["stages"]["sensor"]
    alone = run(meadow_recipe, tmp_path / "alone", meadow)
    assert alone.score < 0.3
    assert chained.score > 0.5


def test_training_reads_what_the_auxiliary_stage_says_out_of_fold(chained: outfold.Run, meadow: Path) -> None:
    heights = predicted_heights(chained.path)
    for fold in range(3):
        train = chained.oof["id"][chained.oof["fold"] != fold]
        assert encoder(chained.path, "fit", fold)["shift"] == pytest.approx(heights[train].mean(), rel=1e-6)
    later = pd.read_csv(meadow / "later.csv")
    assert np.isfinite(chained.predict(later, root=meadow, device="cpu")["mass"]).all()
    again = chained.predict(pd.read_csv(meadow / "test.csv"), root=meadow, device="cpu")
    np.testing.assert_allclose(again["mass"], chained.predictions["pred_mass"], rtol=1e-5)


@pytest.mark.slow
def test_two_processes_predict_inputs_and_what_reads_them_as_one(chained: outfold.Run, meadow: Path) -> None:
    one, two = (chained.predict(meadow / "later.csv", device="cpu", processes=number) for number in (1, 2))
    np.testing.assert_allclose(one["mass"], two["mass"], rtol=1e-6)


@pytest.mark.slow
def test_a_mix_draws_between_given_and_predicted_heights(
    chained: outfold.Run, meadow_recipe: dict[str, Any], meadow: Path, tmp_path: Path
) -> None:
    class Stop(BaseException):
        pass

    def stop(event: dict[str, Any]) -> None:
        if event["event"] == "epoch" and event["job"].startswith("fit") and event["epoch"] == 5:
            raise Stop

    meadow_recipe["stages"]["fit"]["table"]["train_on"] = "mixed"
    whole = run(meadow_recipe, tmp_path / "whole", meadow)
    assert not np.array_equal(chained.oof["pred_mass"], whole.oof["pred_mass"])
    assert whole.score > 0.5
    given, heights = pd.read_csv(meadow / "train.csv", index_col="plot")["height"], predicted_heights(whole.path)
    train = whole.oof["id"][whole.oof["fold"] != 0]
    both = np.concatenate([heights[train], given[train]])
    assert encoder(whole.path, "fit", 0)["shift"] == pytest.approx(both.mean(), rel=1e-6)
    assert encoder(whole.path, "fit", 0)["scale"] == pytest.approx(both.std(), rel=1e-5)
    with pytest.raises(Stop):
        run(meadow_recipe, tmp_path / "stopped", meadow, emit=stop)
    resumed = run(meadow_recipe, tmp_path / "stopped", meadow)
    pd.testing.assert_frame_equal(whole.oof, resumed.oof, check_exact=True)
    pd.testing.assert_frame_equal(whole.predictions, resumed.predictions, check_exact=True)


@pytest.mark.slow
def test_what_the_auxiliary_stage_learns_decides_what_its_readers_learn(
    meadow_recipe: dict[str, Any], meadow: Path, tmp_path: Path
) -> None:
    for stage in meadow_recipe["stages"].values():
        stage["phases"][0]["epochs"] = 2
    assert len(done_jobs(meadow_recipe, tmp_path / "run", meadow)) == 18
    assert done_jobs(meadow_recipe, tmp_path / "run", meadow) == []
    meadow_recipe["stages"]["sensor"]["phases"][0]["lr"] = 0.04
    assert len(done_jobs(meadow_recipe, tmp_path / "run", meadow)) == 18
    meadow_recipe["stages"]["sensor"]["metric"] = "rmse"  # which no weights depend on while the last epoch is kept
    meadow_recipe["stages"]["fit"]["phases"][0]["lr"] = 0.01
    assert {job.partition("/")[0] for job in done_jobs(meadow_recipe, tmp_path / "run", meadow)} >= {"fit"}


@pytest.mark.slow
def test_a_stage_that_learned_with_given_inputs_serves_with_predicted_ones(
    meadow_recipe: dict[str, Any], meadow: Path, tmp_path: Path
) -> None:
    recipe = training_only(meadow_recipe)
    recipe["stages"]["answer"] = {"kind": "submit", "from": "served"}
    done = run(recipe, tmp_path / "run", meadow)
    fit, served = (done.summary["stages"][name] for name in ("fit", "served"))
    assert served["given_inputs"] == {"stage": "fit", "score": pytest.approx(fit["score"])}
    assert done.score == served["score"] < fit["score"] - 0.005
    given = pd.read_csv(meadow / "train.csv")["height"]
    assert encoder(done.path, "fit", 0)["shift"] == pytest.approx(given[done.oof["fold"] != 0].mean(), rel=1e-6)
    assert not list((done.path / "stages" / "fit").rglob("test.parquet"))
    again = done.predict(pd.read_csv(meadow / "test.csv"), root=meadow, device="cpu")
    np.testing.assert_allclose(again["mass"], done.predictions["pred_mass"], rtol=1e-5)
    assert list(pd.read_csv(done.path / "submission.csv")["plot"]) == list(pd.read_csv(meadow / "test.csv")["plot"])
    findings = json.loads((done.path / AUDIT).read_text())["findings"]
    (gap,) = [one for one in findings if one["rule"] == "input-served-as-prediction"]
    assert "`height` is true in training and predicted when it serves" in gap["what"]
    assert not [one for one in findings if one["rule"] == "input-not-served"]
    page = done.report().read_text()
    assert "served is fit as it serves, with inputs that sensor predicts" in page
    assert done_jobs(recipe, done.path, meadow) == []


def test_predicted_inputs_are_no_gap_between_training_and_serving(
    meadow_recipe: dict[str, Any], meadow: Path, tmp_path: Path
) -> None:
    for stage in meadow_recipe["stages"].values():
        stage["phases"][0]["epochs"] = 1
    done = run(meadow_recipe, tmp_path / "run", meadow)
    rules = {one["rule"] for one in json.loads((done.path / AUDIT).read_text())["findings"]}
    assert not rules & {"input-served-as-prediction", "input-not-served", "input-missing-in-test"}


def test_a_stage_without_its_inputs_is_scored_but_predicts_nothing_else(
    meadow_recipe: dict[str, Any], meadow: Path, tmp_path: Path
) -> None:
    recipe = training_only(meadow_recipe)
    del recipe["stages"]["served"]
    done = run(recipe, tmp_path / "run", meadow)
    assert done.score > 0.5
    assert done.predictions is None
    with pytest.raises(RunError, match="stage 'fit' reads columns that only training tables have"):
        done.predict(pd.read_csv(meadow / "later.csv"), root=meadow, device="cpu")


def test_an_empty_cell_of_an_auxiliary_target_is_told_before_training(
    meadow_recipe: dict[str, Any], meadow: Path, tmp_path: Path
) -> None:
    table = pd.read_csv(meadow / "train.csv")
    table.loc[[4, 9], "height"] = np.nan
    table.to_csv(tmp_path / "train.csv", index=False)
    for name in ("test.csv", "vectors.parquet"):
        (tmp_path / name).write_bytes((meadow / name).read_bytes())
    events: list[dict[str, Any]] = []
    with pytest.raises(DataError, match=r"stage 'sensor': 2 rows have no value in target column 'height'"):
        run(meadow_recipe, tmp_path / "run", tmp_path, emit=events.append)
    assert not any(event["event"] == "planned" for event in events)


def test_an_unknown_metric_of_an_auxiliary_stage_is_refused(
    meadow_recipe: dict[str, Any], meadow: Path, tmp_path: Path
) -> None:
    meadow_recipe["stages"]["sensor"]["metric"] = "accuracy"
    with pytest.raises(RecipeError, match="metric 'accuracy' does not fit a regression task"):
        run(meadow_recipe, tmp_path / "run", meadow)
