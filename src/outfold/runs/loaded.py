"""A finished run as a Python object: its scores, its out-of-fold table, and predictions for rows that come later."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from outfold.data.dataset import Rows
from outfold.data.predictions import Predictions
from outfold.data.reading import read_rows
from outfold.data.rows import SOURCE, SOURCE_ROW
from outfold.data.source_tables import exact_columns
from outfold.data.table import Samples, samples_from_frame
from outfold.errors import RunError
from outfold.recipe.load import load_recipe
from outfold.report import write_report
from outfold.run_folder import OOF, PREDICTIONS, RECIPE, read_summary
from outfold.runs.forecast import forecast
from outfold.runs.heard import check_rows
from outfold.runs.later_recordings import place_of, samples_of
from outfold.runs.passing_by import heard_once, passes_by
from outfold.runs.prepare import load_rows
from outfold.runs.processes import predicting, slots_of
from outfold.runs.summary import prediction_columns, read_codecs
from outfold.runs.training_rows import training_dataset
from outfold.settings.recipe import Recipe
from outfold.stages import STAGE_KINDS
from outfold.stages.base import Compute, Emit, Inference, Model
from outfold.stages.rows_in_time import check_later_rows
from outfold.stages.scope import inference_for
from outfold.stages.submit import refuse_unanswered, submission, submitted_by, tell_left_out
from outfold.training.device import prepare_process, tiny_numbers_as_zero


class Run:
    """A run folder.

    Args:
        path: the folder.

    Raises:
        RunError: it is not a run folder, or the run is not complete.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.summary: dict[str, Any] = read_summary(self.path)
        if self.summary.get("status") != "complete":
            raise RunError(
                f"the run in {self.path} is not complete",
                got=f"status {self.summary.get('status')!r}",
                fix="give its command again to complete it",
            )

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {self.summary['metric']}={self.score:.4f})"

    @cached_property
    def recipe(self) -> Recipe:
        """The effective recipe of the run."""
        return load_recipe(self.path / RECIPE)

    @property
    def score(self) -> float:
        """The task's metric over all out-of-fold predictions."""
        return self.summary["score"]

    @cached_property
    def oof(self) -> pd.DataFrame:
        """Out-of-fold predictions: id, fold, target columns, prediction columns."""
        return pd.read_parquet(self.path / OOF)

    @cached_property
    def predictions(self) -> pd.DataFrame | None:
        """Predictions of the recipe's test table: id and prediction columns; None without a test table."""
        path = self.path / PREDICTIONS
        return pd.read_parquet(path) if path.exists() else None

    def predict(
        self,
        table: pd.DataFrame | Path | str,
        *,
        root: Path | str | None = None,
        device: str = "auto",
        processes: int = 1,
        devices: Sequence[int] = (),
        as_submission: bool = False,
        emit: Emit = lambda event: None,
    ) -> pd.DataFrame:
        """Predict new rows with the run's models, in the way its out-of-fold predictions were made.

        Args:
            table: rows with the recipe's id and media columns, or with those of its test table; a DataFrame, or a CSV
                or parquet file. Recordings by themselves are named by their folder, by a pattern such as
                `new/*.ogg`, or as one file: rows are their windows, cut as those of the recipe's test table, or one
                after the other as long as the members hear; their ids are `<name>_<end second>`.
            root: folder that media paths, and the recipe's files of vectors, are relative to; a file's own folder, or
                the working folder for a DataFrame, when not given.
            device: auto, cpu, cuda, cuda:1, mps.
            processes: how many share the rows on a CPU. With the same number of threads for each they give the same
                numbers, bit for bit, as one.
            devices: numbers of GPUs that share the rows, one process each; instead of `device` and `processes`.
            as_submission: give what the run's submit stage writes: its columns under its names, and of windows those
                alone that it answers.
            emit: is told of the progress.

        Raises:
            DataError: members hear only the beginning of windows, or a submission cannot answer them every `every_s`.
            WorkerError: some rows cost two processes, one after the other; there is no answer then.

        Returns:
            The recipe's id column, the target columns as labels or values in the user's own types, and for a
            classification one probability column an output. Where the answer is a mean of ranks, its ranks alone.
            For a long table (`data.long`) always what a submission holds: the column that identifies a row and that of
            its target's value, in the order of the table.
        """
        prepare_process()
        slots = slots_of(device, processes, devices)
        samples = self._samples(table, root, emit)
        check_later_rows(self.recipe, samples)
        check_rows(self.recipe, "new", samples)
        as_submission = as_submission or samples.long is not None
        name, submit = submitted_by(self.recipe)
        if as_submission:
            refuse_unanswered(name, submit, samples)
        with predicting(slots, emit) as compute, tiny_numbers_as_zero():
            kept = not passes_by(self.recipe)
            rows, dropped = load_rows(
                self.recipe, samples, "new", compute, _root_of(table, root), run=self.path, sounds=kept
            )
            inference = self._inference(rows, compute)
            compute.emit(forecast(inference, self.recipe.final_stage(), self._made_on))
            inference = inference if kept else heard_once(inference, dropped)
            predictions = self._final(inference)
        if as_submission:
            there, task = inference.rows.samples, self.recipe.task.answer
            tell_left_out(name, submit, there, emit)
            return submission(predictions, there, inference.answer, task, submit, self.recipe.data)
        answer = pd.DataFrame({self.recipe.data.id: predictions.ids})
        if predictions.space != "rank":  # a rank says where a row stands, not what it is
            answer = pd.concat([answer, inference.answer.labels(predictions.values)], axis=1)
        if inference.answer.kind != "regression":
            answer = pd.concat([answer, prediction_columns(predictions).drop(columns="id")], axis=1)
        return answer

    @property
    def _made_on(self) -> str:
        """Kind of the device that the run computed on."""
        return self.summary["environment"]["device"].split()[0].partition(":")[0]  # "cuda:0 (its name)"

    def _final(self, inference: Inference) -> Predictions:
        """What the final stage says about the rows, stage by stage."""
        final = self.recipe.final_stage()
        for name in self.recipe.ancestors(final):
            stage = self.recipe.stages[name]
            inference.results[name] = STAGE_KINDS[stage.kind].predict(name, stage, inference_for(name, inference))
        predictions = inference.results[final].test
        assert predictions is not None  # every stage that can be the final one predicts
        return predictions

    def _inference(self, rows: Rows, compute: Compute) -> Inference:
        """What the stages predict with: the codecs as the run wrote them, and the models that it lists."""
        codec, answer = read_codecs(self.path)
        models = {
            (stage, member): [Model(stage, member, job["fold"], job["seed"]) for job in part["jobs"]]
            for stage, entry in self.summary["stages"].items()
            for member, part in entry.get("members", {}).items()
        }
        root = Path(self.summary["data"]["root"])
        return Inference(
            self.recipe,
            self.path,
            rows,
            codec,
            answer,
            models,
            compute,
            training=lambda: training_dataset(self.path, self.recipe, root, compute),
        )

    def _samples(self, table: pd.DataFrame | Path | str, root: Path | str | None, emit: Emit) -> Samples:
        data, where = self.recipe.data, _root_of(table, root)
        recordings = place_of(table)
        if recordings is not None:
            return samples_of(recordings, self.recipe, where, emit)
        name = "frame"
        if not isinstance(table, pd.DataFrame):
            path, name = Path(table), Path(table).name
            table, lines = read_rows(path, exact=exact_columns(data))
            table = table.assign(**{SOURCE: table.get(SOURCE, name), SOURCE_ROW: lines})
        return samples_from_frame(table, data, where, targets=self.recipe.task.target, table=name)

    def report(self) -> Path:
        """Write report.html anew and return its path."""
        return write_report(self.path)


def _root_of(table: pd.DataFrame | Path | str, root: Path | str | None) -> Path:
    """Where paths of later rows start from: the given folder, that of what is named, or else the working folder."""
    if root is not None:
        return Path(root).resolve()
    recordings = place_of(table)
    if recordings is not None:
        return recordings.root.resolve()
    return Path("." if isinstance(table, pd.DataFrame) else Path(table).parent).resolve()
