from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from outfold.cli import app
from outfold.cli.ablate import print_ablation
from outfold.errors import RecipeError
from outfold.metrics.comparison import Estimate
from outfold.metrics.paired import paired_t
from outfold.recipe.load import dump_recipe
from outfold.report.ablation import Ablation, Difference, Variant
from outfold.settings.recipe import Recipe


def test_help_says_what_a_file_holds() -> None:
    shown = CliRunner().invoke(app, ["ablate", "--help"]).output
    assert "--vary" in shown
    assert "variants: {name: {path: value}}" in " ".join(shown.replace("│", " ").split())


def test_wrong_names_are_refused_before_anything_runs(
    tiny_recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "recipe.yaml").write_text(dump_recipe(Recipe.model_validate(tiny_recipe)))
    (tmp_path / "vary.yaml").write_text("variants: {flips: {fit.augment: [hflip]}, wide: {fit.view.size: 48}}")
    monkeypatch.chdir(tmp_path)

    def error(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["ablate", "recipe.yaml", *arguments])
        assert isinstance(done.exception, RecipeError)
        return str(done.exception)

    assert "did you mean `flips`?" in error("--vary", "vary.yaml", "--only", "flip")
    assert "no file of variants nothing.yaml" in error("--vary", "nothing.yaml")
    assert "there is no file train.csv" in error("--vary", "vary.yaml", "--data", str(tmp_path))
    assert not (tmp_path / "runs").exists()


def test_the_table_and_what_is_noise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def difference(value: float, verdict: Any) -> Difference:
        pooled = Estimate(value, value - 0.01, value + 0.01)
        return Difference(
            90, 30, (0, 0), 0.8, 0.8 + value, {0: value, 1: value}, paired_t([value] * 2), pooled, verdict
        )

    ablation = Ablation(
        recipe="trial",
        description="",
        metric="roc_auc",
        greater_is_better=True,
        baseline=Variant("baseline", {}, score=0.8, by_fold={0: 0.7, 1: 0.9}, trained=2),
        variants=(
            Variant(
                "[red]", {}, score=0.7, difference=difference(-0.1, "worse"), notes=("with [brackets]",), trained=1
            ),
            Variant("same", {}, score=0.8, difference=difference(0.0, "noise")),
            Variant("odd", {}, problem="it broke"),
        ),
        level=0.95,
        each_level=0.975,
        resamples=2000,
    )
    print_ablation(ablation, tmp_path, Console(width=100))
    shown = capsys.readouterr().out
    for words in (
        "trial: roc_auc out of fold",
        "baseline  0.8000  0.8000 ± 0.1414",
        "[red]",
        "-0.1000  -0.1100 to -0.0900  worse",
        "+0.0000  -0.0100 to +0.0100  noise",
        "failed",
        "Worse than the baseline: [red]; noise: same.",
        "95% for all 2 together (Bonferroni)",
        "note: [red]: with [brackets]",
        "error: odd: it broke",
        "models trained  3",
        "ablation.html",
    ):
        assert words in shown, words
