"""Looks for what would make a score too good: columns, ids and folds that give the target away."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from outfold.data.columns import cell_texts, kind_of
from outfold.recipe.guess.columns import TargetGuess, determines

CHANCE = 1e-6
"""A value whose rows all have one label is pointed out where that would happen by chance less often than this."""


def target_leaks(frame: pd.DataFrame, columns: Sequence[str], target: TargetGuess) -> list[str]:
    """Columns that determine a target, or almost: as an input they would replace the photo."""
    return [
        text for name in columns for goal in target.columns if (text := _column_leak(frame, name, goal, target.kind))
    ]


def id_leaks(frame: pd.DataFrame, names: Sequence[str], target: TargetGuess) -> list[str]:
    """Ids and file names that spell out the class, or whose letters or order follow it."""
    if target.kind not in ("multiclass", "binary"):
        return []
    goal = frame[target.columns[0]]
    return [text for name in names if name not in target.columns and (text := _id_leak(frame[name], goal))]


def nearly_unique(frame: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Text columns that name rows rather than describe them."""
    found = [name for name in columns if kind_of(frame[name]) == "text" and frame[name].nunique() > 0.9 * len(frame)]
    return [
        f"`{name}` is different on nearly every row: it can only identify rows, never use it as an input"
        for name in found
    ]


def crossings(frame: pd.DataFrame, groups: Sequence[str], border: str) -> list[str]:
    """Group columns of which some value lies on both sides of an existing fold or split column."""
    found = []
    for name in groups:
        crossing = int((frame.groupby(name)[border].nunique() > 1).sum())
        if crossing:
            total = frame[name].nunique()
            found.append(
                f"{crossing} of {total} values of `{name}` lie on several sides of `{border}`: rows of one group leak"
            )
    return found


def _column_leak(frame: pd.DataFrame, name: str, goal: str, kind: str) -> str | None:
    rows = frame[[name, goal]].dropna()
    if not len(rows) or rows[name].nunique() < 2:
        return None
    if determines(rows, name, goal) and rows[name].nunique() <= len(rows) / 3:
        same = "is the same as" if determines(rows, goal, name) else "determines"
        return f"`{name}` {same} `{goal}`: never use it as an input"
    return _number_leak(rows[name], rows[goal]) if kind == "regression" else _label_leak(rows, name, goal)


def _label_leak(rows: pd.DataFrame, name: str, goal: str) -> str | None:
    if rows[goal].nunique() > 2 and determines(rows, goal, name):
        return f"`{name}` is a coarser form of `{goal}`: never use it as an input"
    as_it_is = rows[name].nunique() <= 50 or kind_of(rows[name]) == "text"
    values = rows[name] if as_it_is else pd.qcut(rows[name].rank(), 20, duplicates="drop")
    if values.nunique() > len(rows) / 5:
        return None
    explained = _explained(values, rows[goal])
    if explained > 0.8:
        share = f"{explained:.0%} of the errors of a constant guess vanish"
        return f"`{name}` almost determines `{goal}` ({share}): check how it was made"
    return _pure_value(name, values, rows[goal])


def _number_leak(column: pd.Series, goal: pd.Series) -> str | None:
    if kind_of(column) in ("text", "bool") or kind_of(goal) == "text":
        return None
    both = np.stack([column.to_numpy(dtype=np.float64), goal.to_numpy(dtype=np.float64)])
    if (both.std(axis=1) == 0).any():
        return None
    correlation = float(np.corrcoef(both)[0, 1])
    if abs(correlation) < 0.98:
        return None
    return (
        f"`{column.name}` follows `{goal.name}` (correlation {correlation:.3f}): as an input it would give the answer"
    )


def _explained(values: pd.Series, goal: pd.Series) -> float:
    """Share of a constant guess's errors that the majority label of each value avoids (Goodman-Kruskal lambda)."""
    counts = pd.crosstab(values, goal).to_numpy()
    constant = counts.sum() - counts.sum(axis=0).max()
    return float(1 - (counts.sum() - counts.max(axis=1).sum()) / constant) if constant else 0.0


def _pure_value(name: str, values: pd.Series, goal: pd.Series) -> str | None:
    """A column one of whose values has a single label, where chance would not have made it so."""
    counts = pd.crosstab(values, goal)
    shares = counts.sum(axis=0) / counts.to_numpy().sum()
    pure = [
        value for value, row in counts.iterrows() if (row > 0).sum() == 1 and shares[row.idxmax()] ** row.sum() < CHANCE
    ]
    if not pure or kind_of(values) not in ("text", "integer", "bool"):
        return None
    row = counts.loc[pure].iloc[0]
    more = f" (and {len(pure) - 1} more such values)" if len(pure) > 1 else ""
    fact = f"all {row.sum()} rows with `{name}` = {pure[0]} have `{goal.name}` = {row.idxmax()}"
    return f"{fact}{more}: it may follow from the label"


def _id_leak(column: pd.Series, goal: pd.Series) -> str | None:
    texts, labels = cell_texts(column), cell_texts(goal)
    pairs = [(_plain(text), _plain(label)) for text, label in zip(texts, labels, strict=True) if text and label]
    spelled = float(np.mean([float(label in text) for text, label in pairs if len(label) >= 3] or [0.0]))
    if spelled > 0.8:
        fact = f"`{column.name}` spells out `{goal.name}` on {spelled:.0%} of the rows"
        return f"{fact}: harmless as a path, never use it as an input"
    letters = pd.Series([re.split(r"[0-9]", str(text), maxsplit=1)[0] for text in texts], index=goal.index)
    by_letters = _explained(letters, goal) if 1 < letters.nunique() <= len(goal) / 5 else 0.0
    if by_letters > 0.8:
        return f"the letters that `{column.name}` begins with give `{goal.name}` away: never use it as an input"
    if kind_of(column) == "integer" and _explained(pd.qcut(column.rank(), 20), goal) > 0.8:
        return f"the number in `{column.name}` follows `{goal.name}`: never use it as an input"
    return None


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
