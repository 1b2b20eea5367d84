"""Test-time training: models go on with the rows to predict, honestly out of fold, and anew for later rows."""

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import outfold
from outfold.audit.provenance import leaks
from outfold.errors import RecipeError, RunError
from outfold.models.seen import row_marks, seen_by
from outfold.run_folder import OOF
from outfold.runs.lineage import lineage
from outfold.runs.prepare import load_dataset
from outfold.settings.recipe import Recipe
from outfold.stages.base import Compute


@pytest.fixture
def recipe(meadow_recipe: dict[str, Any]) -> dict[str, Any]:
    """A head on vectors alone, and the same after test-time training."""
    fit = {**meadow_recipe["stages"]["fit"], "phases": [{"name": "all", "epochs": 3, "lr": 0.02}]}
    del fit["table"]
    adapted = {
        "kind": "adapt",
        "from": "fit",
        "labels": "fit",
        "phases": [{"name": "more", "epochs": 3, "lr": 0.01}],
        "keep": {"best": "last", "top": 2, "combine": "average"},
    }
    return {**meadow_recipe, "stages": {"fit": fit, "adapted": adapted}}


def run(recipe: dict[str, Any], folder: Path, root: Path, **given: Any) -> outfold.Run:
    return outfold.run(Recipe.model_validate(recipe), folder, data=root, device="cpu", **given)


def done_jobs(recipe: dict[str, Any], folder: Path, root: Path) -> list[str]:
    events: list[dict[str, Any]] = []
    run(recipe, folder, root, emit=events.append)
    return [event["job"] for event in events if event["event"] == "job"]


def record(folder: Path, place: str) -> dict[str, Any]:
    return json.loads((folder / "stages" / place / "fit.json").read_text())


def test_out_of_fold_each_model_goes_on_from_the_one_of_its_fold(
    recipe: dict[str, Any], meadow: Path, tmp_path: Path
) -> None:
    done = run(recipe, tmp_path / "run", meadow)
    ids = done.oof["id"]
    for fold in range(3):
        place = f"adapted/a/fold{fold}-seed0"
        assert record(done.path, place)["start"] == f"fit/a/fold{fold}-seed0"
        assert record(done.path, place)["pseudo_rows"] == (done.oof["fold"] == fold).sum()
        seen = seen_by(done.path / "stages" / place / "weights.safetensors")
        assert set(seen) == set(row_marks(ids[done.oof["fold"] != fold], []))  # held-out rows told it nothing
    fit = done.summary["stages"]["fit"]["members"]["a"]["jobs"]
    best = max(fit, key=lambda job: job["score"])["fold"]
    start = done.summary["stages"]["adapted"]["start"]["a"]
    assert (start["fold"], start["seed"]) == (best, 0)
    assert record(done.path, "adapted/a/whole-seed0")["start"] == f"fit/a/fold{best}-seed0"
    assert record(done.path, "adapted/a/whole-seed0")["pseudo_rows"] == 20
    assert [job["fold"] for job in done.summary["stages"]["adapted"]["members"]["a"]["jobs"]] == [0, 1, 2]
    assert f"for the test table and later rows a from fold {best}" in done.report().read_text()


def test_nothing_that_is_judged_was_learned(recipe: dict[str, Any], meadow: Path, tmp_path: Path) -> None:
    recipe["stages"]["both"] = {"kind": "blend", "from": ["fit", "adapted"], "method": "constrained"}
    loaded = Recipe.model_validate(recipe)
    dataset = load_dataset(loaded, meadow, Compute(torch.device("cpu")))
    outfold.run(loaded, tmp_path / "run", data=meadow, device="cpu")
    found = lineage(loaded, dataset, tmp_path / "run")
    assert found == lineage(loaded, dataset)  # what was planned is what was done
    assert leaks(found) == []
    by_name = {one.name: one for one in found}
    assert by_name["adapted/fold1"].inherits == ("fit/a/fold1-seed0",)
    assert by_name["adapted/a/fold1-seed0"].inherits == ("fit/a/fold1-seed0", "adapted/fold1")


def test_labels_from_a_stage_that_knows_the_held_out_rows_are_caught(
    recipe: dict[str, Any], meadow: Path, tmp_path: Path
) -> None:
    """A stage whose models start from another fold's weights labels rows that these weights have seen."""
    start = {"stage": "fit", "part": "all", "fold": 0}
    recipe["stages"]["again"] = {**recipe["stages"]["fit"], "init_from": start}
    recipe["stages"]["adapted"] = {**recipe["stages"].pop("adapted"), "labels": "again"}
    loaded = Recipe.model_validate(recipe)
    findings = leaks(lineage(loaded, load_dataset(loaded, meadow, Compute(torch.device("cpu")))))
    assert {one.rule for one in findings} == {"fitted-on-judged-rows"}
    assert any("adapted/a/fold1-seed0" in one.what for one in findings)


