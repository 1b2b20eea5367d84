"""Runs whose folds are more than one random cut: in time, one group at a time, dealt out several times."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import outfold
from outfold.settings.recipe import Recipe


@pytest.fixture
def quick_recipe(tiny_recipe: dict[str, Any]) -> dict[str, Any]:
    tiny_recipe["stages"]["fit"]["phases"][0]["epochs"] = 1
    return tiny_recipe


def run(recipe: dict[str, Any], out: Path, data: Path) -> outfold.Run:
    return outfold.run(Recipe.model_validate(recipe), out, data=data, device="cpu")


def test_what_lies_first_in_time_is_never_predicted(quick_recipe: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    quick_recipe["folds"] = {"k": 2, "time": "amount"}
    done = run(quick_recipe, tmp_path / "run", shapes)
    table = pd.read_csv(shapes / "train.csv").set_index("photo")
    folds = pd.read_csv(tmp_path / "run" / "folds.csv").set_index("id")["fold"]
    assert sorted(folds.unique()) == [0, 1, 2]
    assert table["amount"][folds[folds < 2].index].max() < table["amount"][folds[folds == 2].index].min()
    assert set(done.oof["id"]) == set(folds[folds > 0].index)
    assert [fold["fold"] for fold in done.summary["stages"]["fit"]["folds"]] == [1, 2]
    assert not (tmp_path / "run" / "stages" / "fit" / "a" / "fold0-seed0").exists()
    new = done.predict(table.reset_index().head(3), root=shapes)
    assert len(new) == 3


def test_predictions_of_repeats_are_averaged(quick_recipe: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    quick_recipe["folds"] |= {"repeats": 2}
    done = run(quick_recipe, tmp_path / "run", shapes)
    models = sorted((tmp_path / "run" / "stages" / "fit" / "a").iterdir())
    assert [path.name for path in models] == [f"fold{number}-seed0" for number in range(6)]
    columns = [name for name in done.oof.columns if name.startswith("prob_")]
    logits = pd.concat([pd.read_parquet(path / "oof.parquet") for path in models]).groupby("id").mean()
    logits = logits.loc[done.oof["id"]].to_numpy(np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert_allclose(done.oof[columns].to_numpy(), expected, rtol=1e-5)
    folds = pd.read_csv(tmp_path / "run" / "folds.csv")
    assert sorted(folds["fold_2"].unique()) == [3, 4, 5]
    assert (tmp_path / "run" / "report.html").exists()


def test_every_site_is_left_out_once(quick_recipe: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    quick_recipe["folds"] = {"group": "site", "leave_one_group_out": True, "only": [0, 3]}
    done = run(quick_recipe, tmp_path / "run", shapes)
    table = pd.read_csv(shapes / "train.csv").set_index("photo")
    assert set(table["site"][done.oof["id"]]) == {"s0", "s3"}


@pytest.mark.parametrize(
    ("folds", "said"),
    [
        ({"time": "amount", "column": "site"}, "one origin"),
        ({"leave_one_group_out": True}, "name their columns in folds.group"),
        ({"time": "amount", "repeats": 2}, "does not go with folds.time"),
        ({"group": "site", "group_size": True}, "guide a search"),
        ({"time": "amount", "stratify": "colour"}, "no effect on folds.time"),
        ({"time": "amount", "variants": {"new": {"seed": 1}}}, "folds.time leaves nothing to chance"),
        ({"column": "own", "variants": {"new": {"seed": 1}}}, "folds.column leaves nothing to chance"),
        ({"file": "folds.csv", "variants": {"new": {"seed": 1}}}, "folds.file leaves nothing to chance"),
        ({"group": "site", "leave_one_group_out": True, "variants": {"new": {}}}, "folds.variants.new cannot differ"),
    ],
)
def test_folds_that_contradict_themselves_are_refused(
    tiny_recipe: dict[str, Any], folds: dict[str, Any], said: str
) -> None:
    tiny_recipe["folds"] = folds
    with pytest.raises(ValueError, match=said):
        Recipe.model_validate(tiny_recipe)
