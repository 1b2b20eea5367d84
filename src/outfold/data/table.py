"""Tables of samples: lossless reading, several sources, ids and media paths."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from outfold.data.audio.rows import RowClips, clips_of_rows
from outfold.data.columns import plain_column, require_columns, stack_columns
from outfold.data.crops import Box, Cropped, Photo, crops_of
from outfold.data.ids import REPEATED, unique_ids
from outfold.data.long import LongRows, pivot
from outfold.data.mapping import Mapped
from outfold.data.paths import media_paths
from outfold.data.reading import read_rows
from outfold.data.rows import SOURCE, SOURCE_ROW, name_rows
from outfold.data.source_tables import in_recipe_words, later_media, place_of, read_source
from outfold.errors import DataError
from outfold.settings.data import Data, Media, Source
from outfold.settings.recordings import Audio

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
    long: LongRows | None = None
    """The rows of the tables, where they are long and these are their samples."""
    crops: tuple[Box | None, ...] = ()
    """The part of each row's photo that is used, None where it is all; empty where no row has a box."""
    clips: RowClips | None = None
    """Which seconds of its recording each row is; None where the media are no recordings."""

    @property
    def photos(self) -> tuple[Photo, ...] | None:
        """What is used of each row's file: all of it, or the part that its box keeps."""
        if self.media is None or not self.crops:
            return self.media
        pairs = zip(self.media, self.crops, strict=True)
        return tuple(path if box is None else Cropped(path, box) for path, box in pairs)

    def __len__(self) -> int:
        return len(self.frame)

    def take(self, rows: Sequence[int] | np.ndarray) -> "Samples":
        """The samples at these positions (or under this boolean mask), in this order."""
        positions = np.arange(len(self))[np.asarray(rows)]
        media = None if self.media is None else tuple(self.media[position] for position in positions)
        frame = self.frame.iloc[positions].reset_index(drop=True)
        long = None if self.long is None else self.long.take(positions, len(self))
        crops = tuple(self.crops[position] for position in positions) if self.crops else ()
        clips = None if self.clips is None else self.clips.take(positions)
        return Samples(frame, self.ids[positions], media, self.id_column, self.mapped, long, crops, clips)


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
            negative or not a number, a long table does not make whole samples (see `outfold.data.long.pivot`). Rows
            are named by table and line.
        MediaError: a media path leaves the root.
    """
    sources = sources_of(data, part)
    if not sources:
        word = {"train": "training", "test": "test", "unlabelled": "unlabelled"}[part]
        raise DataError(f"the recipe has no {word} table", fix=f"set data.{part}")
    parts = [read_source(source, data, root, targets, labelled=part == "train") for source in sources]
    media = [_media_of(one.frame, place_of(data, source), root) for one, source in zip(parts, sources, strict=True)]
    frame = _stack([one.frame for one in parts])
    if data.weight is not None and part == "train":
        _check_weights(frame, data.weight)
    ids = unique_ids(frame, data.id, fix=REPEATED if len(sources) == 1 else _of_several(sources))
    return Samples(
        frame,
        ids,
        _join_media(media, sources),
        data.id,
        tuple(mapped for one in parts for mapped in one.mapped),
        LongRows.stacked([(one.long, len(one.frame)) for one in parts if one.long is not None]),
        crops_of(data.crops, root, ids),
        _join_clips(
            [
                _clips_of(one.frame, place_of(data, source), paths, root)
                for one, source, paths in zip(parts, sources, media, strict=True)
            ]
        ),
    )


def _of_several(sources: Sequence[Source]) -> str:
    """What to do about ids that rows of several tables share."""
    patterns = [source.table for source in sources if source.recordings is not None]
    if len(patterns) < 2:
        return REPEATED
    return f"{REPEATED}; recordings that one pattern names have paths for ids where their names are equal"


def sources_of(data: Data, part: Part) -> tuple[Source, ...]:
    """The tables of one part of a recipe's data; none where it has none."""
    return {"train": data.train, "test": (data.test,) if data.test else (), "unlabelled": data.unlabelled}[part]


def has_padded_windows(data: Data, part: Part) -> bool:
    """Whether rows of a part may end behind their recordings' ends: where it has windows filled up with silence."""
    return any(one.recordings is not None and one.recordings.last == "pad" for one in sources_of(data, part))


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


def samples_from_frame(
    frame: pd.DataFrame, data: Data, root: Path, *, targets: Sequence[str] = (), table: str = "frame"
) -> Samples:
    """Samples of rows that the caller holds as a DataFrame; errors name rows from 1.

    They may be in the test table's words or in the recipe's. Their media lie where `data.image` says, or else where the
    test table's do. Their crop boxes are read where the recipe's would be, below their own root, if there are any.

    Args:
        frame: the rows; where the recipe's tables are long, a row a target (it has the column `data.long.row` then) or
            a row a sample.
        data: the recipe's `data` part.
        root: folder that media paths start from.
        targets: the task's target columns, which rows of a long table are about.
        table: how errors name the rows' table.
    """
    if data.test is not None:
        frame = in_recipe_words(frame, data.test)
    frame, rows = frame.reset_index(drop=True), None
    if SOURCE_ROW not in frame.columns:
        frame = frame.assign(**{SOURCE: frame.get(SOURCE, table), SOURCE_ROW: np.arange(1, len(frame) + 1)})
    if data.long is not None and data.long.row in frame.columns:
        frame, rows = pivot(frame, data.long, data.id, targets, table=table, labelled=False)
    require_columns(frame, [data.id], role="the id", table=table)
    place, ids = later_media(data), unique_ids(frame, data.id)
    media = _media_of(frame, place, root)
    crops = crops_of(data.crops, root, ids, optional=True)
    return Samples(frame, ids, media, data.id, long=rows, crops=crops, clips=_clips_of(frame, place, media, root))


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


def _media_of(frame: pd.DataFrame, media: Media | Audio | None, root: Path) -> tuple[Path, ...] | None:
    return None if media is None else media_paths(frame, media.path, root)


def _join_media(media: Sequence[tuple[Path, ...] | None], sources: Sequence[Source]) -> tuple[Path, ...] | None:
    without = [source.table for source, paths in zip(sources, media, strict=True) if paths is None]
    if len(without) == len(media):
        return None
    if without:
        raise DataError(f"{without[0]}: no media path, while other tables have one", fix="set `image` for it")
    return tuple(path for paths in media if paths is not None for path in paths)


def _clips_of(
    frame: pd.DataFrame, place: Media | Audio | None, media: Sequence[Path] | None, root: Path
) -> RowClips | None:
    return clips_of_rows(frame, place, media, root) if isinstance(place, Audio) and media is not None else None


def _join_clips(clips: Sequence[RowClips | None]) -> RowClips | None:
    """Those of all tables; `_join_media` has seen to it that all have some, or none."""
    found = [part for part in clips if part is not None]
    return RowClips.stacked(found) if found else None


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