def test_later_rows_are_adapted_to_and_the_run_stays_as_it_is(
    recipe: dict[str, Any], meadow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run(recipe, tmp_path / "run", meadow)

    def files() -> dict[str, str]:
        found = [path for path in sorted(done.path.rglob("*")) if path.is_file()]
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}

    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    before, events = files(), []
    again = done.predict(meadow / "test.csv", device="cpu", emit=events.append)
    np.testing.assert_array_equal(again["mass"].astype(np.float32), done.predictions["pred_mass"])
    told = [event["event"] for event in events]
    adapting = events[told.index("adapting")]
    assert (adapting["stage"], adapting["rows"], adapting["models"]) == ("adapted", 20, 1)
    assert adapting["seconds"] >= 0
    assert told.index("adapting") < told.index("epoch")
    later = done.predict(meadow / "later.csv", device="cpu")
    reversed_rows = done.predict(pd.read_csv(meadow / "later.csv")[::-1], root=meadow, device="cpu")
    assert list(later["plot"]) == list(reversed_rows["plot"])[::-1]
    fewer = done.predict(pd.read_csv(meadow / "later.csv")[:8], root=meadow, device="cpu")
    assert not np.array_equal(fewer["mass"], later["mass"][:8])  # rows are predicted with those they came with
    assert files() == before
    assert not list((tmp_path / "temporary").iterdir())


def test_later_rows_need_the_training_rows(recipe: dict[str, Any], meadow: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    for name in ("train.csv", "test.csv", "vectors.parquet"):
        (root / name).write_bytes((meadow / name).read_bytes())
    done = run(recipe, tmp_path / "run", root)
    (root / "train.csv").unlink()
    with pytest.raises(RunError, match="trains again for rows that come later"):
        done.predict(meadow / "later.csv", device="cpu")


def test_stopped_and_resumed(recipe: dict[str, Any], meadow: Path, tmp_path: Path) -> None:
    class Stop(BaseException):
        pass

    def stop(event: dict[str, Any]) -> None:
        if event["event"] == "epoch" and event["job"].startswith("adapted/a/whole") and event["epoch"] == 2:
            raise Stop

    whole = run(recipe, tmp_path / "whole", meadow)
    with pytest.raises(Stop):
        run(recipe, tmp_path / "stopped", meadow, emit=stop)
    events: list[dict[str, Any]] = []
    resumed = run(recipe, tmp_path / "stopped", meadow, emit=events.append)
    assert [event["epoch"] for event in events if event["event"] == "resumed"] == [2]
    pd.testing.assert_frame_equal(whole.oof, resumed.oof, check_exact=True)
    pd.testing.assert_frame_equal(whole.predictions, resumed.predictions, check_exact=True)


@pytest.mark.slow
def test_what_adapting_depends_on_is_done_again(recipe: dict[str, Any], meadow: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert len(done_jobs(recipe, folder, meadow)) == 9 + 1 + 8
    assert done_jobs(recipe, folder, meadow) == []
    recipe["stages"]["adapted"]["weight"] = 0.5
    assert len(done_jobs(recipe, folder, meadow)) == 8
    recipe["stages"]["adapted"]["start"] = 1
    again = done_jobs(recipe, folder, meadow)
    assert [job for job in again if "whole" not in job] == ["adapted start"]
    assert len(again) == 3
    recipe["stages"]["fit"]["phases"][0]["lr"] = 0.03
    assert len(done_jobs(recipe, folder, meadow)) == 9 + 1 + 8
    recipe["stages"]["adapted"]["start"] = 7
    with pytest.raises(RecipeError, match="`start` names a fold that is not held out"):
        done_jobs(recipe, folder, meadow)


@pytest.mark.slow
def test_without_a_test_table_the_score_alone_is_made(recipe: dict[str, Any], meadow: Path, tmp_path: Path) -> None:
    with_test = run(recipe, tmp_path / "with", meadow)
    del recipe["data"]["test"]
    done = run(recipe, tmp_path / "run", meadow)
    assert done.score == with_test.score
    assert done.predictions is None
    assert not list(done.path.rglob("whole*"))
    again = done.predict(meadow / "test.csv", device="cpu")
    np.testing.assert_array_equal(again["mass"].astype(np.float32), with_test.predictions["pred_mass"])


@pytest.mark.slow
def test_without_its_score_the_predictions_alone_are_made(recipe: dict[str, Any], meadow: Path, tmp_path: Path) -> None:
    recipe["stages"]["fit"]["members"]["b"] = {}
    before = run(recipe, tmp_path / "run", meadow).predictions
    recipe["stages"]["adapted"]["out_of_fold"] = False
    recipe["stages"]["answer"] = {"kind": "submit", "from": "adapted"}
    done = run(recipe, tmp_path / "run", meadow)
    pd.testing.assert_frame_equal(done.predictions, before)
    assert done.summary["score"] is None
    assert done.summary["stages"]["fit"]["score"] is not None
    assert not (done.path / OOF).exists()  # the one from before is not of this recipe
    assert "no out-of-fold score" in done.report().read_text()


@pytest.mark.slow
def test_members_with_predicted_inputs_and_blends_as_labels(
    recipe: dict[str, Any], meadow_recipe: dict[str, Any], meadow: Path, tmp_path: Path
) -> None:
    stages = meadow_recipe["stages"]
    for stage in stages.values():
        stage["phases"][0]["epochs"] = 3
    stages["mean"] = {"kind": "blend", "from": ["fit"]}
    stages["adapted"] = {**recipe["stages"]["adapted"], "labels": "mean", "members": "a"}
    weights = {"mean": 0.2, "adapted": 0.8}
    stages["both"] = {"kind": "blend", "from": list(weights), "method": "weighted", "weights": weights}
    done = run(meadow_recipe, tmp_path / "run", meadow)
    again = done.predict(meadow / "test.csv", device="cpu")
    np.testing.assert_allclose(again["mass"], done.predictions["pred_mass"], rtol=1e-5)
    parts = [done.summary["stages"][name]["score"] for name in ("fit", "adapted")]
    assert parts[0] != parts[1]
