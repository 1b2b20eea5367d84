"""The built-in systems and a new user's way, for real but small: real photos, real pretrained weights, few epochs."""

import shutil
import subprocess
import sys
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


@pytest.fixture
def two_years(shared_data: Callable[[str], Path], tmp_path: Path) -> Path:
    """Photos of 500 skin lesions in the layout of the melanoma competition, by the script that the examples hold."""
    script = Path(__file__).parents[2] / "examples" / "kaggle_melanoma_layout.py"
    command = [sys.executable, str(script), str(shared_data("ham10000")), str(tmp_path / "data"), "--lesions", "500"]
    subprocess.run(command, check=True, capture_output=True)
    return tmp_path / "data"


def test_isic2020_small(two_years: Path, tmp_path: Path) -> None:
    sets = ["folds.group=[patient_id, lesion_id]", "fit.view.size=64", "fit.members.lite0_88_patient.view.size=80"]
    sets += ["fit.members.lite0_80_four.view.size=64", "fit.phases.1.epochs=1", "fit.phases.1.size=48"]
    sets += ["fit.phases.2.epochs=1", "fit.predict.tta=[identity]", "folds.search=20"]
    run = outfold.run("isic2020-1st", tmp_path / "run", data=two_years, profile="small", overrides=sets, device="cpu")
    assert run.score > 0.55
    tables = [pd.read_csv(two_years / name) for name in ("train.csv", "isic2019/train.csv")]
    lesion = pd.concat(
        [tables[0].set_index("image_name")["patient_id"], tables[1].set_index("image_name")["lesion_id"]]
    )
    for name in ("folds.csv", "folds-new.csv", "folds-old.csv"):
        fold = pd.read_csv(tmp_path / "run" / name).set_index("id")["fold"]
        assert set(fold.index) == set(lesion.index)
        assert (fold.groupby(lesion.loc[fold.index].to_numpy()).nunique() == 1).all()
    members = run.summary["stages"]["fit"]["members"]
    assert set(members) == {"lite0_96", "lite0_88_patient", "lite0_80_four"}
    assert {"roc_auc", "roc_auc_2020", "roc_auc_fold_ranks", "roc_auc_2020_fold_ranks"} == set(run.summary["scores"])
    submission, sample = (
        pd.read_csv(path) for path in (run.path / "submission.csv", two_years / "sample_submission.csv")
    )
    assert list(submission.columns) == list(sample.columns)
    assert submission["image_name"].tolist() == sample["image_name"].tolist()
    later = run.predict(two_years / "test.csv")
    assert later["rank_melanoma"].to_numpy() == pytest.approx(submission["target"].to_numpy(), abs=1e-6)


@pytest.fixture
def soundscapes(shared_data: Callable[[str], Path], tmp_path: Path) -> Path:
    """Clips and soundscapes of 20 s in the layout of BirdCLEF 2024, by the script that the examples hold."""
    script = Path(__file__).parents[2] / "examples" / "kaggle_birdclef_layout.py"
    command = [sys.executable, str(script), str(shared_data("esc10")), str(shared_data("soundscapes_unlabelled"))]
    command += [str(tmp_path / "data"), "--soundscapes", "3", "--unlabelled", "4", "--seconds", "20", "--weights"]
    command += [str(shared_data("weights") / "yamnet_mobilenetv1_100.safetensors")]
    subprocess.run(command, check=True, capture_output=True)
    return tmp_path / "data"


def test_birdclef2024_small(soundscapes: Path, tmp_path: Path) -> None:
    names = ["dog_bark", "rain", "rooster"]
    small = "view.mel={preset: birdclef_224, mels: 64, hop: 2500}"
    sets = [f"teachers.{small}", f"students.{small}", "teachers.members.sed.view.mel={mels: 64, hop: 2500}"]
    where = f"{{primary_label: [{', '.join(names)}]}}"
    sets += [f"data.train={{table: train_metadata.csv, where: {where}}}", "labels.complete_windows=4"]
    sets += ["teachers.phases.0.epochs=3", "teachers.phases.1.epochs=1", "students.phases.0.epochs=2"]
    sets += ["students.members.windows.pseudo_batch.windows=8"]
    run = outfold.run("birdclef2024-3rd", tmp_path / "run", data=soundscapes, profile="small", overrides=sets)
    assert run.summary["score"] is None
    (labels,) = run.summary["stages"]["labels"]["labels"]
    assert (labels["rows"], labels["kept"]) == (16, 16)
    submission = pd.read_csv(tmp_path / "run" / "submission.csv")
    sample = pd.read_csv(soundscapes / "sample_submission.csv")
    assert list(submission.columns) == ["row_id", *names]
    assert submission["row_id"].tolist() == sample["row_id"].tolist()
    truth = pd.read_csv(soundscapes / "solution.csv")
    heard = pd.read_parquet(next((tmp_path / "run").glob("stages/teachers/yamnet/*/test.parquet"))).set_index("id")
    assert truth.set_index("row_id").index.equals(heard.index)


def test_a_frozen_audio_network_knows_everyday_sounds(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    root, weights = tmp_path / "esc10", "yamnet_mobilenetv1_100.safetensors"
    shutil.copytree(shared_data("esc10"), root)
    shutil.copy(shared_data("weights") / weights, root / weights)
    recipe = Path(__file__).parents[2] / "examples" / "esc10_yamnet.yaml"
    assert outfold.run(recipe, tmp_path / "run", data=root, device="cpu").score >= 0.97


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
