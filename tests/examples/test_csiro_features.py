"""Heads on given features of the real pasture table, and the script that holds them against ridge regression."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

import outfold
from outfold.recipe.load import load_recipe

EXAMPLES = Path(__file__).parents[2] / "examples"
RECIPE = EXAMPLES / "csiro_features.yaml"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`csiro_ridge.py`, with two penalties to choose from."""
    spec = importlib.util.spec_from_file_location("csiro_ridge", EXAMPLES / "csiro_ridge.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "csiro_ridge", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ALPHAS", (300.0, 1000.0))
    return module


def test_the_recipe_is_sound() -> None:
    recipe = load_recipe(RECIPE)
    assert set(recipe.task.identities) == {"GDM_g", "Dry_Total_g"}
    assert recipe.final_stage() == "answer"


def test_ridge_chooses_its_penalty_inside_the_training_folds(script: ModuleType) -> None:
    """Nothing of a held-out row reaches its prediction."""
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(60, 5))
    target = np.abs(inputs @ generator.normal(size=(5, 2)) + generator.normal(size=(60, 2)))
    rows = np.arange(60)
    splits = [(rows[rows % 3 != fold], rows[rows % 3 == fold]) for fold in range(3)]

    def score(truth: np.ndarray, prediction: np.ndarray) -> float:
        return -float(np.square(truth - prediction).mean())

    for roots in (False, True):
        before = script.Linear(inputs, np.ones(5), target, roots).oof(splits, None, score)
        moved = np.where((rows % 3 == 0)[:, None], target + 100, target)
        after = script.Linear(inputs, np.ones(5), moved, roots).oof(splits, None, score)
        np.testing.assert_array_equal(before[splits[0][1]], after[splits[0][1]])
        assert not np.allclose(before[splits[1][1]], after[splits[1][1]])
    assert before.min() >= 0


@pytest.mark.slow
def test_the_real_table(
    shared_data: Callable[[str], Path],
    script: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Few folds, epochs and one seed: sensors help, and the script compares all there is."""
    folder = shared_data("csiro")
    short = [f"{stage}.phases=[{{name: head, epochs: 8, lr: 1e-3}}]" for stage in ("photo", "sensors")]
    overrides = [*short, "photo.seeds=[0]", "sensors.seeds=[0]", "folds.search=500", "folds.k=3"]
    done = outfold.run(RECIPE, tmp_path / "run", data=folder, overrides=overrides, device="cpu")
    scores = {name: stage["score"] for name, stage in done.summary["stages"].items()}
    assert scores["photo"] > 0.55
    assert scores["sensors"] > scores["photo"] + 0.05
    assert done.score > scores["photo"]
    assert len(done.oof) == len(pd.read_csv(folder / "features_ids.csv"))

    monkeypatch.setattr(sys, "argv", ["csiro_ridge.py", str(done.path), str(folder)])
    script.main()
    told = capsys.readouterr().out
    assert "over the published ones: 0.508" in told
    for name in ("ridge 300 ", "ridge nested, sensors, roots", "photo", "sensors/root", "answer", "8th place"):
        assert f"\n  {name}" in told
    assert "8th place                        0.8117" in told
