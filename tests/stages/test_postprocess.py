"""Postprocess stages in a small run: what they learn on which rows, and the same for later rows."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pydantic import ValidationError

import outfold
from outfold.inference.learned_steps import learn
from outfold.inference.postprocess import apply
from outfold.metrics import metric_of
from outfold.settings.postprocess import Step
from outfold.settings.recipe import Recipe

TARGETS = ["amount", "number", "total"]
STEPS: list[dict[str, Any]] = [
    {"multiply": {"amount": "fit", "number": 0.5}},
    {"zero_below": {"number": "fit"}},
    {"sum": "identities"},
]


def recipe_of(**stages: Any) -> dict[str, Any]:
    return {
        "name": "tiny",
        "data": {"train": "train.csv", "test": "test.csv", "id": "photo", "image": {"path": "images/{photo}.png"}},
        "task": {
            "kind": "regression",
            "target": TARGETS,
            "metric": "weighted_r2",
            "target_weights": {"amount": 0.2, "number": 0.3, "total": 0.5},
            "identities": {"total": ["amount", "number"]},
        },
        "folds": {"k": 3, "group": "site"},
        "stages": {
            "fit": {
                "kind": "train",
                "backbone": "test_efficientnet",
                "weights": "none",
                "view": {"size": 32, "resize": "squash"},
                "batch_size": 24,
                "phases": [{"name": "all", "epochs": 1, "lr": 3e-3}],
                "members": {"a": {}, "b": {"batch_size": 12}},
            },
            **stages,
        },
    }


LEARNED = {"kind": "postprocess", "from": "fit", "steps": STEPS}
GIVEN = {"kind": "postprocess", "from": "fit/a", "steps": [{"multiply": {"amount": 2}}, {"clip": {"max": 40}}]}
BLEND = {"kind": "blend", "from": ["learned", "given"]}
AGAIN = {"kind": "postprocess", "from": "both", "steps": [{"zero_below": "fit"}]}
ANSWER = {"kind": "submit", "from": "again"}
ALL = {"learned": LEARNED, "given": GIVEN, "both": BLEND, "again": AGAIN, "answer": ANSWER}


@pytest.fixture(scope="module")
def root(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sums") / "data"
    shutil.copytree(shapes, root)
    train = pd.read_csv(root / "train.csv")
    train["number"] = 5.0 * train["is_red"]
    train.assign(total=train["amount"] + train["number"]).to_csv(root / "train.csv", index=False)
    return root


@pytest.fixture(scope="module")
def done(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two members, steps with learned and with given numbers, a blend of both, and steps after that."""
    out = tmp_path_factory.mktemp("steps") / "run"
    recipe = recipe_of(**ALL)
    outfold.run(Recipe.model_validate(recipe), out, data=root, device="cpu")
    return out


def answer_of(done: Path, root: Path, out: Path, **stages: Any) -> outfold.Run:
    """The same run with other last stages; the models are there already."""
    shutil.copytree(done, out)
    return outfold.run(Recipe.model_validate(recipe_of(**stages)), out, data=root, device="cpu")


@pytest.fixture(scope="module")
def plain(done: Path, root: Path, tmp_path_factory: pytest.TempPathFactory) -> outfold.Run:
    return answer_of(done, root, tmp_path_factory.mktemp("plain") / "run")


@pytest.fixture(scope="module")
def learned(done: Path, root: Path, tmp_path_factory: pytest.TempPathFactory) -> outfold.Run:
    return answer_of(done, root, tmp_path_factory.mktemp("learned") / "run", learned=LEARNED)


def values_of(table: pd.DataFrame) -> np.ndarray:
    return table[[f"pred_{name}" for name in TARGETS]].to_numpy(np.float32)


def record_of(done: Path, stage: str) -> dict[str, Any]:
    return json.loads((done / "summary.json").read_text())["stages"][stage]["postprocess"]


