"""Label sets: all labels of a row in one cell, as a label or as a list of them, there and back; secondary labels."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from outfold.data.audio.labels import Labels, SoftTargets, label_lists, parse_labels, with_secondary
from outfold.data.columns import cell_texts
from outfold.data.rows import name_rows
from outfold.data.target_cells import present, some
from outfold.errors import DataError
from outfold.names import nearest
from outfold.settings.task import Task

SECONDARY = "row_secondary_labels"
"""Column of a run's own tables, a name that other columns hardly have: lists of the classes that are secondary only."""


def found_labels(frame: pd.DataFrame, column: str) -> list[str]:
    """All labels in the cells of a column, each once, in the order of the rows."""
    return list(dict.fromkeys(label for labels in _label_sets(frame, column) for label in labels))


def label_indicators(frame: pd.DataFrame, column: str, classes: Sequence[str]) -> np.ndarray:
    """The labels of each row as float32 (n, k): 1 for those in its cell, else 0.

    An empty list is a row without any label; an empty cell is a row whose labels are not known, which is refused.

    Args:
        frame: the table, n rows.
        column: of label sets.
        classes: (k,) in the order of the columns.

    Raises:
        DataError: a cell is empty or no list of labels, or a label is no class; the rows are named.
    """
    place = {name: number for number, name in enumerate(classes)}
    cells = [(row, label) for row, labels in enumerate(_label_sets(frame, column)) for label in labels]
    unknown = [(row, label) for row, label in cells if label not in place]
    if unknown:
        labels = list(dict.fromkeys(label for _, label in unknown))
        near = nearest(labels[0], classes)
        raise DataError(
            f"{len(unknown)} labels in column {column!r} are not among the classes: "
            + name_rows(frame, list(dict.fromkeys(row for row, _ in unknown))),
            got=some(labels),
            expected=f"one of {some(classes)}",
            fix=f"did you mean {near!r}?" if near else None,
        )
    target = np.zeros((len(frame), len(classes)), np.float32)
    target[[row for row, _ in cells], [place[label] for _, label in cells]] = 1.0
    return target


def list_texts(chosen: np.ndarray, classes: Sequence[str]) -> list[str]:
    """Bool (n, k) as the text of a list each, such as `['a', 'b']`, which `label_indicators` reads."""
    return [str([classes[place] for place in np.flatnonzero(row).tolist()]) for row in chosen]


def secondary_in(table: pd.DataFrame, classes: Sequence[str]) -> np.ndarray | None:
    """Bool (n, k): secondary labels as `SECONDARY` of a run's table names them; None where it has no such column."""
    return label_indicators(table, SECONDARY, classes) > 0 if SECONDARY in table.columns else None


def usable_cells(column: pd.Series, classes: Sequence[str] | None) -> np.ndarray:
    """Bool (n,): the cells that are label sets, of these classes where they are given."""
    known = None if classes is None else set(classes)

    def usable(text: str | None) -> bool:
        try:
            labels = parse_labels(text)
        except DataError:
            return False
        return known is None or known.issuperset(labels)

    texts = cell_texts(column)
    verdicts = {text: usable(text) for text in set(texts)}
    return np.array([verdicts[text] for text in texts], dtype=bool)


def learned_of_secondary(
    task: Task, frame: pd.DataFrame, classes: Sequence[str], target: np.ndarray
) -> SoftTargets | None:
    """What is learned of rows with secondary labels; None where the task has none.

    Args:
        task: with the column of secondary labels, and what they count.
        frame: the training table, n rows.
        classes: (k,) in the order of the columns.
        target: float32 (n, k), 1 for the rows' own labels.

    Returns:
        Targets (n, k) and their mask, which is 1 throughout where the task asks for none.

    Raises:
        DataError: the column is missing, or a cell of it is no list of labels.
    """
    if task.secondary is None:
        return None
    lists = label_lists(frame, task.secondary.column, table="training table")
    return with_secondary(target, lists, classes, value=task.secondary.value, mask=task.secondary.mask)


def _label_sets(frame: pd.DataFrame, column: str) -> list[Labels]:
    """The labels of each row; a row without a cell is refused."""
    present(frame, column)
    return label_lists(frame, column, table="table")
