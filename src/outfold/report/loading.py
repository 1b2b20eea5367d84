"""What the page is made of, read from a run folder and checked."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.errors import EmptyDataError, ParserError
from pyarrow import ArrowException

from outfold.data.audio.clip_columns import clips_in
from outfold.data.audio.rows import RowClips
from outfold.data.label_sets import secondary_in
from outfold.data.predictions import PREFIXES, space_of
from outfold.data.targets import TargetCodec
from outfold.errors import DataError, RunError
from outfold.files import read_json
from outfold.recipe.load import load_recipe
from outfold.run_folder import (
    FOLDS,
    LOG,
    OOF,
    RECIPE,
    TARGET,
    model_folder,
    read_model_folder,
    read_summary,
    variant_file,
)
from outfold.settings.recipe import Recipe

AGAIN = "give the run's command again to make it anew"


@dataclass(frozen=True)
class Evaluation:
    """Out-of-fold predictions beside the truth, n rows and k outputs.

    Attributes:
        ids: object (n,) of str.
        fold: int64 (n,).
        target: float32 (n, k), as `TargetCodec.encode` gives it.
        prediction: float32 (n, k), probabilities or, for a regression, values.
        codec: what the k outputs mean.
        ranks: whether predictions are ranks, 0 to 1, of which only the order means something.
        clips: which seconds of which recording the rows are; None where they are no recordings.
        secondary: bool (n, k), classes that are only secondary labels of a row, so that it is not known whether they
            are there; None where nobody names such.
    """

    ids: np.ndarray
    fold: np.ndarray
    target: np.ndarray
    prediction: np.ndarray
    codec: TargetCodec
    ranks: bool = False
    clips: RowClips | None = None
    secondary: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes of a multiclass or binary task, in the order of the codes."""
        return tuple(map(str, self.codec.classes))

    @cached_property
    def true(self) -> np.ndarray:
        """int64 (n,): class codes of a multiclass or binary task."""
        return self.target.argmax(1) if self.codec.kind == "multiclass" else self.target[:, 0].astype(np.int64)

    @cached_property
    def predicted(self) -> np.ndarray:
        """int64 (n,): predicted class codes; binary at 0.5."""
        multiclass = self.codec.kind == "multiclass"
        return self.prediction.argmax(1) if multiclass else (self.prediction[:, 0] >= 0.5).astype(np.int64)


@dataclass(frozen=True)
class Training:
    """The history of one trained model, one row an epoch.

    Attributes:
        stage: name of its stage.
        member: name of its member.
        fold: the fold it held out.
        seed: its seed.
        history: phase, epoch, train_loss, valid_loss, lr, scores by metric, seconds, images_per_second, wait_share.
    """

    stage: str
    member: str
    fold: int
    seed: int
    history: pd.DataFrame


@dataclass(frozen=True)
class Artefacts:
    """Everything the page shows, except photos.

    Attributes:
        folder: the run folder.
        summary: summary.json.
        recipe: the effective recipe.
        recipe_text: the same, as written.
        evaluation: out-of-fold predictions, or None where the run has none (yet).
        trainings: histories of the models trained so far.
        groups_by_fold: number of groups in each fold; empty without groups.
        fold_sizes: rows in each fold; empty before the folds are made.
        notes: what could not be shown, in sentences.
        events: the last lines of the log.
    """

    folder: Path
    summary: dict[str, Any]
    recipe: Recipe
    recipe_text: str
    evaluation: Evaluation | None
    trainings: Sequence[Training]
    groups_by_fold: dict[int, int]
    fold_sizes: dict[int, int]
    notes: Sequence[str]
    events: Sequence[dict[str, Any]]

    @property
    def status(self) -> str:
        """complete, running or failed."""
        return str(self.summary.get("status", "unknown"))

    @property
    def scored_stage(self) -> dict[str, Any]:
        """The summary of the stage whose predictions are the run's answer; empty where it is not there yet."""
        return self.summary.get("stages", {}).get(self.recipe.final_stage(), {})


def load_artefacts(folder: Path) -> Artefacts:
    """Read a run folder.

    Raises:
        RunError: it is no run folder, or a file of a complete run is missing or damaged; names the file.
    """
    summary = read_summary(folder)
    recipe = load_recipe(_present(folder / RECIPE))
    complete = summary.get("status") == "complete"
    notes: list[str] = []
    variant = recipe.fold_variant_of(recipe.final_stage())
    sizes, groups = _folds(folder / (variant_file(variant) if variant else FOLDS), required=complete)
    return Artefacts(
        folder=folder,
        summary=summary,
        recipe=recipe,
        recipe_text=(folder / RECIPE).read_text(encoding="utf-8"),
        evaluation=load_evaluation(folder) if complete and summary.get("score") is not None else None,
        trainings=list(_trainings(folder, recipe, summary, notes)),
        groups_by_fold=groups,
        fold_sizes=sizes,
        notes=notes,
        events=read_events(folder / LOG),
    )


