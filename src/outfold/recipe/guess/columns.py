"""Guesses the role of a table's columns from their names and their values."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from outfold.data.audio.labels import Labels, parse_labels
from outfold.data.columns import cell_texts, kind_of
from outfold.errors import DataError
from outfold.settings.task import TaskKind

TRAIN_WORDS = frozenset({"train", "training", "fit"})
TEST_WORDS = frozenset({"test", "testing", "holdout", "hold-out", "eval", "evaluation"})
VALID_WORDS = frozenset({"val", "valid", "validation", "dev"})

_TARGET = frozenset({"target", "label", "labels", "class", "y", "classname"})
_TARGET_LIKE = frozenset({
    "category", "diagnosis", "dx", "species", "grade", "outcome", "breed", "severity", "rating", "stage", "disease",
    "quality", "score", "primarylabel",
})  # fmt: skip
_GROUP_WORDS = frozenset({
    "patient", "subject", "person", "participant", "individual", "lesion", "animal", "specimen", "object", "group",
    "plot", "module", "slide", "case", "recording", "session", "src", "video", "scene", "series", "burst", "tree",
    "plant", "farm", "hospital", "clinic", "site", "location", "station", "camera", "date", "day",
    "author", "recordist", "recorder", "observer", "photographer",
})  # fmt: skip
_UNIT = re.compile(r"_(g|kg|mg|t|cm|mm|m|km|cm2|m2|cm3|mm3|ml|l|s|ms|pct|percent|deg|c|ha)$", re.IGNORECASE)


@dataclass(frozen=True)
class Guess:
    """Columns for one role, and why. Of several group columns the first is the coarsest and covers the others."""

    columns: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Split:
    """A column that says which rows are for training and which for testing."""

    column: str
    train: tuple[str, ...]
    valid: tuple[str, ...]
    test: tuple[str, ...]


@dataclass(frozen=True)
class TargetGuess:
    """What to predict, and what else it could have been."""

    columns: tuple[str, ...]
    kind: TaskKind
    why: str
    others: tuple[tuple[str, str], ...] = ()
    """Other columns that could be the target, the likeliest first, each with the kind of task it would be."""


def words(name: str) -> list[str]:
    """The words of a column's name: `srcFile_ID` -> ["src", "file", "id"]."""
    return [w.lower() for w in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", name)]


def listed_labels(column: pd.Series) -> list[Labels] | None:
    """The labels in each cell where all that are not empty are lists written as text; None where they are not."""
    texts = [text for text in cell_texts(column) if text]
    if not texts or not all(text.lstrip().startswith("[") for text in texts):
        return None
    try:
        return [parse_labels(text) for text in texts]
    except DataError:
        return None


def guess_split(frame: pd.DataFrame) -> Split | None:
    """The first text column whose values are all words like train, val and test, train among them."""
    for name in frame.columns:
        values: Iterable[object] = frame[name].dropna().unique() if kind_of(frame[name]) == "text" else ()
        found = {str(value): str(value).lower() for value in values}
        if set(found.values()) & TRAIN_WORDS and set(found.values()) <= TRAIN_WORDS | TEST_WORDS | VALID_WORDS:
            sets = [tuple(v for v in found if found[v] in known) for known in (TRAIN_WORDS, VALID_WORDS, TEST_WORDS)]
            return Split(str(name), *sets) if len(found) > 1 else None
    return None


def guess_fold(frame: pd.DataFrame) -> str | None:
    """A whole-number column of 2 to 50 values whose name says fold."""
    for name in frame.columns:
        named = {"fold", "folds", "kfold"} & set(words(str(name)))
        if named and kind_of(frame[name]) == "integer" and 2 <= frame[name].nunique() <= 50:
            return str(name)
    return None


def guess_id(frame: pd.DataFrame, media: Sequence[str]) -> Guess:
    """The column that identifies a row: unique, and called id before the media column before the first."""
    usable = [str(n) for n in frame.columns if not frame[n].isna().any() and kind_of(frame[n]) in ("text", "integer")]
    unique = [name for name in usable if frame[name].is_unique]
    if not unique:
        name = max(usable or [str(frame.columns[0])], key=lambda column: frame[column].nunique())
        return Guess(
            (name,), f"the most different values ({frame[name].nunique()} in {len(frame)} rows), but not unique"
        )
    named = [name for name in unique if words(name)[-1:] == ["id"]]
    if named:
        return Guess((named[0],), "unique, and its name says id")
    if len(media) == 1 and media[0] in unique:
        return Guess((media[0],), "unique, and it names the file")
    return Guess((unique[0],), "the first column that is unique")


def task_kind(column: pd.Series) -> tuple[TaskKind, str]:
    """The kind of task that a target column asks for, and why."""
    values = column.dropna()
    distinct = values.nunique()
    lists = listed_labels(values)
    if lists is not None:
        return "multilabel", f"lists of {_distinct(lists)} labels"
    if distinct == 2:
        return "binary", f"two values, {' and '.join(map(str, sorted(values.unique())))}"
    if kind_of(column) == "text":
        return "multiclass", f"text with {distinct} values"
    if not np.equal(np.mod(values.to_numpy(dtype=np.float64), 1), 0).all():
        return "regression", f"numbers from {values.min():g} to {values.max():g}"
    if distinct <= 12 or _TARGET & set(words(str(column.name))):
        return "multiclass", f"{distinct} whole numbers"
    return "regression", f"{distinct} different whole numbers from {values.min():g} to {values.max():g}"


def guess_target(frame: pd.DataFrame, taken: Collection[str]) -> TargetGuess | None:
    """The column (or the columns of one unit, or the 0/1 columns) to predict; None where no column can be a target."""
    candidates = [str(name) for name in frame.columns if name not in taken and _can_be_target(frame[name])]
    if not candidates:
        return None
    points = {name: _target_points(name, frame, candidates) for name in candidates}
    best = max(candidates, key=lambda name: points[name])
    flags = [name for name in candidates if set(frame[name].dropna().unique().tolist()) <= {0, 1}]
    if points[best] < 6 and len(flags) >= 3:
        others = tuple(_describe(frame[name]) for name in candidates if name not in flags)
        return TargetGuess(tuple(flags), "multilabel", f"{len(flags)} columns of 0 and 1", others)
    columns = _same_unit(best, frame, candidates) if points[best] < 10 else (best,)
    kind, why = task_kind(frame[best])
    why = why if len(columns) == 1 else "numbers of one unit"
    others = tuple(
        _describe(frame[name]) for name in sorted(candidates, key=lambda n: -points[n]) if name not in columns
    )
    return TargetGuess(columns, kind, f"{_target_reason(best, frame, candidates)}; {why}", others)


def describe_target(frame: pd.DataFrame, columns: Sequence[str]) -> TargetGuess:
    """The kind of task for target columns that the user names."""
    kind, why = task_kind(frame[columns[0]])
    if len(columns) > 1:
        flags = all(set(frame[name].dropna().unique().tolist()) <= {0, 1} for name in columns)
        kind = "multilabel" if flags else "regression"
    return TargetGuess(tuple(columns), kind, f"you named it; {why}")


def guess_groups(frame: pd.DataFrame, taken: Collection[str], target: TargetGuess) -> tuple[Guess, ...]:
    """Columns whose equal values must share a fold; one that is nested in another is listed behind it as covered."""
    labels = target.columns if target.kind != "regression" and len(target.columns) == 1 else ()
    free = [name for name in map(str, frame.columns) if name not in taken]
    reasons = {name: why for name in free if (why := _group_reason(frame[name]))}
    names = [name for name in reasons if not any(determines(frame, label, name) for label in labels)]
    covering: dict[str, list[str]] = {}
    for name in sorted(names, key=lambda column: frame[column].nunique()):
        wider = next((known for known in covering if determines(frame, name, known)), None)
        covering.setdefault(wider or name, []).append(name)
    return tuple(Guess(tuple(group), reasons[name] + _covers(group[1:])) for name, group in covering.items())


def _covers(names: Sequence[str]) -> str:
    return f"; covers {', '.join(names)}" if names else ""


def determines(frame: pd.DataFrame, cause: str, effect: str) -> bool:
    """Whether each value of one column goes with one value of the other (a missing value counts as a value)."""
    pairs = frame[[cause, effect]].drop_duplicates()
    return len(pairs) == frame[cause].nunique(dropna=False)


def _can_be_target(column: pd.Series) -> bool:
    lists = listed_labels(column)
    distinct = column.nunique() if lists is None else _distinct(lists)
    if distinct < 2 or column.isna().mean() > 0.5:
        return False
    return kind_of(column) != "text" or distinct <= len(column) / 3


def _distinct(lists: Iterable[Labels]) -> int:
    return len({label for labels in lists for label in labels})


def _target_points(name: str, frame: pd.DataFrame, candidates: list[str]) -> int:
    parts = words(name)
    joined = "".join(parts)
    points = 10 if joined in _TARGET else 6 if joined in _TARGET_LIKE else 4 if _TARGET & set(parts) else 0
    points -= 2 if parts[-1:] in (["id"], ["code"], ["type"]) else 0
    siblings = len(_same_unit(name, frame, candidates)) - 1
    return points + (3 + siblings if _UNIT.search(name) else 0) + (2 if name == str(frame.columns[-1]) else 0)


def _target_reason(name: str, frame: pd.DataFrame, candidates: list[str]) -> str:
    parts = set(words(name)) | {"".join(words(name))}
    if parts & (_TARGET | _TARGET_LIKE):
        return "its name says so"
    if len(_same_unit(name, frame, candidates)) > 1 or _UNIT.search(name):
        return "a measured quantity by its name"
    return "the last column that can be one, a weak reason" if name == str(frame.columns[-1]) else "a weak guess"


def _same_unit(name: str, frame: pd.DataFrame, candidates: list[str]) -> tuple[str, ...]:
    unit = _UNIT.search(name)
    if unit is None or kind_of(frame[name]) == "text":
        return (name,)
    return tuple(n for n in candidates if kind_of(frame[n]) != "text" and n.lower().endswith(unit.group().lower()))


def _describe(column: pd.Series) -> tuple[str, str]:
    kind, why = task_kind(column)
    return str(column.name), f"{kind}: {why}"


def _group_reason(column: pd.Series) -> str | None:
    rows, distinct = int(column.notna().sum()), column.nunique()
    if distinct < 10 or distinct >= 0.995 * rows or kind_of(column) == "float":
        return None
    repeated = f"{distinct} values on {rows} rows"
    named = _GROUP_WORDS & set(words(str(column.name)))
    if named:
        return f"its name says {min(named)}; {repeated}"
    if kind_of(column) == "text" and distinct >= 20 and _mostly_numbered(column):
        return f"its values look like identifiers; {repeated}"
    return None


def _mostly_numbered(column: pd.Series) -> bool:
    texts = [text for text in cell_texts(column.drop_duplicates().head(200)) if text]
    return sum(any(map(str.isdigit, text)) for text in texts) > 0.9 * len(texts)
