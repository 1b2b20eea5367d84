"""Tables of samples: lossless reading, several sources, ids and media paths."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from outfold.data.columns import cell_texts, plain_column, require_columns, stack_columns
from outfold.data.mapping import Mapped, map_values
from outfold.data.paths import Confinement, media_paths, template_columns
from outfold.data.reading import read_rows
from outfold.data.rows import SOURCE, SOURCE_ROW, name_rows
from outfold.data.where import matching_rows
from outfold.errors import DataError
from outfold.settings.data import Data, Media, Source

__all__ = ["Part", "Samples", "load_samples", "media_paths", "read_table", "refuse_known_ids", "samples_from_frame"]

Part = Literal["train", "test", "unlabelled"]
"""Which of a recipe's tables."""


def read_table(path: Path | str) -> pd.DataFrame:
    """Read a CSV or parquet file; see `outfold.data.columns.typed_column` for the types of its columns.

    Raises:
        DataError: the file is missing, empty, not a table, ragged, or has two columns of one name.
    """
    return read_rows(Path(path))[0]


@dataclass(frozen=True)
class Samples:
    """The rows of a recipe's tables, with the roles that every part needs."""

    frame: pd.DataFrame
    """All columns, on a RangeIndex; with `source` and `source_row`, the table a row came from and its line there."""
    ids: np.ndarray
    """(n,) object array of str, unique."""
    media: tuple[Path, ...] | None
    """Absolute path of each row's file."""
    id_column: str
    mapped: tuple[Mapped, ...] = ()
    """What the `map` of each source did."""

    def __len__(self) -> int:
        return len(self.frame)

    def take(self, rows: Sequence[int] | np.ndarray) -> "Samples":
        """The samples at these positions (or under this boolean mask), in this order."""
        positions = np.arange(len(self))[np.asarray(rows)]
        media = None if self.media is None else tuple(self.media[position] for position in positions)
        frame = self.frame.iloc[positions].reset_index(drop=True)
        return Samples(frame, self.ids[positions], media, self.id_column, self.mapped)


def load_samples(data: Data, root: Path, part: Part = "train", *, targets: Sequence[str] = ()) -> Samples:
    """Read the training tables of a recipe, its test table, or its tables without labels, as one table.

    Args:
        data: the recipe's `data` part.
        root: folder that relative paths start from; nothing outside it is read.
        part: which tables.
        targets: the task's target columns, which the labels in a source's `map` are for. Test and unlabelled tables
            may lack them.

    Raises:
        DataError: a table or column is missing, a filter leaves no row, an id is missing or given twice, a weight is
            negative or not a number. Rows are named by table and line.
        MediaError: a media path leaves the root.
    """
    sources = sources_of(data, part)
    if not sources:
        word = {"train": "training", "test": "test", "unlabelled": "unlabelled"}[part]
        raise DataError(f"the recipe has no {word} table", fix=f"set data.{part}")
    parts: list[pd.DataFrame] = []
    mapped: list[Mapped] = []
    for source in sources:
        frame = _read_source(source, data, root)
        known = [name for name in targets if part == "train" or name in frame.columns]
        frame, done = map_values(frame, source.map, targets=known, table=source.table)
        parts.append(frame)
        mapped.extend(done)
    media = [_media_of(rows, source.image or data.image, root) for rows, source in zip(parts, sources, strict=True)]
    frame = _stack(parts)
    if data.weight is not None and part == "train":
        _check_weights(frame, data.weight)
    return Samples(frame, _unique_ids(frame, data.id), _join_media(media, sources), data.id, tuple(mapped))


def sources_of(data: Data, part: Part) -> tuple[Source, ...]:
    """The tables of one part of a recipe's data; none where it has none."""
    return {"train": data.train, "test": (data.test,) if data.test else (), "unlabelled": data.unlabelled}[part]


def refuse_known_ids(train: Samples, unlabelled: Samples) -> None:
    """Raise DataError where rows without labels have ids of training rows.

    They would be learned twice, and labelled by models that trained on them. Rows of the test table may be among the
    unlabelled ones.
    """
    known = np.flatnonzero(np.isin(unlabelled.ids, train.ids))
    if len(known):
        raise DataError(
            f"{len(known)} ids of the unlabelled rows are also in the training table",
            got=name_rows(unlabelled.frame, known),
            expected="samples that are not trained on with their labels",
            fix="leave these rows out of data.unlabelled (`where`), or give them ids of their own",
        )


def samples_from_frame(frame: pd.DataFrame, data: Data, root: Path) -> Samples:
    """Samples of rows that the caller holds as a DataFrame; errors name rows from 1.

    They may be in the test table's words or in the recipe's. Their media lie where `data.image` says, or else where the
    test table's do.
    """
    if data.test is not None:
        frame = _in_recipe_words(frame, data.test)
    require_columns(frame, [data.id], role="the id", table="frame")
    frame = frame.reset_index(drop=True)
    if SOURCE_ROW not in frame.columns:
        frame = frame.assign(**{SOURCE: frame.get(SOURCE, "frame"), SOURCE_ROW: np.arange(1, len(frame) + 1)})
    return Samples(frame, _unique_ids(frame, data.id), _media_of(frame, later_media(data), root), data.id)


