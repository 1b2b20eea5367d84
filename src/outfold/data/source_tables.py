"""One table of a recipe in the recipe's words: read, filtered, renamed, its labels mapped, a row a sample."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from outfold.data.audio.rows import rows_of_recordings
from outfold.data.columns import require_columns
from outfold.data.long import LongRows, pivot
from outfold.data.mapping import Mapped, map_values
from outfold.data.paths import Confinement, template_columns
from outfold.data.reading import read_rows
from outfold.data.rows import SOURCE, SOURCE_ROW
from outfold.data.where import matching_rows
from outfold.errors import DataError
from outfold.settings.data import Data, Media, Source
from outfold.settings.recordings import Audio


class SourceTable(NamedTuple):
    """One table with a row a sample, the rows of a long one, and what its `map` did."""

    frame: pd.DataFrame
    long: LongRows | None
    mapped: tuple[Mapped, ...]


def read_source(source: Source, data: Data, root: Path, targets: Sequence[str], *, labelled: bool) -> SourceTable:
    """One table in the recipe's words, a row a sample.

    Args:
        source: which one.
        data: the recipe's `data` part.
        root: folder that its path starts from.
        targets: the task's target columns.
        labelled: whether its rows must have them.

    Raises:
        DataError: see `outfold.data.table.load_samples`.
    """
    frame, words = _filtered(source, data, root), dict(source.map)
    long: LongRows | None = None
    of_rows: tuple[Mapped, ...] = ()
    if data.long is not None:
        own = {name: words.pop(name) for name in data.long.columns if isinstance(words.get(name), dict)}
        frame, of_rows = map_values(frame, own, targets=(), table=source.table)
        frame, long = pivot(frame, data.long, data.id, targets, table=source.table, labelled=labelled)
    known = [name for name in targets if labelled or name in frame.columns]
    frame, mapped = map_values(frame, words, targets=known, table=source.table)
    return SourceTable(frame, long, (*of_rows, *mapped))


def in_recipe_words(frame: pd.DataFrame, source: Source) -> pd.DataFrame:
    """A table like the source's with its `rename` and `map` applied, as far as its columns are not there already.

    Labels stay as they are: rows that come later need none.
    """
    names = {old: new for old, new in source.rename.items() if old in frame.columns and new not in frame.columns}
    frame = frame.rename(columns=names)
    words = {name: new for name, new in source.map.items() if isinstance(new, dict) and name in frame.columns}
    return map_values(frame, words, targets=(), table="frame")[0]


def _filtered(source: Source, data: Data, root: Path) -> pd.DataFrame:
    """One table with its own filters and names applied: `where` and `rename` use its own column names and values."""
    frame, rows = _rows_of(source, data, root)
    require_columns(frame, source.rename, role="a column to rename", table=source.table)
    keep = matching_rows(frame, source.where, role="a filter (`where`)", table=source.table)
    frame = frame.assign(**{SOURCE_ROW: rows}).loc[keep].rename(columns=source.rename).reset_index(drop=True)
    _refuse_equal_names(frame, source)
    if data.long is None:  # whose samples may be named by its rows
        require_columns(frame, [data.id], role="the id", table=source.table)
    return _with_source(frame, source)


def _rows_of(source: Source, data: Data, root: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """A source's table as it is, and the line of each row in it."""
    if source.recordings is not None:
        frame = rows_of_recordings(source.recordings, root, data.id)
        return frame, np.arange(1, len(frame) + 1)
    path = Confinement(root).resolve(source.table)
    if path is None:
        raise DataError(f"table {source.table!r} lies outside the data root", expected=f"a path inside {root}")
    own_names = {new: old for old, new in source.rename.items()}
    exact = {own_names.get(name, name) for name in _exact(data, place_of(data, source))}
    return read_rows(Path(path), exact=exact)


def _with_source(frame: pd.DataFrame, source: Source) -> pd.DataFrame:
    """Add the column `source`; a table's own column of that name stays where the recipe gives no name."""
    if SOURCE not in frame.columns:
        own = source.table if source.recordings is not None else Path(source.table).name
        return frame.assign(**{SOURCE: source.name or own})
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


def later_media(data: Data) -> Media | Audio | None:
    """Where the media of rows are that come later: where the test table's are, or all."""
    own = None if data.test is None else data.test.image or data.test.own_audio(data.id)
    return own or data.image or data.audio


def place_of(data: Data, source: Source) -> Media | Audio | None:
    """Where the media of a source's rows are."""
    return source.image or source.own_audio(data.id) or data.image or data.audio


def exact_columns(data: Data) -> set[str]:
    """The columns of tables that come later, by any of their names, whose cells must stay as they are written."""
    exact = _exact(data, later_media(data))
    renamed = data.test.rename if data.test is not None else {}
    return exact | {old for old, new in renamed.items() if new in exact}


def _exact(data: Data, media: Media | Audio | None) -> set[str]:
    """The recipe's names of columns that identify rows and samples, or are parts of paths."""
    rows = set() if data.long is None else {data.long.row}
    return {data.id, *rows, *(template_columns(media.path) if media else ())}
