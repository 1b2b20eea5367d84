"""What the page says about epochs that were chosen on the fold that is then scored."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from outfold.report import write_report

MakeRun = Callable[..., Path]


def page_with(run: Path, **stage: Any) -> str:
    recipe = json.loads((run / "recipe.yaml").read_text())
    recipe["stages"]["fit"] |= stage
    (run / "recipe.yaml").write_text(json.dumps(recipe))
    return write_report(run).read_text()


@pytest.mark.parametrize(
    ("keep", "says"),
    [
        ({}, "fit/b0: the best epoch is picked on the fold that is then scored"),
        ({"top": 3}, "fit/b0: the best epoch is picked on the fold that is then scored"),
        (
            {"best": ["valid_loss", "macro_f1"], "top": 3, "combine": "average"},
            "fit/b0: the epochs whose weights are averaged are picked on the fold that is then scored",
        ),
        ({"top": 3, "combine": "greedy_soup"}, "and then tried one by one, on the fold that is then scored"),
    ],
)
def test_epochs_chosen_on_the_scored_fold_are_told(make_run: MakeRun, keep: dict[str, Any], says: str) -> None:
    assert says in page_with(make_run(rows=40), keep=keep)


def test_the_last_epochs_flatter_nothing_and_a_plateau_does(make_run: MakeRun) -> None:
    run = make_run(rows=40)
    keep = {"best": "last", "top": 3, "combine": "average"}
    assert "flatters" not in page_with(run, keep=keep)
    phases = [{"name": "head", "epochs": 2}, {"name": "all", "epochs": 6, "schedule": "plateau"}]
    text = page_with(run, keep=keep, phases=phases)
    assert "fit/b0: the learning rate follows the loss of the fold that is then scored" in text


def test_the_epochs_of_a_mean_are_all_shown(make_run: MakeRun) -> None:
    run = make_run(rows=40, folds=2)
    dots = write_report(run).read_text().count("accent kept")
    summary = json.loads((run / "summary.json").read_text())
    for job in summary["stages"]["fit"]["members"]["b0"]["jobs"]:
        job["combined"] = {"how": "average", "epochs": [2, 5, 7], "batches": 0, "before": {}, "scores": {}}
    (run / "summary.json").write_text(json.dumps(summary))
    text = write_report(run).read_text()
    assert text.count("2, 5, 7 of 8") == 2
    assert text.count("accent kept") == dots > 0
