"""A run whose members share a backbone: one attends to frames, one pools, one has other options."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import outfold
from outfold.settings.recipe import Recipe


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
