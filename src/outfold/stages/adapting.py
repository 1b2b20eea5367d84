"""A trained model goes on learning, from rows that predictions label beside rows that are labelled."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from outfold.data.dataset import Rows
from outfold.data.predictions import Predictions
from outfold.data.pseudo import learned_target
from outfold.files import read_json
from outfold.models.seen import row_marks
from outfold.run_folder import WHOLE
from outfold.settings.adapt import AdaptStage
from outfold.settings.train import TrainSettings
from outfold.stages.base import Compute, Context, Job, Model
from outfold.stages.fitting import Beginning, learn, marks_in, training_split
from outfold.stages.outputs import member_codec
from outfold.stages.predicting import load_trained
from outfold.stages.pseudo_rows import PseudoRows
from outfold.stages.shown_rows import shown_rows
from outfold.training.fit import Split

NOBODY = np.zeros(0, dtype=np.int64)
"""No row judges what is trained here."""


def go_on(job: Job, start: Path, stage: AdaptStage, settings: TrainSettings, context: Context) -> None:
    """Train the job's model further than its start; leaves what every fit leaves.

    Args:
        job: of a model of the adapt stage.
        start: folder of the model that it starts from; its files stay as they are.
        stage: whose predictions are labels, and what they weigh.
        settings: the member's, as the stage adapts it.
        context: with the results of the stages before; a model that holds no fold out learns of its test table too.
    """
    assert job.model is not None  # the caller's condition
    started, model = time.perf_counter(), job.model
    torch.manual_seed(model.seed)
    codec = member_codec(settings, context.dataset.codec)
    trained = load_trained(start, settings, codec)
    begin = Beginning(trained, marks_in(start / "weights.safetensors"), "/".join(start.parts[-3:]))
    split, labelled = lesson(model, stage, settings, context)
    learn(job, model, begin, split, labelled, settings, context, started=started)


@dataclass(frozen=True)
class GoingOn:
    """A model that goes on learning from rows that were not part of the run; another process may see to it.

    Attributes:
        model: what it becomes.
        start: folder of the model that it starts from.
        stage: as in `go_on`.
        settings: as in `go_on`.
        context: as in `go_on`, but for where it computes.
    """

    model: Model
    start: Path
    stage: AdaptStage
    settings: TrainSettings
    context: Context

    @property
    def title(self) -> str:
        """How errors call it."""
        return f"{self.model.place} fit"

    def performed(self, compute: Compute) -> None:
        """Train it."""
        job = Job(self.model.stage, "fit", "", Path(), model=self.model)
        go_on(job, self.start, self.stage, self.settings, replace(self.context, compute=compute))

    def elsewhere(self) -> "GoingOn":
        """The same without what ties it to this process."""
        return replace(self, context=replace(self.context, compute=Compute(torch.device("cpu"))))


def lesson(model: Model, stage: AdaptStage, settings: TrainSettings, context: Context) -> tuple[Split, PseudoRows]:
    """The training rows that a model goes on with, and the rows to predict, labelled by the stage's labels."""
    dataset, results, told = context.dataset, context.results, context.results[stage.labels]
    if model.fold == WHOLE:
        assert dataset.test is not None  # such models are planned only where there is such a table
        train, labels = np.arange(len(dataset.train)), told.test
        rows = shown_rows(settings, dataset.test, results, "test")
        own = row_marks(rows.samples.ids, rows.content)
    else:
        train, valid = dataset.folds_of(settings.folds).split(model.fold)
        rows, labels = shown_rows(settings, dataset.train, results, "oof").take(valid), told.oof
        own = row_marks([], [])  # what is learned of these rows says nothing of their labels: they may be judged
    assert labels is not None  # a recipe whose labels do not predict these rows is refused
    teachers = [context.place(one) / "weights.safetensors" for one in _teachers(stage, model.fold, context)]
    seen = [own, *map(marks_in, teachers)]
    labelled = _labelled(rows, labels, stage.weight, np.concatenate(seen), context)
    return training_split(train, NOBODY, settings, context), labelled


def _labelled(rows: Rows, labels: Predictions, weight: float, seen: np.ndarray, context: Context) -> PseudoRows:
    """Rows to learn from, each once in an epoch, by what predictions say of them."""
    codec = context.dataset.codec
    places = {name: place for place, name in enumerate(labels.ids)}
    own = labels.only(codec.outputs).take(np.array([places[name] for name in rows.samples.ids], dtype=np.int64))
    return PseudoRows(
        rows,
        learned_target(own.values, codec.kind, "soft"),
        None if weight == 1 else np.full((len(rows), 1), weight, dtype=np.float32),
        np.ones(len(rows), dtype=np.int64),
        seen,
    )


def _teachers(stage: AdaptStage, fold: int, context: Context) -> Sequence[Model]:
    """The models whose predictions are the labels: those that held the fold out, or all."""
    names = context.recipe.answerers(stage.labels)
    models = [job.model for job in context.jobs if job.step == "fit" and job.stage in names]
    return [model for model in models if model is not None and fold in (WHOLE, model.fold)]


def seconds_to_go_on(start: Model, settings: TrainSettings, context: Context) -> float:
    """About how long a model takes to go on with all training rows and the test table, by how long its start took."""
    dataset, record = context.dataset, read_json(context.place(start) / "fit.json")
    assert dataset.test is not None  # the rows to go on with
    trained = len(dataset.folds_of(settings.folds).split(start.fold)[0])
    learned = record.get("epoch_rows", trained + record["pseudo_rows"])
    seen, to_see = record["epochs"] * learned, sum(phase.epochs for phase in settings.phases)
    return record["seconds"] / max(seen, 1) * to_see * (len(dataset.train) + len(dataset.test))
