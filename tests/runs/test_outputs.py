"""Runs whose networks add up, keep values positive, see tiles, and whose folds count differently."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pydantic import ValidationError

import outfold
from outfold.data.predictions import Predictions
from outfold.data.targets import TargetScaler
from outfold.errors import DataError, RecipeError
from outfold.runs.check import check_recipe
from outfold.settings.recipe import Recipe

TARGETS = ["leaves", "stems", "total"]
SUMS = {"total": ["leaves", "stems"]}
WEIGHTS = {"total": 0.5, "leaves": 0.2, "stems": 0.3}


@pytest.fixture(scope="module")
def meadow(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photos of `shapes` with masses that add up."""
    root = tmp_path_factory.mktemp("meadow") / "data"
    shutil.copytree(shapes, root)
    table = pd.read_csv(root / "train.csv")
    table["leaves"] = (table["amount"] - table["amount"].min()).round(3)
    table["stems"] = np.random.default_rng(0).gamma(2, 3, len(table)).round(3)
    table["total"] = table["leaves"] + table["stems"]
    table.to_csv(root / "train.csv", index=False)
    return root


@pytest.fixture
def recipe(tiny_recipe: dict[str, Any]) -> dict[str, Any]:
    """One fold of three, a few epochs, three targets of which one is a sum."""
    task = {"kind": "regression", "target": TARGETS, "metric": "weighted_r2", "metrics": ["r2"]}
    tiny_recipe["stages"]["fit"]["phases"][0]["epochs"] = 2
    return tiny_recipe | {
        "task": task | {"target_weights": WEIGHTS, "identities": SUMS},
        "folds": {"k": 3, "group": "site", "only": [0]},
    }


def run(recipe: dict[str, Any], out: Path, data: Path) -> outfold.Run:
    return outfold.run(Recipe.model_validate(recipe), out, data=data, device="cpu")


def record_of(folder: Path, fold: int = 0) -> dict[str, Any]:
    return json.loads((folder / "stages" / "fit" / "a" / f"fold{fold}-seed0" / "fit.json").read_text())


def values(frame: pd.DataFrame | None) -> np.ndarray:
    assert frame is not None
    return frame[[f"pred_{name}" for name in TARGETS]].to_numpy()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("outputs", "loss"),
    [
        ({"positive": "softplus", "identities": "construct"}, {"name": "weighted_r2"}),
        ({"positive": "clip", "identities": "derive", "log": True}, {"name": "smooth_l1", "target_weights": True}),
        ({"log": True, "positive": "clip"}, {"name": "weighted_r2"}),
    ],
    ids=str,
)
def test_sums_and_signs_hold_in_a_run(
    outputs: dict[str, Any], loss: dict[str, Any], recipe: dict[str, Any], meadow: Path, tmp_path: Path
) -> None:
    recipe["stages"]["fit"] |= {"outputs": outputs, "loss": loss}
    done = run(recipe, tmp_path / "run", meadow)
    assert np.isfinite(done.score)
    later = done.predict(pd.read_csv(meadow / "test.csv"), root=meadow)
    assert_array_equal(later[TARGETS], values(done.predictions))
    for frame in (done.oof, done.predictions):
        leaves, stems, total = values(frame).T.astype(np.float64)
        if outputs.get("identities", "report") != "report":
            assert_allclose(total, leaves + stems, rtol=3e-7, atol=1e-6)
        if outputs.get("positive", "none") != "none":
            assert values(frame).min() >= 0


def test_the_loss_of_a_validation_is_one_minus_its_score(recipe: dict[str, Any], meadow: Path, tmp_path: Path) -> None:
    recipe["stages"]["fit"] |= {"loss": {"name": "weighted_r2"}, "outputs": {"log": True}}
    run(recipe, tmp_path / "run", meadow)
    history = pd.read_csv(tmp_path / "run" / "stages" / "fit" / "a" / "fold0-seed0" / "history.csv")
    assert_allclose(history["valid_loss"], 1 - history["weighted_r2"], rtol=1e-4)


