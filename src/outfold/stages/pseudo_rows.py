"""The files of a label stage: what a teacher says of each row, and what students learn of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from outfold.data.dataset import Dataset, Rows
from outfold.data.predictions import PREFIXES, Predictions, space_of
from outfold.data.pseudo import Chosen, learned_target
from outfold.errors import DataError
from outfold.files import read_json, write_atomically
from outfold.models.seen import row_marks, seen_by
from outfold.run_folder import WHOLE, model_folder
from outfold.settings.label import LabelStage, PseudoBatch
from outfold.settings.train import TrainStage
from outfold.stages.base import Context, Job, Model


class Students(NamedTuple):
    """The models that learn the same labels: those that hold out a fold, or none, of all seeds or of one."""

    fold: int
    seed: int | None = None
    """None: of all."""

    @property
    def step(self) -> str:
        """The step of the job that makes their labels."""
        if self.seed is not None:
            return model_folder(self.fold, self.seed)
        return "whole" if self.fold == WHOLE else f"fold{self.fold}"

    def __str__(self) -> str:
        place = "no fold is held out" if self.fold == WHOLE else f"fold {self.fold} is held out"
        return place if self.seed is None else f"{place}, seed {self.seed}"


@dataclass(frozen=True)
class PseudoRows:
    """Rows that a student learns from beside the training rows.

    Attributes:
        rows: the rows, each once.
        target: float32 (m, k), what is learned of them, in the task's outputs.
        weights: float32 (m, 1), how much each counts in the loss; None: as much as a training row.
        repetitions: int64 (m,), how often each is learned from in an epoch; at least 1.
        seen: uint64, marks of the rows, and of all rows that their teachers have seen.
    """

    rows: Rows
    target: np.ndarray
    weights: np.ndarray | None
    repetitions: np.ndarray
    seen: np.ndarray


def rows_to_label(stage: LabelStage, dataset: Dataset) -> Rows:
    """The rows that the stage labels."""
    rows = dataset.test if stage.rows == "test" else dataset.unlabelled
    assert rows is not None  # a recipe whose label stage has no rows is refused
    return rows


def students_of(stage: LabelStage, model: Model) -> Students:
    """Those that a model learns its labels with, or that one of the same fold and seed labels for."""
    return Students(model.fold, model.seed if stage.teachers == "same_seed" else None)


def teachers_of(stage: LabelStage, models: list[Model], students: Students) -> list[Model]:
    """Those of the teacher's models that label for these students."""
    return [model for model in models if stage.teachers == "all" or students_of(stage, model) == students]


def recordings_of(rows: Rows) -> np.ndarray:
    """The recording of each row, object (n,) of str."""
    clips = rows.samples.clips
    assert clips is not None  # a recipe that asks for recordings and has none is refused
    return clips.recording


def refuse_incomplete(name: str, stage: LabelStage, recordings: np.ndarray) -> None:
    """Refuse a label stage that would leave every row out, for no recording has all the windows that it asks for.

    Args:
        name: of the stage.
        stage: its settings.
        recordings: of each row that it would label.

    Raises:
        DataError: how many windows the longest has.
    """
    most = int(np.unique(recordings, return_counts=True)[1].max(initial=0))
    if stage.complete_windows is not None and most < stage.complete_windows:
        raise DataError(
            f"stage {name!r}: no recording has {stage.complete_windows} windows, so no row would be learned from",
            got=f"{most} in the longest",
            fix="lower `complete_windows`",
        )


def write_labels(path: Path, answers: Predictions, chosen: Chosen) -> Path:
    """Write a table of id, prob_<output> (or pred_<target>), repetitions and left_out (why; empty where it is kept)."""
    table = answers.to_frame(PREFIXES[answers.space])
    table = table.assign(repetitions=chosen.repetitions, left_out=chosen.left_out)
    return write_atomically(path, lambda part: table.to_parquet(part, index=False))


