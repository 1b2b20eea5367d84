"""Rows that are recordings, or seconds of them; and tables whose rows are the windows of recordings."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from outfold.data.audio.clips import COLUMNS, clip_table, row_id, seconds_of, windows_of
from outfold.data.audio.decode import probe_audio
from outfold.data.columns import require_columns
from outfold.data.paths import Confinement
from outfold.data.rows import name_rows
from outfold.errors import DataError
from outfold.settings.recordings import Audio, Recordings

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
    """A table of the windows of all files that a pattern names, in the order of their paths.

    Only headers are read: a recording that is shorter than it says gives windows that cannot be decoded.

    Args:
        recordings: the pattern, and how windows lie.
        root: data root.
        id_column: what the table calls the rows' ids, `<name>_<end second>`.

    Returns:
        Columns `id_column`, file, recording, start_s, end_s.

    Raises:
        DataError: no file fits the pattern, all are shorter than a window, a window has no id, or a file's real place
            lies outside the root.
        MediaError: a file is no recording.
    """
    return rows_of_files(recordings_below(root, recordings.path), recordings, root, id_column)


def rows_of_files(files: Sequence[str], recordings: Recordings, root: Path, id_column: str) -> pd.DataFrame:
    """The same of files that are given, relative to the root, in their order.

    Raises:
        DataError: all are shorter than a window, or a window has no id.
        MediaError: a file is no recording.
    """
    clips = []
    for file in files:
        duration_s = probe_audio(root / file).duration_s
        clips += windows_of(file, duration_s, recordings.window_s, recordings.hop_s, last=recordings.last)
    if not clips:
        raise DataError(
            f"all recordings are shorter than a window of {recordings.window_s:g} s",
            got=f"{len(files)} files, the first is {files[0]}",
            fix="set `last: pad`, which fills their last window with silence",
        )
    names = [Path(clip.file).stem for clip in clips]
    ids = [row_id(name, clip.end_s) for name, clip in zip(names, clips, strict=True)]
    table = clip_table(clips).assign(**{RECORDING: names, id_column: ids})
    return table[list(dict.fromkeys([id_column, COLUMNS[0], RECORDING, *COLUMNS[1:]]))]


def recordings_below(root: Path, pattern: str) -> list[str]:
    """Files below the root that fit a pattern, relative to it, in the order of their names.

    Raises:
        DataError: no file fits, the pattern leaves the root, or a file's real place lies outside.
    """
    if pattern.startswith("/") or ".." in pattern.split("/"):
        raise DataError(f"the pattern {pattern!r} leaves the data root", expected="files below it")
    files = sorted(path.relative_to(root).as_posix() for path in root.glob(pattern) if path.is_file())
    if not files:
        raise DataError(f"no file fits the pattern {pattern!r}", got=f"below {root}", expected="recordings")
    confine = Confinement(root)
    outside = [file for file in files if confine.resolve(file) is None]
    if outside:
        raise DataError(f"{outside[0]}: the file's real place lies outside the data root", expected=f"inside {root}")
    return files