def load_evaluation(folder: Path) -> Evaluation:
    """Read oof.parquet by the codec in target.json.

    Raises:
        RunError: a file is missing or damaged, or a column is missing.
    """
    codec, path = TargetCodec.from_dict(read_json(folder / TARGET)), folder / OOF
    if not path.exists() and read_summary(folder).get("score", path) is None:
        raise RunError(
            f"the run in {folder} held nothing out, so there are no predictions out of fold to look at",
            fix="run the same recipe with folds",
        )
    _present(path)
    try:
        table = pd.read_parquet(path)
    except (ArrowException, OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}", fix=AGAIN) from error
    space = space_of(table, codec)
    columns = [f"{PREFIXES[space]}{output}" for output in codec.outputs]
    missing = [name for name in ("id", "fold", *codec.columns, *columns) if name not in table.columns]
    if missing:
        raise RunError(f"{path} lacks columns", got=list(table.columns)[:10], expected=missing[:10], fix=AGAIN)
    try:
        target, secondary = codec.encode(table), secondary_in(table, codec.outputs)
    except DataError as error:
        raise RunError(f"{path} and {TARGET} do not fit together: {error.problem}", fix=AGAIN) from error
    ids, fold = table["id"].astype(str).to_numpy(object), table["fold"].to_numpy(np.int64)
    prediction = table[columns].to_numpy(np.float32)
    return Evaluation(ids, fold, target, prediction, codec, space == "rank", clips_in(table), secondary)


def read_events(path: Path, most: int = 12, tail_bytes: int = 65_536) -> list[dict[str, Any]]:
    """The last events of a log; a line that was cut off by a kill is left out."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - tail_bytes))
        lines = file.read().decode("utf-8", "replace").splitlines()
    return [event for line in lines[-most:] if (event := _event(line)) is not None]


def _event(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except json.JSONDecodeError:
        return None
    return event if isinstance(event, dict) else None


def _folds(path: Path, *, required: bool) -> tuple[dict[int, int], dict[int, int]]:
    """Rows and groups by fold."""
    if not required and not path.exists():
        return {}, {}
    table = _read_csv(_present(path), ("id", "fold"))
    numbers, rows = np.unique(table["fold"], return_counts=True)
    sizes = {int(fold): int(size) for fold, size in zip(numbers, rows, strict=True)}
    groups = {fold: int(table["group"][table["fold"] == fold].nunique()) for fold in sizes if "group" in table.columns}
    return sizes, groups


def _trainings(folder: Path, recipe: Recipe, summary: dict[str, Any], notes: list[str]) -> Iterator[Training]:
    """Histories of the summary's jobs; of a run that is not complete, those that are there and belong to the recipe."""
    missing = 0
    for stage, member, fold, seed in _models(folder, recipe, summary):
        path = folder / "stages" / stage / member / model_folder(fold, seed) / "history.csv"
        if path.exists():
            yield Training(stage, member, fold, seed, _read_csv(path, ("phase", "epoch", "train_loss")))
        else:
            missing += 1
    if missing:
        notes.append(f"{missing} of the run's models have no history.csv below {folder / 'stages'}; not shown here")


def _models(folder: Path, recipe: Recipe, summary: dict[str, Any]) -> Iterator[tuple[str, str, int, int]]:
    if summary.get("status") == "complete":
        for stage, entry in summary["stages"].items():
            for member, part in entry.get("members", {}).items():
                yield from ((stage, member, job["fold"], job["seed"]) for job in part["jobs"])
        return
    for stage in recipe.stages:
        for member in recipe.members_of(stage):
            for path in sorted((folder / "stages" / stage / member).glob("*-seed*/history.csv")):
                yield stage, member, *read_model_folder(path.parent.name)


def _read_csv(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype={"id": str, "phase": str, "strata": str, "group": str})
    except (ParserError, EmptyDataError, UnicodeDecodeError, OSError) as error:
        raise RunError(f"{path} cannot be read: {error}", fix=AGAIN) from error
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise RunError(f"{path} lacks columns", got=list(table.columns), expected=missing, fix=AGAIN)
    return table


def _present(path: Path) -> Path:
    if not path.exists():
        raise RunError(f"{path} is missing", fix=AGAIN)
    return path
