"""Runs with students: who labels, what is learned, what is left out, and that nothing leaks."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import outfold
from outfold.data.predictions import softmax
from outfold.errors import DataError
from outfold.models.seen import row_marks, seen_by
from outfold.settings.recipe import Recipe
from outfold.stages import objectives

CLASSES = ["blue", "green", "red"]


@pytest.fixture
def root(shapes: Path, tmp_path: Path) -> Path:
    """The shapes with a table of rows without labels: the photos of the test table, of sites of their own."""
    folder = Path(shutil.copytree(shapes, tmp_path / "data"))
    rows = pd.DataFrame({"photo": [f"p{number:03d}" for number in range(72, 90)]})
    rows.assign(site=[f"s{number // 6}" for number in range(72, 90)]).to_csv(folder / "more.csv", index=False)
    return folder


@pytest.fixture
def noisy(tiny_recipe: dict[str, Any]) -> dict[str, Any]:
    """One round of a student with noise, on two folds."""
    stages = tiny_recipe["stages"]
    stages["fit"]["phases"][0]["epochs"] = 1
    student = {"drop_path_rate": 0.1, "head": {"dropout": 0.2}}
    stages["noisy"] = {"kind": "noisy_student", "from": "fit", "label": {}, "student": student}
    stages["answer"] = {"kind": "submit", "from": "noisy1"}
    tiny_recipe["stages"] = {name: stages[name] for name in ("fit", "noisy", "answer")}
    tiny_recipe["data"]["unlabelled"] = "more.csv"
    tiny_recipe["folds"]["only"] = [0, 1]
    return tiny_recipe


def run(recipe: dict[str, Any], out: Path, data: Path) -> tuple[outfold.Run, list[dict[str, Any]]]:
    events: list[dict[str, Any]] = []
    return outfold.run(Recipe.model_validate(recipe), out, data=data, device="cpu", emit=events.append), events


def jobs(events: list[dict[str, Any]]) -> list[str]:
    return [event["job"] for event in events if event["event"] == "job"]


def add_rows(data: Path, rows: list[dict[str, str]]) -> None:
    """More rows without labels: `copy` names the photo whose file they have; files of the others are like no other."""
    for row in rows:
        photo = (data / "images" / f"{row.get('copy', 'p072')}.png").read_bytes()
        own = b"" if "copy" in row else row["photo"].encode()  # which no decoder looks at
        (data / "images" / f"{row['photo']}.png").write_bytes(photo + own)
        row.pop("copy", None)
    pd.concat([pd.read_csv(data / "more.csv"), pd.DataFrame(rows)]).to_csv(data / "more.csv", index=False)


def labels_of(folder: Path, stage: str, fold: int) -> pd.DataFrame:
    return pd.read_parquet(folder / "stages" / stage / f"fold{fold}.parquet").set_index("id")


def teacher_says(folder: Path, stage: str, fold: int) -> np.ndarray:
    place = folder / "stages" / stage / "a" / f"fold{fold}-seed0"
    return softmax(pd.read_parquet(place / "unlabelled.parquet")[CLASSES].to_numpy())


def test_two_rounds_from_start_to_end(noisy: dict[str, Any], root: Path, tmp_path: Path) -> None:
    noisy["stages"]["noisy"]["rounds"] = 2
    noisy["stages"]["noisy"]["label"]["weight"] = 0.5
    noisy["stages"]["noisy"]["student"]["mix"] = {"one_of": ["mixup", "cutmix"]}
    noisy["stages"]["answer"]["from"] = "noisy2"
    done, events = run(noisy, tmp_path / "run", root)
    for teacher, number in (("fit", 1), ("noisy1", 2)):
        for fold in (0, 1):
            labels = labels_of(tmp_path / "run", f"noisy{number}-labels", fold)
            own = labels[[f"prob_{name}" for name in CLASSES]].to_numpy()
            np.testing.assert_allclose(own, teacher_says(tmp_path / "run", teacher, fold), atol=1e-6)
            learned = np.bincount(own.argmax(axis=1), weights=labels["repetitions"], minlength=3)
            assert len(set(learned[learned > 0])) == 1  # balanced
    summary = done.summary["stages"]["noisy1-labels"]
    assert summary["rows"] == 18
    assert summary["not_compared"] == []
    assert [one["teachers"] for one in summary["labels"]] == [["fit/a/fold0-seed0"], ["fit/a/fold1-seed0"]]
    for one in summary["labels"]:
        assert one["kept"] + sum(one["left_out"].values()) == 18
        assert sum(part["learned"] for part in one["classes"]) == one["learned"]
        labels = labels_of(tmp_path / "run", "noisy1-labels", one["fold"])
        means = labels.loc[labels["repetitions"] > 0, [f"prob_{name}" for name in CLASSES]].mean()
        np.testing.assert_allclose([part["mean"] for part in one["classes"]], means, atol=1e-6)
    told = [event for event in events if event["event"] == "labelled"]
    assert len(told) == 4
    assert "learns from" in told[0]["what"]
    assert "not compared" not in told[0]["what"]
    assert done.summary["data"]["unlabelled_rows"] == 18
    assert "Pseudo-labels" in (tmp_path / "run" / "report.html").read_text()
    assert done.summary["audit"]["errors"] == []
    record = json.loads((tmp_path / "run/stages/noisy1/a/fold0-seed0/fit.json").read_text())
    assert record["pseudo_rows"] == summary["labels"][0]["kept"]

    predicted = done.predict(root / "test.csv")
    assert done.predictions is not None
    columns = [f"prob_{name}" for name in CLASSES]
    np.testing.assert_allclose(predicted[columns], done.predictions[columns], atol=1e-5)


@pytest.mark.slow
def test_a_teacher_that_saw_the_held_out_rows_is_asked_for_and_then_flagged(
    noisy: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    noisy["stages"]["noisy"]["label"]["teachers"] = "all"
    done, _ = run(noisy, tmp_path / "run", root)
    mean = np.mean([teacher_says(tmp_path / "run", "fit", fold) for fold in (0, 1)], axis=0)
    for fold in (0, 1):
        own = labels_of(tmp_path / "run", "noisy1-labels", fold)[[f"prob_{name}" for name in CLASSES]]
        np.testing.assert_allclose(own, mean, atol=1e-6)
    errors = done.summary["audit"]["errors"]
    assert len(errors) == 2
    for fold, error in enumerate(sorted(errors)):
        assert f"noisy1/a/fold{fold}-seed0 descend from weights fit/a/fold{1 - fold}-seed0" in error


@pytest.mark.slow
def test_rows_that_belong_to_held_out_rows_are_left_out(noisy: dict[str, Any], root: Path, tmp_path: Path) -> None:
    rows = [
        {"photo": "same_site", "site": "s0"},
        {"photo": "same_file", "site": "elsewhere", "copy": "p000"},
        {"photo": "site_of_a_copy", "site": "elsewhere"},
        {"photo": "site_not_known", "site": ""},
    ]
    add_rows(root, rows)
    for choice in ("leave_out", "keep"):
        noisy["stages"]["noisy"]["label"] = {"seen_groups": choice, "per_class": "all"}
        done, _ = run(noisy, tmp_path / choice, root)
        held_out = int(done.oof.set_index("id")["fold"]["p000"])
        for fold in (0, 1):
            why = labels_of(tmp_path / choice, "noisy1-labels", fold)["left_out"]
            assert (why[:18] == "").all()
            assert why["site_not_known"] == ""
            related = "held_out" if fold == held_out else "seen"
            assert why["same_file"] == related
            expected = "" if choice == "keep" and fold != held_out else related
            assert why[["same_site", "site_of_a_copy"]].tolist() == [expected] * 2
        assert done.summary["audit"]["errors"] == []


@pytest.mark.slow
def test_students_know_which_rows_they_learned_from(noisy: dict[str, Any], root: Path, tmp_path: Path) -> None:
    done, _ = run(noisy, tmp_path / "run", root)
    labels = labels_of(tmp_path / "run", "noisy1-labels", 0)
    seen = seen_by(tmp_path / "run/stages/noisy1/a/fold0-seed0/weights.safetensors")
    assert seen is not None
    from outfold.data.media import content_key

    def known(ids: Any) -> np.ndarray:
        keys = [content_key(root / "images" / f"{name}.png") for name in ids]
        return np.isin(row_marks(list(ids), keys), seen)

    kept = labels["repetitions"] > 0
    assert known(labels.index[kept]).all()
    assert not known(labels.index[~kept]).any()
    assert not known(done.oof["id"][done.oof["fold"] == 0]).any()


@pytest.mark.slow
def test_the_test_table_can_be_labelled_and_its_predictions_are_used_as_they_are(
    noisy: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    del noisy["data"]["unlabelled"]
    noisy["stages"]["noisy"]["label"] = {"rows": "test", "labels": "hard", "weight": 0.5}
    done, events = run(noisy, tmp_path / "run", root)
    assert Counter(job.split()[-1] for job in jobs(events)) == {
        **{"fit": 4, "oof": 4, "test": 4, "file": 1},
        **{"fold0": 1, "fold1": 1},
    }
    assert done.summary["stages"]["noisy1-labels"]["not_compared"] == ["column 'site'"]
    told = next(event["what"] for event in events if event["event"] == "labelled")
    assert told.endswith("not compared with held-out rows by column 'site'")


@pytest.mark.slow
def test_a_second_run_does_nothing_and_another_confidence_only_what_it_must(
    noisy: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    run(noisy, tmp_path / "run", root)
    _, events = run(noisy, tmp_path / "run", root)
    assert jobs(events) == []
    noisy["stages"]["noisy"]["label"]["confidence"] = 0.34
    _, events = run(noisy, tmp_path / "run", root)
    assert Counter(job.split()[-1] for job in jobs(events)) == {
        **{"fold0": 1, "fold1": 1},
        **{"fit": 2, "oof": 2, "test": 2, "file": 1},
    }


@pytest.mark.slow
def test_labels_know_their_teachers_by_the_names_they_have_now(
    noisy: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    run(noisy, tmp_path / "run", root)
    noisy["stages"]["fit"]["members"] = {"sage": {}}
    done, _ = run(noisy, tmp_path / "run", root)
    labels = done.summary["stages"]["noisy1-labels"]["labels"]
    assert [one["teachers"] for one in labels] == [["fit/sage/fold0-seed0"], ["fit/sage/fold1-seed0"]]


def test_no_row_that_is_sure_enough(noisy: dict[str, Any], root: Path, tmp_path: Path) -> None:
    noisy["stages"]["noisy"]["label"]["confidence"] = 1.0
    with pytest.raises(DataError, match="no row is left to learn from when fold 0 is held out") as caught:
        run(noisy, tmp_path / "run", root)
    assert "18 below the confidence" in str(caught.value)
    assert not (tmp_path / "run/stages/noisy1-labels/fold0.json").exists()


def test_ids_of_training_rows_are_refused(noisy: dict[str, Any], root: Path, tmp_path: Path) -> None:
    add_rows(root, [{"photo": "x", "site": "s99", "copy": "p000"}])
    table = pd.read_csv(root / "more.csv").replace({"photo": {"x": "p000"}})
    table.to_csv(root / "more.csv", index=False)
    with pytest.raises(DataError, match="also in the training table"):
        run(noisy, tmp_path / "run", root)


class Stop(BaseException):
    """Stands for a kill: nothing of outfold's own handles it."""


