import numpy as np
import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner

from outfold.cli.check import check

RECIPE = """
name: trial
data: {train: train.csv, id: id, image: {path: "{id}.png"}}
task: {kind: binary, target: label, metric: roc_auc}
folds: {k: 2}
stages:
  fit:
    kind: train
    batch_size: 4
    view: {size: 32}
    members: {a: {backbone: test_resnet}}
    phases: [{name: a, epochs: 1}]
profiles: {more: {folds.k: 4}}
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "train.csv").write_text("id,label\n" + "".join(f"[red]{i},{i % 2}\n" for i in range(30)))
    for i in range(30):
        pixels = np.random.default_rng(i).integers(0, 255, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"[red]{i}.png")
    app = typer.Typer()
    app.command()(check)

    def call(*arguments):
        environment = {"COLUMNS": "120"}
        return CliRunner().invoke(
            app, [str(tmp_path / "recipe.yaml"), "--data", str(tmp_path), "--no-estimate", *arguments], env=environment
        )

    return call


def test_sound_data_exits_with_0(run):
    result = run()
    assert result.exit_code == 0, result.output
    assert "ready to run. 0 errors" in result.output
    assert "2 folds of 15 to 15 rows" in result.output
    assert "3 folds of 10 to 10 rows" in run("--set", "folds.k=3").output
    assert "4 folds" in run("--profile", "more").output


def test_errors_exit_with_1_and_name_rows_and_files(run, tmp_path):
    for i in range(12):
        (tmp_path / f"[red]{i}.png").unlink()
    result = run()
    assert result.exit_code == 1
    for words in ("12 rows with a file that is missing", "train.csv:2 ", "[red]0.png", "and 2 more", "would stop"):
        assert words in result.output
    assert "[red]11.png" not in result.output
    assert "[red]11.png" in run("--all").output


def test_a_metric_that_does_not_fit(run):
    result = run("--set", "task.metric=macro_roc_auc")
    assert result.exit_code == 1
    assert "did you mean `roc_auc`" in result.output


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (["task.scores={ranked: {metric: log_loss, fold_ranks: true}}"], "log_loss of ranks has no meaning"),
        (["task.scores={late: {metric: macro_roc_auc}}"], "did you mean `roc_auc`"),
        (["task.scores={late: {where: year == 2020}}"], "no column 'year', needed as task.scores.late"),
        (["task.scores={late: {where: label == 7}}"], "no row meets `where`"),
        (["stages.mix={kind: blend, from: [fit, fit/a]}"], "stage 'mix' blends 'fit/a' twice"),
        (
            ["stages.mix={kind: blend, from: fit, method: rank_mean}", "task.metric=log_loss"],
            "gives ranks, but log_loss",
        ),
        (["folds.variants={new: {column: year}}", "fit.members.a.folds=new"], "no column 'year'"),
        (["folds.variants={new: {time: label}}", "fit.members.a.folds=new"], "2 different moments cannot make 2 folds"),
    ],
)
def test_what_a_run_would_refuse_is_no_ready_recipe(run, changes, says):
    result = run(*(part for change in changes for part in ("--set", change)))
    assert result.exit_code == 1, result.output
    assert says in " ".join(result.output.split())
    assert "1 error" in result.output


def test_variants_that_no_member_uses_are_not_looked_at(run):
    assert run("--set", "folds.variants={new: {column: year}}").exit_code == 0


def test_steps_that_do_not_fit_into_memory_are_a_finding(run, monkeypatch):
    class Greedy(torch.nn.Module):
        def forward(self, inputs):
            raise torch.OutOfMemoryError("CUDA out of memory")

    network = Greedy()
    network.layer = torch.nn.Linear(1, 1)
    monkeypatch.setattr("outfold.runs.estimate.build_network", lambda *_, **__: (network, None))
    result = run("--estimate", "--device", "cpu")
    assert result.exit_code == 1
    assert "memory ran out with batches of 8 at 32 x 32 pixels" in " ".join(result.output.split())


def test_what_the_run_would_cost(run):
    result = run("--estimate", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "estimate: 2 models in about" in result.output
    wrong = run("--estimate", "--set", "fit.members.a.backbone=test_resnett", "--device", "cpu")
    assert wrong.exit_code == 1
    assert "test_resnet" in wrong.output
