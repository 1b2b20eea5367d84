"""Weights & Biases: offline by default, into RUN/wandb, which `wandb sync` sends later."""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from outfold.settings.recipe import Recipe
from outfold.tracking.figures import parameters_of


class Book:
    """A run of Weights & Biases: the recipe as its config, figures over each model's own epochs, scores as summary."""

    def __init__(self) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        os.environ.setdefault("WANDB_SILENT", "true")  # terminal and log are ours
        self.run: Any = None
        self.folder = Path()
        self.models: set[str] = set()

    def start(self, recipe: Recipe, folder: Path, known: str | None) -> str:
        """See `Tracker.start`; offline, what goes on is a further folder of the same id."""
        import wandb

        track = recipe.track
        assert track is not None
        self.folder = folder
        if known is not None:
            time.sleep(1)  # folders are named by id and second; two runs of one second would share one
        self.run = wandb.init(
            project=track.project,
            name=track.name or folder.name,
            id=known or uuid4().hex[:12],
            resume="allow",
            reinit="create_new",
            mode="offline" if track.offline else "online",
            dir=folder,
            notes=recipe.description,
            config=parameters_of(recipe),
            # Files are linked or copied by content, so that the folder can move before it is sent.
            settings=wandb.Settings(console="off", silent=True, save_code=False, disable_git=True, symlink=False),
        )
        return str(self.run.id)

    def epoch(self, model: str, epoch: int, figures: Mapping[str, float]) -> None:
        """See `Tracker.epoch`."""
        if model not in self.models:
            self.models.add(model)
            self.run.define_metric(f"{model}/*", step_metric=f"{model}/epoch")
        self.run.log({f"{model}/epoch": epoch, **{f"{model}/{name}": value for name, value in figures.items()}})

    def scores(self, figures: Mapping[str, float], files: Sequence[Path]) -> None:
        """See `Tracker.scores`."""
        self.run.summary.update(dict(figures))
        for path in files:
            self.run.save(str(path), base_path=str(self.folder), policy="now")

    def finish(self, *, failed: bool) -> None:
        """See `Tracker.finish`."""
        self.run.finish(exit_code=int(failed))
