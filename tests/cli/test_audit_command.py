import json

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from outfold.cli.audit import audit
from outfold.data.findings import Finding
from outfold.data.targets import TargetCodec
from outfold.settings.task import Task

RECIPE = """
name: trial
data: {train: train.csv, id: id, image: {path: "{id}.bin"}}
task: {kind: binary, target: label, metric: roc_auc}
folds: {column: fold, group: patient}
stages:
  fit:
    kind: train
    members: {a: {backbone: test_resnet}}
    phases: [{name: a, epochs: 1}]
profiles: {loose: {folds.group: []}}
"""


@pytest.fixture
def folder(tmp_path):
    """Sixty files, two a patient; folds keep patients whole."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"id": [f"[red]{row}" for row in range(60)], "label": rng.integers(0, 2, 60)})
    table["patient"] = [f"p{row // 2}" for row in range(60)]
    table["fold"] = np.arange(60) // 2 % 3
    for name in table["id"]:
        (tmp_path / f"{name}.bin").write_bytes(rng.bytes(40))
    table.to_csv(tmp_path / "train.csv", index=False)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return tmp_path


@pytest.fixture
def call():
    app = typer.Typer()
    app.command()(audit)

    def run(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "140"})

    return run


def tear(folder):
    table = pd.read_csv(folder / "train.csv")
    table.loc[0, "fold"] = 2
    table.to_csv(folder / "train.csv", index=False)


def test_clean_folds_exit_with_0(folder, call):
    result = call(folder / "recipe.yaml", "--data", folder)
    assert result.exit_code == 0, result.output
    assert result.output.strip() == "trial: nothing that spoils a score. 0 errors, 0 warnings."


def test_a_torn_group_exits_with_1_and_goes_into_json(folder, call):
    tear(folder)
    result = call(folder / "recipe.yaml", "--data", folder, "--json", folder / "found.json")
    assert result.exit_code == 1
    for words in (
        "in several folds: p0",
        "how bad: 2 judged rows of 60",
        "[red]0  patient p0",
        "do: make the folds",
    ):
        assert words in result.output
    stored = json.loads((folder / "found.json").read_text())
    assert stored["subject"] == "trial"
    (finding,) = [Finding.from_dict(values) for values in stored["findings"]]
    assert (finding.rule, len(finding.places)) == ("group-across-folds", 2)
    assert call(folder / "recipe.yaml", "--data", folder, "--profile", "loose").exit_code == 0


def test_files_that_cannot_be_read_are_named(folder, call):
    (folder / "[red]7.bin").unlink()
    result = call(folder / "recipe.yaml", "--data", folder)
    assert result.exit_code == 1
    assert "1 row left out of the audit" in result.output
    dropped = call(folder / "recipe.yaml", "--data", folder, "--set", "data.on_bad_media=drop")
    assert dropped.exit_code == 0


def made_run(folder, probability):
    """A run folder as far as the audit reads it."""
    run = folder / "run"
    run.mkdir()
    table = pd.read_csv(folder / "train.csv")
    codec = TargetCodec.fit(Task(kind="binary", target="label", metric="roc_auc"), table)
    (run / "recipe.yaml").write_text(RECIPE)
    (run / "target.json").write_text(json.dumps(codec.to_dict()))
    (run / "summary.json").write_text(json.dumps({"status": "complete", "data": {"root": str(folder)}}))
    table[["id", "fold"]].to_csv(run / "folds.csv", index=False)
    oof = table[["id", "fold", "label"]].assign(prob_1=np.float32(probability))
    oof.sample(frac=1, random_state=0).to_parquet(run / "oof.parquet", index=False)
    return run


def test_a_run_is_audited_with_its_predictions(folder, call):
    rng = np.random.default_rng(0)
    label = pd.read_csv(folder / "train.csv")["label"].to_numpy()
    run = made_run(folder, 1 / (1 + np.exp(-(4 * label - 2 + rng.normal(size=60)))))
    assert call(run).exit_code == 0
    oof = pd.read_parquet(run / "oof.parquet").assign(prob_1=np.float32(0))
    oof.to_parquet(run / "oof.parquet", index=False)
    result = call(run)
    assert result.exit_code == 1
    assert "out-of-fold predictions are all zero in `1`" in result.output


def test_the_folds_of_a_run_are_the_ones_it_used(folder, call):
    run = made_run(folder, np.linspace(0, 1, 60))
    folds = pd.read_csv(run / "folds.csv")
    folds.loc[0, "fold"] = 2
    folds.to_csv(run / "folds.csv", index=False)
    result = call(run)
    assert result.exit_code == 1
    assert "in several folds: p0" in result.output


def test_a_run_takes_no_overrides(folder, call):
    run = made_run(folder, np.linspace(0, 1, 60))
    assert "whose recipe is settled" in str(call(run, "--set", "folds.k=3").exception)


PASTURE = """
name: pasture
data: {train: train_with_published_folds.csv, id: ID}
task: {kind: regression, target: Dry_Total_g, metric: r2}
folds: {column: fold, group: Sampling_Date, stratify: State}
stages:
  fit:
    kind: train
    members: {a: {backbone: test_resnet}}
    phases: [{name: a, epochs: 1}]
"""


def test_published_folds_are_judged_by_the_strata_that_the_recipe_names(shared_data, tmp_path):
    (tmp_path / "recipe.yaml").write_text(PASTURE)
    app = typer.Typer()
    app.command()(audit)
    result = CliRunner().invoke(app, [str(tmp_path / "recipe.yaml"), "--data", str(shared_data("csiro"))])
    assert "no more even than random ones" in result.output
    assert "imbalance of strata 0.508" in result.output
