"""The built-in systems and a new user's way, for real but small: real photos, real pretrained weights, few epochs."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import outfold
from outfold.cli import app
from outfold.demo import write_demo_data

pytestmark = pytest.mark.slow


def test_solar_cells(tmp_path: Path) -> None:
    write_demo_data(tmp_path / "data")
    sets = ["fit.view.size=96", "fit.phases.1.epochs=1", "folds.only=[0]"]
    run = outfold.run("solar-cells", tmp_path / "run", data=tmp_path / "data", overrides=sets, device="cpu")
    assert run.score > 0.75
    folds = pd.read_csv(tmp_path / "run" / "folds.csv").set_index("id")
    cells = pd.read_csv(tmp_path / "data" / "cells.csv").set_index("cell")
    assert (folds.join(cells).groupby("module")["fold"].nunique() == 1).all()
    submission = pd.read_csv(tmp_path / "run" / "submission.csv")
    assert list(submission.columns) == ["cell", "defective"]
    assert submission["defective"].between(0, 1).all()


@pytest.fixture
def shelf(shared_data: Callable[[str], Path], tmp_path: Path) -> Path:
    """Eight classes of shop photos as the recipe of the 102-class system expects them, labels as numbers from 1."""
    source = shared_data("grocery")
    table = pd.read_csv(source / "labels.csv")
    names = table["label"].drop_duplicates().iloc[::10].head(8).tolist()
    table = table[table["label"].isin(names)].copy()
    table["label"] = table["label"].map({name: number for number, name in enumerate(names, start=1)})
    table["image"] = [f"{split}-{Path(name).name}" for split, name in zip(table["split"], table["file"], strict=True)]
    (tmp_path / "data" / "images").mkdir(parents=True)
    for file, image in zip(table["file"], table["image"], strict=True):
        (tmp_path / "data" / "images" / image).write_bytes((source / file).read_bytes())
    for split in ("train", "test"):
        table[table["split"] == split][["image", "label"]].to_csv(tmp_path / "data" / f"{split}.csv", index=False)
    return tmp_path / "data"


def test_fine102_small(shelf: Path, tmp_path: Path) -> None:
    sets = ["fit.view.size=96", "fit.phases.0.epochs=2", "fit.phases.1.epochs=3", "fit.phases.1.size=64"]
    sets += ["fit.phases.2.epochs=2", "fit.phases.2.size=96", "folds.only=[0, 1]"]
    run = outfold.run("fine102-macro-f1", tmp_path / "run", data=shelf, profile="small", overrides=sets, device="cpu")
    truth = pd.read_csv(shelf / "test.csv")
    submission = pd.read_csv(tmp_path / "run" / "submission.csv")
    assert submission["image"].tolist() == truth["image"].tolist()
    assert submission["label"].isin(range(1, 9)).all()
    assert (submission["label"] == truth["label"]).mean() > 0.8
    assert run.score > 0.8


def test_a_folder_of_class_folders_from_init_to_predictions(shelf: Path, tmp_path: Path) -> None:
    table = pd.read_csv(shelf / "train.csv")
    for label in (1, 2, 3):
        folder = tmp_path / "fruit" / f"class {label}"
        folder.mkdir(parents=True)
        for image in table.loc[table["label"] == label, "image"]:
            (folder / image).write_bytes((shelf / "images" / image).read_bytes())
    runner = CliRunner()
    made = runner.invoke(app, ["init", str(tmp_path / "fruit")])
    assert made.exit_code == 0, made.output
    recipe = tmp_path / "fruit.yaml"
    sets = ["fit.view.size=64", "folds.only=[0]"]
    run = outfold.run(recipe, tmp_path / "run", data=tmp_path, overrides=sets, device="cpu")
    assert run.score > 0.5
    assert set(run.oof[run.recipe.task.target[0]]) == {"class 1", "class 2", "class 3"}
