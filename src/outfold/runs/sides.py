"""The sides of a comparison: out-of-fold predictions of a run, or a table of predictions, beside the truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from outfold.data.columns import cell_texts, require_columns
from outfold.data.reading import read_rows
from outfold.data.rows import SOURCE, SOURCE_ROW, name_rows
from outfold.data.targets import TargetCodec
from outfold.errors import DataError, RecipeError, RunError
from outfold.metrics import METRICS
from outfold.names import suggestion
from outfold.recipe.load import load_recipe
from outfold.report.loading import load_evaluation
from outfold.run_folder import FOLDS, RECIPE, read_summary
from outfold.settings.task import Task, TaskKind


@dataclass(frozen=True)
class Reading:
    """How the two sides are read; a run knows most of it itself.

    Attributes:
        metric: name of the metric; a run's own when not given.
        columns: target columns to compare on; all when not given.
        target_weights: weights by target for a metric that weighs targets; a run's own when not given.
        group: column of groups; a run's own groups when not given.
        id: column of a table that identifies its rows.
        prefixes: what prediction columns of table A and of table B begin with; `pred_` for a regression, else `prob_`,
            when not given.
    """

    metric: str | None = None
    columns: tuple[str, ...] = ()
    target_weights: Mapping[str, float] = field(default_factory=dict)
    group: str | None = None
    id: str = "id"
    prefixes: tuple[str | None, str | None] = (None, None)


@dataclass(frozen=True)
class Side:
    """Predictions of n rows.

    Attributes:
        name: the folder or file, as the user wrote it.
        ids: object (n,) of str, unique.
        prediction: float32 (n, k), probabilities or, for a regression, values.
        target: float32 (n, k), or None where a table holds predictions alone.
        groups: (n,) labels, or None.
        fold: int64 (n,), or None for a table.
        codec: what the k outputs mean.
        task: a run's task, or None for a table.
    """

    name: str
    ids: np.ndarray
    prediction: np.ndarray
    target: np.ndarray | None
    groups: np.ndarray | None
    fold: np.ndarray | None
    codec: TargetCodec
    task: Task | None


def read_sides(a: Path, b: Path, reading: Reading) -> tuple[Side, Side]:
    """Read both sides; a folder is a run, a file is a table.

    Raises:
        RunError: a folder is no complete run.
        DataError: a table cannot be read, lacks a column, or holds what is no number or no class.
    """
    paths = (a, b)
    runs = [_read_run(path, reading) if path.is_dir() else None for path in paths]
    tables = [None if run else _read_table(path, reading.id) for path, run in zip(paths, runs, strict=True)]
    codec = next((run.codec for run in runs if run), None) or _guessed(tables, paths, reading)
    sides = [
        run or _side_of_table(path, table, codec, prefix, reading)
        for path, run, table, prefix in zip(paths, runs, tables, reading.prefixes, strict=True)
    ]
    if reading.group is not None and all(side.groups is None for side in sides):
        raise DataError(f"neither {a} nor {b} has a column {reading.group!r} of groups")
    return sides[0], sides[1]


def _read_run(folder: Path, reading: Reading) -> Side:
    status = read_summary(folder).get("status")
    if status != "complete":
        raise RunError(f"the run in {folder} is not complete", got=f"status {status!r}", fix="give its command again")
    evaluation = load_evaluation(folder)
    codec, places = _narrowed(evaluation.codec, reading.columns, str(folder))
    return Side(
        name=str(folder),
        ids=evaluation.ids,
        prediction=evaluation.prediction[:, places],
        target=evaluation.target[:, places],
        groups=run_groups(folder / FOLDS, evaluation.ids, reading.group),
        fold=evaluation.fold,
        codec=codec,
        task=load_recipe(folder / RECIPE).task,
    )


def _narrowed(codec: TargetCodec, columns: Sequence[str], name: str) -> tuple[TargetCodec, list[int]]:
    """The codec of some target columns alone, and the places of its outputs among all outputs."""
    unknown = [column for column in columns if column not in codec.columns]
    if unknown:
        raise DataError(f"{name} does not predict {', '.join(unknown)}", expected=f"some of {list(codec.columns)}")
    if not columns or codec.kind in ("multiclass", "binary") or codec.label_sets:
        return codec, list(range(len(codec.outputs)))
    places = [codec.columns.index(column) for column in columns]
    dtypes = tuple(codec.dtypes[place] for place in places)
    return replace(codec, columns=tuple(columns), outputs=tuple(columns), dtypes=dtypes), places


def run_groups(path: Path, ids: np.ndarray, column: str | None = None) -> np.ndarray | None:
    """The groups that a run's folds were made from, or another column of its folds.csv.

    Args:
        path: the folds.csv.
        ids: object (n,) of str.
        column: `group` when not given.

    Returns:
        Object (n,) of str, or None without such a column.

    Raises:
        RunError: an id is not in the file.
    """
    frame = _read_table(path, "id")
    if (column or "group") not in frame.columns:
        return None
    places = pd.Index(cell_texts(frame["id"]), dtype=object).get_indexer(pd.Index(ids, dtype=object))
    if (places < 0).any():
        raise RunError(f"{path} lacks {(places < 0).sum()} of the ids in the out-of-fold table")
    return np.array(cell_texts(frame[column or "group"]), dtype=object)[places]


def _read_table(path: Path, id_column: str) -> pd.DataFrame:
    frame, rows = read_rows(path, exact={id_column})
    require_columns(frame, [id_column], role="the id", table=str(path))
    frame.index = pd.Index(rows)  # errors name rows by their labels where the table has a column `source` of its own
    if SOURCE not in frame.columns:
        frame[SOURCE], frame[SOURCE_ROW] = path.name, rows
    return frame


def _guessed(tables: Sequence[pd.DataFrame | None], paths: Sequence[Path], reading: Reading) -> TargetCodec:
    """What two tables predict, from the metric and the names of their columns."""
    if reading.metric is None:
        raise DataError("tables do not say what they are judged by", fix="name a metric, e.g. --metric rmse")
    if reading.metric not in METRICS:
        raise RecipeError(f"no metric {reading.metric!r}", fix=suggestion(reading.metric, METRICS))
    regression = "regression" in METRICS[reading.metric].tasks
    found: list[str] = []
    for table, path, prefix in zip(tables, paths, reading.prefixes, strict=True):
        assert table is not None
        start = prefix if prefix is not None else "pred_" if regression else "prob_"
        outputs = [name.removeprefix(start) for name in table.columns if name.startswith(start) and name != start]
        targets = reading.columns or [name for name in outputs if name in table.columns]
        if outputs and targets and set(targets) <= set(table.columns):
            task = _task(reading.metric, regression, targets, outputs)
            return TargetCodec.fit(task, table)
        found.append(f"{path}: {list(map(str, table.columns))[:12]}")
    raise DataError(
        "neither table holds the truth beside its predictions",
        got="; ".join(found),
        expected="target columns, and prediction columns named by target (pred_<target>) or by class (prob_<class>)",
        fix="name the target columns with --column and the prediction columns' beginning with --prefix-a, --prefix-b",
    )


def _task(metric: str, regression: bool, targets: Sequence[str], outputs: Sequence[str]) -> Task:
    kind: TaskKind = "regression" if regression else "multilabel"
    classes: dict[str, object] = {}
    if not regression and len(targets) == 1:
        kind = "multiclass" if len(outputs) > 1 else "binary"
        if kind == "multiclass":
            classes = {"classes": list(outputs)}
        elif outputs[0] != targets[0]:  # named by the positive class, not by the target
            classes = {"positive": outputs[0]}
    return Task.model_validate({"kind": kind, "target": list(targets), "metric": metric, **classes})


def _side_of_table(
    path: Path, table: pd.DataFrame | None, codec: TargetCodec, prefix: str | None, reading: Reading
) -> Side:
    assert table is not None
    ids = np.array(cell_texts(table[reading.id]), dtype=object)
    wrong = np.flatnonzero(pd.isna(ids) | pd.Series(ids).duplicated().to_numpy())
    if len(wrong):
        raise DataError(f"{path}: ids are missing or given twice in column {reading.id!r}: {name_rows(table, wrong)}")
    start = prefix if prefix is not None else "pred_" if codec.kind == "regression" else "prob_"
    has_truth = set(codec.columns) <= set(table.columns)
    group = reading.group if reading.group in table.columns else None
    return Side(
        name=str(path),
        ids=ids,
        prediction=_predictions(path, table, codec, start),
        target=codec.encode(table) if has_truth else None,
        groups=None if group is None else _groups(path, table, group),
        fold=None,
        codec=codec,
        task=None,
    )


def _predictions(path: Path, table: pd.DataFrame, codec: TargetCodec, prefix: str) -> np.ndarray:
    """The prediction columns, float32 (n, k); a binary task's may be named by its target."""
    names = [f"{prefix}{output}" for output in codec.outputs]
    if codec.kind == "binary" and names[0] not in table.columns and f"{prefix}{codec.columns[0]}" in table.columns:
        names = [f"{prefix}{codec.columns[0]}"]
    require_columns(table, names, role="a prediction", table=str(path))
    columns = [pd.to_numeric(table[name], errors="coerce").to_numpy(np.float32, na_value=np.nan) for name in names]
    values = np.stack(columns, axis=1)
    wrong = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(wrong):
        raise DataError(f"{path}: {len(wrong)} rows have predictions that are no numbers: {name_rows(table, wrong)}")
    return values


def _groups(path: Path, table: pd.DataFrame, column: str) -> np.ndarray:
    missing = np.flatnonzero(table[column].isna())
    if len(missing):
        raise DataError(f"{path}: {len(missing)} rows have no group in {column!r}: {name_rows(table, missing)}")
    return np.array(cell_texts(table[column]), dtype=object)
