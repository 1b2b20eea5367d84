"""Several epochs kept and made one, in a run: what predicts, what is told, what stays on disk, what is done again."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import outfold
from outfold.settings.recipe import Recipe

MODEL = Path("stages", "fit", "a", "fold0-seed0")


def run(recipe: dict[str, Any], out: Path, data: Path) -> tuple[outfold.Run, list[dict[str, Any]]]:
    told: list[dict[str, Any]] = []
    done = outfold.run(Recipe.model_validate(recipe), out, data=data, device="cpu", emit=told.append)
    return done, told


@pytest.fixture
def recipe(tiny_recipe: dict[str, Any]) -> dict[str, Any]:
    tiny_recipe["folds"]["only"] = [0]
    tiny_recipe["stages"]["fit"]["phases"] = [
        {"name": "all", "epochs": 4, "lr": 3e-3, "schedule": "warm_restarts", "restart_epochs": 2}
    ]
    return tiny_recipe


@pytest.mark.slow
def test_a_run_predicts_with_the_mean_and_says_so(recipe: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    keep = {"best": ["valid_loss", "macro_f1"], "top": 2, "combine": "average"}
    recipe["stages"]["fit"] |= {"keep": keep, "predict": {"tta": ["identity"]}}
    done, told = run(recipe, tmp_path / "run", shapes)
    record = json.loads((tmp_path / "run" / MODEL / "fit.json").read_text())
    history = pd.read_csv(tmp_path / "run" / MODEL / "history.csv")
    expected = {*history.nsmallest(2, "valid_loss")["epoch"], *history.nlargest(2, "macro_f1", keep="first")["epoch"]}
    assert record["combined"]["epochs"] == sorted(expected)
    assert record["best_epoch"] == history["epoch"][history["valid_loss"].idxmin()]
    assert not (tmp_path / "run" / MODEL / "checkpoints").exists()
    (job,) = done.summary["stages"]["fit"]["members"]["a"]["jobs"]
    assert job["combined"] == record["combined"]
    assert job["score"] == pytest.approx(record["combined"]["scores"]["macro_f1"])  # one plain view, as in training
    (event,) = [event for event in told if event["event"] == "combined"]
    assert event["scores"] == record["combined"]["scores"]

    def weights() -> tuple[float, set[str]]:
        again, told = run(recipe, tmp_path / "run", shapes)
        fitted = {event["job"] for event in told if event["event"] == "job" and event["job"].endswith(" fit")}
        return again.score, fitted

    assert weights() == (done.score, set())
    keep["top"] = 3  # of a mean, another one
    assert weights()[1] == {"fit/a/fold0-seed0 fit"}


def test_epochs_beside_the_best_stay_on_disk_and_change_nothing(
    recipe: dict[str, Any], shapes: Path, tmp_path: Path
) -> None:
    keep = {"best": ["log_loss", "accuracy"], "top": 2}
    recipe["stages"]["fit"]["keep"] = keep
    run(recipe, tmp_path / "run", shapes)
    folder = tmp_path / "run" / MODEL
    record, history = json.loads((folder / "fit.json").read_text()), pd.read_csv(folder / "history.csv")
    best = history["epoch"][history["log_loss"].idxmin()]
    assert record["best_epoch"] == best
    assert "combined" not in record
    on_disk = {int(path.stem.removeprefix("epoch")) for path in (folder / "checkpoints").iterdir()}
    assert {best, history["epoch"][history["accuracy"].idxmax()]} <= on_disk
    kept = load_file(folder / "checkpoints" / f"epoch{best:03d}.safetensors")
    assert all(torch.equal(tensor, kept[name]) for name, tensor in load_file(folder / "weights.safetensors").items())
    keep["top"] = 1
    _, told = run(recipe, tmp_path / "run", shapes)
    assert not [event for event in told if event["event"] == "epoch"]


def test_the_last_epochs_of_a_run_that_validates_once(recipe: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    recipe["stages"]["fit"]["keep"] = {"best": "last", "top": 2, "combine": "average", "validate_after": "training"}
    run(recipe, tmp_path / "run", shapes)
    record = json.loads((tmp_path / "run" / MODEL / "fit.json").read_text())
    history = pd.read_csv(tmp_path / "run" / MODEL / "history.csv")
    assert record["combined"]["epochs"] == [3, 4]
    assert record["best_epoch"] == 4
    assert record["combined"]["before"]["valid_loss"] == history["valid_loss"].iloc[-1]
    assert np.isfinite(record["combined"]["scores"]["valid_loss"])
    assert record["combined"]["batches"] == 6  # 48 training rows, 8 to a batch