def later_media(data: Data) -> Media | None:
    """Where the media of rows are that come later: where the test table's are, or all."""
    own = data.test.image if data.test is not None else None
    return own or data.image


def exact_columns(data: Data) -> set[str]:
    """The columns of tables that come later, by any of their names, whose cells must stay as they are written."""
    media = later_media(data)
    exact = {data.id, *(template_columns(media.path) if media else ())}
    renamed = data.test.rename if data.test is not None else {}
    return exact | {old for old, new in renamed.items() if new in exact}


def _in_recipe_words(frame: pd.DataFrame, source: Source) -> pd.DataFrame:
    """A table like the source's with its `rename` and `map` applied, as far as its columns are not there already.

    Labels stay as they are: rows that come later need none.
    """
    names = {old: new for old, new in source.rename.items() if old in frame.columns and new not in frame.columns}
    frame = frame.rename(columns=names)
    words = {name: new for name, new in source.map.items() if isinstance(new, dict) and name in frame.columns}
    return map_values(frame, words, targets=(), table="frame")[0]


def _read_source(source: Source, data: Data, root: Path) -> pd.DataFrame:
    """One table with its own filters and names applied: `where` and `rename` use its own column names and values."""
    path = Confinement(root).resolve(source.table)
    if path is None:
        raise DataError(f"table {source.table!r} lies outside the data root", expected=f"a path inside {root}")
    media = source.image or data.image
    exact = {data.id, *(template_columns(media.path) if media else ())}
    own_names = {new: old for old, new in source.rename.items()}
    frame, rows = read_rows(Path(path), exact={own_names.get(name, name) for name in exact})
    require_columns(frame, source.rename, role="a column to rename", table=source.table)
    keep = matching_rows(frame, source.where, role="a filter (`where`)", table=source.table)
    frame = frame.assign(**{SOURCE_ROW: rows}).loc[keep].rename(columns=source.rename).reset_index(drop=True)
    _refuse_equal_names(frame, source)
    require_columns(frame, [data.id], role="the id", table=source.table)
    return _with_source(frame, source)


def _with_source(frame: pd.DataFrame, source: Source) -> pd.DataFrame:
    """Add the column `source`; a table's own column of that name stays where the recipe gives no name."""
    if SOURCE not in frame.columns:
        return frame.assign(**{SOURCE: source.name or Path(source.table).name})
    if source.name is not None:
        raise DataError(
            f"{source.table}: the table has a column 'source' of its own",
            fix="rename it (`rename: {source: origin}`), or leave out the source's `name`",
        )
    return frame


def _refuse_equal_names(frame: pd.DataFrame, source: Source) -> None:
    twice = frame.columns[frame.columns.duplicated()].tolist()
    if twice:
        raise DataError(f"{source.table}: after `rename` there are two columns {twice[0]!r}", got=source.rename)


def _stack(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One table below the other; a column that a table lacks is missing there."""
    names = list(dict.fromkeys(name for part in parts for name in part.columns))
    absent = [pd.Series(np.full(len(part), np.nan)) for part in parts]
    columns = {
        name: [part[name] if name in part.columns else gap for part, gap in zip(parts, absent, strict=True)]
        for name in names
    }
    stacked = {name: plain_column(stack_columns(pieces)) for name, pieces in columns.items()}
    return pd.DataFrame(stacked)


def _media_of(frame: pd.DataFrame, media: Media | None, root: Path) -> tuple[Path, ...] | None:
    return None if media is None else media_paths(frame, media.path, root)


def _join_media(media: Sequence[tuple[Path, ...] | None], sources: Sequence[Source]) -> tuple[Path, ...] | None:
    without = [source.table for source, paths in zip(sources, media, strict=True) if paths is None]
    if len(without) == len(media):
        return None
    if without:
        raise DataError(f"{without[0]}: no media path, while other tables have one", fix="set `image` for it")
    return tuple(path for paths in media if paths is not None for path in paths)


def _unique_ids(frame: pd.DataFrame, column: str) -> np.ndarray:
    """The id column as an object array of str (n,); missing and repeated ids raise DataError."""
    ids = np.array(cell_texts(frame[column]), dtype=object)
    missing = np.flatnonzero(frame[column].isna())
    if len(missing):
        raise DataError(f"{len(missing)} rows have no id in column {column!r}", got=name_rows(frame, missing))
    repeated = pd.Series(ids).duplicated()
    if repeated.any():
        first = list(dict.fromkeys(ids[repeated]))
        places = "; ".join(f"{name!r} in {name_rows(frame, np.flatnonzero(ids == name))}" for name in first[:3])
        raise DataError(
            f"{len(first)} ids in column {column!r} are given more than once",
            got=places + ("; .." if len(first) > 3 else ""),
            expected="one row for each id",
            fix="remove the repeated rows, or choose a column that identifies a row",
        )
    return ids


def _check_weights(frame: pd.DataFrame, column: str) -> None:
    require_columns(frame, [column], role="the sample weight", table="training table")
    weights = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(wrong):
        raise DataError(
            f"{len(wrong)} sample weights in column {column!r} are not usable: {name_rows(frame, wrong)}",
            got=frame[column].iloc[wrong[:5]].tolist(),
            expected="finite numbers that are not negative",
        )
