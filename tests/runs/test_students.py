"""Students of soundscapes: labels by recording and seed, batches with whole recordings, rounds, full data, no leak."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from safetensors.torch import load_file

import outfold
from outfold.data.predictions import sigmoid
from outfold.errors import DataError
from outfold.inference.in_time import sharpen_by_recording
from outfold.runs import estimate
from outfold.runs.check import check_recipe
from outfold.runs.loads import Load
from outfold.settings.recipe import Recipe

RATE, CLASSES = 200, ["owl", "wren"]
LENGTHS = {"dawn": 4, "dusk": 4, "noon": 3, "night": 4, "rain": 4}
"""Seconds of the soundscapes; the windows have one each, and `noon` is not complete."""
MEL = {"sample_rate": 2000, "n_fft": 128, "window": 128, "hop": 64, "mels": 32, "f_min": 0, "f_max": 1000}
HEARD = {
    "view": {"kind": "audio", "window_s": 1, "span_s": 1, "mel": MEL | {"size": [32, 32]}},
    "backbone": "test_efficientnet",
    "weights": "none",
    "members": {"s": {}},
    "phases": [{"name": "all", "epochs": 1}],
}
"""What a stage sets otherwise whose only member hears the recordings."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """48 labelled clips and 5 soundscapes, with a vector for each clip and window that tells what is heard there."""
    folder, generator = tmp_path / "data", np.random.default_rng(0)
    (folder / "clips").mkdir(parents=True)
    (folder / "scapes").mkdir()
    names = [f"c{number:02d}" for number in range(48)]
    windows = [f"{name}_{second + 1}" for name, length in LENGTHS.items() for second in range(length)]
    for name in names:
        sound(folder / "clips" / f"{name}.wav", 1, generator)
    for name, length in LENGTHS.items():
        sound(folder / "scapes" / f"{name}.wav", length, generator)
    vectors = generator.normal(size=(len(names) + len(windows), 3))
    table = pd.DataFrame({"row_id": names, "fold": np.arange(48) % 3, "year": 2000 + np.arange(48) // 4})
    for place, name in enumerate(CLASSES):
        table[name] = (vectors[:48, place] > 0.3 * place).astype(int)
    table.to_csv(folder / "train.csv", index=False)
    write_vectors(folder, [*names, *windows], vectors)
    return folder


def sound(path: Path, seconds: int, generator: np.random.Generator) -> None:
    soundfile.write(path, generator.normal(0, 0.1, seconds * RATE).astype(np.float32), RATE)


def write_vectors(root: Path, names: list[str], vectors: np.ndarray) -> None:
    columns = {f"v{place}": column for place, column in enumerate(vectors.T)}
    pd.DataFrame({"row_id": names, **columns}).to_parquet(root / "vectors.parquet")


@pytest.fixture
def recipe() -> dict[str, Any]:
    """Two members teach, with two seeds each; students of the same seed learn whole soundscapes beside clips."""
    train = {
        "kind": "train",
        "view": {"kind": "embedding", "vectors": "vectors.parquet"},
        "batch_size": 8,
        "phases": [{"name": "all", "epochs": 2, "lr": 0.05}],
        "keep": {"best": "last"},
        "seeds": [3, 5],
        "members": {"a": {}, "b": {"optimizer": {"name": "sgd"}}},
    }
    return {
        "name": "soundscapes",
        "data": {
            "train": "train.csv",
            "unlabelled": {"recordings": {"path": "scapes/*.wav", "window_s": 1}},
            "id": "row_id",
            "audio": {"path": "clips/{row_id}.wav"},
        },
        "task": {"kind": "multilabel", "target": CLASSES, "metric": "macro_roc_auc"},
        "folds": {"column": "fold"},
        "stages": {
            "teacher": train,
            "labels": {
                "kind": "label",
                "from": "teacher",
                "teachers": "same_seed",
                "sharpen": "recording",
                "complete_windows": 4,
            },
            "student": {**train, "labels": "labels", "pseudo_batch": {"recordings": 2}, "members": {"s": {}}},
        },
    }


def run(recipe: dict[str, Any], out: Path, data: Path, **given: Any) -> outfold.Run:
    return outfold.run(Recipe.model_validate(recipe), out, data=data, device="cpu", **given)


def jobs_left(recipe: dict[str, Any], out: Path, data: Path) -> list[str]:
    events: list[dict[str, Any]] = []
    run(recipe, out, data, emit=events.append)
    return [event["job"] for event in events if event["event"] == "job"]


def logits_of(folder: Path, member: str, place: str) -> pd.DataFrame:
    return pd.read_parquet(folder / "stages" / "teacher" / member / place / "unlabelled.parquet").set_index("id")


def labels_of(folder: Path, step: str, stage: str = "labels") -> pd.DataFrame:
    return pd.read_parquet(folder / "stages" / stage / f"{step}.parquet").set_index("id")


def weights_of(folder: Path, place: str, stage: str = "student") -> dict[str, torch.Tensor]:
    return load_file(folder / "stages" / stage / "s" / place / "weights.safetensors")


def same_weights(first: Path, second: Path, place: str) -> bool:
    pairs = zip(weights_of(first, place).items(), weights_of(second, place).items(), strict=True)
    return all(name == other and torch.equal(one, two) for (name, one), (other, two) in pairs)


def test_full_data(recipe: dict[str, Any], root: Path, tmp_path: Path) -> None:
    recipe["folds"] = "full"
    done = run(recipe, tmp_path / "run", root)
    told = {(one["fold"], one["seed"]): one for one in done.summary["stages"]["labels"]["labels"]}
    assert list(told) == [(-1, 3), (-1, 5)]
    for seed in (3, 5):
        place = f"whole-seed{seed}"
        logits = sum(logits_of(tmp_path / "run", member, place) for member in "ab") / 2
        recording = np.array([name.rsplit("_", 1)[0] for name in logits.index])
        labels = labels_of(tmp_path / "run", place)
        assert labels.index.tolist() == logits.index.tolist()
        expected = sharpen_by_recording(logits[CLASSES].to_numpy(np.float64), recording)
        np.testing.assert_allclose(labels[[f"prob_{name}" for name in CLASSES]], expected, atol=1e-6)
        assert ((labels["repetitions"] > 0) == (recording != "noon")).all()
        assert told[-1, seed]["left_out"]["incomplete"] == 3
        assert told[-1, seed]["teachers"] == [f"teacher/{member}/{place}" for member in "ab"]
        fit = json.loads((tmp_path / f"run/stages/student/s/{place}/fit.json").read_text())
        assert fit["pseudo_rows"] == 16
    assert done.summary["score"] is None
    assert done.summary["audit"]["errors"] == []
    assert any("models of 'teacher' that trained on all rows" in one for one in done.summary["audit"]["notes"])
    page = (tmp_path / "run" / "report.html").read_text()
    assert "of incomplete recordings" in page
    assert "by held-out fold and seed" in page
    assert jobs_left(recipe, tmp_path / "run", root) == []


@pytest.mark.slow
def test_with_folds_each_student_has_teachers_of_its_own_fold_and_seed(
    recipe: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    recipe["stages"]["labels"] |= {"sharpen": None, "average": "logit"}
    done = run(recipe, tmp_path / "run", root)
    told = done.summary["stages"]["labels"]["labels"]
    assert {(one["fold"], one["seed"]) for one in told} == {(fold, seed) for fold in range(3) for seed in (3, 5)}
    for one in told:
        place = f"fold{one['fold']}-seed{one['seed']}"
        assert one["teachers"] == [f"teacher/{member}/{place}" for member in "ab"]
        mean = sum(logits_of(tmp_path / "run", member, place) for member in "ab") / 2
        own = labels_of(tmp_path / "run", place)[[f"prob_{name}" for name in CLASSES]]
        np.testing.assert_allclose(own, sigmoid(mean[CLASSES].to_numpy(np.float64)), atol=1e-6)
    assert done.summary["audit"]["errors"] == []
    assert done.score > 0.6


@pytest.mark.slow
def test_no_validation_row_is_learned_from(recipe: dict[str, Any], root: Path, tmp_path: Path) -> None:
    recipe["stages"]["student"] |= {"class_cap": {"rows": 9, "by": "year"}, "class_floor": 8}
    recipe["stages"]["teacher"] |= {"class_cap": {"rows": 9}, "class_floor": 8}
    run(recipe, tmp_path / "before", root)
    table, vectors = pd.read_csv(root / "train.csv"), pd.read_parquet(root / "vectors.parquet")
    held_out = table["fold"] == 0
    table.loc[held_out, CLASSES] = 1 - table.loc[held_out, CLASSES]
    table.loc[held_out, "year"] = 2100
    table.to_csv(root / "train.csv", index=False)
    vectors.loc[vectors["row_id"].isin(table["row_id"][held_out]), ["v0", "v1", "v2"]] += 50.0
    vectors.to_parquet(root / "vectors.parquet")
    run(recipe, tmp_path / "after", root)
    for seed in (3, 5):
        assert same_weights(tmp_path / "before", tmp_path / "after", f"fold0-seed{seed}")
        assert not same_weights(tmp_path / "before", tmp_path / "after", f"fold1-seed{seed}")


@pytest.mark.parametrize("heard", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_windows_of_a_recording_that_is_labelled_teach_nobody(
    heard: bool, recipe: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    shutil.copy(root / "scapes" / "dawn.wav", root / "clips" / "c00.wav")
    recipe["folds"]["only"] = [0, 1]
    recipe["stages"]["labels"]["complete_windows"] = None
    for stage in ("teacher", "student"):
        recipe["stages"][stage] |= {"seeds": [3]} | (HEARD if heard else {})
    done = run(recipe, tmp_path / "run", root)
    for fold, reason in ((0, "held_out"), (1, "seen")):
        why = labels_of(tmp_path / "run", f"fold{fold}-seed3")["left_out"]
        assert (why == np.where(why.index.str.startswith("dawn"), reason, "")).all()
    assert done.summary["audit"]["errors"] == []


def test_a_seed_does_not_depend_on_the_others(recipe: dict[str, Any], root: Path, tmp_path: Path) -> None:
    recipe["folds"] = "full"
    run(recipe, tmp_path / "both", root)
    for stage in ("teacher", "student"):
        recipe["stages"][stage]["seeds"] = [5]
    run(recipe, tmp_path / "one", root)
    assert same_weights(tmp_path / "both", tmp_path / "one", "whole-seed5")


def test_rounds(recipe: dict[str, Any], root: Path, tmp_path: Path) -> None:
    stages = recipe["stages"]
    label = {key: value for key, value in stages["labels"].items() if key not in ("kind", "from")}
    student = {"pseudo_batch": {"windows": 5}, "members": {"s": {}}}
    noisy = {"kind": "noisy_student", "from": "teacher", "rounds": 2, "label": label, "student": student}
    recipe |= {"stages": {"teacher": stages["teacher"], "noisy": noisy}, "folds": "full"}
    done = run(recipe, tmp_path / "run", root)
    teachers = [one["teachers"] for one in done.summary["stages"]["noisy2-labels"]["labels"]]
    assert teachers == [["noisy1/s/whole-seed3"], ["noisy1/s/whole-seed5"]]


def test_what_is_heard_is_learned_beside_clips(recipe: dict[str, Any], root: Path, tmp_path: Path) -> None:
    recipe["folds"] = "full"
    for stage in ("teacher", "student"):
        recipe["stages"][stage] |= HEARD | {"seeds": [3]}
    recipe["stages"]["student"] |= {"add_clips": {"p": 0.5}, "keep": {"best": "last", "top": 2, "combine": "average"}}
    recipe["stages"]["student"]["phases"] = [{"name": "all", "epochs": 2}]
    done = run(recipe, tmp_path / "run", root)
    (told,) = done.summary["stages"]["labels"]["labels"]
    assert (told["kept"], told["left_out"]["incomplete"]) == (16, 3)
    history = pd.read_csv(tmp_path / "run/stages/student/s/whole-seed3/history.csv")
    assert np.isfinite(history["train_loss"]).all()
    fit = json.loads((tmp_path / "run/stages/student/s/whole-seed3/fit.json").read_text())
    assert fit["combined"]["batches"] == 6  # of 8 clips and 8 windows each
    assert fit["epoch_rows"] == 6 * (8 + 8)


class Stop(BaseException):
    """Stands for a kill: nothing of outfold's own handles it."""