@pytest.mark.slow
@pytest.mark.parametrize("at", ["noisy1-labels fold1", "noisy1/a/fold0-seed0 fit"])
def test_stopped_and_gone_on_with(at: str, noisy: dict[str, Any], root: Path, tmp_path: Path) -> None:
    fit = noisy["stages"]["fit"]
    head = {"name": "head", "epochs": 1, "train": "head", "lr": 1e-2, "augment": False}
    fit |= {"balance": "sampler", "phases": [head, *fit["phases"]]}
    recipe = Recipe.model_validate(noisy)
    whole = outfold.run(recipe, tmp_path / "whole", data=root, device="cpu")
    reached, ticks = False, 0

    def stop(event: dict[str, Any]) -> None:
        nonlocal reached, ticks
        reached |= event.get("job") == at
        ticks += reached and event["event"] in ("job", "labelled", "work")
        if ticks > 2:
            raise Stop

    with pytest.raises(Stop):
        outfold.run(recipe, tmp_path / "stopped", data=root, device="cpu", emit=stop)
    resumed = outfold.run(recipe, tmp_path / "stopped", data=root, device="cpu")
    pd.testing.assert_frame_equal(whole.oof, resumed.oof, check_exact=True)
    assert whole.predictions is not None
    pd.testing.assert_frame_equal(whole.predictions, resumed.predictions, check_exact=True)


