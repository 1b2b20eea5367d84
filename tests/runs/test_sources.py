"""Several years under one recipe: each with its own columns, labels, and groups that may not be known."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from outfold.data.folds import make_folds
from outfold.data.table import load_samples
from outfold.runs.prepare import load_dataset
from outfold.settings.data import Data
from outfold.settings.folds import Folds
from outfold.settings.recipe import Recipe
from outfold.stages.base import Compute

COMPUTE = Compute(torch.device("cpu"), 2)


@pytest.fixture
def years(tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path) -> tuple[dict[str, Any], Path]:
    """Two thirds of the rows as one year, the rest as another with its own words and no known sites."""
    root = tmp_path / "data"
    root.mkdir()
    (root / "images").mkdir()
    for path in (shapes / "images").iterdir():
        (root / "images" / path.name).write_bytes(path.read_bytes())
    table = pd.read_csv(shapes / "train.csv")
    new, old = table[:48], table[48:].copy()
    new.to_csv(root / "2020.csv", index=False)
    old["kind"] = old["colour"].map({"red": "R", "green": "G", "blue": "B"})
    old["site"] = ["-1", ""] * 12
    old.drop(columns="colour").to_csv(root / "2019.csv", index=False)
    (root / "test.csv").write_text((shapes / "test.csv").read_text())
    tiny_recipe["data"]["train"] = [
        {"table": "2020.csv", "name": "2020"},
        {
            "table": "2019.csv",
            "name": "2019",
            "rename": {"kind": "colour"},
            "map": {"R": "red", "G": "green", "B": "blue", "V": "violet"},
        },
    ]
    tiny_recipe["folds"]["unknown_group"] = [-1]
    return tiny_recipe, root


def test_two_years_are_one_dataset(years: tuple[dict[str, Any], Path]) -> None:
    recipe, root = years
    dataset = load_dataset(Recipe.model_validate(recipe), root, COMPUTE)
    assert dataset.codec.classes == ("blue", "green", "red")
    assert dataset.target.sum(axis=0).tolist() == [24, 24, 24]
    groups = dataset.folds.groups
    assert groups is not None
    assert len(np.unique(groups)) == 8 + 24
    said = "\n".join(dataset.warnings)
    assert "12 rows with an empty cell in the group column 'site': each is taken for a group of its own" in said
    assert "2019.csv: `map` names 1 value that no row has in column 'colour': V" in said


def test_groups_that_are_meant_to_be_unknown_are_no_warning(years: tuple[dict[str, Any], Path]) -> None:
    recipe, root = years
    recipe["folds"]["unknown_group"] = [-1, None]
    del recipe["data"]["train"][1]["map"]["V"]
    dataset = load_dataset(Recipe.model_validate(recipe), root, COMPUTE)
    assert not [text for text in dataset.warnings if "group column" in text or "`map`" in text]


def test_lesions_of_two_real_years(shared_data, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Known lesions stay in one fold, rows of unknown ones spread like any others."""
    table = pd.read_csv(shared_data("ham10000") / "labels.csv")
    words = {"mel": "melanoma", "nv": "nevus"}
    older = pd.factorize(table["lesion_id"])[0] % 3 == 2
    new, old = table[~older].copy(), table[older].copy()
    new["diagnosis"] = new["dx"].map(words).fillna("unknown")
    old = old.assign(lesion_id=-1, diagnosis=old["dx"].str.upper())
    for name, frame in (("2020", new), ("2019", old)):
        frame[["image_id", "lesion_id", "diagnosis"]].to_csv(tmp_path / f"{name}.csv", index=False)
    others = {name.upper(): "unknown" for name in set(table["dx"]) - set(words)}
    source = {"table": "2019.csv", "map": {"MEL": "melanoma", "NV": "nevus", **others}}
    data = Data.model_validate({"train": ["2020.csv", source], "id": "image_id"})
    samples = load_samples(data, tmp_path, targets=["diagnosis"])
    truth = table.set_index("image_id")["dx"].map(words).fillna("unknown")
    assert samples.frame["diagnosis"].tolist() == truth[samples.ids].tolist()
    settings = Folds(k=3, group=("lesion_id",), unknown_group=(-1,), stratify=("diagnosis",))
    folds = make_folds(settings, samples).fold
    known = samples.frame["lesion_id"].astype(str) != "-1"
    assert pd.Series(folds[known]).groupby(samples.frame["lesion_id"][known].to_numpy()).nunique().max() == 1
    melanoma = samples.frame["diagnosis"].to_numpy() == "melanoma"
    shares = [melanoma[folds == fold].mean() for fold in range(3)]
    assert max(shares) - min(shares) < 0.002
    assert all(abs((folds[~known] == fold).mean() - 1 / 3) < 0.05 for fold in range(3))
