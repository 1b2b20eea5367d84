"""TensorBoard: event files below RUN/tensorboard, which `tensorboard --logdir RUN` shows."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from outfold.recipe.load import dump_recipe
from outfold.settings.recipe import Recipe
from outfold.tracking.figures import parameters_of

FOLDER = "tensorboard"


class Book:
    """A folder of event files: a scalar a figure, the recipe as text and as the run's hyperparameters.

    TensorBoard keeps no files; they stay in the run folder.
    """

    def __init__(self) -> None:
        self.writer: Any = None

    def start(self, recipe: Recipe, folder: Path, known: str | None) -> str:
        """See `Tracker.start`; the id is the folder's name and follows from the recipe."""
        from torch.utils.tensorboard import SummaryWriter
        from torch.utils.tensorboard.summary import hparams

        parameters = parameters_of(recipe)
        content = json.dumps(parameters, sort_keys=True).encode()
        entry = known or hashlib.blake2b(content, digest_size=4).hexdigest()
        self.writer = SummaryWriter(folder / FOLDER / entry)
        if known is None:
            indented = "\n".join(f"    {line}" for line in dump_recipe(recipe).splitlines())
            self.writer.add_text("recipe", indented)  # indented text is code in Markdown, whatever it holds
            told = {name: str(value) if value is None else value for name, value in parameters.items()}
            for summary in hparams(told, {f"score/{recipe.task.metric}": None}):
                self.writer.file_writer.add_summary(summary)
        return entry

    def epoch(self, model: str, epoch: int, figures: Mapping[str, float]) -> None:
        """See `Tracker.epoch`."""
        for name, value in figures.items():
            self.writer.add_scalar(f"{model}/{name}", value, epoch)
        self.writer.flush()  # what was told is on disk, however the process ends

    def scores(self, figures: Mapping[str, float], files: Sequence[Path]) -> None:
        """See `Tracker.scores`."""
        del files
        for name, value in figures.items():
            self.writer.add_scalar(name, value, 0)

    def finish(self, *, failed: bool) -> None:
        """See `Tracker.finish`."""
        del failed  # event files know no status
        self.writer.close()
