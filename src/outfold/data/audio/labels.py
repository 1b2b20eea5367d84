"""Labels of recordings: lists in table cells, soft targets with a mask for secondary labels, ratings as weights."""

import ast
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from outfold.data.columns import cell_texts, require_columns
from outfold.data.rows import name_rows
from outfold.errors import DataError
from outfold.names import suggestion

LONGEST_LIST = 100_000
"""Characters of a cell that is parsed; a longer one is damage or malice."""
_SEPARATORS = ",;|"

Labels = tuple[str, ...]


def parse_labels(text: str | None, separator: str | None = None) -> Labels:
    """The labels in a cell: `['a', 'b']`, `["a", "b"]`, or `a;b` with the separator `;`.

    Lists are read as literals or as JSON, never evaluated. Empty texts in a list are no labels: some years of the
    competition write `['']` for none.

    Args:
        text: the cell; None and "" hold no label.
        separator: stands between labels that are in no list; None: such a cell is one label.

    Returns:
        The labels in their order, each once, without blanks around them.

    Raises:
        DataError: brackets that hold no list of texts, or what looks like several labels without a separator given.
    """
    text = (text or "").strip()
    if text.startswith(("[", "(")):
        items = _list_of_texts(text)
    else:
        items = [text] if separator is None else text.split(separator)
        if separator is None and any(mark in text for mark in _SEPARATORS):
            raise DataError(
                "several labels without a list",
                got=repr(text),
                fix="write them as a list, ['a', 'b'], or say which separator is between them",
            )
    return tuple(dict.fromkeys(label for item in items if (label := item.strip())))


def label_lists(
    frame: pd.DataFrame, column: str, *, table: str = "table", separator: str | None = None
) -> list[Labels]:
    """The labels in each cell of a column; see `parse_labels`.

    Raises:
        DataError: the column is missing, or a cell is no list of labels: its file, row and column are named.
    """
    require_columns(frame, [column], role="a list of labels", table=table)
    parsed: dict[str | None, Labels] = {}
    lists = []
    for row, text in enumerate(cell_texts(frame[column])):
        if text not in parsed:
            try:
                parsed[text] = parse_labels(text, separator)
            except DataError as error:
                raise DataError(
                    f"{name_rows(frame, [row])}: column {column!r}: {error.problem}",
                    got=error.got,
                    expected=error.expected,
                    fix=error.fix,
                ) from error
        lists.append(parsed[text])
    return lists


@dataclass(frozen=True)
class SoftTargets:
    """Multilabel targets of n recordings and k classes."""

    values: np.ndarray
    """float32 (n, k): 1 for primary labels, the chosen value for secondary ones, else 0."""
    mask: np.ndarray
    """float32 (n, k): 0 where a class is only a secondary label, else 1; a loss is multiplied by it."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Secondary labels that are no class, and in how many rows."""


def soft_targets(
    primary: Sequence[Labels], secondary: Sequence[Labels], classes: Sequence[str], *, secondary_value: float = 1.0
) -> SoftTargets:
    """Targets and mask of recordings with primary and secondary labels.

    A class that is both is primary. Secondary labels that are no class, as species of other places are, are left out
    and counted.

    Args:
        primary: (n,) labels of each recording, one or more.
        secondary: (n,) labels that are also heard in it.
        classes: (k,) in the order of the columns.
        secondary_value: target of secondary labels, 0 to 1. It counts only where a loss does without the mask.

    Raises:
        DataError: a primary label is no class or there is none (the row, from 1, is named), the lists differ in
            length, a class is there twice, or the value is no probability.
    """
    place = _places(classes)
    own = np.zeros((len(primary), len(classes)), np.float32)
    for row, labels in enumerate(primary):
        own[row, _primary_places(labels, place, row)] = 1.0
    return with_secondary(own, secondary, classes, value=secondary_value)