def labels_job(model: Model, context: Context) -> Job | None:
    """The planned job that makes the labels which a model learns from; None where its stage names none."""
    name = _labels_of(model, context)
    if name is None:
        return None
    step = students_of(_label_stage(name, context), model).step
    return next(job for job in context.jobs if (job.stage, job.step) == (name, step))


def most_pseudo_rows(job: Job, context: Context) -> int:
    """How many rows an epoch has, at most, of those that a job labels."""
    stage = _label_stage(job.stage, context)
    codec = context.dataset.codec
    return stage.most_rows(len(rows_of_labels(job, context)), len(codec.classes or codec.outputs))


def rows_beside(job: Job, batch: PseudoBatch, context: Context) -> int:
    """How many rows a batch has, about, of those that a job labels.

    Raises:
        DataError: there are fewer of them, or fewer recordings, than a batch needs.
    """
    rows = rows_of_labels(job, context)
    parts = rows.samples.ids if batch.recordings is None else recordings_of(rows)
    return batch.rows(len(rows) / parts_there(job.stage, batch, parts))


def parts_there(name: str, batch: PseudoBatch, parts: np.ndarray) -> int:
    """How many recordings, or windows, a stage labels.

    Args:
        name: of the label stage.
        batch: of its students.
        parts: what each row is of: its recording, or itself.

    Raises:
        DataError: there are fewer than a batch needs.
    """
    there = len(np.unique(parts))
    if there < batch.parts:
        what = "windows" if batch.recordings is None else "recordings"
        problem = f"stage {name!r} labels {there:,} {what}, and a batch of its students has {batch.parts:,}"
        raise DataError(problem, fix=f"lower `pseudo_batch.{what}`")
    return there


def rows_of_labels(job: Job, context: Context) -> Rows:
    """The rows that a job labels."""
    return rows_to_label(_label_stage(job.stage, context), context.dataset)


def _label_stage(name: str, context: Context) -> LabelStage:
    stage = context.recipe.stages[name]
    assert isinstance(stage, LabelStage)  # a recipe whose `labels` names another stage is refused
    return stage


def pseudo_rows_of(model: Model, context: Context) -> PseudoRows | None:
    """What a model learns from beside the training rows; None where its stage names no labels."""
    name = _labels_of(model, context)
    return None if name is None else read_pseudo_rows(name, model, context)


def _labels_of(model: Model, context: Context) -> str | None:
    stage = context.recipe.stages[model.stage]
    assert isinstance(stage, TrainStage)  # only such stages have models
    return stage.labels


def read_pseudo_rows(name: str, model: Model, context: Context) -> PseudoRows:
    """What a label stage left for a student.

    Args:
        name: of the label stage, which is done.
        model: the student.
        context: the run's.
    """
    stage, codec = _label_stage(name, context), context.dataset.codec
    folder, step = context.folder / "stages" / name, students_of(stage, model).step
    table = pd.read_parquet(folder / f"{step}.parquet")
    kept = table[table["repetitions"] > 0]
    space = space_of(kept, codec)
    answers = Predictions.from_frame(kept, codec.outputs, space, prefix=PREFIXES[space])
    source = rows_to_label(stage, context.dataset)
    places = pd.Index(source.samples.ids).get_indexer(answers.ids)
    rows = source.take(places)
    teachers = read_json(folder / f"{step}.json")["teachers"]
    return PseudoRows(
        rows,
        learned_target(answers.values, codec.kind, stage.labels),
        None if stage.weight == 1 else np.full((len(rows), 1), stage.weight, dtype=np.float32),
        kept["repetitions"].to_numpy(np.int64),
        np.concatenate([row_marks(rows.samples.ids, rows.content), *_seen_by_all(teachers, context)]),
    )


def _seen_by_all(places: list[str], context: Context) -> list[np.ndarray]:
    """Marks of the rows that each of the models at these places has seen."""
    paths = [context.folder / "stages" / place / "weights.safetensors" for place in places]
    return [marks for path in paths if (marks := seen_by(path)) is not None]