@pytest.mark.slow
def test_stopped_and_gone_on_with(recipe: dict[str, Any], root: Path, tmp_path: Path) -> None:
    recipe["folds"] = "full"
    recipe["stages"]["student"] |= {"class_cap": {"rows": 9}, "class_floor": 8}
    recipe["stages"]["student"]["phases"] = [{"name": "all", "epochs": 4, "lr": 0.05}]
    run(recipe, tmp_path / "whole", root)
    epochs = 0

    def stop(event: dict[str, Any]) -> None:
        nonlocal epochs
        epochs += event["event"] == "epoch" and event["job"].startswith("student/s/whole-seed5")
        if epochs == 2:
            raise Stop

    with pytest.raises(Stop):
        run(recipe, tmp_path / "stopped", root, emit=stop)
    run(recipe, tmp_path / "stopped", root)
    for seed in (3, 5):
        assert same_weights(tmp_path / "whole", tmp_path / "stopped", f"whole-seed{seed}")


@pytest.mark.slow
def test_another_setting_does_again_what_it_must(recipe: dict[str, Any], root: Path, tmp_path: Path) -> None:
    recipe["folds"] = "full"
    run(recipe, tmp_path / "run", root)
    for stage, change, again in (
        ("student", {"pseudo_batch": {"windows": 4}}, {"student"}),
        ("student", {"class_floor": 30}, {"student"}),
        ("labels", {"complete_windows": 3}, {"labels", "student"}),
        ("labels", {"average": "probability"}, {"labels", "student"}),
    ):
        recipe["stages"][stage] |= change
        assert {job.split("/")[0].split()[0] for job in jobs_left(recipe, tmp_path / "run", root)} == again, change


