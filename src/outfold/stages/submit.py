"""The submit stage: the test table's answers in the user's own labels, in the test table's order."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from outfold.data.predictions import Predictions
from outfold.data.table import Samples
from outfold.data.targets import TargetCodec
from outfold.errors import DataError, RecipeError
from outfold.files import write_atomically, write_json
from outfold.inference.answers_in_time import beginning_every, refuse_passed_over
from outfold.metrics import metric_of
from outfold.settings.data import Data
from outfold.settings.recipe import Recipe
from outfold.settings.submit import SubmitStage
from outfold.settings.task import Task
from outfold.stages.base import FORMAT, Context, Emit, Inference, Job, Result, digest


def plan(name: str, stage: SubmitStage, context: Context) -> list[Job]:
    """One job that writes the file, or none without a test table.

    Raises:
        RecipeError: a column to rename is not in the file, or two columns would have one name.
    """
    dataset, recipe = context.dataset, context.recipe
    if dataset.test is None:
        return []
    _refuse_other_columns(name, stage, dataset.answer, recipe.data)
    _refuse_equal_columns(name, stage, dataset.answer, recipe)
    upstream = [job.key for job in context.jobs if job.stage == stage.source]
    written = [stage.model_dump(mode="json"), answers_with_labels(stage, recipe.task.answer), recipe.data.id]
    long = dataset.test.samples.long
    rows = [] if long is None or recipe.data.long is None else [recipe.data.long.columns, *long.arrays]
    return [Job(name, "file", digest(FORMAT, written, upstream, *rows), Path(stage.file))]


def perform(job: Job, stage: SubmitStage, context: Context) -> None:
    """Write the submission into the run folder."""
    test, rows = context.results[stage.source].test, context.dataset.test
    assert rows is not None  # planned only with a test table
    assert test is not None  # and every stage before predicts it then
    recipe = context.recipe
    frame = submission(test, rows.samples, context.dataset.answer, recipe.task.answer, stage, recipe.data)
    (context.place(job) / "file.json").unlink(missing_ok=True)
    write_atomically(context.folder / stage.file, lambda part: frame.to_csv(part, index=False))
    left_out = tell_left_out(job.stage, stage, rows.samples, context.compute.emit)
    write_json(context.place(job) / "file.json", {"key": job.key, "rows": len(frame), "left_out": left_out})


def collect(name: str, stage: SubmitStage, context: Context) -> Result:
    """The predictions that were submitted."""
    return context.results[stage.source]


def predict(name: str, stage: SubmitStage, inference: Inference) -> Result:
    """What the stage before it predicts."""
    return inference.results[stage.source]


def submission(
    predictions: Predictions, samples: Samples, codec: TargetCodec, task: Task, stage: SubmitStage, data: Data
) -> pd.DataFrame:
    """The answer as a table: the id, then labels, probabilities or values; or as long a table as the one it answers.

    Labels come back in the user's own values; probabilities of a binary task stand under the target's name, those of
    several classes or labels under the outputs' names. Of a long table each row gets its own id and its target's
    value, and nothing else. Windows that `answered_rows` leaves out are not there. Values stay float32, whose text in a
    CSV file reads back as the same float32.

    Args:
        predictions: of the samples.
        samples: that are answered.
        codec: of what is judged.
        task: what is judged.
        stage: how the answer is written.
        data: how tables are read.
    """
    answer, answered = _columns(predictions.aligned_to(samples.ids), codec, task, stage), answered_rows(samples, stage)
    if data.long is not None and samples.long is not None:
        answer = pd.DataFrame({data.long.row: samples.long.ids, data.long.value: samples.long.cells(answer)})
        answered = answered[samples.long.sample]
    else:
        answer.insert(0, data.id, samples.ids)
    return answer[answered].reset_index(drop=True).rename(columns=stage.columns)


def submitted_by(recipe: Recipe) -> tuple[str, SubmitStage]:
    """How a recipe's answer is written, and by which stage: as the last one says, or as a submit stage does by itself.

    Args:
        recipe: the effective recipe.
    """
    name, last = list(recipe.stages.items())[-1]
    if isinstance(last, SubmitStage):
        return name, last
    return name, SubmitStage.model_validate({"kind": "submit", "from": recipe.final_stage()})


def answered_rows(samples: Samples, stage: SubmitStage) -> np.ndarray:
    """Bool (n,): the samples that the file answers; all, but for windows between the multiples of `every_s`."""
    if stage.every_s is None or samples.clips is None:
        return np.ones(len(samples), dtype=bool)
    return beginning_every(samples.clips.start_s, stage.every_s)


def tell_left_out(name: str, stage: SubmitStage, samples: Samples, emit: Emit) -> int:
    """How many windows a submit stage leaves out, said where there are any.

    Args:
        name: of the stage.
        stage: that answers.
        samples: windows to answer.
        emit: is told.
    """
    left_out = int(np.sum(~answered_rows(samples, stage)))
    if left_out:
        text = f"{name}: {left_out} of {len(samples)} windows begin between the multiples of {stage.every_s:g} s"
        emit({"event": "warning", "text": f"{text} and are not answered"})
    return left_out


def check_answered(recipe: Recipe, samples: Samples) -> None:
    """Refuse a test table of which submit stages could not answer as many windows as they promise.

    Args:
        recipe: the effective recipe.
        samples: all rows of the test table, those with bad media among them.

    Raises:
        DataError: see `refuse_unanswered`.
    """
    for name, stage in recipe.stages.items():
        if isinstance(stage, SubmitStage):
            refuse_unanswered(name, stage, samples)


def refuse_unanswered(name: str, stage: SubmitStage, samples: Samples) -> None:
    """Refuse windows of which a submit stage could not answer as many as it promises.

    Raises:
        DataError: names the stage; see `outfold.inference.answers_in_time.refuse_passed_over`.
    """
    if stage.every_s is None or samples.clips is None:
        return
    try:
        refuse_passed_over(samples.clips, stage.every_s)
    except DataError as error:
        problem = f"stage {name!r}, `every_s: {stage.every_s:g}`: {error.problem}"
        fix = "choose another `every_s`, or cut windows that begin at its multiples"
        raise DataError(problem, got=error.got, expected=error.expected, fix=fix) from error


def _columns(predictions: Predictions, codec: TargetCodec, task: Task, stage: SubmitStage) -> pd.DataFrame:
    """A column for each target, or for each class of a multiclass task that is answered by probabilities."""
    if answers_with_labels(stage, task):
        return codec.labels(predictions.values)
    return pd.DataFrame(predictions.values, columns=list(_names(codec)))


def _names(codec: TargetCodec) -> tuple[str, ...]:
    """How the columns of probabilities or values are called."""
    return codec.columns if codec.kind == "binary" else codec.outputs


def _refuse_other_columns(name: str, stage: SubmitStage, codec: TargetCodec, data: Data) -> None:
    known = [data.id, *dict.fromkeys((*codec.columns, *_names(codec)))]
    if data.long is not None:
        known = [data.long.row, data.long.value]
    unknown = [column for column in stage.columns if column not in known]
    if unknown:
        problem = f"stage {name!r} renames column {unknown[0]!r}, which its file does not have"
        raise RecipeError(problem, got=stage.columns, expected=f"some of {known}")


def _refuse_equal_columns(name: str, stage: SubmitStage, codec: TargetCodec, recipe: Recipe) -> None:
    """Refuse a class or target with the name of the id, and columns that are renamed to each other's names."""
    data = recipe.data
    if data.long is not None:
        written = [data.long.row, data.long.value]
    else:
        labels = answers_with_labels(stage, recipe.task.answer)
        written = [data.id, *(codec.columns if labels else _names(codec))]
    renamed = Counter(stage.columns.get(column, column) for column in written)
    twice = [column for column, count in renamed.items() if count > 1]
    if twice:
        problem = f"stage {name!r}: two columns of its file would be called {twice[0]!r}"
        raise RecipeError(problem, got=dict(stage.columns), fix="rename one of them in `columns`")


def answers_with_labels(stage: SubmitStage, task: Task) -> bool:
    """Whether the metric (or the recipe) wants labels rather than probabilities."""
    if stage.format != "auto":
        return stage.format == "label"
    return metric_of(task).judges == "label"
