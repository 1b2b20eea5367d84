"""Rows that are recordings, or seconds of them; and tables whose rows are the windows of recordings."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from outfold.data.audio.clips import COLUMNS, Clip, clip_table, row_id, seconds_of, windows_of
from outfold.data.audio.decode import duration_s
from outfold.data.columns import require_columns
from outfold.data.paths import Confinement
from outfold.data.patterns import files_fitting
from outfold.data.rows import name_rows
from outfold.errors import DataError, MediaError, may_pass
from outfold.settings.recordings import Audio, Recordings, column_beside

RECORDING = "recording"
"""Column of a recording's name in tables that are made of recordings."""


@dataclass(frozen=True)
class RowClips:
    """Which seconds of which recording each row is.

    Attributes:
        recording: object (n,) of str, the file's path relative to the data root: equal for rows of one recording.
        start_s: float64 (n,), seconds from the recording's beginning.
        end_s: float64 (n,), the first moment outside; infinite where the row lasts to the recording's end.
    """

    recording: np.ndarray
    start_s: np.ndarray
    end_s: np.ndarray

    def __len__(self) -> int:
        return len(self.recording)

    def take(self, rows: np.ndarray) -> "RowClips":
        """Some rows, int64 (m,), in that order."""
        return RowClips(self.recording[rows], self.start_s[rows], self.end_s[rows])

    @classmethod
    def stacked(cls, parts: "Sequence[RowClips]") -> "RowClips":
        """The rows of several tables, one below the other."""
        columns = ("recording", "start_s", "end_s")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in columns))


def seconds_keys(content: Sequence[str], clips: RowClips) -> list[str]:
    """What tells what each row uses of its recording from all others: the file's content key and the seconds.

    A key that is empty, for a file that cannot be read, stays empty.
    """
    seconds = zip(content, clips.start_s, clips.end_s, strict=True)
    return [key and f"{key} {start} {end}" for key, start, end in seconds]


def clips_of_rows(frame: pd.DataFrame, audio: Audio, media: Sequence[Path], root: Path) -> RowClips:
    """The seconds of each row, by the columns that the recipe names.

    Args:
        frame: the table.
        audio: names its columns.
        media: absolute path of each row's recording.
        root: data root.

    Raises:
        DataError: a column is missing, or a row's cells are no seconds of a recording; the rows are named.
    """
    given = [name for name in (audio.start_s, audio.end_s) if name is not None]
    require_columns(frame, given, role="the seconds of a sample", table="table")
    start = np.zeros(len(frame)) if audio.start_s is None else seconds_of(frame, audio.start_s)
    end = np.full(len(frame), np.inf) if audio.end_s is None else seconds_of(frame, audio.end_s)
    wrong = np.flatnonzero(~((start >= 0) & (start < end)))
    if len(wrong):
        first = wrong[0]
        raise DataError(
            f"{len(wrong)} rows are no seconds of a recording: {name_rows(frame, wrong)}",
            got=f"{start[first]:g} to {end[first]:g} s",
            expected="0 <= start < end",
        )
    absolute = Confinement(root).root
    return RowClips(np.array([path.relative_to(absolute).as_posix() for path in media], object), start, end)


def rows_of_recordings(recordings: Recordings, root: Path, id_column: str) -> pd.DataFrame:
    """A table of the windows of all files that a pattern names, in the order of their paths; see `rows_of_files`.

    Raises:
        DataError: no file fits the pattern, all are shorter than a window, or a file's real place lies outside the
            root.
        MediaError: a file cannot be read just now, which may pass.
    """
    return rows_of_files(recordings_below(root, recordings.path), recordings, root, id_column)


def rows_of_files(
    files: Sequence[str],
    recordings: Recordings,
    root: Path,
    id_column: str,
    *,
    fix: str = "set `last: pad`, which fills their last window with silence",
) -> pd.DataFrame:
    """A table of the windows of recordings, in the order given.

    Only headers are read, where these say how long a recording is: one that is shorter than it says gives windows that
    cannot be decoded. One whose header cannot be read gives its first window, which stops a run or is dropped, counted
    and named as every row is whose media cannot be used.

    Args:
        files: relative to the root.
        recordings: how windows lie.
        root: data root.
        id_column: what the table calls the rows' ids, `<name>_<end second>`.
        fix: what to do where all are too short.

    Returns:
        Columns `id_column`, file, recording, start_s, end_s; see `outfold.settings.recordings.column_beside`.

    Raises:
        DataError: all are shorter than a window.
        MediaError: a file cannot be read just now, which may pass.
    """
    windows = [_windows(root, file, recordings) for file in files]
    clips = [clip for some in windows for clip in some]
    if not clips:
        raise DataError(
            f"all recordings are shorter than a window of {recordings.window_s:g} s",
            got=f"{len(files)} of them, the first is {files[0]}",
            fix=fix,
        )
    names = [name for name, some in zip(recording_names(files), windows, strict=True) for _ in some]
    ids = [row_id(name, clip.end_s) for name, clip in zip(names, clips, strict=True)]
    table = clip_table(clips).assign(**{RECORDING: names})[[COLUMNS[0], RECORDING, *COLUMNS[1:]]]
    table = table.rename(columns={name: column_beside(id_column, name) for name in table.columns})
    table.insert(0, id_column, pd.Series(ids, dtype="str"))
    return table


def recording_names(files: Sequence[str]) -> list[str]:
    """What recordings are called: by their files' names without the endings.

    Where two files share that, as those of recorders that write the date alone, all are called by their paths without
    the endings, and where two share these too, by their paths.
    """
    paths = [PurePosixPath(file) for file in files]
    for names in ([path.stem for path in paths], [path.with_suffix("").as_posix() for path in paths]):
        if len(set(names)) == len(names):
            return names
    return list(files)


def _windows(root: Path, file: str, recordings: Recordings) -> list[Clip]:
    """The windows of a recording, or the first of one whose length nobody knows."""
    try:
        seconds = duration_s(root / file)
    except MediaError as error:
        if may_pass(error):
            raise
        seconds = recordings.window_s
    return windows_of(file, seconds, recordings.window_s, recordings.hop_s, last=recordings.last)


def recordings_below(root: Path, pattern: str) -> list[str]:
    """Files below the root that fit a pattern, relative to it, in the order of their names.

    Raises:
        DataError: no file fits, the pattern leaves the root, or a file's real place lies outside.
    """
    if pattern.startswith("/") or ".." in pattern.split("/"):
        raise DataError(f"the pattern {pattern!r} leaves the data root", expected="files below it")
    files = sorted({path.relative_to(root).as_posix() for path in files_fitting(root, pattern)})
    if not files:
        raise _nothing_fits(root, pattern)
    confine = Confinement(root)
    outside = [file for file in files if confine.resolve(file) is None]
    if outside:
        raise DataError(
            f"{outside[0]}: the file's real place lies outside the data root",
            got=os.path.realpath(root / outside[0]),
            expected=f"inside {root}",
            fix="links lead to files below the data root only: name a root that holds both the link and what it leads "
            "to, or copy, hard-link or mount the files below the root",
        )
    return files


def _nothing_fits(root: Path, pattern: str) -> DataError:
    named = root / pattern
    if named.is_dir():
        fix = f"for those in the folder: {pattern.rstrip('/')}/*.ogg, or **/*.ogg for all folders in it"
        return DataError(f"{named} is a folder", expected="a pattern of files", fix=fix)
    if has_magic(pattern):
        return DataError(f"no file fits the pattern {pattern!r}", got=f"below {root}", expected="recordings")
    return DataError(f"{named}: the file does not exist")
