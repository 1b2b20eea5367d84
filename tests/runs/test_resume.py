"""A run that was stopped goes on with the same command and ends with the same numbers, bit for bit."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import outfold
from outfold.recipe.load import dump_recipe
from outfold.settings.recipe import Recipe


@pytest.fixture
def thorough_recipe(tiny_recipe: dict[str, Any]) -> dict[str, Any]:
    """Everything that has a state: a head phase on ready features, moving averages, dropout, mixing, a sampler."""
    fit = tiny_recipe["stages"]["fit"]
    fit |= {
        "ema": 0.8,
        "head": {"name": "multi_sample_dropout", "dropout": 0.3, "copies": 2},
        "drop_path_rate": 0.1,
        "mix": {"one_of": ["mixup", "cutmix"]},
        "balance": "sampler",
        "accumulate": 2,
        "clip_grad_norm": 1.0,
        "keep": {"best": "macro_f1", "top": 2, "patience": 3},
        "phases": [
            {"name": "head", "epochs": 1, "train": "head", "lr": 1e-2, "augment": False, "mix": False},
            {"name": "all", "epochs": 3, "lr": 3e-3, "layer_decay": 0.8, "warmup_epochs": 1, "size": 24},
        ],
    }
    tiny_recipe["folds"]["only"] = [0, 1]
    return tiny_recipe


class Stop(BaseException):
    """Stands for a kill: nothing of outfold's own handles it."""


@pytest.mark.parametrize(("after", "combine"), [(3, "best"), (11, "average"), (17, "best"), (25, "greedy_soup")])
def test_stopped_anywhere(
    after: int, combine: str, thorough_recipe: dict[str, Any], shapes: Path, tmp_path: Path
) -> None:
    thorough_recipe["stages"]["fit"]["keep"]["combine"] = combine
    recipe = Recipe.model_validate(thorough_recipe)
    whole = outfold.run(recipe, tmp_path / "whole", data=shapes, device="cpu")
    ticks = 0

    def stop(event: dict[str, Any]) -> None:
        nonlocal ticks
        ticks += event["event"] == "work"
        if ticks > after:
            raise Stop

    with pytest.raises(Stop):
        outfold.run(recipe, tmp_path / "stopped", data=shapes, device="cpu", emit=stop)
    resumed = outfold.run(recipe, tmp_path / "stopped", data=shapes, device="cpu")
    pd.testing.assert_frame_equal(whole.oof, resumed.oof, check_exact=True)
    assert whole.predictions is not None
    pd.testing.assert_frame_equal(whole.predictions, resumed.predictions, check_exact=True)


@pytest.mark.slow
def test_killed_by_the_system_in_the_middle_of_an_epoch(
    thorough_recipe: dict[str, Any], shapes: Path, tmp_path: Path
) -> None:
    thorough_recipe["stages"]["fit"]["keep"] |= {"best": ["macro_f1", "valid_loss"], "combine": "average"}
    path = tmp_path / "recipe.yaml"
    path.write_text(dump_recipe(Recipe.model_validate(thorough_recipe)))

    def command(out: str) -> list[str]:
        paths = ["--data", str(shapes), "--out", str(tmp_path / out), "--device", "cpu"]
        return [sys.executable, "-m", "outfold", "run", str(path), *paths]

    subprocess.run(command("whole"), check=True, capture_output=True)
    process = subprocess.Popen(command("killed"), stdout=subprocess.DEVNULL)
    log = tmp_path / "killed" / "log.jsonl"
    while process.poll() is None and not _epochs(log) >= 2:
        time.sleep(0.01)
    assert process.poll() is None, "the run ended before it could be killed"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert json.loads((tmp_path / "killed" / "summary.json").read_text())["status"] == "running"

    subprocess.run(command("killed"), check=True, capture_output=True)
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert any(event["event"] == "resumed" for event in events)
    oof = [pd.read_parquet(tmp_path / name / "oof.parquet") for name in ("whole", "killed")]
    pd.testing.assert_frame_equal(*oof, check_exact=True)


def _epochs(log: Path) -> int:
    return log.read_text().count('"event": "epoch"') if log.exists() else 0
