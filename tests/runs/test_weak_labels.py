"""Runs on weak labels: sets of labels in one cell, secondary labels, ratings; losses against a plain formula."""

import ast
import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit
from sklearn.metrics import roc_auc_score

import outfold
from outfold.errors import DataError
from outfold.report.loading import load_evaluation
from outfold.runs.check import check_recipe
from outfold.settings.recipe import Recipe

BIRDS = ["b1", "b2", "b10"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """60 recordings of three birds, 30 of which hold a second one, as vectors; the test table holds them all anew."""
    generator = np.random.default_rng(0)
    own = np.arange(60) % 3
    also = np.where(np.arange(60) % 2, (own + 1) % 3, -1)
    vectors = np.concatenate([np.eye(3)[own] + generator.normal(0, 0.6, (60, 3)), generator.normal(size=(60, 2))], 1)
    table = pd.DataFrame({"clip": [f"c{row:02d}" for row in range(60)], "bird": [BIRDS[one] for one in own]})
    table["also"] = ["[]" if one < 0 else str([BIRDS[one], "stranger"]) for one in also]
    table["stars"] = generator.integers(0, 6, 60)
    table.loc[[4, 17], "bird"] = ["['b2', 'b10']", '["b10", "b1"]']
    folder = tmp_path / "data"
    folder.mkdir()
    table.to_csv(folder / "train.csv", index=False)
    again = table.assign(clip="t" + table["clip"])
    again[["clip"]].to_csv(folder / "test.csv", index=False)
    np.save(folder / "vectors.npy", np.concatenate([vectors, vectors]))
    pd.concat([table, again])[["clip"]].to_csv(folder / "ids.csv", index=False)
    return folder


@pytest.fixture
def recipe() -> dict[str, Any]:
    return {
        "name": "birds",
        "data": {"train": "train.csv", "test": "test.csv", "id": "clip"},
        "task": {
            "kind": "multilabel",
            "target": "bird",
            "label_sets": True,
            "secondary": {"column": "also"},
            "metric": "macro_roc_auc",
            "metrics": ["macro_f1"],
        },
        "folds": {"k": 3, "stratify": "bird"},
        "stages": {
            "fit": {
                "kind": "train",
                "view": {"kind": "embedding", "vectors": "vectors.npy", "ids": "ids.csv"},
                "batch_size": 64,  # an epoch is one step
                "optimizer": {"weight_decay": 0},
                "phases": [{"name": "head", "epochs": 2, "lr": 1e-12, "schedule": "constant"}],
                "keep": {"best": "last"},
                "members": {"a": {}},
            },
            "answer": {"kind": "submit", "from": "fit"},
        },
    }


def run(recipe: dict[str, Any], folder: Path, root: Path, **given: Any) -> outfold.Run:
    return outfold.run(Recipe.model_validate(recipe), folder, data=root, device="cpu", **given)


def truth_and_mask(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """By plain loops: float64 (n, 3) both."""
    truth, mask = np.zeros((len(table), 3)), np.ones((len(table), 3))
    for row, (bird, also) in enumerate(zip(table["bird"], table["also"], strict=True)):
        own = ast.literal_eval(bird) if bird.startswith("[") else [bird]
        for place, name in enumerate(BIRDS):
            truth[row, place] = name in own
            mask[row, place] = not (name in ast.literal_eval(also) and name not in own)
    return truth, mask


def cells(logits: np.ndarray, target: np.ndarray, gamma: float) -> np.ndarray:
    p = 1 / (1 + np.exp(-logits))
    return -(target * (1 - p) ** gamma * np.log(p) + (1 - target) * p**gamma * np.log(1 - p))


def model_folders(done: outfold.Run) -> list[Path]:
    return sorted((done.path / "stages" / "fit" / "a").iterdir())


@pytest.mark.parametrize("loss", ["bce", "focal_bce"])
@pytest.mark.parametrize("rated", [False, True])
def test_losses_are_those_of_the_cells_that_count(
    recipe: dict[str, Any], root: Path, tmp_path: Path, loss: str, rated: bool
) -> None:
    recipe["stages"]["fit"]["loss"] = {"name": loss}
    if rated:
        recipe["data"]["rating"] = {"column": "stars", "lowest_weight": 0.2, "unrated_weight": 0.5, "drop_below": 2}
    done = run(recipe, tmp_path / "run", root)
    table = pd.read_csv(root / "train.csv")
    truth, mask = truth_and_mask(table)
    assert (mask == 0).sum() == 29  # the second bird of one of the 30 is one of its own
    weight = mask
    if rated:
        stars = table["stars"].to_numpy()
        of_rating = np.select([stars == 0, stars < 2], [0.5, 0], 0.2 + 0.8 * stars / 5)
        weight = mask * of_rating[:, None]
    fold = pd.read_csv(done.path / "folds.csv")["fold"].to_numpy()
    for number, folder in enumerate(model_folders(done)):
        said = pd.read_parquet(folder / "test.parquet").set_index("id")
        logits = said.loc[["t" + name for name in table["clip"]], BIRDS].to_numpy(np.float64)
        terms = cells(logits, truth, 2.0 if loss == "focal_bce" else 0.0)
        history = pd.read_csv(folder / "history.csv").iloc[-1]
        trains, judges = fold != number, fold == number
        assert history["train_loss"] == pytest.approx((terms * weight)[trains].mean(), rel=1e-5)
        assert history["valid_loss"] == pytest.approx((terms * weight)[judges].mean(), rel=1e-5)
        for wrong in (np.roll(weight, 1, axis=0), np.roll(weight, 1, axis=1), np.ones_like(weight)):
            assert history["valid_loss"] != pytest.approx((terms * wrong)[judges].mean(), rel=1e-4)


@pytest.mark.parametrize("how", [{}, {"value": 0.4, "mask": False}])
def test_the_report_knows_of_secondary_labels(
    recipe: dict[str, Any], root: Path, tmp_path: Path, how: dict[str, Any]
) -> None:
    recipe["task"]["secondary"] |= how
    done = run(recipe, tmp_path / "run", root)
    evaluation = load_evaluation(done.path)
    table = pd.read_csv(root / "train.csv").set_index("clip").loc[evaluation.ids].reset_index()
    assert evaluation.secondary is not None
    order = [BIRDS.index(name) for name in evaluation.codec.outputs]
    np.testing.assert_array_equal(evaluation.secondary, truth_and_mask(table)[1][:, order] == 0)


def test_soft_secondary_labels_are_learned_and_not_judged(recipe: dict[str, Any], root: Path, tmp_path: Path) -> None:
    recipe["task"]["secondary"] |= {"value": 0.4, "mask": False}
    done = run(recipe, tmp_path / "run", root)
    table = pd.read_csv(root / "train.csv")
    truth, mask = truth_and_mask(table)
    oof = pd.read_parquet(done.path / "oof.parquet").set_index("id").loc[table["clip"]]
    probability = oof[[f"prob_{name}" for name in BIRDS]].to_numpy(np.float64)
    assert oof["bird"].tolist() == table["bird"].tolist()
    assert done.score == pytest.approx(roc_auc_score(truth, probability, average="macro"))
    fold = pd.read_csv(done.path / "folds.csv")["fold"].to_numpy()
    terms = cells(logit(probability), np.where(mask == 0, 0.4, truth), 0.0)
    for number, folder in enumerate(model_folders(done)):
        loss = pd.read_csv(folder / "history.csv").iloc[-1]["valid_loss"]
        assert loss == pytest.approx(terms[fold == number].mean(), rel=1e-4)


def test_a_run_from_the_check_to_later_rows(recipe: dict[str, Any], root: Path, tmp_path: Path) -> None:
    recipe["stages"]["fit"] |= {
        "phases": [{"name": "head", "epochs": 30, "lr": 0.1}],
        "balance": "both",
        "ema": 0.9,
        "keep": {"best": ["macro_roc_auc", "valid_loss"], "top": 2, "combine": "average"},
    }
    recipe["stages"]["answer"]["format"] = "label"
    recipe["data"]["rating"] = {"column": "stars", "drop_below": 2}
    made = Recipe.model_validate(recipe)
    checked = check_recipe(made, root, device="cpu")
    assert checked.ok
    done = run(recipe, tmp_path / "run", root)
    assert done.score is not None
    assert done.score > 0.8
    summary = json.loads((done.path / "summary.json").read_text())
    assert summary["data"]["classes"] == {"b1": 21, "b2": 20, "b10": 21}
    for found in ([finding.what for finding in checked.findings], summary["data"]["warnings"]):
        assert any("secondary label in column 'also'" in what and "stranger (30)" in what for what in found)
        assert any("weigh nothing, by their rating in 'stars'" in what for what in found)
    target = json.loads((done.path / "target.json").read_text())
    assert (target["label_sets"], target["outputs"]) == (True, BIRDS)
    answer = pd.read_csv(done.path / "submission.csv")
    assert list(answer.columns) == ["clip", "bird"]
    own, _ = truth_and_mask(pd.read_csv(root / "train.csv"))
    said = np.array([[name in ast.literal_eval(cell) for name in BIRDS] for cell in answer["bird"]])
    assert (said == own).mean() > 0.75
    assert "Labels" in (done.path / "report.html").read_text()
    later = done.predict(root / "test.csv", root=root)
    assert done.predictions is not None
    columns = [f"prob_{name}" for name in BIRDS]
    np.testing.assert_allclose(later[columns], done.predictions[columns], rtol=1e-5)
    # a later table may have the labels, too; they change nothing
    table = pd.read_csv(root / "train.csv")
    with_labels = done.predict(table.assign(clip="t" + table["clip"]), root=root)
    np.testing.assert_allclose(with_labels[columns], later[columns], rtol=1e-5)


def jobs_left(recipe: dict[str, Any], folder: Path, root: Path) -> int:
    events: list[dict[str, Any]] = []
    run(recipe, folder, root, emit=events.append)
    (planned,) = [event for event in events if event["event"] == "planned"]
    return planned["jobs"] - planned["done"]


def test_what_is_learned_is_part_of_a_jobs_key(recipe: dict[str, Any], root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    everything = jobs_left(recipe, folder, root)
    assert jobs_left(recipe, folder, root) == 0
    changed = copy.deepcopy(recipe)
    changed["task"]["secondary"] = {"column": "also", "value": 0.5, "mask": False}
    assert jobs_left(changed, folder, root) == everything
    changed["data"]["rating"] = {"column": "stars"}
    assert jobs_left(changed, folder, root) == everything


def test_secondary_labels_that_cannot_be_read_stop_a_run(recipe: dict[str, Any], root: Path, tmp_path: Path) -> None:
    table = pd.read_csv(root / "train.csv")
    table.assign(also=["[1]", *table["also"][1:]]).to_csv(root / "train.csv", index=False)
    with pytest.raises(DataError, match=r"train\.csv:2: column 'also': no list of labels"):
        run(recipe, tmp_path / "run", root)
    recipe["task"]["secondary"] = {"column": "too"}
    with pytest.raises(DataError, match="no column 'too', needed as a list of labels"):
        run(recipe, tmp_path / "run", root)


def test_an_auxiliary_stage_and_a_student_beside_masked_labels(
    recipe: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    """Masks are of the task's labels: an auxiliary stage has none, and pseudo-labelled rows count in every cell."""
    fit = recipe["stages"].pop("fit") | {"folds": None}
    recipe["folds"]["only"] = [0]
    recipe["data"]["rating"] = {"column": "stars", "unrated_weight": 0.5}
    recipe["stages"] = {
        "stars": fit | {"target": "stars"},
        "fit": fit,
        "told": {"kind": "label", "from": "fit", "rows": "test", "seen_groups": "keep"},
        "student": fit | {"labels": "told", "mix": {"alpha": 0.4}},
    }
    done = run(recipe, tmp_path / "run", root)
    summary = json.loads((done.path / "summary.json").read_text())
    assert summary["stages"]["stars"]["target"] == ["stars"]
    assert summary["stages"]["told"]["labels"][0]["kept"] == 60
    table, model = pd.read_csv(root / "train.csv"), done.path / "stages" / "student" / "a" / "fold0-seed0"
    assert json.loads((model / "fit.json").read_text())["pseudo_rows"] == 60
    truth, mask = truth_and_mask(table)
    stars = table["stars"].to_numpy()
    judges = pd.read_csv(done.path / "folds.csv")["fold"].to_numpy() == 0
    said = pd.read_parquet(model / "oof.parquet").set_index("id").loc[table["clip"][judges], BIRDS].to_numpy(np.float64)
    terms = cells(said, truth[judges], 0.0) * (mask * np.where(stars == 0, 0.5, stars / 5)[:, None])[judges]
    assert pd.read_csv(model / "history.csv").iloc[-1]["valid_loss"] == pytest.approx(terms.mean(), rel=1e-5)