def test_each_fold_is_changed_by_numbers_learned_on_the_others(
    done: Path, plain: outfold.Run, learned: outfold.Run
) -> None:
    before, after = plain.oof, learned.oof
    record, task = record_of(done, "learned"), Recipe.model_validate(recipe_of()).task
    steps, metric = [Step.model_validate(step) for step in STEPS], metric_of(task)
    truth, values = before[TARGETS].to_numpy(np.float32), values_of(before)
    assert before["id"].tolist() == after["id"].tolist()
    assert [fold["fold"] for fold in record["folds"]] == [0, 1, 2]
    for fold in record["folds"]:
        rows = (before["fold"] == fold["fold"]).to_numpy()
        assert fold["learned_on"] == (~rows).sum()
        expected = learn(values[~rows], truth[~rows], steps, task, metric)
        assert [Step.model_validate(step) for step in fold["steps"]] == expected
        assert_allclose(values_of(after)[rows], apply(values[rows], expected, task), rtol=1e-6)
    amounts = [fold["steps"][0]["multiply"]["amount"] for fold in record["folds"]]
    assert len(set(amounts)) == 3
    everything = learn(values, truth, steps, task, metric)
    assert [Step.model_validate(step) for step in record["steps"]] == everything
    scores = record["scores"]
    assert scores["before"] == pytest.approx(metric.function(truth, values))
    assert scores["after"] == pytest.approx(metric.function(truth, values_of(after)))
    assert scores["gain"]["value"] == pytest.approx(scores["after"] - scores["before"])
    assert scores["in_sample"] == pytest.approx(metric.function(truth, apply(values, everything, task)))
    assert scores["optimism"] == pytest.approx(scores["in_sample"] - scores["after"])


def test_given_numbers_of_one_member(done: Path, root: Path, tmp_path: Path) -> None:
    run = answer_of(done, root, tmp_path / "run", given=GIVEN)
    assert record_of(done, "given")["steps"] == GIVEN["steps"]
    assert "folds" not in record_of(done, "given")
    assert "in_sample" not in record_of(done, "given")
    for fold in range(3):
        member = pd.read_parquet(done / "stages" / "fit" / "a" / f"fold{fold}-seed0" / "oof.parquet")
        expected = member[TARGETS].to_numpy() * [2, 1, 1]
        got = run.oof.set_index("id").loc[member["id"], [f"pred_{name}" for name in TARGETS]]
        assert_allclose(got, np.minimum(expected, 40), rtol=1e-6)


def test_sums_hold_and_are_reported(plain: outfold.Run, learned: outfold.Run) -> None:
    stages = learned.summary["stages"]
    assert stages["learned"]["identities"]["total"]["largest"] < 1e-5
    assert stages["learned"]["identities"]["total"]["parts"] == ["amount", "number"]
    values = values_of(plain.oof).astype(float)
    off = np.abs(values[:, 2] - values[:, 0] - values[:, 1])
    assert stages["fit"]["identities"]["total"]["mean"] == pytest.approx(off.mean())
    assert stages["fit"]["identities"]["total"]["largest"] == pytest.approx(off.max())
    page = (learned.path / "report.html").read_text()
    assert "total = amount + number" in page
    assert "Post-processing" in page


def test_test_rows_and_later_rows_are_changed_by_what_all_rows_taught(
    done: Path, root: Path, plain: outfold.Run
) -> None:
    assert plain.predictions is not None
    steps = [Step.model_validate(step) for step in record_of(done, "learned")["steps"]]
    changed = apply(values_of(plain.predictions), steps, plain.recipe.task)
    table = pd.read_parquet(done / "stages" / "learned" / "test.parquet")
    assert_allclose(table[TARGETS], changed, rtol=1e-6)
    run = outfold.load_run(done)
    later = run.predict(root / "test.csv", device="cpu")
    submitted = pd.read_csv(done / "submission.csv")
    assert later["photo"].tolist() == submitted["photo"].tolist()
    assert_allclose(later[TARGETS], submitted[TARGETS], rtol=1e-5)


