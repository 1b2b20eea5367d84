"""The weights of a task's targets, from the recipe to a run's score and to the comparison of two runs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk

import outfold
from outfold.runs.compare import compare_sides
from outfold.settings.recipe import Recipe


@pytest.fixture
def recipe(tiny_recipe: dict[str, Any]) -> dict[str, Any]:
    weights = {"number": 0.25, "amount": 0.75}
    task = {"kind": "regression", "target": ["amount", "number"], "metric": "weighted_r2", "target_weights": weights}
    tiny_recipe["data"]["train"] = {"table": "train.csv", "rename": {"is_red": "number"}}
    tiny_recipe["stages"]["fit"]["phases"][0]["epochs"] = 1
    return tiny_recipe | {"task": task, "folds": {"k": 3, "group": "site", "only": [0, 1]}}


def run(recipe: dict[str, Any], out: Path, data: Path) -> outfold.Run:
    return outfold.run(Recipe.model_validate(recipe), out, data=data, device="cpu")


def test_from_recipe_to_comparison(recipe: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    first = run(recipe, tmp_path / "first", shapes)
    oof = first.oof
    truth, guess = (oof[[f"{start}amount", f"{start}number"]].to_numpy(np.float64).ravel() for start in ("", "pred_"))
    expected = sk.r2_score(truth, guess, sample_weight=np.tile([0.75, 0.25], len(oof)))
    assert first.score == pytest.approx(expected, rel=1e-5)
    recipe["stages"]["fit"]["seeds"] = [1]
    run(recipe, tmp_path / "second", shapes)
    found = compare_sides(tmp_path / "first", tmp_path / "second")
    entry = first.summary["scores"]["weighted_r2"]
    assert found.comparison.a == pytest.approx((entry["value"], entry["low"], entry["high"]))
    folds = pd.read_csv(tmp_path / "first" / "folds.csv")
    assert found.comparison.units == folds["group"][folds["fold"] < 2].nunique()


def test_other_weights_are_another_job(recipe: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    def key(weights: dict[str, float]) -> str:
        recipe["task"]["target_weights"] = weights
        run(recipe, tmp_path / "run", shapes)
        return json.loads((tmp_path / "run" / "stages" / "fit" / "a" / "fold0-seed0" / "fit.json").read_text())["key"]

    recipe["folds"]["only"] = [0]
    first = key({"number": 0.25, "amount": 0.75})
    assert key({"amount": 0.75, "number": 0.25}) == first  # the order of names is of no account
    assert key({"amount": 0.25, "number": 0.75}) != first
