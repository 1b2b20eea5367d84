"""Keys of jobs: runs of earlier versions are resumed as long as nothing that they set means something else."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import outfold
from outfold.settings.recipe import Recipe

KEYS = {
    "multiclass": "b64759723197cc60945dc9b9712cc151",
    "multilabel": "03231ff3a7414b4cfd5d5072657b46f5",
    "default loss": "616e3e16436190ccb0d27758c6dc8c1a",
}
"""As the version before label sets and views of sound made them."""
MULTILABEL = {"kind": "multilabel", "target": ["p", "q"], "metric": "macro_roc_auc"}
ASKED: dict[str, dict[str, Any]] = {
    "multiclass": {
        "task": {"kind": "multiclass", "target": "y", "metric": "macro_f1"},
        "loss": {"name": "focal"},
    },
    "multilabel": {"task": MULTILABEL, "loss": {"name": "bce"}},
    "default loss": {"task": MULTILABEL, "loss": None},
}


@pytest.mark.parametrize("name", KEYS)
def test_keys_stay_as_they_were(name: str, tmp_path: Path) -> None:
    rows = np.arange(30)
    table = pd.DataFrame({"clip": [f"c{row}" for row in rows], "y": rows % 3, "p": rows % 2, "q": 1 - rows % 2})
    table.assign(w=1 + rows % 4).to_csv(tmp_path / "train.csv", index=False)
    table[["clip"]].to_csv(tmp_path / "ids.csv", index=False)
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(30, 4)))
    fit = {
        "kind": "train",
        "view": {"kind": "embedding", "vectors": "v.npy", "ids": "ids.csv"},
        "batch_size": 8,
        "phases": [{"name": "h", "epochs": 1}],
        "keep": {"best": "last"},
        "members": {"a": {}},
        "loss": ASKED[name]["loss"],
    }
    recipe = {
        "name": "k",
        "data": {"train": "train.csv", "id": "clip", "weight": "w"},
        "task": ASKED[name]["task"],
        "folds": {"k": 2, "only": [0]},
        "stages": {"fit": {key: value for key, value in fit.items() if value is not None}},
    }
    done = outfold.run(Recipe.model_validate(recipe), tmp_path / "run", data=tmp_path, device="cpu")
    record = json.loads((done.path / "stages" / "fit" / "a" / "fold0-seed0" / "fit.json").read_text())
    assert record["key"] == KEYS[name]