@pytest.mark.slow
def test_numbers_stay_until_what_they_depend_on_changes(done: Path, root: Path, tmp_path: Path) -> None:
    def jobs(change: dict[str, Any]) -> list[str]:
        recipe = recipe_of(**ALL)
        recipe["stages"] |= change.get("stages", {})
        recipe["task"] |= change.get("task", {})
        events: list[dict[str, Any]] = []
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        shutil.copytree(done, folder)
        outfold.run(Recipe.model_validate(recipe), folder, data=root, device="cpu", emit=events.append)
        return [event["job"] for event in events if event["event"] == "job"]

    assert jobs({}) == []
    other = {**GIVEN, "steps": [{"clip": {"min": 0}}]}
    chain = ["both weights", "both test", "again values", "again test", "answer file"]
    assert jobs({"stages": {"given": other}}) == ["given values", "given test", *chain]
    assert jobs({"stages": {"again": {**AGAIN, "steps": [{"zero_below": 0.5}]}}}) == chain[2:]


def test_a_killed_test_job_is_done_again(done: Path, root: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(done, out)
    (out / "stages" / "learned" / "test.parquet").unlink()
    recipe = recipe_of(**ALL)
    events: list[dict[str, Any]] = []
    outfold.run(Recipe.model_validate(recipe), out, data=root, device="cpu", emit=events.append)
    assert [event["job"] for event in events if event["event"] == "job"] == ["learned test"]
    one, other = (pd.read_parquet(folder / "stages" / "learned" / "test.parquet") for folder in (done, out))
    assert_array_equal(one[TARGETS], other[TARGETS])


def test_learned_numbers_are_part_of_the_lineage(done: Path, root: Path) -> None:
    import torch

    from outfold.runs.lineage import lineage
    from outfold.runs.prepare import load_dataset
    from outfold.stages.base import Compute

    recipe = outfold.load_run(done).recipe
    dataset = load_dataset(recipe, root, Compute(torch.device("cpu")))
    found = [one for one in lineage(recipe, dataset, done) if one.kind == "post-processing"]
    assert [one.name for one in found] == [
        f"{stage}/values/fold{fold}" for stage in ("learned", "again") for fold in range(3)
    ]
    everything = frozenset(map(str, dataset.train.samples.ids))
    for one in found:
        assert one.fitted_on is not None
        assert not one.fitted_on & one.judged_on
        assert one.fitted_on | one.judged_on == everything


def test_the_members_behind_the_steps_are_diagnosed(learned: outfold.Run) -> None:
    found = json.loads((learned.path / "diagnosis.json").read_text())
    assert [one["name"] for one in found["members"]] == ["fit/a", "fit/b"]
    assert "the answer is 'fit' after post-processing; its members are compared before that" in found["notes"]


@pytest.mark.parametrize(
    ("stages", "told"),
    [
        ({"post": {**GIVEN, "from": "fit/c"}}, "'fit' has no member 'c'"),
        ({"post": {**GIVEN, "from": "later"}}, "reads from 'later'"),
        ({"post": {**GIVEN, "steps": [{"multiply": {"straw": 2}}]}}, "stage 'post': 'straw' of step `multiply`"),
        ({"out": {"kind": "submit", "from": "fit"}, "post": {**GIVEN, "from": "out"}}, "'out' makes no predictions"),
        (
            {
                "tuned": {
                    "kind": "adapt",
                    "from": "fit",
                    "labels": "fit",
                    "phases": [{"name": "all", "epochs": 1, "lr": 1e-3}],
                    "out_of_fold": False,
                },
                "post": {**LEARNED, "from": "tuned"},
            },
            "'tuned' predicts nothing out of fold to learn from",
        ),
    ],
)
def test_stages_that_cannot_be(stages: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Recipe.model_validate(recipe_of(**stages))
