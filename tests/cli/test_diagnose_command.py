"""`outfold diagnose` on run folders that are written without training anything."""

import json

import numpy as np
import pandas as pd
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from outfold.cli.diagnose import MOST_IN_MATRIX, diagnose, print_diagnosis
from outfold.data.predictions import softmax
from outfold.data.targets import TargetCodec
from outfold.errors import RunError
from outfold.metrics import get_metric
from outfold.settings.task import Task

CLASSES, FOLDS, ROWS, TEST = ("mel", "nev", "oth"), 3, 360, 210
AUC = get_metric("roc_auc", "binary")


@pytest.fixture
def call():
    app = typer.Typer()
    app.command()(diagnose)

    def run(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "100"})

    return run


def made_run(root, *, members=("a", "b", "c"), shift=0.0, blend=None, test_groups=True, ids="r{}"):
    """A run folder of a three-class task that is judged by `mel` alone."""
    rng = np.random.default_rng(0)
    run = root / "run"
    truth = rng.integers(0, 3, ROWS + TEST)
    seen = 1.5 * np.eye(3)[truth] + rng.normal(size=(ROWS + TEST, 3))
    names = [ids.format(row) for row in range(ROWS + TEST)]
    table = pd.DataFrame({"id": names, "patient": np.arange(ROWS + TEST) // 3})
    table["label"] = np.array(CLASSES)[truth]
    table[:ROWS].to_csv(root / "train.csv", index=False)
    table[ROWS:][["id", "patient"] if test_groups else ["id"]].to_csv(root / "test.csv", index=False)
    fold = np.arange(ROWS) // 3 % FOLDS
    oof = np.zeros((len(members), ROWS, 3))
    for number, member in enumerate(members):
        for held_out in range(FOLDS):
            logits = seen + rng.normal(size=seen.shape)
            logits[ROWS:, 1] += shift if number == 1 else 0
            place = run / "stages" / "fit" / member / f"fold{held_out}-seed0"
            place.mkdir(parents=True)
            for step, rows in (("oof", np.flatnonzero(fold == held_out)), ("test", np.arange(ROWS, ROWS + TEST))):
                frame = pd.DataFrame(logits[rows].astype(np.float32), columns=CLASSES)
                frame.insert(0, "id", table["id"].to_numpy()[rows])
                frame.sample(frac=1, random_state=held_out).to_parquet(place / f"{step}.parquet", index=False)
                (place / f"{step}.json").write_text(json.dumps({"key": "k", "space": "logit"}))
            oof[number, fold == held_out] = softmax(logits.astype(np.float32))[np.flatnonzero(fold == held_out)]
    task = {"kind": "multiclass", "target": "label", "metric": "roc_auc", "classes": CLASSES, "score_class": "mel"}
    stages = {
        "fit": {
            "kind": "train",
            "members": {member: {"backbone": "test_resnet"} for member in members},
            "phases": [{"name": "all", "epochs": 1}],
        }
    }
    if blend is not None:
        stages["blend"] = {"kind": "blend", "from": "fit", "method": blend["method"]}
        (run / "stages" / "blend").mkdir()
        (run / "stages" / "blend" / "weights.json").write_text(json.dumps({"key": "k"} | blend))
    recipe = {
        "name": "trial",
        "data": {"train": "train.csv", "test": "test.csv", "id": "id"},
        "task": task,
        "folds": {"k": FOLDS, "group": "patient"},
        "stages": stages,
    }
    (run / "recipe.yaml").write_text(json.dumps(recipe))
    codec = TargetCodec.fit(Task.model_validate(task), table)
    (run / "target.json").write_text(json.dumps(codec.against_rest("mel").to_dict() | {"learned": codec.to_dict()}))
    frame = table[:ROWS].assign(fold=fold, prob_mel=oof[:, :, 0].mean(axis=0).astype(np.float32))
    frame[["id", "fold", "label", "prob_mel"]].to_parquet(run / "oof.parquet", index=False)
    table[:ROWS].assign(fold=fold, group=table["patient"])[["id", "fold", "group"]].to_csv(
        run / "folds.csv", index=False
    )
    jobs = [{"fold": number, "seed": 0} for number in range(FOLDS)]
    summary = {
        "status": "complete",
        "score": 0.5,
        "data": {"root": str(root), "test_rows": TEST},
        "stages": {"fit": {"members": {member: {"jobs": jobs} for member in members}}},
    }
    (run / "summary.json").write_text(json.dumps(summary))
    return run, (table["label"][:ROWS] == "mel").to_numpy(float)[:, None], oof[:, :, :1], fold


@pytest.fixture(autouse=True)
def no_page(monkeypatch):
    """These run folders are not whole enough for a page."""
    monkeypatch.setattr("outfold.report.write_report", lambda folder, root=None: folder / "report.html")


def test_scores_gains_and_likeness_of_a_plain_mean(tmp_path, call):
    run, target, oof, _ = made_run(tmp_path)
    result = call(run, "--json", tmp_path / "found.json")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "found.json").read_text())
    assert found == json.loads((run / "diagnosis.json").read_text())
    assert [one["name"] for one in found["members"]] == ["fit/a", "fit/b", "fit/c"]
    assert found["blend"]["value"] == pytest.approx(AUC.function(target, oof.mean(axis=0)))
    for place, one in enumerate(found["members"]):
        assert one["score"]["value"] == pytest.approx(AUC.function(target, oof[place]))
        others = np.delete(oof, place, axis=0).mean(axis=0)
        assert one["gain"]["value"] == pytest.approx(found["blend"]["value"] - AUC.function(target, others))
        assert one["gain"]["low"] < one["gain"]["value"] < one["gain"]["high"]
    assert (found["method"], found["groups"], found["rows"], found["learning"]) == ("mean", 120, 360, None)
    assert found["notes"] == []
    for words in ("roc_auc on 360 rows in 120 groups", "all, by mean", "adds beyond chance", "rank correlation"):
        assert words in result.output
    assert "none differs between training and test rows" in result.output
    assert "nothing tells them apart" in result.output


