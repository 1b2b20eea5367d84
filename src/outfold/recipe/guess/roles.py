"""Puts the guesses about one table together: what each column is, why, and what to beware of."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from outfold.data.columns import kind_of, require_columns
from outfold.errors import DataError
from outfold.recipe.guess import columns as guessing
from outfold.recipe.guess import leaks
from outfold.recipe.guess.columns import Guess, Split, TargetGuess
from outfold.recipe.guess.media import MediaGuess, folders_of_rows, guess_media, some_paths
from outfold.recipe.guess.sound import SoundGuess, guess_sound
from outfold.recipe.guess.weak import as_label_sets, guess_rating, guess_secondary
from outfold.settings.data import Long
from outfold.settings.labels import Rating

FOLDS = 5
"""The number of folds that a written recipe asks for."""


@dataclass(frozen=True)
class Roles:
    """What the columns of a table are."""

    rows: int
    """Training rows."""
    id: Guess
    media: MediaGuess | None
    target: TargetGuess
    groups: tuple[Guess, ...]
    split: Split | None
    fold: str | None
    """A column that holds folds; it is used unless a group crosses them."""
    use_fold: bool
    stratify: tuple[str, ...]
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    warnings: tuple[str, ...]
    long: Long | None = None
    """Where the table has a row a sample and target; the other roles are then those of a sample."""
    secondary: Guess | None = None
    """Further labels beside those of the target."""
    rating: Rating | None = None
    """How good each recording is."""
    sound: SoundGuess | None = None
    """What is heard, where the media are recordings."""

    @property
    def label_sets(self) -> bool:
        """Whether the cells of one column hold all labels of a row."""
        return self.target.kind == "multilabel" and len(self.target.columns) == 1


def guess_roles(
    frame: pd.DataFrame,
    root: Path,
    *,
    target: Sequence[str] = (),
    id_column: str | None = None,
    media: MediaGuess | None = None,
) -> Roles:
    """Guess the role of every column of a table.

    Args:
        frame: the table.
        root: folder that media paths start from.
        target: the target columns, when the user names them.
        id_column: the id column, when the user names it.
        media: where the files are, when that is known; then their names are not searched for the class.

    Raises:
        DataError: a named column does not exist, or no column can be a target.
    """
    named = [*target, *([id_column] if id_column else [])]
    require_columns(frame, named, role="a role you named", table="the table")
    own_names = media is None
    media = media or guess_media(frame, root)
    split, fold = guessing.guess_split(frame), guessing.guess_fold(frame)
    training = frame[frame[split.column].isin(split.train)].reset_index(drop=True) if split else frame
    chosen_id = (
        Guess((id_column,), "you named it") if id_column else guessing.guess_id(frame, media.columns if media else ())
    )
    borders = [name for name in (split.column if split else None, fold) if name is not None]
    taken = {*chosen_id.columns, *(media.columns if media else ()), *borders}
    goal = guessing.describe_target(training, target) if target else guessing.guess_target(training, taken)
    if goal is None:
        raise DataError(
            "no column of the table can be a target", got=list(map(str, frame.columns)), fix="name it: --target COLUMN"
        )
    secondary = guess_secondary(training, taken, goal)
    heard = media is not None and media.kind == "audio"
    rating = guess_rating(training, taken | set(goal.columns)) if heard and goal.kind != "regression" else None
    taken |= {*(secondary.columns if secondary else ()), *([rating.column] if rating else [])}
    goal = as_label_sets(goal, secondary)
    groups = guessing.guess_groups(training, taken | set(goal.columns), goal)
    names = [name for group in groups for name in group.columns]
    goal = replace(goal, others=tuple(other for other in goal.others if other[0] not in {*names, *taken}))
    rest = [name for name in map(str, frame.columns) if name not in taken | {*goal.columns, *names}]
    naming = dict.fromkeys([*chosen_id.columns, *(media.columns if media else ())]) if own_names else {}
    crossed = {border: leaks.crossings(frame, names, border) for border in borders}
    warnings = [
        *_row_warnings(training, chosen_id, media, goal),
        *leaks.target_leaks(training, rest, goal),
        *leaks.id_leaks(training, list(naming), goal),
        *leaks.nearly_unique(training, rest),
        *(text for texts in crossed.values() for text in texts),
    ]
    return Roles(
        rows=len(training),
        id=chosen_id,
        media=media,
        target=goal,
        groups=groups,
        split=split,
        fold=fold,
        use_fold=fold is not None and not crossed[fold],
        stratify=_strata(training, goal),
        numeric=tuple(name for name in rest if _is_numeric(frame[name])),
        categorical=tuple(name for name in rest if _is_categorical(frame[name])),
        warnings=tuple(warnings),
        secondary=secondary,
        rating=rating,
        sound=_sound(frame, training, root, media) if media is not None and heard else None,
    )


def _sound(frame: pd.DataFrame, training: pd.DataFrame, root: Path, media: MediaGuess) -> SoundGuess:
    return guess_sound(some_paths(training, root, media), root, folders_of_rows(frame, root, media))


def _strata(frame: pd.DataFrame, goal: TargetGuess) -> tuple[str, ...]:
    """The target column to stratify by: of several quantities the one with most different values, often their sum."""
    if goal.kind == "multilabel":
        return goal.columns if len(goal.columns) == 1 else ()
    return (max(goal.columns, key=lambda name: frame[name].nunique()),)


def _is_numeric(column: pd.Series) -> bool:
    return kind_of(column) in ("integer", "float") and column.nunique() > 1


def _is_categorical(column: pd.Series) -> bool:
    return not _is_numeric(column) and 1 < column.nunique() <= 0.9 * len(column)


def _row_warnings(frame: pd.DataFrame, chosen_id: Guess, media: MediaGuess | None, goal: TargetGuess) -> list[str]:
    found = []
    repeated = int(frame[chosen_id.columns[0]].duplicated().sum())
    if repeated:
        found.append(
            f"{repeated} rows repeat an id of `{chosen_id.columns[0]}`: a run stops at them, name another: --id COLUMN"
        )
    if media and media.found < media.tried:
        found.append(
            f"{media.tried - media.found} of {media.tried} rows tried lead to no file: `outfold check` lists them"
        )
    if media and frame.duplicated(list(media.columns)).any():
        found.append(f"several rows name the same file ({media.template}): they must share a fold")
    for name in goal.columns:
        missing = int(frame[name].isna().sum())
        if missing:
            found.append(f"{missing} rows have no value of the target `{name}`: a run stops at them")
    return found + _class_warnings(frame, goal) + _sum_warnings(frame, goal)


def _class_warnings(frame: pd.DataFrame, goal: TargetGuess) -> list[str]:
    if goal.kind not in ("multiclass", "binary"):
        return []
    counts = frame[goal.columns[0]].value_counts()
    small = counts[counts < FOLDS]
    if not len(small):
        return []
    first = f"{small.index[0]!r} with {small.iloc[0]}"
    return [f"{len(small)} classes have fewer than {FOLDS} rows, e.g. {first}: some folds lack them"]


def _sum_warnings(frame: pd.DataFrame, goal: TargetGuess) -> list[str]:
    """Targets that are the sum of the others: worth knowing when they are predicted together."""
    if goal.kind != "regression" or len(goal.columns) < 3:
        return []
    values = frame[list(goal.columns)].astype(float)
    rest = values.sum(axis=1, skipna=False)
    sums = [name for name in goal.columns if ((rest - 2 * values[name]).abs() <= 1e-6 * values[name].abs().max()).all()]
    return [f"`{name}` is the sum of the other targets on every row" for name in sums]
