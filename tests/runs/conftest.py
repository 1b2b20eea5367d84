"""A small table of vectors, whose mass depends on a height that only training rows know."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="session")
def meadow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 training rows, 20 test rows and 15 later ones; vectors tell the height, and the mass is no straight line."""
    root, generator = tmp_path_factory.mktemp("meadow"), np.random.default_rng(3)
    vectors = generator.normal(size=(95, 4))
    table = pd.DataFrame({"plot": [f"p{number:02d}" for number in range(95)], "site": np.arange(95) // 4})
    table["height"] = 10 + 2 * vectors[:, 0] + generator.normal(0, 0.3, 95)
    table["mass"] = 5 * (table["height"] - 10) ** 2 + vectors[:, 1] + generator.normal(0, 0.3, 95)
    table[:60].to_csv(root / "train.csv", index=False)
    table[60:80][["plot", "site"]].to_csv(root / "test.csv", index=False)
    table[80:][["plot", "site"]].to_csv(root / "later.csv", index=False)
    numbers = pd.DataFrame(vectors, columns=[f"v{place}" for place in range(4)])
    pd.concat([table[["plot"]], numbers], axis=1).to_parquet(root / "vectors.parquet")
    return root


@pytest.fixture
def meadow_recipe(meadow_settings: dict[str, Any]) -> dict[str, Any]:
    """A recipe for `meadow` that a test may change."""
    return copy.deepcopy(meadow_settings)


@pytest.fixture(scope="session")
def meadow_settings() -> dict[str, Any]:
    """An auxiliary stage that learns the height, and a stage that learns the mass of vectors and predicted heights.

    A straight line cannot see the mass in the vectors; the table branch bends.
    """
    head = {
        "kind": "train",
        "view": {"kind": "embedding", "vectors": "vectors.parquet"},
        "loss": {"name": "mse"},
        "optimizer": {"weight_decay": 0},
        "batch_size": 5,
        "keep": {"best": "last"},
        "members": {"a": {}},
    }
    return {
        "name": "meadow",
        "data": {"train": "train.csv", "test": "test.csv", "id": "plot"},
        "task": {"kind": "regression", "target": "mass", "metric": "r2"},
        "folds": {"k": 3, "group": "site"},
        "stages": {
            "sensor": {**head, "target": "height", "phases": [{"name": "all", "epochs": 10, "lr": 0.05}]},
            "fit": {
                **head,
                "table": {"numeric": ["height"], "widths": [16, 8], "dropout": 0, "predicted_by": "sensor"},
                "phases": [{"name": "all", "epochs": 18, "lr": 0.04}],
            },
        },
    }
