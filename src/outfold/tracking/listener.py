"""Turns a run's events into what a tracker is told, and keeps a failing tracker from stopping the run."""

import hashlib
import json
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

from outfold.errors import RunError
from outfold.files import read_json, write_json
from outfold.run_folder import RECIPE, REPORT, SUMMARY, model_folder, read_summary
from outfold.settings.recipe import Recipe
from outfold.tracking.figures import final_figures, finite_figures, parameters_of
from outfold.tracking.packages import TRACKERS, require_packages
from outfold.tracking.tracker import Tracker

Event = dict[str, Any]
Emit = Callable[[Event], None]

TRACKING = "tracking.json"
"""File of the run folder: which entry of the tracker is this run's, and which epochs it was told."""
HIDDEN = ("event", "job", "phase", "epoch")
"""Columns of a history that are no figures."""


def tracking_listener(recipe: Recipe, folder: Path, say: Emit) -> Emit:
    """A listener of the run's events that tells the recipe's tracker; one that does nothing where there is none.

    Args:
        recipe: the effective recipe.
        folder: the run folder.
        say: is told {"event": "tracked", "to", "id"} and, at most once, {"event": "tracker_failed", "to", "reason"}.

    Raises:
        RecipeError: the tracker's packages are not installed.
    """
    if recipe.track is None:
        return lambda event: None
    require_packages(recipe.track)
    tracker: Tracker = import_module(TRACKERS[recipe.track.to].module).Book()
    return Listener(recipe, folder.resolve(), tracker, say)


class Listener:
    """Tells one tracker of one run.

    The tracker starts when the plan stands, so that recipes and tables that cannot work leave no entry behind.
    """

    def __init__(self, recipe: Recipe, folder: Path, tracker: Tracker, say: Emit) -> None:
        assert recipe.track is not None
        self.recipe, self.folder, self.say, self.to = recipe, folder, say, recipe.track.to
        self.tracker = tracker
        self.listening = False
        self.record: dict[str, Any] = {}

    def __call__(self, event: Event) -> None:
        """Tell the tracker of one event.

        Raises:
            RunError: the tracker cannot be opened; nothing was trained yet.
        """
        if event["event"] == "planned":
            self._start()
        elif self.listening and event["event"] in ("epoch", "finished", "failed"):
            try:
                getattr(self, f"_{event['event']}")(event)
            except Exception as error:  # whatever a tracker raises, the training is worth more than its record
                self.listening = False
                self.say({"event": "tracker_failed", "to": self.to, "reason": f"{type(error).__name__}: {error}"})

    def _start(self) -> None:
        parameters = json.dumps([parameters_of(self.recipe), self._settings()], sort_keys=True)
        mark = hashlib.blake2b(parameters.encode(), digest_size=8).hexdigest()
        path = self.folder / TRACKING
        kept = read_json(path) if path.exists() else {}
        known = kept if kept.get("recipe") == mark else {}
        try:
            entry = self.tracker.start(self.recipe, self.folder, known.get("id"))
        except Exception as error:
            raise RunError(
                f"{self.to} cannot be opened: {type(error).__name__}: {error}",
                fix="mend `track`, or run without a tracker: --set track=null",
            ) from error
        self.listening = True
        self.record = {"to": self.to, "id": entry, "recipe": mark, "epochs": {}}
        if entry == known.get("id"):
            self.record["epochs"] = known["epochs"]
        write_json(path, self.record)
        self.say({"event": "tracked", "to": self.to, "id": entry})

    def _settings(self) -> dict[str, Any]:
        assert self.recipe.track is not None
        return self.recipe.track.model_dump(mode="json")

    def _epoch(self, event: Event) -> None:
        self._tell(str(event["job"]).removesuffix(" fit"), event)
        write_json(self.folder / TRACKING, self.record)

    def _tell(self, model: str, row: Mapping[str, Any]) -> None:
        epoch = int(row["epoch"])
        self.tracker.epoch(model, epoch, finite_figures({k: v for k, v in row.items() if k not in HIDDEN}))
        self.record["epochs"].setdefault(model, []).append(epoch)

    def _finished(self, event: Event) -> None:
        del event  # the summary says more
        summary = read_summary(self.folder)
        self._catch_up(summary)
        write_json(self.folder / TRACKING, self.record)
        files = [self.folder / name for name in (RECIPE, SUMMARY, REPORT)]
        self.tracker.scores(final_figures(summary), files)
        self._close(failed=False)

    def _failed(self, event: Event) -> None:
        del event
        self._close(failed=True)

    def _close(self, *, failed: bool) -> None:
        self.listening = False
        self.tracker.finish(failed=failed)

    def _catch_up(self, summary: Mapping[str, Any]) -> None:
        """Tell the epochs that went untold: of models from an earlier recipe, or from before there was a tracker."""
        for stage, part in summary["stages"].items():
            for member, judged in part.get("members", {}).items():
                for job in judged.get("jobs", []):
                    model = f"{stage}/{member}/{model_folder(job['fold'], job['seed'])}"
                    told = self.record["epochs"].get(model, ())
                    history = pd.read_csv(self.folder / "stages" / model / "history.csv")
                    for row in history[~history["epoch"].isin(told)].to_dict("records"):
                        self._tell(model, {str(name): value for name, value in row.items()})
