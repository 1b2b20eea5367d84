"""Training on all rows: no fold, no score, several seeds, and everything that would need held-out rows is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import outfold
from outfold.data.folds import FoldTable, read_folds, whole_table, write_folds
from outfold.models.seen import seen_by
from outfold.runs.audit import audit_run
from outfold.runs.check import check_recipe
from outfold.settings.folds import Folds
from outfold.settings.recipe import Recipe


@pytest.fixture
def full(tiny_recipe: dict[str, Any]) -> dict[str, Any]:
    """Two members of two seeds on all rows, without any held-out row."""
    tiny_recipe["folds"] = "full"
    tiny_recipe["stages"]["fit"] |= {
        "members": {"a": {}, "b": {"head": {"name": "sed"}}},
        "seeds": [0, 1],
        "keep": {"best": "last"},
        "phases": [{"name": "all", "epochs": 1, "lr": 3e-3}],
    }
    return tiny_recipe


def run(recipe: dict[str, Any], folder: Path, root: Path, **given: Any) -> outfold.Run:
    return outfold.run(Recipe.model_validate(recipe), folder, data=root, device="cpu", **given)


def summary_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text())


def test_all_rows_train_and_nothing_is_scored(full: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    full["stages"] = {
        "fit": full["stages"]["fit"],
        "both": {"kind": "blend", "from": "fit", "method": "logit_mean"},
        "answer": {"kind": "submit", "from": "both"},
    }
    done = run(full, tmp_path / "run", shapes)
    summary = summary_of(tmp_path / "run")
    assert summary["status"] == "complete"
    assert (summary["score"], summary["scores"]) == (None, {})
    fit = summary["stages"]["fit"]
    assert fit["score"] is None
    assert [(job["fold"], job["seed"], job["score"]) for job in fit["members"]["a"]["jobs"]] == [
        (-1, 0, None),
        (-1, 1, None),
    ]
    assert summary["stages"]["both"]["blend"]["weights"] == {"fit/a": 0.5, "fit/b": 0.5}
    assert not (tmp_path / "run" / "oof.parquet").exists()
    assert any("nothing is held out" in one for one in summary["audit"]["notes"])
    assert pd.read_csv(tmp_path / "run" / "folds.csv")["fold"].eq(-1).all()

    train = pd.read_csv(shapes / "train.csv", dtype={"photo": str})
    weights = sorted((tmp_path / "run" / "stages" / "fit").rglob("weights.safetensors"))
    assert [path.parent.name for path in weights] == ["whole-seed0", "whole-seed1"] * 2
    for path in weights:
        marks = seen_by(path)
        assert marks is not None
        assert len(marks) == len(train)

    predictions = pd.read_parquet(tmp_path / "run" / "predictions.parquet").set_index("id")
    assert len(list((tmp_path / "run" / "stages" / "fit").rglob("test.parquet"))) == 4
    assert len(pd.read_csv(tmp_path / "run" / "submission.csv")) == len(predictions)
    np.testing.assert_allclose(predictions.sum(axis=1), 1, rtol=1e-5)

    later = done.predict(shapes / "test.csv", root=shapes).set_index("photo")
    np.testing.assert_allclose(later[predictions.columns], predictions.loc[later.index], rtol=1e-4, atol=1e-6)
    assert not [one for one in audit_run(tmp_path / "run", root=shapes) if one.level == "error"]
    page = (tmp_path / "run" / "report.html").read_text()
    assert "no out-of-fold score" in page
    assert "fold -1" not in page
    events: list[dict[str, Any]] = []
    run(full, tmp_path / "run", shapes, emit=events.append)
    (planned,) = [event for event in events if event["event"] == "planned"]
    assert planned["jobs"] == planned["done"]


def test_students_learn_from_teachers_that_trained_on_all_rows(
    full: dict[str, Any], shapes: Path, tmp_path: Path
) -> None:
    stage = full["stages"]["fit"] | {"members": {"a": {}}, "seeds": [0]}
    full["stages"] = {
        "teacher": stage,
        "labels": {"kind": "label", "from": "teacher", "rows": "test", "per_class": "all"},
        "student": stage | {"labels": "labels", "init_from": "teacher", "weights": None},
    }
    del full["stages"]["student"]["weights"]
    run(full, tmp_path / "run", shapes)
    summary = summary_of(tmp_path / "run")
    (labels,) = summary["stages"]["labels"]["labels"]
    assert labels["fold"] == -1
    assert labels["kept"] == 18
    assert labels["teachers"] == ["teacher/a/whole-seed0"]
    fit = json.loads((tmp_path / "run" / "stages" / "student" / "a" / "whole-seed0" / "fit.json").read_text())
    assert fit["pseudo_rows"] == 18
    assert fit["start"] == "teacher/a/whole-seed0"


def test_a_check_says_what_it_costs(full: dict[str, Any], shapes: Path) -> None:
    checked = check_recipe(Recipe.model_validate(full), shapes, device="cpu")
    assert not [one for one in checked.findings if one.level == "error"]
    assert any("4 models" in one.what for one in checked.findings)


def test_folds_of_which_none_is_held_out(tmp_path: Path) -> None:
    table = whole_table(np.array(["a", "b", "c"], dtype=object))
    train, valid = table.split(-1)
    assert table.numbers == (-1,)
    assert (train.tolist(), valid.tolist()) == ([0, 1, 2], [])
    assert not len(table.judged(table.numbers))
    back = read_folds(write_folds(tmp_path / "folds.csv", table), ["c", "a", "b"])
    assert back.whole
    assert back.ids.tolist() == ["c", "a", "b"]
    assert not FoldTable(table.ids, np.array([0, 1, 0])).whole


def test_full_is_short_for_its_setting() -> None:
    assert Folds.model_validate("full") == Folds.model_validate({"full": True})
    assert Folds.model_validate({"full": True, "group": "site"}).group == ("site",)
    with pytest.raises(ValueError, match=r"holds nothing out, so folds\.k has no effect"):
        Folds.model_validate({"full": True, "k": 5})


TABLE = {"numeric": ["height"], "widths": [4], "predicted_by": "sensor"}
REFUSED: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("no score chooses an epoch", {"keep": {}}, {}),
    ("`keep.validate_after` changes nothing", {"keep": {"best": "last", "validate_after": "training"}}, {}),
    ("has no loss to follow", {"phases": [{"name": "a", "epochs": 1, "schedule": "plateau"}]}, {}),
    ("0 folds are held out", {"predict": {"fold_weights": [1.0]}}, {}),
    ("learns weights on held-out rows", {}, {"two": {"kind": "blend", "from": "fit", "method": "greedy"}}),
    ("ranks among held-out", {}, {"two": {"kind": "blend", "from": "fit", "method": "rank_mean", "ranks": "oof"}}),
    (
        "`teachers: all` changes nothing",
        {},
        {"two": {"kind": "label", "from": "fit", "rows": "test", "teachers": "all"}},
    ),
    (
        "`kind: adapt` builds on models of folds",
        {},
        {"two": {"kind": "adapt", "from": "fit", "labels": "fit", "phases": [{"name": "a", "epochs": 1}]}},
    ),
]


@pytest.mark.parametrize(("message", "fit", "more"), REFUSED, ids=[case[0] for case in REFUSED])
def test_what_needs_held_out_rows_is_refused(
    full: dict[str, Any], message: str, fit: dict[str, Any], more: dict[str, Any]
) -> None:
    full["stages"] = {"fit": full["stages"]["fit"] | fit, **more}
    with pytest.raises(ValueError, match=message):
        Recipe.model_validate(full)


def test_another_fold_cannot_be_started_from(full: dict[str, Any]) -> None:
    stage = {name: value for name, value in full["stages"]["fit"].items() if name != "weights"}
    start = {"stage": "fit", "fold": 0}
    full["stages"] = {"fit": full["stages"]["fit"], "next": stage | {"init_from": start}}
    with pytest.raises(ValueError, match="`init_from` has no fold to name"):
        Recipe.model_validate(full)


def test_what_looks_at_predictions_out_of_fold_says_that_there_are_none(
    full: dict[str, Any], shapes: Path, tmp_path: Path
) -> None:
    from outfold.errors import RunError
    from outfold.report.loading import load_evaluation

    full["stages"]["fit"]["members"] = {"a": {}}
    run(full, tmp_path / "run", shapes)
    with pytest.raises(RunError, match="held nothing out, so there are no predictions"):
        load_evaluation(tmp_path / "run")
