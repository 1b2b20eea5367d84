"""The submit stage: the test table's answers in the user's own labels, in the test table's order."""

from pathlib import Path

import pandas as pd

from outfold.data.predictions import Predictions
from outfold.data.targets import TargetCodec
from outfold.files import write_atomically, write_json
from outfold.metrics import metric_of
from outfold.settings.data import Task
from outfold.settings.recipe import SubmitStage
from outfold.stages.base import FORMAT, Context, Inference, Job, Result, digest


def plan(name: str, stage: SubmitStage, context: Context) -> list[Job]:
    """One job that writes the file, or none without a test table."""
    if context.dataset.test is None:
        return []
    upstream = [job.key for job in context.jobs if job.stage == stage.source]
    recipe = context.recipe
    written = [stage.model_dump(mode="json"), answers_with_labels(stage, recipe.task.answer), recipe.data.id]
    return [Job(name, "file", digest(FORMAT, written, upstream), Path(stage.file))]


def perform(job: Job, stage: SubmitStage, context: Context) -> None:
    """Write the submission into the run folder."""
    test = context.results[stage.source].test
    assert context.dataset.test is not None  # planned only with a test table
    assert test is not None  # and every stage before predicts it then
    task = context.recipe.task.answer
    frame = submission(test, context.dataset.answer, task, stage, id_column=context.recipe.data.id)
    (context.place(job) / "file.json").unlink(missing_ok=True)
    write_atomically(context.folder / stage.file, lambda part: frame.to_csv(part, index=False))
    write_json(context.place(job) / "file.json", {"key": job.key, "rows": len(frame)})


def collect(name: str, stage: SubmitStage, context: Context) -> Result:
    """The predictions that were submitted."""
    return context.results[stage.source]


def predict(name: str, stage: SubmitStage, inference: Inference) -> Result:
    """What the stage before it predicts."""
    return inference.results[stage.source]


def submission(
    predictions: Predictions, codec: TargetCodec, task: Task, stage: SubmitStage, *, id_column: str
) -> pd.DataFrame:
    """The answer as a table: the id, then labels, probabilities or values.

    Labels come back in the user's own values; probabilities of a binary task stand under the target's name, those of
    several classes or labels under the outputs' names.
    """
    if answers_with_labels(stage, task):
        answer = codec.labels(predictions.values)
    else:
        names = codec.columns if codec.kind == "binary" else codec.outputs
        answer = pd.DataFrame(predictions.values, columns=list(names))
    answer.insert(0, id_column, predictions.ids)
    return answer.rename(columns=stage.columns)


def answers_with_labels(stage: SubmitStage, task: Task) -> bool:
    """Whether the metric (or the recipe) wants labels rather than probabilities."""
    if stage.format != "auto":
        return stage.format == "label"
    return metric_of(task).judges == "label"
