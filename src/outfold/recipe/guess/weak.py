"""Guesses what weakly labelled tables have beside a target: secondary labels and ratings."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pandas as pd

from outfold.data.columns import cell_texts, kind_of
from outfold.recipe.guess.columns import Guess, TargetGuess, listed_labels, words
from outfold.settings.labels import Rating

SCALES = (5, 10)
"""The best ratings that scales usually have."""


def guess_secondary(frame: pd.DataFrame, taken: Collection[str], goal: TargetGuess) -> Guess | None:
    """The column of lists most of whose labels are labels of the target too, or whose name says what it is."""
    if len(goal.columns) != 1 or goal.kind == "regression":
        return None
    known = _labels(frame[goal.columns[0]])
    for name in (str(column) for column in frame.columns if column not in {*taken, *goal.columns}):
        lists = listed_labels(frame[name])
        found = [label for labels in lists or () for label in labels]
        if found and 2 * sum(label in known for label in found) > len(found):
            rows = sum(map(bool, lists or ()))
            return Guess((name,), f"lists of further labels of `{goal.columns[0]}`, in {rows} rows")
        if lists is not None and not found and "secondary" in words(name):
            return Guess((name,), "its name says secondary; all of its lists are empty")
    return None


def as_label_sets(goal: TargetGuess, secondary: Guess | None) -> TargetGuess:
    """A target that has further labels beside it, as one of label sets."""
    if secondary is None:
        return goal
    why = f"{goal.why}; several labels a row, with those of `{secondary.columns[0]}`"
    return replace(goal, kind="multilabel", why=why)


def guess_rating(frame: pd.DataFrame, taken: Collection[str]) -> Rating | None:
    """A column of ratings up to 5 or 10, by its name, that tells rows apart."""
    for name in (str(column) for column in frame.columns if column not in taken):
        if "rating" not in words(name) or kind_of(frame[name]) not in ("integer", "float"):
            continue
        values = frame[name].dropna().to_numpy(dtype=np.float64)
        best = next((scale for scale in SCALES if len(values) and values.max() <= scale), None)
        if best is not None and values.min() >= 0 and len(np.unique(values)) > 1:
            return Rating(column=name, best=best)
    return None


def _labels(column: pd.Series) -> set[str]:
    lists = listed_labels(column)
    if lists is None:
        return {text for text in cell_texts(column) if text}
    return {label for labels in lists for label in labels}
