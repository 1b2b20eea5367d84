"""Both pasture systems from table to answer on drawn photos of pasture: small, but nothing of them left out."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import outfold

pytestmark = pytest.mark.slow

QUICK = ["fit.phases.0.epochs=2", "fit.phases.1.epochs=1", "folds.search=20"]


@pytest.fixture(scope="module")
def pasture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pasture")
    script = Path(__file__).parents[2] / "examples" / "pasture_photos.py"
    options = ["--photos", "72", "--size", "64x128", "--dates", "12", "--seed", "3"]
    subprocess.run([sys.executable, str(script), str(folder), *options], check=True, capture_output=True)
    return folder


def refuse_wrong_submission(run: outfold.Run, pasture: Path) -> None:
    """The submission has the sample's columns and rows, in its order, and numbers that are not negative."""
    submission, sample = (
        pd.read_csv(path) for path in (run.path / "submission.csv", pasture / "sample_submission.csv")
    )
    assert list(submission.columns) == list(sample.columns) == ["sample_id", "target"]
    assert submission["sample_id"].tolist() == pd.read_csv(pasture / "test.csv")["sample_id"].tolist()
    assert (submission["target"] >= 0).all()
    assert submission["target"].nunique() > 10


def test_the_eighth_place(pasture: Path, tmp_path: Path) -> None:
    sets = [*QUICK, "fit.view.size=[64, 128]", "adapted.phases.0.epochs=2", "final.steps=[{sum: identities}]"]
    run = outfold.run("csiro2025-8th", tmp_path / "run", data=pasture, profile="small", overrides=sets, device="cpu")
    refuse_wrong_submission(run, pasture)
    stages = run.summary["stages"]
    assert set(stages["fit"]["members"]) == set(stages["adapted"]["members"]) == {"single", "dual"}
    assert np.isfinite(run.score)
    answer = pd.read_parquet(run.path / "predictions.parquet")
    np.testing.assert_allclose(
        answer["pred_GDM_g"], answer["pred_Dry_Green_g"] + answer["pred_Dry_Clover_g"], rtol=1e-5, atol=1e-4
    )
    dates = pd.read_csv(pasture / "train.csv").drop_duplicates("image_path").set_index("image_path")["Sampling_Date"]
    folds = pd.read_csv(run.path / "folds.csv").set_index("id")["fold"]
    assert (folds.groupby(dates.loc[folds.index].to_numpy()).nunique() == 1).all()
    before = {path: path.read_bytes() for path in (run.path / "stages").rglob("weights.safetensors")}
    again = run.predict(pasture / "test.csv", device="cpu")  # adapts anew, to the same photos
    assert {path: path.read_bytes() for path in before} == before
    submitted = pd.read_csv(run.path / "submission.csv")
    np.testing.assert_allclose(again["target"], submitted["target"], rtol=1e-3, atol=1e-2)


def test_the_fourth_place(pasture: Path, tmp_path: Path) -> None:
    sets = [*QUICK, "fit.view.size=64", "sensors.view.size=64", "sensors.phases.0.epochs=2", "data.crops=boxes.csv"]
    run = outfold.run("csiro2025-4th", tmp_path / "run", data=pasture, profile="small", overrides=sets, device="cpu")
    refuse_wrong_submission(run, pasture)
    stages = run.summary["stages"]
    given, served = (stages[name]["score"] for name in ("fit", "served"))
    assert np.isfinite([given, served]).all()
    assert given != served  # what was measured against what is predicted of it
    findings = json.loads((run.path / "audit.json").read_text())["findings"]
    assert any("Height_Ave_cm" in finding["what"] and finding["level"] == "warning" for finding in findings)
    one, two = (run.predict(pasture / "test.csv", device="cpu", processes=count) for count in (1, 2))
    pd.testing.assert_frame_equal(one, two, rtol=1e-4, atol=1e-4)
    submitted = pd.read_csv(run.path / "submission.csv")
    np.testing.assert_allclose(one["target"], submitted["target"], rtol=1e-4, atol=1e-3)
