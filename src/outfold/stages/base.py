"""What all kinds of stages share: jobs, the context they run in, and the result they leave.

A kind of stage is four functions (see `outfold.stages.STAGE_KINDS`): `plan` lists its jobs, `perform` does one of
them, `collect` reads what they left and returns the stage's predictions, `predict` predicts rows that come later.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from outfold.data.dataset import Dataset, Rows
from outfold.data.predictions import Predictions
from outfold.data.targets import TargetCodec
from outfold.files import read_json
from outfold.inference.processes import WorkerPool
from outfold.run_folder import model_folder
from outfold.settings.recipe import Recipe
from outfold.settings.task import TaskKind

Emit = Callable[[dict[str, Any]], None]

FORMAT = 1
"""Part of every job's key; raised when the meaning of a stored artefact changes, so that old ones are made again."""


@dataclass(frozen=True)
class Model:
    """Which model of a run: a member of a stage, trained with one fold held out (or `WHOLE`: none) and one seed."""

    stage: str
    member: str
    fold: int
    seed: int

    @property
    def place(self) -> Path:
        """Folder of the model's files, relative to the run's `stages` folder."""
        return Path(self.stage, self.member, model_folder(self.fold, self.seed))


@dataclass(frozen=True)
class Job:
    """One piece of work that is done once and kept.

    Attributes:
        stage: the stage's name in the recipe.
        step: what is made: `fit` (weights), `oof`, `test` (predictions), `file` (a submission).
        key: hash of everything the outcome depends on.
        work: expected cost in millions of pixels passed through a model, for progress.
        output: the file that is made, relative to the run folder; a job whose file is gone is done again.
        model: the model that is trained or predicts, if the job has one.
    """

    stage: str
    step: str
    key: str
    output: Path
    work: float = 0.0
    model: Model | None = None

    @property
    def place(self) -> Path:
        """Folder of the job's files, relative to the run's `stages` folder."""
        return Path(self.stage) if self.model is None else self.model.place

    @property
    def title(self) -> str:
        """How the job is called in progress and logs."""
        return f"{self.place} {self.step}"


@dataclass(frozen=True)
class Result:
    """What a finished stage offers to the stages after it: probabilities or values of what is judged.

    Attributes:
        oof: predictions of the training rows, each by models that never saw it; None when all rows trained.
        test: predictions of the test table, or of rows that come later; None when there are none.
        members: the same for each member.
    """

    oof: Predictions | None
    test: Predictions | None
    members: Mapping[str, "Result"] = field(default_factory=dict)


def tell_nobody(event: dict[str, Any]) -> None:
    """What happens is of no interest; unlike a lambda this can be sent to another process."""


@dataclass(frozen=True)
class Compute:
    """Where and how jobs compute.

    Attributes:
        device: where models compute.
        workers: threads that read samples.
        emit: is told what happens.
        pool: processes that share the prediction of later rows; None where this one does it all.
    """

    device: torch.device
    workers: int = 2
    emit: Emit = tell_nobody
    pool: WorkerPool[Any, Any] | None = None


@dataclass(frozen=True)
class Context:
    """What a job may use besides its own settings.

    Attributes:
        recipe: the effective recipe.
        dataset: the user's data, loaded and checked.
        folder: the run folder.
        compute: device, workers and who is told.
        jobs: all jobs planned so far, in order.
        results: results of the stages before, by name.
    """

    recipe: Recipe
    dataset: Dataset
    folder: Path
    compute: Compute
    jobs: list[Job] = field(default_factory=list)
    results: dict[str, Result] = field(default_factory=dict)

    def place(self, part: Job | Model) -> Path:
        """The folder of a job or a model."""
        return self.folder / "stages" / part.place

    def is_done(self, job: Job) -> bool:
        """Whether the job was finished before, with this very key."""
        record = self.place(job) / f"{job.step}.json"
        return record.exists() and read_json(record)["key"] == job.key and (self.folder / job.output).exists()


@dataclass(frozen=True)
class Inference:
    """What a stage may use to predict rows that were not part of the run.

    Attributes:
        recipe: the run's effective recipe.
        folder: the run folder.
        rows: rows that can be read.
        codec: between labels and numbers, as the run's models learned them.
        answer: the same for what is judged.
        models: by stage and member, the models that the run trained.
        compute: device, workers and who is told.
        training: loads the run's own training rows, for stages that train on them again.
        results: of the stages before, by name.
        heard: by stage and member, what each of its models says of the rows, where that is known already.
    """

    recipe: Recipe
    folder: Path
    rows: Rows
    codec: TargetCodec
    answer: TargetCodec
    models: Mapping[tuple[str, str], Sequence[Model]]
    compute: Compute
    training: Callable[[], Dataset]
    results: dict[str, Result] = field(default_factory=dict)
    heard: Mapping[tuple[str, str], Sequence[Predictions]] = field(default_factory=dict)


def answered(predictions: Predictions, kind: TaskKind, answer: TargetCodec) -> Predictions:
    """A member's predictions in its own outputs as probabilities (or values) of what is judged.

    Args:
        predictions: logits, probabilities or values.
        kind: the task that the member learned.
        answer: the codec of what is judged; its outputs are among the member's.
    """
    return predictions.to_probability(kind).only(answer.outputs)


def digest(*parts: object) -> str:
    """Hash of JSON-like values and arrays, stable across processes and machines.

    Args:
        parts: numbers, texts, lists, dictionaries, numpy arrays (of numbers, or of objects that print uniquely).
    """
    hasher = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, np.ndarray) and part.dtype != object:
            hasher.update(f"{part.dtype}{part.shape}".encode())
            hasher.update(np.ascontiguousarray(part).tobytes())
        else:
            value = [str(item) for item in part] if isinstance(part, np.ndarray) else part
            hasher.update(json.dumps(value, sort_keys=True, default=str).encode())
        hasher.update(b"\0")
    return hasher.hexdigest()