@pytest.mark.parametrize(
    ("batch", "said"),
    [({"recordings": 6}, "labels 5 recordings"), ({"windows": 20}, "labels 19 windows")],
)
def test_more_than_there_is_for_a_batch(
    batch: dict[str, int], said: str, recipe: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    recipe["stages"]["student"]["pseudo_batch"] = batch
    found = check_recipe(Recipe.model_validate(recipe), root).findings
    assert [said in one.what for one in found if one.level == "error"] == [True]
    with pytest.raises(DataError, match=said):
        run(recipe, tmp_path / "run", root)
    assert not list((tmp_path / "run").rglob("*.safetensors"))


def test_a_column_that_is_missing_is_found_before_anything_trains(
    recipe: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    recipe["stages"]["student"]["class_cap"] = {"rows": 9, "by": "date"}
    with pytest.raises(DataError, match="class_cap"):
        run(recipe, tmp_path / "run", root)
    found = check_recipe(Recipe.model_validate(recipe), root).findings
    assert any("class_cap" in one.what for one in found if one.level == "error")


def test_windows_that_no_recording_has_are_told_of_before_anything_trains(
    recipe: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    recipe["stages"]["labels"]["complete_windows"] = 5
    found = [one.what for one in check_recipe(Recipe.model_validate(recipe), root).findings if one.level == "error"]
    assert len(found) == 1
    assert "stage 'labels': no recording has 5 windows" in found[0]
    with pytest.raises(DataError, match="4 in the longest"):
        run(recipe, tmp_path / "run", root)
    assert not list((tmp_path / "run").glob("stages/teacher/**/*.safetensors"))


def test_a_check_says_what_it_costs(recipe: dict[str, Any], root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe["stages"]["student"]["class_floor"] = 20
    loads = []
    own = estimate.loads_of

    def watched(*given: Any) -> list[Load]:
        loads.append((given[0], own(*given)))
        return loads[-1][1]

    monkeypatch.setattr(estimate, "loads_of", watched)
    checked = check_recipe(Recipe.model_validate(recipe), root, device="cpu")
    assert not [one for one in checked.findings if one.level == "error"]
    assert any("18 models" in one.what for one in checked.findings)
    (student,) = dict(loads)["student"]
    assert student.beside == 8  # two recordings of 19 / 5 windows
    train = pd.read_csv(root / "train.csv").query("fold != 0")
    assert student.learned > len(train) // 8 * (8 + 8)  # more with the floor


def test_bounds_that_never_fire_are_told(recipe: dict[str, Any], root: Path, tmp_path: Path) -> None:
    recipe["stages"] = {"teacher": recipe["stages"]["teacher"] | {"class_floor": 2, "class_cap": {"rows": 90}}}
    done = run(recipe, tmp_path / "run", root)
    findings = json.loads((done.path / "audit.json").read_text())["findings"]
    assert [one["rule"] for one in findings].count("quota-never-fires") == 2
