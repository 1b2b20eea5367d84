"""A recipe from start to end on a small folder: what is written, what is done again, what is refused."""

import json
import multiprocessing
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import outfold
from outfold.errors import DataError, MediaError, RunError
from outfold.run_folder import locked
from outfold.runs import execute
from outfold.settings.recipe import Recipe


def run(recipe: dict[str, Any], out: Path, data: Path) -> tuple[outfold.Run, list[dict[str, Any]]]:
    events: list[dict[str, Any]] = []
    return outfold.run(Recipe.model_validate(recipe), out, data=data, device="cpu", emit=events.append), events


def copy_of(folder: Path, place: Path) -> Path:
    return Path(shutil.copytree(folder, place))


def jobs(events: list[dict[str, Any]]) -> list[str]:
    return [event["job"] for event in events if event["event"] == "job"]


def test_a_run_folder_holds_what_the_contract_says(tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    done, events = run(tiny_recipe, tmp_path / "run", shapes)
    train, test = pd.read_csv(shapes / "train.csv"), pd.read_csv(shapes / "test.csv")

    assert done.summary["status"] == "complete"
    assert done.oof["id"].tolist() == train["photo"].tolist()
    assert done.oof["colour"].tolist() == train["colour"].tolist()
    columns = ["prob_blue", "prob_green", "prob_red"]
    np.testing.assert_allclose(done.oof[columns].sum(axis=1), 1, atol=1e-5)
    assert done.predictions is not None
    assert done.predictions["id"].tolist() == test["photo"].tolist()
    submission = pd.read_csv(tmp_path / "run" / "submission.csv")
    assert list(submission.columns) == ["photo", "colour"]
    best = done.predictions[columns].to_numpy().argmax(axis=1)
    assert submission["colour"].tolist() == [["blue", "green", "red"][code] for code in best]

    folds = pd.read_csv(tmp_path / "run" / "folds.csv")
    assert (folds.groupby(train["site"])["fold"].nunique() == 1).all()
    scores = done.summary["scores"]["macro_f1"]
    assert scores["low"] <= scores["value"] <= scores["high"]
    assert (tmp_path / "run" / "report.html").stat().st_size > 1000
    history = pd.read_csv(tmp_path / "run" / "stages" / "fit" / "a" / "fold0-seed0" / "history.csv")
    assert history["epoch"].tolist() == [1, 2, 3]
    assert len(jobs(events)) == 3 * 3 + 1


def test_a_second_run_does_nothing_and_a_changed_recipe_only_what_it_must(
    tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path
) -> None:
    tiny_recipe["stages"]["fit"]["keep"] = {"best": "macro_f1"}
    first, _ = run(tiny_recipe, tmp_path / "run", shapes)
    again, events = run(tiny_recipe, tmp_path / "run", shapes)
    assert jobs(events) == []
    pd.testing.assert_frame_equal(first.oof, again.oof)

    tiny_recipe["task"] |= {"metric": "log_loss", "metrics": []}
    _, events = run(tiny_recipe, tmp_path / "run", shapes)
    assert jobs(events) == ["answer file"]
    assert list(pd.read_csv(tmp_path / "run" / "submission.csv")) == ["photo", "blue", "green", "red"]

    tiny_recipe["stages"]["fit"]["predict"]["tta"] = ["identity"]
    _, events = run(tiny_recipe, tmp_path / "run", shapes)
    assert [job.split()[-1] for job in jobs(events)] == ["oof", "test"] * 3 + ["file"]

    tiny_recipe["stages"]["fit"]["phases"][0]["lr"] = 1e-3
    _, events = run(tiny_recipe, tmp_path / "run", shapes)
    assert len(jobs(events)) == 10


@pytest.mark.slow
def test_the_same_recipe_gives_the_same_numbers_whatever_the_workers(
    tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path
) -> None:
    recipe = Recipe.model_validate(tiny_recipe)
    one = outfold.run(recipe, tmp_path / "one", data=shapes, device="cpu", workers=1)
    three = outfold.run(recipe, tmp_path / "three", data=shapes, device="cpu", workers=3)
    pd.testing.assert_frame_equal(one.oof, three.oof, check_exact=True)


def test_labels_of_a_fold_do_not_reach_its_own_predictions(
    tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path
) -> None:
    """With the last epoch kept, scrambling the held-out labels must leave the held-out predictions bit for bit."""
    tiny_recipe["stages"]["fit"]["keep"] = {"best": "last"}
    tiny_recipe["stages"]["fit"]["balance"] = "both"
    table = pd.read_csv(shapes / "train.csv")
    table["fold"] = np.arange(len(table)) // 6 % 3
    tiny_recipe["folds"] = {"column": "fold", "only": [0]}
    del tiny_recipe["data"]["test"]
    oof = []
    for name in ("as_is", "scrambled"):
        root = copy_of(shapes, tmp_path / name)
        if name == "scrambled":
            held_out = table["fold"] == 0
            table.loc[held_out, "colour"] = table.loc[held_out, "colour"].to_numpy()[::-1]
        table.to_csv(root / "train.csv", index=False)
        oof.append(run(tiny_recipe, tmp_path / f"run_{name}", root)[0].oof)
    assert (oof[0]["colour"] != oof[1]["colour"]).any()
    probabilities = [name for name in oof[0] if name.startswith("prob_")]
    pd.testing.assert_frame_equal(oof[0][probabilities], oof[1][probabilities], check_exact=True)


def test_predicting_later_gives_the_test_tables_numbers(
    tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path
) -> None:
    run(tiny_recipe, tmp_path / "run", shapes)
    moved = outfold.load_run((tmp_path / "run").rename(tmp_path / "elsewhere"))
    answer = moved.predict(shapes / "test.csv")
    assert moved.predictions is not None
    names = ["prob_blue", "prob_green", "prob_red"]
    np.testing.assert_allclose(answer[names], moved.predictions[names], atol=1e-6)
    rows = pd.read_csv(shapes / "test.csv").sample(frac=1, random_state=0)
    shuffled = moved.predict(rows, root=shapes).set_index("photo")
    np.testing.assert_allclose(shuffled.loc[answer["photo"], names], answer[names], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "prediction"),
    [
        ({"kind": "binary", "target": "is_red", "metric": "roc_auc"}, "is_red"),
        ({"kind": "regression", "target": "amount", "metric": "r2", "metrics": ["mae", "rmse"]}, "amount"),
    ],
)
def test_other_tasks(
    task: dict[str, Any], prediction: str, tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path
) -> None:
    tiny_recipe["task"] = task
    tiny_recipe["folds"] = {"k": 3}
    tiny_recipe["stages"]["fit"]["phases"] = [{"name": "all", "epochs": 6, "lr": 3e-3}]
    done, _ = run(tiny_recipe, tmp_path / "run", shapes)
    submission = pd.read_csv(tmp_path / "run" / "submission.csv")
    assert list(submission.columns) == ["photo", prediction]
    assert done.score > 0.5


