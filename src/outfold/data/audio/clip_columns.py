"""Which seconds of which recording rows are, as columns of a run's tables."""

import numpy as np
import pandas as pd

from outfold.data.audio.rows import RowClips

RECORDING, START, END = COLUMNS = ("clip_recording", "clip_start_s", "clip_end_s")
"""Names that a table's own columns hardly have."""


def clip_columns(clips: RowClips) -> pd.DataFrame:
    """Clips of n rows as a table: the recording as text, seconds as float64."""
    values = (pd.Series(clips.recording, dtype="str"), clips.start_s, clips.end_s)
    return pd.DataFrame(dict(zip(COLUMNS, values, strict=True)))


def clips_in(table: pd.DataFrame) -> RowClips | None:
    """The inverse of `clip_columns`; None where the table lacks one of these columns."""
    if not set(COLUMNS) <= set(table.columns):
        return None
    seconds = (table[name].to_numpy(np.float64) for name in (START, END))
    return RowClips(table[RECORDING].to_numpy(object), *seconds)
