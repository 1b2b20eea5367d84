"""Clips: windows of recordings, their names in submissions, and tables of them."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from outfold.data.audio.decode import GRACE_S
from outfold.data.columns import cell_texts, require_columns
from outfold.data.rows import name_rows
from outfold.errors import DataError

FILE, START, END = "file", "start_s", "end_s"
COLUMNS = (FILE, START, END)
"""Columns of a table of clips."""

_ROW_ID = re.compile(r"(.+)_([1-9][0-9]*|(?:0|[1-9][0-9]*)\.[0-9]{0,2}[1-9])", re.DOTALL)
"""A name, and a second without leading zeros, and without trailing ones behind the point."""

Last = Literal["drop", "pad"]
"""What becomes of a last window that the recording does not fill."""


@dataclass(frozen=True, order=True)
class Clip:
    """A window of a recording: two clips are the same where all three are.

    Raises:
        DataError: the window is none.
    """

    file: str
    """As tables name it, relative to the data root."""
    start_s: float
    """Seconds from the recording's beginning."""
    end_s: float
    """The first moment outside of the clip."""

    def __post_init__(self) -> None:
        if not (0 <= self.start_s < self.end_s < math.inf):
            raise DataError(
                f"{self.file}: no window of a recording",
                got=f"{self.start_s} to {self.end_s} s",
                expected="0 <= start < end",
            )

    @property
    def duration_s(self) -> float:
        """Seconds."""
        return self.end_s - self.start_s


def window_starts(duration_s: float, window_s: float, hop_s: float | None = None, *, last: Last = "drop") -> np.ndarray:
    """Where the windows of a recording begin: 0, hop, 2 hop, ..

    A window that lacks at most a millisecond at its end is complete, for encoders and changes of rate round lengths.

    Args:
        duration_s: length of the recording in seconds.
        window_s: length of a window in seconds.
        hop_s: from one beginning to the next; `window_s` when None.
        last: `drop` gives complete windows only; `pad` one more where these do not reach the recording's end.

    Returns:
        float64 (n,), seconds. A recording shorter than a window has none, or one to be padded.

    Raises:
        DataError: a window or hop that is not positive.
    """
    hop_s = window_s if hop_s is None else hop_s
    check_window(window_s, hop_s)
    complete = max(0, math.floor((duration_s - window_s + GRACE_S) / hop_s) + 1)
    reached = (complete - 1) * hop_s + window_s if complete else 0.0
    more = last == "pad" and duration_s - max(reached, complete * hop_s if hop_s > window_s else 0.0) > GRACE_S
    return np.arange(complete + more) * hop_s


def check_window(window_s: float, hop_s: float) -> None:
    """Raise DataError for lengths that give no windows."""
    for name, value in (("window", window_s), ("hop", hop_s)):
        if not 0 < value < math.inf:
            raise DataError(f"a {name} of {value} s", expected="a positive number of seconds")


def windows_of(
    file: str, duration_s: float, window_s: float, hop_s: float | None = None, *, last: Last = "drop"
) -> list[Clip]:
    """The windows of one recording as clips; see `window_starts`. A padded one ends behind the recording's end."""
    starts = window_starts(duration_s, window_s, hop_s, last=last)
    return [Clip(file, float(start), float(start + window_s)) for start in starts]


def row_id(name: str, end_s: float) -> str:
    """`<name>_<end second>`, as competitions call a window of a soundscape.

    An end between whole seconds keeps its milliseconds, `x_7.5`, so that windows of every hop have names of their own.
    """
    second = round(end_s)
    if abs(end_s - second) <= GRACE_S:
        return f"{name}_{second}"
    return f"{name}_{end_s:.3f}".rstrip("0")


def parse_row_id(text: str) -> tuple[str, float]:
    """Name and end second of a row id; the name may hold underscores itself.

    Raises:
        DataError: there is no name, or no second above 0 as `row_id` writes it.
    """
    found = _ROW_ID.fullmatch(text)
    if found is None:
        raise DataError(f"{text!r} is no row id", expected="<name of the soundscape>_<end second>, e.g. 460830_15")
    return found[1], float(found[2])


def clips_of_row_ids(ids: Iterable[str], window_s: float, path: str = "test_soundscapes/{name}.ogg") -> list[Clip]:
    """The clip of each row id.

    Args:
        ids: `<name>_<end second>`.
        window_s: length of the windows in seconds.
        path: where the recordings lie; `{name}` stands for the soundscape's name.

    Raises:
        DataError: a text is no row id, or its window begins before the recording does; its row, from 1, is named.
    """
    clips = []
    for row, text in enumerate(ids, 1):
        try:
            name, end = parse_row_id(text)
            clips.append(Clip(path.replace("{name}", name), end - window_s, end))
        except DataError as error:
            raise DataError(f"row {row}: {error.problem}", got=error.got, expected=error.expected) from error
    return clips


def clip_table(clips: Sequence[Clip]) -> pd.DataFrame:
    """Clips as a table with the columns file, start_s, end_s."""
    return pd.DataFrame(
        {
            FILE: pd.Series([clip.file for clip in clips], dtype="str"),
            START: np.array([clip.start_s for clip in clips], dtype=np.float64),
            END: np.array([clip.end_s for clip in clips], dtype=np.float64),
        }
    )


def clips_of_table(frame: pd.DataFrame, *, table: str = "table") -> list[Clip]:
    """The clip of each row of a table with the columns file, start_s and end_s; others are left alone.

    Raises:
        DataError: a column is missing, or a cell of a row, which is named, is no file or no number of seconds.
    """
    require_columns(frame, COLUMNS, role="part of a clip", table=table)
    files, columns = cell_texts(frame[FILE]), {name: seconds_of(frame, name) for name in (START, END)}
    clips = []
    for row, file in enumerate(files):
        if not file:
            raise DataError(f"{name_rows(frame, [row])}: no value in column {FILE!r}", expected="a recording")
        try:
            clips.append(Clip(file, float(columns[START][row]), float(columns[END][row])))
        except DataError as error:
            raise DataError(
                f"{name_rows(frame, [row])}: {error.problem}", got=error.got, expected=error.expected
            ) from error
    return clips


def seconds_of(frame: pd.DataFrame, name: str) -> np.ndarray:
    """A column of seconds, float64 (n,).

    Raises:
        DataError: a cell is no finite number; its rows are named.
    """
    values = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise DataError(
            f"{name_rows(frame, wrong)}: column {name!r} is no number of seconds",
            got=frame[name].iloc[wrong[:5]].tolist(),
            expected="e.g. 12.5",
        )
    return values
