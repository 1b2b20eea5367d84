"""A run whose members share a backbone: one attends to frames, one pools, one has other options."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import outfold
from outfold.settings.recipe import Recipe


@pytest.mark.slow
def test_members_of_one_backbone_never_share_features_that_differ(
    tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTFOLD_CACHE", str(tmp_path / "cache"))
    tiny_recipe["folds"]["only"] = [0]
    tiny_recipe["stages"]["fit"] |= {
        "members": {
            "pooled": {},
            "frames": {"head": {"name": "sed", "dropout": 0.1}},
            "relu": {"backbone_options": {"act_layer": "relu"}},
        },
        "keep": {"best": "last"},
        "phases": [
            {"name": "head", "epochs": 2, "train": "head", "lr": 1e-2, "augment": False},
            {"name": "all", "epochs": 1, "lr": 3e-3, "batch_norms": "keep"},
        ],
    }
    done = outfold.run(Recipe.model_validate(tiny_recipe), tmp_path / "run", data=shapes, device="cpu")
    assert done.score is not None
    features = [np.load(path) for path in (tmp_path / "cache" / "features").glob("*.npy")]
    assert sorted(part.ndim for part in features) == [2, 2, 3]
    pooled = [part for part in features if part.ndim == 2]
    assert not np.allclose(*pooled)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["stages"]["fit"]["members"].keys() == {"pooled", "frames", "relu"}
    assert done.predictions is not None
    later = done.predict(shapes / "test.csv", root=shapes)
    columns = [name for name in done.predictions if name.startswith("prob_")]
    np.testing.assert_allclose(later[columns], done.predictions[columns], rtol=1e-4, atol=1e-6)


def test_frames_teach_and_clips_are_judged(tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    """With all that goes along: label sets, mixing, moving averages, weights of several epochs, and a second run."""
    tiny_recipe["task"] = {"kind": "multilabel", "target": "colour", "label_sets": True, "metric": "macro_roc_auc"}
    tiny_recipe["folds"]["only"] = [0]
    tiny_recipe["stages"]["fit"] |= {
        "members": {"frames": {"head": {"name": "sed"}}},
        "view": {"size": [32, 96], "resize": "squash"},  # three frames
        "loss": {"name": "bce", "frame_share": 0.5},
        "mix": {"alpha": 0.4},
        "ema": 0.8,
        "keep": {"best": "valid_loss", "top": 2, "combine": "average"},
        "phases": [
            {"name": "head", "epochs": 1, "train": "head", "lr": 1e-2, "augment": False, "mix": False},
            {"name": "all", "epochs": 2, "lr": 3e-3},
        ],
        "predict": {"tta": ["identity"]},
    }
    recipe, folder = Recipe.model_validate(tiny_recipe), tmp_path / "run"
    outfold.run(recipe, folder, data=shapes, device="cpu")
    model = folder / "stages" / "fit" / "frames" / "fold0-seed0"
    record = json.loads((model / "fit.json").read_text())
    oof = pd.read_parquet(model / "oof.parquet").set_index("id")
    truth = pd.read_csv(shapes / "train.csv").set_index("photo")["colour"].loc[oof.index]
    logits = torch.tensor(oof[["blue", "green", "red"]].to_numpy())
    target = torch.from_numpy(np.stack([truth == name for name in ("blue", "green", "red")], axis=1)).float()
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, target).item()
    assert record["combined"]["scores"]["valid_loss"] == pytest.approx(expected, rel=1e-4)
    history = pd.read_csv(model / "history.csv")
    assert np.isfinite(history["train_loss"]).all()
    tiny_recipe["stages"]["fit"]["loss"] = {"name": "bce"}  # of clips alone: another loss, other weights
    outfold.run(Recipe.model_validate(tiny_recipe), folder, data=shapes, device="cpu")
    assert pd.read_csv(model / "history.csv")["train_loss"][0] != history["train_loss"][0]