@pytest.mark.slow
def test_the_scale_is_that_of_the_training_rows(recipe: dict[str, Any], meadow: Path, tmp_path: Path) -> None:
    recipe["folds"]["only"] = [0, 1]
    changed = tmp_path / "changed"
    shutil.copytree(meadow, changed)
    run(recipe, tmp_path / "run", meadow)
    folds = pd.read_csv(tmp_path / "run" / "folds.csv")["fold"].to_numpy()
    table = pd.read_csv(changed / "train.csv")
    scaler = TargetScaler.fit(table.loc[folds != 0, TARGETS].to_numpy(np.float32))
    recorded = TargetScaler.from_dict(record_of(tmp_path / "run")["space"]["scaler"])
    assert_allclose([recorded.mean, recorded.std], [scaler.mean, scaler.std])
    table.loc[folds == 0, TARGETS] *= 100
    table.to_csv(changed / "train.csv", index=False)
    run(recipe, tmp_path / "other", changed)
    assert record_of(tmp_path / "other")["space"] == record_of(tmp_path / "run")["space"]
    assert record_of(tmp_path / "other", 1)["space"] != record_of(tmp_path / "run", 1)["space"]


def test_a_run_of_an_earlier_version_predicts_as_it_did(recipe: dict[str, Any], meadow: Path, tmp_path: Path) -> None:
    done = run(recipe, tmp_path / "run", meadow)
    for path in (tmp_path / "run").rglob("fit.json"):
        record = json.loads(path.read_text())
        record["scaler"] = record.pop("space")["scaler"]
        path.write_text(json.dumps(record))
    later = outfold.load_run(tmp_path / "run").predict(pd.read_csv(meadow / "test.csv"), root=meadow)
    assert_array_equal(later[TARGETS], values(done.predictions))


def test_two_streams_train_and_predict(recipe: dict[str, Any], meadow: Path, tmp_path: Path) -> None:
    """Left and right half through one backbone; a head phase on cached features of both first."""
    recipe["stages"]["fit"] |= {
        "view": {"size": [32, 64], "resize": "squash", "tiles": [1, 2]},
        "head": {"name": "mlp", "widths": [16, 8], "dropout": [0.3, 0.0], "per_output": True},
        "phases": [
            {"name": "head", "epochs": 1, "train": "head", "augment": False},
            {"name": "all", "epochs": 1, "train": {"first": 0.8}, "size": [16, 32]},
        ],
    }
    done = run(recipe, tmp_path / "run", meadow)
    later = done.predict(pd.read_csv(meadow / "test.csv"), root=meadow)
    assert_array_equal(later[TARGETS], values(done.predictions))


@pytest.mark.slow
def test_folds_count_as_told_and_their_seeds_alike(recipe: dict[str, Any], meadow: Path, tmp_path: Path) -> None:
    recipe["folds"]["only"] = [0, 1]
    recipe["stages"]["fit"] |= {"seeds": [0, 1], "predict": {"fold_weights": [3, 1]}}
    done = run(recipe, tmp_path / "run", meadow)
    parts = {
        fold: [
            Predictions.from_frame(
                pd.read_parquet(tmp_path / "run" / "stages" / "fit" / "a" / f"fold{fold}-seed{seed}" / "test.parquet"),
                TARGETS,
                "value",
            ).values
            for seed in (0, 1)
        ]
        for fold in (0, 1)
    }
    expected = 0.75 * np.mean(parts[0], axis=0) + 0.25 * np.mean(parts[1], axis=0)
    assert_allclose(values(done.predictions), expected, rtol=1e-5)
    later = done.predict(pd.read_csv(meadow / "test.csv"), root=meadow)
    assert_array_equal(later[TARGETS], values(done.predictions))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "stages").rglob("*.parquet")}
    recipe["stages"]["fit"]["predict"] = {}
    plain = run(recipe, tmp_path / "run", meadow)
    assert {path: path.stat().st_mtime_ns for path in before} == before  # no model predicted anew
    assert_allclose(values(plain.predictions), np.mean(parts[0] + parts[1], axis=0), rtol=1e-5)
    assert_array_equal(values(plain.oof), values(done.oof))


def test_weights_of_other_folds_are_refused(recipe: dict[str, Any], meadow: Path, tmp_path: Path) -> None:
    recipe["folds"]["only"] = [0, 1]
    recipe["stages"]["fit"]["predict"] = {"fold_weights": [1, 2, 3]}
    with pytest.raises(ValidationError, match=r"2 folds are held out, but predict\.fold_weights has 3"):
        Recipe.model_validate(recipe)
    recipe["folds"] = {"column": "is_red"}
    with pytest.raises(RecipeError, match=r"(?s)fold_weights does not fit the folds.*0, 1"):
        run(recipe, tmp_path / "run", meadow)