@pytest.mark.slow
def test_class_weights_and_scalers_come_from_labelled_rows_alone(
    noisy: dict[str, Any], root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = []
    own = objectives.class_weights

    def watched(onehot: np.ndarray) -> np.ndarray:
        counted.append(len(onehot))
        return own(onehot)

    monkeypatch.setattr(objectives, "class_weights", watched)
    noisy["stages"]["fit"]["balance"] = "class_weight"
    done, _ = run(noisy, tmp_path / "run", root)
    sizes = pd.read_csv(tmp_path / "run" / "folds.csv")["fold"].value_counts()
    assert counted == [72 - sizes[0], 72 - sizes[1]] * 2
    assert done.score is not None


@pytest.mark.slow
@pytest.mark.parametrize(
    "task",
    [
        {"kind": "regression", "target": "amount", "metric": "r2"},
        {"kind": "binary", "target": "is_red", "metric": "roc_auc"},
        {"kind": "multilabel", "target": ["is_red", "is_blue"], "metric": "macro_roc_auc"},
        {"kind": "multiclass", "target": "colour", "metric": "roc_auc", "classes": CLASSES, "score_class": "red"},
    ],
)
def test_other_tasks(task: dict[str, Any], noisy: dict[str, Any], root: Path, tmp_path: Path) -> None:
    table = pd.read_csv(root / "train.csv")
    table.assign(is_blue=table["colour"] == "blue").to_csv(root / "train.csv", index=False)
    noisy["task"] = task
    noisy["folds"] = {"k": 3, "group": "site", "only": [0]}
    done, _ = run(noisy, tmp_path / "run", root)
    assert np.isfinite(done.score)
    labels = labels_of(tmp_path / "run", "noisy1-labels", 0)
    record = done.summary["stages"]["noisy1-labels"]["labels"][0]
    assert record["kept"] == (labels["repetitions"] > 0).sum() > 0
    if task["kind"] == "regression":
        says = pd.read_parquet(tmp_path / "run/stages/fit/a/fold0-seed0/unlabelled.parquet")["amount"]
        np.testing.assert_allclose(labels["pred_amount"], says)
        assert 5 < labels["pred_amount"].mean() < 40  # the target's own units
    if "score_class" in task:
        assert {f"prob_{name}" for name in CLASSES} <= set(labels.columns)  # labels know all classes