def test_bad_photos_stop_the_run_or_are_dropped_and_counted(
    tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path
) -> None:
    root = copy_of(shapes, tmp_path / "data")
    (root / "images" / "p004.png").unlink()
    with pytest.raises(MediaError, match=r"p004\.png"):
        run(tiny_recipe, tmp_path / "run", root)
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["status"] == "failed"

    tiny_recipe["data"]["on_bad_media"] = "drop"
    done, _ = run(tiny_recipe, tmp_path / "run", root)
    assert [entry["id"] for entry in done.summary["data"]["dropped"]] == ["p004"]
    assert len(done.oof) == 71


def _hold(folder: Path, ready: Any, done: Any) -> None:
    with locked(folder):
        ready.set()
        done.wait(30)


def test_a_second_process_on_the_same_folder_is_refused(
    tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("fork")
    ready, done = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path / "run", ready, done))
    other.start()
    try:
        assert ready.wait(30)
        with pytest.raises(RunError, match="another process"):
            run(tiny_recipe, tmp_path / "run", shapes)
    finally:
        done.set()
        other.join()


def test_a_folder_with_other_files_is_refused(tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RunError, match="holds files but no run"):
        run(tiny_recipe, tmp_path, shapes)


def test_a_page_that_cannot_be_made_ends_the_log_and_leaves_the_run_complete(
    tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Path) -> Path:
        raise ZeroDivisionError("no page")

    monkeypatch.setattr(execute, "write_report", fail)
    tiny_recipe["folds"]["only"] = [0]
    events: list[dict[str, Any]] = []
    with pytest.raises(ZeroDivisionError):
        outfold.run(Recipe.model_validate(tiny_recipe), tmp_path / "run", data=shapes, device="cpu", emit=events.append)
    assert events[-1] == {"event": "failed", "reason": "ZeroDivisionError: no page"}  # which closes a tracker's entry
    assert outfold.load_run(tmp_path / "run").summary["status"] == "complete"


def test_an_unfinished_run_is_not_loaded(tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    tiny_recipe["task"]["target"] = "color"
    with pytest.raises(DataError, match="colour"):
        run(tiny_recipe, tmp_path / "run", shapes)
    with pytest.raises(RunError, match="not complete"):
        outfold.load_run(tmp_path / "run")
