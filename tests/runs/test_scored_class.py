"""Runs judged by one class of several: members of other classes and folds, further scores, ranks within folds."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import roc_auc_score

import outfold
from outfold.errors import OutfoldError
from outfold.settings.recipe import Recipe


@pytest.fixture
def one_class_recipe(tiny_recipe: dict[str, Any]) -> dict[str, Any]:
    photos = {"path": "images/{photo}.png"}
    sources = {"train": {"table": "train.csv", "image": photos}, "test": {"table": "test.csv", "image": photos}}
    tiny_recipe["data"] = {**sources, "id": "photo"}  # media by source, as tables of several years have them
    tiny_recipe["task"] = {
        "kind": "multiclass",
        "target": "colour",
        "classes": ["blue", "green", "red"],
        "score_class": "red",
        "metric": "roc_auc",
        "scores": {
            "auc_amount": {"where": "colour == 'red'"},
            "auc_sites": {"where": {"site": [f"s{number}" for number in range(6)]}},
            "auc_ranks": {"fold_ranks": True},
        },
    }
    tiny_recipe["folds"] |= {"variants": {"other": {"seed": 3}, "unused": {"seed": 4}}}
    fit = tiny_recipe["stages"]["fit"]
    fit["phases"][0]["epochs"] = 2
    fit["predict"]["average"] = "probability"
    fit["members"] = {"three": {}, "two": {"merge_classes": {"blue": "green"}, "folds": "other"}}
    tiny_recipe["stages"]["answer"]["columns"] = {"colour": "target"}
    return tiny_recipe


@pytest.fixture(scope="module")
def finished(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, outfold.Run]:
    return {}


@pytest.fixture
def done(
    finished: dict[str, outfold.Run], one_class_recipe: dict[str, Any], shapes: Path, tmp_path_factory: Any
) -> outfold.Run:
    """One run for all tests of this file that only look at it."""
    if not finished:
        out = tmp_path_factory.mktemp("scored") / "run"
        finished["run"] = outfold.run(Recipe.model_validate(one_class_recipe), out, data=shapes, device="cpu")
    return finished["run"]


def test_one_column_of_probabilities_is_judged_as_a_binary_answer(done: outfold.Run) -> None:
    assert [name for name in done.oof.columns if name.startswith("prob_")] == ["prob_red"]
    assert done.score == pytest.approx(roc_auc_score(done.oof["colour"] == "red", done.oof["prob_red"]))
    assert (done.path / "report.html").exists()


def test_each_member_keeps_its_own_classes_and_folds(done: outfold.Run) -> None:
    stage = done.path / "stages" / "fit"
    three = pd.concat([pd.read_parquet(path) for path in sorted(stage.glob("three/*/oof.parquet"))])
    two = pd.concat([pd.read_parquet(path) for path in sorted(stage.glob("two/*/oof.parquet"))])
    assert list(three.columns) == ["id", "blue", "green", "red"]
    assert list(two.columns) == ["id", "green", "red"]
    for table in (three, two):
        assert_allclose(table.drop(columns="id").sum(axis=1), 1, atol=1e-5)
    mean = (three.set_index("id")["red"] + two.set_index("id")["red"]) / 2
    assert_allclose(done.oof["prob_red"], mean.loc[done.oof["id"]], rtol=1e-5)


def test_no_group_crosses_the_folds_of_any_assignment(done: outfold.Run, shapes: Path) -> None:
    site = pd.read_csv(shapes / "train.csv").set_index("photo")["site"]
    own, other = (pd.read_csv(done.path / name).set_index("id")["fold"] for name in ("folds.csv", "folds-other.csv"))
    assert (own != other).any()
    for member, fold in (("three", own), ("two", other)):
        assert (fold.groupby(site.loc[fold.index].to_numpy()).nunique() == 1).all()
        for number in range(3):
            predicted = pd.read_parquet(done.path / f"stages/fit/{member}/fold{number}-seed0/oof.parquet")["id"]
            assert set(predicted) == set(fold.index[fold == number])


def test_only_assignments_that_members_use_are_made(done: outfold.Run) -> None:
    assert sorted(path.name for path in done.path.glob("folds*.csv")) == ["folds-other.csv", "folds.csv"]


def test_the_classes_that_a_member_merges_are_learned_as_one(done: outfold.Run) -> None:
    target = json.loads((done.path / "target.json").read_text())
    assert target["classes"] == ["not red", "red"]
    assert target["learned"]["classes"] == ["blue", "green", "red"]


def test_further_scores_look_at_their_rows_and_at_ranks_within_folds(done: outfold.Run, shapes: Path) -> None:
    scores, oof = done.summary["scores"], done.oof
    truth = (oof["colour"] == "red").to_numpy()
    sites = pd.read_csv(shapes / "train.csv").set_index("photo")["site"].loc[oof["id"]]
    some = sites.isin([f"s{number}" for number in range(6)]).to_numpy()
    assert scores["auc_sites"]["value"] == pytest.approx(roc_auc_score(truth[some], oof["prob_red"][some]))
    ranks = oof.groupby("fold")["prob_red"].rank(pct=True)
    assert scores["auc_ranks"]["value"] == pytest.approx(roc_auc_score(truth, ranks))
    assert scores["auc_amount"]["value"] is None  # all of these rows are red
    by_fold = done.summary["stages"]["fit"]["folds"]
    assert {"roc_auc", "auc_sites", "auc_ranks"} <= set(by_fold[0]["scores"])
    own = pd.read_csv(done.path / "folds-other.csv").set_index("id")["fold"]
    tables = [pd.read_parquet(path) for path in sorted((done.path / "stages/fit/two").glob("*/oof.parquet"))]
    two = pd.concat(tables).set_index("id")["red"].loc[oof["id"]]
    ranks = two.groupby(own.loc[two.index].to_numpy()).rank(pct=True)
    member = done.summary["stages"]["fit"]["members"]["two"]["scores"]["auc_ranks"]["value"]
    assert member == pytest.approx(roc_auc_score(truth, ranks))


def test_the_submission_has_one_probability_a_row(done: outfold.Run) -> None:
    submission = pd.read_csv(done.path / "submission.csv")
    assert list(submission.columns) == ["photo", "target"]
    assert_allclose(submission["target"], done.predictions["prob_red"], rtol=1e-6)


def test_rows_that_come_later_are_predicted_as_the_test_table_was(done: outfold.Run, shapes: Path) -> None:
    later = done.predict(shapes / "test.csv")
    assert set(later["colour"]) <= {"red", "not red"}
    assert_allclose(later["prob_red"], done.predictions["prob_red"], rtol=1e-5)


def test_the_audit_of_such_a_run_can_be_repeated(done: outfold.Run, shapes: Path) -> None:
    from outfold.runs.audit import audit_run

    findings = audit_run(done.path, root=shapes)
    assert not [finding for finding in findings if finding.level == "error"]


@pytest.fixture
def rank_recipe(one_class_recipe: dict[str, Any]) -> dict[str, Any]:
    stages = one_class_recipe["stages"]
    stages["fit"]["phases"][0]["epochs"] = 1
    stages["ensemble"] = {"kind": "blend", "from": "fit", "method": "rank_mean"}
    stages["answer"] = {**stages.pop("answer"), "from": "ensemble"}
    return one_class_recipe


@pytest.mark.slow
def test_ranks_are_never_taken_for_probabilities(rank_recipe: dict[str, Any], shapes: Path, tmp_path: Path) -> None:
    run = outfold.run(Recipe.model_validate(rank_recipe), tmp_path / "run", data=shapes, device="cpu")
    assert "rank_red" in run.oof.columns and "prob_red" not in run.oof.columns
    assert list(run.predict(shapes / "test.csv").columns) == ["photo", "rank_red"]
    page = (run.path / "report.html").read_text()
    assert "no threshold makes labels of them" in page
    assert "Calibration" not in page and "positive from 0.5 on" not in page


def test_no_label_and_no_mean_of_probabilities_comes_of_ranks(rank_recipe: dict[str, Any]) -> None:
    stages = rank_recipe["stages"]
    stages["answer"]["format"] = "label"
    with pytest.raises(ValueError, match="no rank says a label"):
        Recipe.model_validate(rank_recipe)
    stages["answer"]["format"] = "auto"
    answer = stages.pop("answer")
    stages["more"] = {"kind": "blend", "from": ["ensemble", "fit"], "method": "mean"}
    with pytest.raises(ValueError, match="only `method: rank_mean` can blend"):
        Recipe.model_validate({**rank_recipe, "stages": {**stages, "answer": answer}})


def test_ranks_of_a_score_that_looks_at_more_than_the_order_are_refused(
    one_class_recipe: dict[str, Any], shapes: Path, tmp_path: Path
) -> None:
    one_class_recipe["task"]["scores"] = {"loss": {"metric": "log_loss", "fold_ranks": True}}
    with pytest.raises(OutfoldError, match="log_loss of ranks has no meaning"):
        outfold.run(Recipe.model_validate(one_class_recipe), tmp_path / "run", data=shapes, device="cpu")


def test_a_score_of_no_row_is_refused_before_anything_is_trained(
    one_class_recipe: dict[str, Any], shapes: Path, tmp_path: Path
) -> None:
    one_class_recipe["task"]["scores"] = {"nowhere": {"where": {"site": "s99"}}}
    with pytest.raises(OutfoldError, match="no row meets"):
        outfold.run(Recipe.model_validate(one_class_recipe), tmp_path / "run", data=shapes, device="cpu")
    assert not (tmp_path / "run" / "stages").exists()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"merge_classes": {"red": "green"}}, "must leave the scored class 'red' alone"),
        ({"merge_classes": {"pink": "green"}}, "not among task.classes"),
        ({"merge_classes": {"blue": "green", "green": "blue"}}, "itself merged"),
        ({"folds": "missing"}, "folds.variants has no 'missing'"),
    ],
)
def test_members_that_cannot_be_are_refused(
    one_class_recipe: dict[str, Any], change: dict[str, Any], complaint: str
) -> None:
    one_class_recipe["stages"]["fit"]["members"]["two"] = change
    with pytest.raises(ValueError, match=complaint):
        Recipe.model_validate(one_class_recipe)


@pytest.mark.parametrize("fixed", [{"k": 4}, {"group": "other"}, {"only": [0]}])
def test_variants_share_groups_and_number_of_folds(one_class_recipe: dict[str, Any], fixed: dict[str, Any]) -> None:
    one_class_recipe["folds"]["variants"] = {"other": fixed}
    with pytest.raises(ValueError, match="all variants share it"):
        Recipe.model_validate(one_class_recipe)


def test_ranks_within_folds_do_not_depend_on_the_folds_scales() -> None:
    from outfold.ensemble.ranks import fold_ranks

    generator = np.random.default_rng(0)
    fold = generator.integers(0, 3, 60)
    values = generator.random((60, 2))
    scaled = values * (1 + fold[:, None]) + 10 * fold[:, None]
    assert_allclose(fold_ranks(values, fold), fold_ranks(scaled, fold))
    expected = pd.DataFrame(values).groupby(fold).rank(pct=True).to_numpy()
    assert_allclose(fold_ranks(values, fold), expected)


def test_members_that_share_a_fold_variant_are_judged_by_its_folds(
    one_class_recipe: dict[str, Any], shapes: Path, tmp_path: Path
) -> None:
    fit = one_class_recipe["stages"]["fit"]
    fit["members"] = {"one": {"folds": "other"}}
    fit["phases"][0]["epochs"] = 1
    run = outfold.run(Recipe.model_validate(one_class_recipe), tmp_path / "run", data=shapes, device="cpu")
    stage = run.summary["stages"]["fit"]
    assert stage["scores"] == stage["members"]["one"]["scores"]
    folds = pd.read_csv(tmp_path / "run" / "folds-other.csv").set_index("id")["fold"]
    own = pd.read_csv(tmp_path / "run" / "folds.csv").set_index("id")["fold"]
    assert run.oof["fold"].tolist() == folds[run.oof["id"]].tolist() != own[run.oof["id"]].tolist()
    assert [fold["rows"] for fold in stage["folds"]] == folds.value_counts().sort_index().tolist()
    jobs = stage["members"]["one"]["jobs"]
    assert [fold["score"] for fold in stage["folds"]] == pytest.approx([job["score"] for job in jobs])
