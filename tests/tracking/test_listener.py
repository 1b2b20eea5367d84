"""What trackers are told and when, whatever the tracker; and what happens when one fails."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from outfold.errors import RecipeError, RunError
from outfold.runs.check import check_recipe
from outfold.settings.recipe import Recipe
from outfold.tracking import TRACKING, listener, require_packages, tracking_listener
from outfold.tracking.figures import final_figures, finite_figures, parameters_of

HISTORY = "phase,epoch,train_loss,lr\nall,1,0.9,0.1\nall,2,0.8,0.1\n"


class Notebook:
    """Remembers what it is told; fails where it is asked to."""

    def __init__(self, fails: str = "") -> None:
        self.fails, self.told, self.files, self.known = fails, [], [], []

    def _note(self, what: str, *values: Any) -> None:
        if what == self.fails:
            raise ConnectionError("nobody answers")
        self.told.append((what, *values))

    def start(self, recipe: Recipe, folder: Path, known: str | None) -> str:
        self._note("start")
        self.known.append(known)
        return known or f"entry{len(self.known)}"

    def epoch(self, model: str, epoch: int, figures: Mapping[str, float]) -> None:
        self._note("epoch", model, epoch, dict(figures))

    def scores(self, figures: Mapping[str, float], files: Sequence[Path]) -> None:
        self._note("scores", dict(figures))
        self.files += files

    def finish(self, *, failed: bool) -> None:
        self._note("finish", failed)


@pytest.fixture
def finished_run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    model = folder / "stages" / "fit" / "a" / "fold0-seed0"
    model.mkdir(parents=True)
    (model / "history.csv").write_text(HISTORY)
    score = {"scores": {"f1": {"value": 0.5, "low": 0.4, "high": None}}}
    member = {"a": {**score, "jobs": [{"fold": 0, "seed": 0}]}}
    summary = {**score, "stages": {"fit": {**score, "members": member}, "answer": {"kind": "submit"}}}
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def listen(tiny_recipe: dict[str, Any], folder: Path, book: Notebook, *events: dict[str, Any]) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = []
    recipe = Recipe.model_validate({**tiny_recipe, "track": "mlflow"})
    told = listener.Listener(recipe, folder, book, said.append)
    for event in events:
        told(event)
    return said


PLANNED, FINISHED, FAILED = ({"event": name} for name in ("planned", "finished", "failed"))
EPOCH = {"event": "epoch", "job": "fit/a/fold0-seed0 fit", "phase": "all", "epoch": 2, "train_loss": 0.8, "auc": None}
OPENED = [{"event": "tracked", "to": "mlflow", "id": "entry1"}]


def test_epochs_told_live_and_those_of_before_at_the_end(tiny_recipe: dict[str, Any], finished_run: Path) -> None:
    book = Notebook()
    assert listen(tiny_recipe, finished_run, book, PLANNED, EPOCH, FINISHED) == OPENED
    figures = {"score/f1": 0.5, "score_low/f1": 0.4, "fit/oof/f1": 0.5, "fit/a/oof/f1": 0.5}
    assert book.told == [
        ("start",),
        ("epoch", "fit/a/fold0-seed0", 2, {"train_loss": 0.8}),
        ("epoch", "fit/a/fold0-seed0", 1, {"train_loss": 0.9, "lr": 0.1}),
        ("scores", figures),
        ("finish", False),
    ]
    assert [path.name for path in book.files] == ["recipe.yaml", "summary.json", "report.html"]


def test_the_same_recipe_goes_on_and_another_one_starts_anew(tiny_recipe: dict[str, Any], finished_run: Path) -> None:
    book = Notebook()
    listen(tiny_recipe, finished_run, book, PLANNED, EPOCH, FAILED)
    listen(tiny_recipe, finished_run, book, PLANNED, FINISHED)
    tiny_recipe["stages"]["fit"]["batch_size"] = 4
    listen(tiny_recipe, finished_run, book, PLANNED, FINISHED)
    assert book.known == [None, "entry1", None]
    epochs = [told[2] for told in book.told if told[0] == "epoch"]
    assert epochs == [2, 1, 1, 2]  # the new entry is told all
    assert [told[1] for told in book.told if told[0] == "finish"] == [True, False, False]


@pytest.mark.parametrize("fails", ["epoch", "scores", "finish"])
def test_a_tracker_that_fails_is_left_behind_and_said_once(
    fails: str, tiny_recipe: dict[str, Any], finished_run: Path
) -> None:
    said = listen(tiny_recipe, finished_run, Notebook(fails), PLANNED, EPOCH, EPOCH, FINISHED, FAILED)
    reason = "ConnectionError: nobody answers"
    assert said == [*OPENED, {"event": "tracker_failed", "to": "mlflow", "reason": reason}]


def test_a_tracker_that_cannot_be_opened_stops_before_training(tiny_recipe: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"mlflow cannot be opened: ConnectionError: nobody answers") as error:
        listen(tiny_recipe, tmp_path, Notebook("start"), PLANNED)
    assert "--set track=null" in str(error.value)
    assert not (tmp_path / TRACKING).exists()


def test_nothing_is_opened_for_a_run_that_never_had_a_plan(tiny_recipe: dict[str, Any], tmp_path: Path) -> None:
    book = Notebook()
    assert listen(tiny_recipe, tmp_path, book, {"event": "started"}, FAILED) == []
    assert book.told == []


def test_a_missing_package_is_named_with_what_installs_it(
    tiny_recipe: dict[str, Any], shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outfold.tracking.packages.find_spec", lambda name: None if name == "sqlalchemy" else object())
    recipe = Recipe.model_validate({**tiny_recipe, "track": {"to": "mlflow"}})
    with pytest.raises(RecipeError, match="no sqlalchemy") as error:
        tracking_listener(recipe, tmp_path, print)
    assert 'pip install "outfold[mlflow]"' in str(error.value)
    checked = check_recipe(recipe, shapes)
    assert "track: mlflow needs packages" in " ".join(finding.what for finding in checked.findings)
    assert not checked.ok
    require_packages(None)


def test_no_tracker_is_imported_without_being_asked_for() -> None:
    script = "import outfold.tracking, sys; print([m for m in ('mlflow', 'wandb', 'tensorboard') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_parameters_are_what_the_recipe_sets(tiny_recipe: dict[str, Any]) -> None:
    tiny_recipe |= {"track": "wandb", "profiles": {"small": {"fit.batch_size": 2}}}
    parameters = parameters_of(Recipe.model_validate(tiny_recipe))
    assert parameters["stages.answer.from"] == "fit"
    assert parameters["stages.fit.phases.0.name"] == "all"
    assert parameters["task.metrics"] == '["accuracy", "log_loss"]'
    assert parameters["stages.fit.members.a"] == "{}"
    assert parameters["folds.k"] == 3
    assert not [name for name in parameters if name.startswith(("track", "profiles"))]


def test_only_finite_numbers_are_figures() -> None:
    row = {"a": 1, "b": True, "c": float("nan"), "d": None, "e": "1", "f": float("inf"), "g": 0.5}
    assert finite_figures(row) == {"a": 1.0, "g": 0.5}
    assert final_figures({}) == {}