@pytest.mark.parametrize(
    ("fit", "task", "problem"),
    [
        ({"outputs": {"identities": "derive"}}, {"identities": {}}, "outputs.identities needs task.identities"),
        ({"loss": {"name": "mse", "target_weights": True}}, {"target_weights": {}}, "needs task.target_weights"),
        ({"predict": {"fold_weights": [0, 0]}}, {}, "all fold_weights are 0"),
        ({"outputs": {"log": True, "positive": "softplus"}}, {}, "`log` outputs"),
        (
            {"outputs": {"scale": "none"}},
            {"kind": "multilabel", "metric": "macro_roc_auc", "metrics": [], "target_weights": {}, "identities": {}},
            "`outputs` are of a regression",
        ),
    ],
)
def test_settings_without_effect_are_refused(
    fit: dict[str, Any], task: dict[str, Any], problem: str, recipe: dict[str, Any]
) -> None:
    recipe["stages"]["fit"] |= fit
    recipe["task"] |= task
    with pytest.raises(ValidationError, match=problem):
        Recipe.model_validate(recipe)


def test_negative_targets_are_refused_before_anything_trains(
    recipe: dict[str, Any], meadow: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(meadow, data)
    table = pd.read_csv(data / "train.csv")
    table.loc[4, "stems"] = -1
    table.to_csv(data / "train.csv", index=False)
    recipe["stages"]["fit"]["outputs"] = {"log": True}
    with pytest.raises(DataError, match=r"'stems' are negative.*train\.csv:6"):
        run(recipe, tmp_path / "run", data)
    assert not (tmp_path / "run" / "stages" / "fit").exists()


def test_a_teacher_of_all_folds_counts_them_alike(recipe: dict[str, Any]) -> None:
    recipe["folds"]["only"] = [0, 1]
    fit = recipe["stages"].pop("fit")
    recipe["stages"] = {"fit": fit | {"predict": {"fold_weights": [1, 2]}}}
    recipe["stages"]["labels"] = {"kind": "label", "from": "fit", "rows": "test", "teachers": "all"}
    recipe["stages"]["student"] = fit | {"labels": "labels"}
    with pytest.raises(ValidationError, match="every fold counts alike"):
        Recipe.model_validate(recipe)


def test_a_network_of_other_outputs_is_no_start_as_a_whole(
    recipe: dict[str, Any], meadow: Path, tmp_path: Path
) -> None:
    fit = recipe["stages"]["fit"]
    more = fit | {"init_from": {"stage": "fit", "part": "all"}, "outputs": {"positive": "softplus"}}
    del more["weights"]
    recipe["stages"] = {"fit": fit, "more": more}
    with pytest.raises(RecipeError, match="the outputs of fit/a mean something else"):
        run(recipe, tmp_path / "run", meadow)


def test_batch_norms_that_a_backbone_lacks_cannot_be_kept(recipe: dict[str, Any], meadow: Path, tmp_path: Path) -> None:
    recipe["stages"]["fit"] |= {"backbone": "test_vit", "view": {"size": [32, 32]}}
    recipe["stages"]["fit"]["phases"] = [{"name": "all", "epochs": 1, "batch_norms": "keep"}]
    with pytest.raises(RecipeError, match="phase 'all' keeps batch norms, but the backbone has none"):
        run(recipe, tmp_path / "run", meadow)


def test_sizes_that_no_patch_divides_are_refused_before_photos_are_read(
    recipe: dict[str, Any], meadow: Path, tmp_path: Path
) -> None:
    recipe["stages"]["fit"] |= {"backbone": "test_vit", "view": {"size": [32, 80], "tiles": [1, 2]}}
    with pytest.raises(RecipeError, match=r"(?s)cannot read photos \(or tiles\) of 32 x 40.*patches of 16 x 16"):
        run(recipe, tmp_path / "run", meadow)
    checked = check_recipe(Recipe.model_validate(recipe), meadow, device="cpu")
    assert [one.what for one in checked.findings if one.level == "error" and "32 x 40" in one.what]


def test_a_check_says_what_two_streams_cost(recipe: dict[str, Any], meadow: Path) -> None:
    recipe["stages"]["fit"] |= {
        "view": {"size": [32, 64], "tiles": [1, 2]},
        "head": {"name": "mlp", "widths": [16], "per_output": True},
        "outputs": {"positive": "softplus", "identities": "construct"},
        "loss": {"name": "weighted_r2"},
    }
    checked = check_recipe(Recipe.model_validate(recipe), meadow, device="cpu")
    assert checked.ok, checked.findings
    assert any(one.what.startswith("estimate: 1 model") for one in checked.findings)