def test_a_shift_of_one_member_is_found_in_all_its_outputs(tmp_path, call):
    run, *_ = made_run(tmp_path, shift=1.5)
    result = call(run)
    assert "members see the two tables differently" in result.output
    found = json.loads((run / "diagnosis.json").read_text())
    importance = [one["importance"] for one in found["members"]]
    assert np.argmax(importance) == 1
    assert [part["flagged"] > 0 for part in found["divergence"]] == [False, True, False]
    assert "fit/b" in result.output.split("by more than chance")[1]


def test_weights_by_fold_go_to_the_members_that_are_left(tmp_path, call):
    by_fold = [{"fold": k, "weights": {"fit/a": 0.6 - 0.2 * k, "fit/b": 0.2 * k, "fit/c": 0.4}} for k in range(FOLDS)]
    gain = {"value": 0.001, "low": -0.002, "high": 0.004, "probability": 0.8}
    record = {"method": "greedy", "weights": {"fit/a": 0.5, "fit/b": 0.1, "fit/c": 0.4}, "folds": by_fold}
    record |= {"in_sample": 0.91, "optimism": 0.01, "gain_over_mean": gain}
    run, target, oof, fold = made_run(tmp_path, blend=record)
    result = call(run)
    assert result.exit_code == 0, result.output
    found = json.loads((run / "diagnosis.json").read_text())
    weights = np.array([list(by_fold[k]["weights"].values()) for k in fold])
    blend = np.einsum("nm,mnk->nk", weights, oof)
    assert found["blend"]["value"] == pytest.approx(AUC.function(target, blend))
    without = weights[:, [0, 1]] / weights[:, [0, 1]].sum(axis=1, keepdims=True)
    left = AUC.function(target, np.einsum("nm,mnk->nk", without, oof[:2]))
    assert found["members"][2]["gain"]["value"] == pytest.approx(found["blend"]["value"] - left)
    assert [one["weight"] for one in found["members"]] == pytest.approx([0.4, 0.2, 0.4])
    assert found["learning"]["gain_over_mean"] == gain
    assert "learning the weights: +0.0010 (-0.0020 to +0.0040)" in result.output


def test_what_is_not_known_is_said(tmp_path, call):
    run, *_ = made_run(tmp_path, test_groups=False)
    assert "groups of the test rows are not known" in call(run).output
    for path in (run / "summary.json",):
        path.write_text(path.read_text().replace(f'"test_rows": {TEST}', '"test_rows": 0'))
    result = call(run)
    assert "the run has no test table" in result.output
    assert json.loads((run / "diagnosis.json").read_text())["adversarial"] is None


def test_one_member_cannot_be_diagnosed(tmp_path, call):
    run, *_ = made_run(tmp_path, members=("a",))
    error = call(run).exception
    assert isinstance(error, RunError)
    assert "give the stage several members" in str(error)
    (run / "summary.json").write_text(json.dumps({"status": "failed"}))
    assert "is not complete" in str(call(run).exception)
    assert "no run folder" in str(call(tmp_path / "elsewhere").exception)


def test_a_damaged_file_is_named(tmp_path, call):
    run, *_ = made_run(tmp_path)
    path = run / "stages" / "fit" / "b" / "fold1-seed0" / "oof.parquet"
    path.write_bytes(b"no parquet")
    assert str(path) in str(call(run).exception)


def test_ids_that_are_whole_numbers(tmp_path, call):
    run, *_ = made_run(tmp_path, ids="{}")
    result = call(run)
    assert result.exit_code == 0, result.output
    assert json.loads((run / "diagnosis.json").read_text())["groups"] == 120


def test_of_many_members_the_pairs_most_alike_are_listed(capsys):
    names = [f"fit/m{number}" for number in range(MOST_IN_MATRIX + 1)]
    likeness = np.full((len(names), len(names)), -0.5).tolist()
    likeness[1][0], likeness[2][0] = None, 0.0
    nothing = {"value": None, "low": None, "high": None}
    members = [{"name": name, "score": nothing, "gain": nothing, "weight": 0, "importance": None} for name in names]
    found = {"metric": "r2", "greater_is_better": True, "rows": 9, "groups": None, "method": "mean", "learning": None}
    found |= {"members": members, "blend": nothing, "rank_correlation": likeness, "notes": []}
    print_diagnosis(found | {"divergence": [None] * len(names), "adversarial": None}, Console(width=100))
    listed = capsys.readouterr().out.split("members most alike")[1]
    assert listed.index(" 0.000") < listed.index("-0.500")
