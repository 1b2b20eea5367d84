"""`outfold compare` on small run folders and tables that are written here."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as sk
import typer
from click.testing import Result
from typer.testing import CliRunner

from outfold.cli.compare import compare
from outfold.data.targets import TargetCodec
from outfold.errors import OutfoldError
from outfold.metrics import get_metric, interval
from outfold.settings.task import Task

Call = Callable[..., Result]
MASSES = ("leaf", "stem", "all")
WEIGHTS = {"all": 0.5, "leaf": 0.2, "stem": 0.3}


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.command()(compare)
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


def write_run(folder: Path, task: dict[str, Any], oof: pd.DataFrame, group: pd.Series | None = None) -> Path:
    """A run folder with what a comparison reads; `oof` holds id, fold, truth and prediction columns."""
    folder.mkdir()
    recipe = {
        "name": "trial",
        "data": {"train": "train.csv", "id": "id", "image": {"path": "{id}.png"}},
        "task": task,
        "stages": {
            "fit": {"kind": "train", "members": {"a": {"backbone": "b"}}, "phases": [{"name": "a", "epochs": 1}]}
        },
    }
    codec = TargetCodec.fit(Task.model_validate(task), oof)
    (folder / "recipe.yaml").write_text(json.dumps(recipe))
    (folder / "summary.json").write_text(json.dumps({"status": "complete"}))
    (folder / "target.json").write_text(json.dumps(codec.to_dict()))
    oof.to_parquet(folder / "oof.parquet", index=False)
    folds = oof[["id", "fold"]] if group is None else oof[["id", "fold"]].assign(group=group)
    folds.to_csv(folder / "folds.csv", index=False)
    return folder


def masses(noise: float, seed: int = 0, n: int = 120) -> pd.DataFrame:
    """Rows with three masses and predictions that miss them by the noise; the truth does not depend on the seed."""
    truth = np.random.default_rng(99).gamma(2.0, 10.0, (n, 2))
    truth = np.column_stack([truth, truth.sum(axis=1)]).astype(np.float32)
    guess = truth + noise * np.random.default_rng(seed).normal(size=truth.shape)
    table = pd.DataFrame({"id": [f"[red]{row}" for row in range(n)], "fold": np.arange(n) % 4})
    table[list(MASSES)] = truth
    table[[f"pred_{name}" for name in MASSES]] = guess.astype(np.float32)
    return table


REGRESSION = {"kind": "regression", "target": list(MASSES), "metric": "weighted_r2", "target_weights": WEIGHTS}


def weighted_r2(table: pd.DataFrame, prefix: str = "pred_") -> float:
    truth, guess = (table[[f"{start}{name}" for name in MASSES]].to_numpy().ravel() for start in ("", prefix))
    return sk.r2_score(truth, guess, sample_weight=np.tile([WEIGHTS[name] for name in MASSES], len(table)))


def test_two_runs(call: Call, tmp_path: Path) -> None:
    worse, better = masses(8.0, 1), masses(2.0, 2)
    group = pd.Series(np.arange(120) // 4)
    write_run(tmp_path / "one", REGRESSION, worse, group)
    write_run(tmp_path / "two", REGRESSION, better, group)
    result = call("one", "two")
    assert result.exit_code == 0, result.output
    target, prediction = (worse[[start + name for name in MASSES]].to_numpy(np.float32) for start in ("", "pred_"))
    metric = get_metric("weighted_r2", "regression", [WEIGHTS[name] for name in MASSES])
    low, high = interval(metric, target, prediction, group.to_numpy())
    for words in (
        "A = one",
        "weights: leaf 0.2, stem 0.3, all 0.5",
        "weighted_r2 on 120 common rows in 30 groups",
        f"A       {weighted_r2(worse):.4f}    {low:.4f} to {high:.4f}",
        f"B - A  +{weighted_r2(better) - weighted_r2(worse):.4f}",
        "B is better with probability >0.99; chance alone rarely makes such a difference.",
        "simulated leaderboards of 120 rows, 36 of them public",
        "Public and private part put A and B in different order in 0% of them.",
    ):
        assert words in result.output, words
    assert "note" not in result.output
    assert "A is better with probability >0.99" in call("two", "one").output
    assert "A is better with probability >0.99" in call("two", "one", "--metric", "rmse").output
    assert "A and B score the same." in call("one", "one").output


def test_common_rows_only_in_any_order_and_other_folds(call: Call, tmp_path: Path) -> None:
    whole, part = masses(4.0, 1), masses(4.0, 2).iloc[::-1].iloc[:70].reset_index(drop=True)
    part["fold"] = (part["fold"] + (np.arange(70) < 10)) % 4
    write_run(tmp_path / "one", REGRESSION, whole.drop(index=[119]).reset_index(drop=True))
    write_run(tmp_path / "two", REGRESSION, part)
    result = call("one", "two")
    assert "note: 50 rows of A are not in the other" in result.output
    assert "note: 1 rows of B are not in the other" in result.output
    assert "note: 9 common rows are in another fold of B" in result.output
    assert "on 69 common rows\n" in result.output
    common = whole.iloc[50:119]
    assert f"A       {weighted_r2(common):.4f}" in result.output


def test_groups_of_either_run_are_kept_together(call: Call, tmp_path: Path) -> None:
    pairs, shifted = pd.Series(np.arange(120) // 2), pd.Series((np.arange(120) + 1) // 2)
    write_run(tmp_path / "one", REGRESSION, masses(4.0, 1), pairs)
    write_run(tmp_path / "two", REGRESSION, masses(4.0, 2), shifted.where(np.arange(120) < 60, -pairs))
    assert "on 120 common rows in 60 groups" in call("one", "one").output
    assert "on 120 common rows in 31 groups" in call("one", "two").output  # 60 rows linked in a chain, 30 pairs


def test_chosen_targets(call: Call, tmp_path: Path) -> None:
    table = masses(4.0, 1)
    write_run(tmp_path / "one", REGRESSION, table)
    fewer = {"kind": "regression", "target": ["all", "leaf"], "metric": "mae"}
    write_run(tmp_path / "two", fewer, masses(4.0, 2)[["id", "fold", "all", "leaf", "pred_all", "pred_leaf"]])
    result = call("one", "two", "--column", "leaf,all")
    assert "weights: leaf 0.2, all 0.5\n" in result.output
    expected = sk.mean_absolute_error(table[["leaf", "all"]], table[["pred_leaf", "pred_all"]])
    assert f"A       {expected:.4f}" in call("one", "two", "--column", "leaf,all", "--metric", "mae").output
    with pytest.raises(OutfoldError, match="predict different targets") as error:
        raise call("one", "two").exception
    assert "--column" in str(error.value)


def test_one_table_with_two_sets_of_predictions(call: Call) -> None:
    table = masses(4.0, 1).rename(columns={"id": "photo"})
    for name in MASSES:
        table[f"half_{name}"] = (table[name] + table[f"pred_{name}"]) / 2
    table["site"] = np.arange(120) // 10
    table.to_csv("oof.csv", index=False)
    arguments = ["oof.csv", "oof.csv", "--id", "photo", "--metric", "weighted_r2", "--prefix-b", "half_"]
    result = call(*arguments, "--group", "site", "--target-weights", "leaf=0.2, stem=0.3,all=0.5", "--teams", "50")
    assert result.exit_code == 0, result.output
    assert "B = oof.csv, columns half_*" in result.output
    assert f"B       {weighted_r2(table, 'half_'):.4f}" in result.output
    assert "note: 12 groups are few; intervals are too narrow" in result.output
    assert "50 models as good as A" in result.output
    assert "note: all targets count alike" in call(*arguments).output


def test_a_run_and_a_table_without_truth(call: Call, tmp_path: Path) -> None:
    write_run(tmp_path / "run", REGRESSION, masses(6.0, 1))
    better = masses(1.0, 2)
    better.drop(columns=["fold", *MASSES]).to_csv("other.csv", index=False)
    result = call("run", "other.csv")
    assert f"B       {weighted_r2(better):.4f}" in result.output
    assert "A is better with probability >0.99" in call("other.csv", "run").output


def labels(n: int = 90, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    crop = np.array(["oat", "rye", "wheat"], dtype=object)[np.arange(n) % 3]
    table = pd.DataFrame({"id": np.arange(n), "fold": np.arange(n) % 3, "crop": crop})
    chances = rng.dirichlet(np.ones(3), n) + 0.3 * (crop[:, None] == ["oat", "rye", "wheat"])
    table[["prob_oat", "prob_rye", "prob_wheat"]] = (chances / chances.sum(axis=1, keepdims=True)).astype(np.float32)
    return table


def test_classes_are_matched_by_name(call: Call, tmp_path: Path) -> None:
    task = {"kind": "multiclass", "target": "crop", "metric": "log_loss"}
    write_run(tmp_path / "one", task, labels())
    write_run(tmp_path / "two", {**task, "classes": ["wheat", "oat", "rye"]}, labels())
    assert "A and B score the same." in call("one", "two").output
    labels()[["id", "prob_wheat", "prob_rye", "prob_oat"]].to_csv("plain.csv", index=False)
    assert "A and B score the same." in call("one", "plain.csv").output
    labels().to_csv("truth.csv", index=False)
    table = labels()
    expected = sk.log_loss(table["crop"], table[["prob_oat", "prob_rye", "prob_wheat"]])
    result = call("truth.csv", "plain.csv", "--metric", "log_loss", "--column", "crop")
    assert f"A       {expected:.4f}" in result.output


@pytest.mark.parametrize("column", ["prob_1", "prob_sick"])
def test_a_binary_table(call: Call, column: str) -> None:
    rng = np.random.default_rng(0)
    sick = rng.integers(0, 2, 80)
    table = pd.DataFrame({"id": np.arange(80), "sick": sick, column: rng.random(80) + 0.3 * sick})
    table.to_csv("one.csv", index=False)
    table.assign(**{column: rng.random(80)}).to_csv("two.csv", index=False)
    result = call("one.csv", "two.csv", "--metric", "roc_auc", "--column", "sick")
    assert f"A       {sk.roc_auc_score(sick, table[column]):.4f}" in result.output, result.output


def test_several_labels(call: Call) -> None:
    rng = np.random.default_rng(0)
    target = (rng.random((80, 3)) < 0.4).astype(int)
    table = pd.DataFrame(target, columns=list("xyz"))
    table[["prob_x", "prob_y", "prob_z"]] = rng.random((80, 3)) + 0.3 * target
    table.insert(0, "id", np.arange(80))
    table.to_csv("one.csv", index=False)
    result = call("one.csv", "one.csv", "--metric", "macro_roc_auc")
    assert f"A       {sk.roc_auc_score(target, table[['prob_x', 'prob_y', 'prob_z']]):.4f}" in result.output


def changed(table: pd.DataFrame, **cells: object) -> pd.DataFrame:
    """The table with the values of row 3 replaced."""
    table = table.astype(dict.fromkeys(cells, object))
    for name, value in cells.items():
        table.loc[3, name] = value
    return table


@pytest.mark.parametrize(
    ("other", "options", "words"),
    [
        (changed(masses(1.0), leaf=3.5), [], r"different truths for 1 ids[\s\S]*\[red\]3: \["),
        (masses(1.0).assign(id=np.arange(120)), [], "have no row in common"),
        (changed(masses(1.0), pred_leaf=None), [], r"predictions that are no numbers: two\.csv:5"),
        (changed(masses(1.0), leaf="much"), [], r"target column 'leaf' are not usable: two\.csv:5"),
        (changed(masses(1.0), id="[red]2"), [], r"given twice in column 'id': two\.csv:5"),
        (masses(1.0).drop(columns="pred_leaf"), [], "no column 'pred_leaf'"),
        (masses(1.0), ["--column", "roots"], "does not predict roots"),
        (masses(1.0), ["--group", "sites"], "neither .* has a column 'sites'"),
        (masses(1.0).assign(site=np.nan), ["--group", "site"], r"120 rows have no group in 'site': two\.csv:2"),
        (masses(1.0), ["--metric", "roc_auc"], "does not fit a regression task"),
        (masses(1.0), ["--target-weights", "leaf=1"], "not for the targets"),
        (masses(1.0), ["--public", "1"], "would be empty"),
    ],
)
def test_what_does_not_fit_together(
    call: Call, tmp_path: Path, other: pd.DataFrame, options: list[str], words: str
) -> None:
    write_run(tmp_path / "one", REGRESSION, masses(2.0))
    other.to_csv("two.csv", index=False)
    with pytest.raises(OutfoldError, match=words):
        raise call("one", "two.csv", *options).exception


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "name a metric"),
        (["--metric", "rmsee"], "did you mean `rmse`"),
        (["--metric", "rmse", "--prefix-a", "guess_", "--prefix-b", "guess_"], "neither table holds the truth"),
    ],
)
def test_tables_that_do_not_say_what_they_are(call: Call, options: list[str], words: str) -> None:
    masses(2.0).to_csv("one.csv", index=False)
    with pytest.raises(OutfoldError, match=words):
        raise call("one.csv", "one.csv", *options).exception


def test_runs_that_do_not_fit_together(call: Call, tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", REGRESSION, masses(2.0))
    write_run(tmp_path / "two", {**REGRESSION, "target_weights": {**WEIGHTS, "all": 0.6}}, masses(2.0))
    write_run(tmp_path / "three", {"kind": "multiclass", "target": "crop", "metric": "log_loss"}, labels())
    with pytest.raises(OutfoldError, match="weigh their targets differently"):
        raise call("one", "two").exception
    assert call("one", "two", "--metric", "mae").exit_code == 0
    with pytest.raises(OutfoldError, match="is a regression task, but three a multiclass task"):
        raise call("one", "three").exception
    (one / "summary.json").write_text(json.dumps({"status": "failed"}))
    with pytest.raises(OutfoldError, match="not complete"):
        raise call("one", "two").exception


@pytest.mark.parametrize("weights", ["leaf", "leaf=much", "=0.5"])
def test_weights_that_cannot_be_read(call: Call, weights: str) -> None:
    result = call("one", "two", "--target-weights", weights)
    assert result.exit_code == 2
    assert "COL=W" in result.output