def with_secondary(
    target: np.ndarray, secondary: Sequence[Labels], classes: Sequence[str], *, value: float = 1.0, mask: bool = True
) -> SoftTargets:
    """Targets of primary labels with secondary labels beside them; see `soft_targets`.

    Args:
        target: float32 (n, k), 1 for primary labels, else 0.
        secondary: (n,) labels that are also heard in the recordings.
        classes: (k,) in the order of the columns.
        value: target of secondary labels, 0 to 1.
        mask: False counts every cell, those of secondary labels too.

    Raises:
        DataError: the lists are not of these rows, a class is there twice, or the value is no probability.
    """
    place = _places(classes)
    if len(target) != len(secondary):
        raise DataError("primary and secondary labels of different rows", got=f"{len(target)} and {len(secondary)}")
    if not 0 <= value <= 1:
        raise DataError("the target of secondary labels is no probability", got=value, expected="0 to 1")
    also = np.zeros(target.shape, dtype=bool)
    for row, labels in enumerate(secondary):
        also[row, [place[label] for label in labels if label in place]] = True
    left_out = Counter(label for labels in secondary for label in set(labels) - place.keys())
    only = also & (target == 0)
    values = np.where(only, np.float32(value), target)
    return SoftTargets(values, np.where(only & mask, np.float32(0), np.float32(1)), dict(left_out.most_common()))


def rating_weights(
    ratings: Sequence[float] | np.ndarray,
    *,
    best: float = 5.0,
    lowest_weight: float = 0.0,
    unrated_weight: float = 1.0,
    drop_below: float = 0.0,
) -> np.ndarray:
    """Sample weights from ratings of quality: lowest_weight + (1 - lowest_weight) * rating / best.

    Args:
        ratings: (n,) above 0 up to `best`; 0 and NaN: nobody rated the recording, as on the archive.
        best: the best rating, whose weight is 1.
        lowest_weight: what the line comes down to at a rating of 0.
        unrated_weight: weight of recordings without a rating.
        drop_below: recordings rated lower weigh 0; unrated ones are not concerned.

    Returns:
        float32 (n,), 0 to 1.

    Raises:
        DataError: a rating lies outside (the rows, from 1, are named), or an argument does.
    """
    for name, value in (("lowest_weight", lowest_weight), ("unrated_weight", unrated_weight)):
        if not 0 <= value <= 1:
            raise DataError(f"{name} is no weight", got=value, expected="0 to 1")
    given = np.asarray(ratings, dtype=np.float64)
    wrong = np.flatnonzero((given < 0) | (given > best))
    if len(wrong):
        rows = ", ".join(f"row {row + 1}" for row in wrong[:5])
        raise DataError(
            f"{len(wrong)} ratings are out of range: {rows}", got=given[wrong[:5]].tolist(), expected=f"0 to {best}"
        )
    weights = lowest_weight + (1 - lowest_weight) * given / best
    weights[given < drop_below] = 0.0
    weights[np.isnan(given) | (given == 0)] = unrated_weight
    return weights.astype(np.float32)


def _list_of_texts(text: str) -> list[str]:
    """A Python or JSON list (or tuple) of texts."""
    if len(text) > LONGEST_LIST:
        raise DataError("a list of labels that is too long", got=f"{len(text):,} characters")
    items = _literal(text)
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        shown = text if len(text) <= 80 else f"{text[:77]}.."
        raise DataError("no list of labels", got=repr(shown), expected="""e.g. ['a', 'b'] or ["a", "b"]""")
    return list(items)


def _literal(text: str) -> object:
    """The value of a JSON text or a Python literal; None where it is neither."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text)  # reads constants and displays of them; runs nothing
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _places(classes: Sequence[str]) -> dict[str, int]:
    place = {name: number for number, name in enumerate(classes)}
    if len(place) < len(classes):
        twice = [name for name, times in Counter(classes).items() if times > 1]
        raise DataError("classes are named more than once", got=twice[:5])
    return place


def _primary_places(labels: Labels, place: Mapping[str, int], row: int) -> list[int]:
    if not labels:
        raise DataError(f"row {row + 1}: no primary label", expected="at least one")
    for label in labels:
        if label not in place:
            raise DataError(f"row {row + 1}: the primary label {label!r} is no class", fix=suggestion(label, place))
    return [place[label] for label in labels]
