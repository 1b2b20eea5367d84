"""What a look at every recording shows: bad files, silence, clipping, lengths that do not fit, formats."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from outfold.data.audio.decode import GRACE_S, AudioInfo
from outfold.data.audio.inspection import Fault, InspectedAudio, Sound
from outfold.data.audio.rows import recordings_below
from outfold.data.columns import require_columns
from outfold.data.findings import Finding, Level, count, listed, places_of
from outfold.data.table import Samples
from outfold.settings.data import Source

FAULTS: dict[Fault, str] = {
    "missing": "missing",
    "empty": "empty (0 bytes)",
    "unreadable": "unreadable: no recording, or not allowed to be read",
    "damaged": "truncated or damaged: the header is right, the sound is not",
    "soundless": "a recording without a sample",
    "not_finite": "spoiled by samples that are NaN or infinite",
}

_TURN = "turn one of the channels round (times -1), or write one of them alone"

SILENT_PEAK = 2 / 32768
"""A recording that never gets louder than one step of 16 bits is silent."""
SHORTEST_S = 0.1
"""Seconds; shorter recordings are next to nothing: a click, or one sample."""
CLIPPED_SHARE = 0.001
"""Of the samples at the end of the scale; more of them are clipping."""
CANCELLED_SHARE = 0.01
"""Of the channels' power that is left in their mean; less of it is cancelling, for even 64 that have nothing to do with
each other leave more."""
LONG_S = 3600.0
"""Seconds; longer recordings are worth a word."""
LENGTH_TOLERANCE_S = 0.1
"""Seconds that two lengths of one recording may differ: encoders add and cut some frames."""


def recording_findings(
    samples: Samples,
    files: Sequence[InspectedAudio],
    root: Path,
    *,
    level: Level,
    table: str,
    durations: str | None = None,
) -> list[Finding]:
    """All that is worth knowing about a table's recordings.

    Args:
        samples: the rows, n.
        files: (n,) what their files turned out to be.
        root: folder that files are shown from.
        level: of rows whose file cannot be used: `error` where a run would stop, else `warning`.
        table: what to call the table.
        durations: column of the table that says how long each recording is, in seconds.

    Raises:
        DataError: there is no such column.
    """
    findings = fault_findings(samples, files, root, level=level)
    findings += sound_findings(samples, _each_once(samples, files), root)
    if durations is not None:
        findings += duration_findings(samples, files, durations, root)
    return findings + format_findings(_each_once(samples, files), table)


def fault_findings(samples: Samples, files: Sequence[InspectedAudio], root: Path, *, level: Level) -> list[Finding]:
    """Rows whose file cannot be used, one finding for each kind of fault."""
    fix = (
        "these rows are left out (on_bad_media: drop)"
        if level != "error"
        else "mend the files or the table, or set data.on_bad_media: drop to go on without these rows"
    )
    findings = []
    for fault, words in FAULTS.items():
        notes = {row: file.reason for row, file in enumerate(files) if file.fault == fault}
        findings += _finding(samples, notes, root, level, f"with a file that is {words}", fix)
    return findings


def sound_findings(samples: Samples, files: Sequence[InspectedAudio], root: Path) -> list[Finding]:
    """Rows whose recording can be used, but may not be what it should."""
    silent: dict[int, str] = {}
    short, cut, other, chained, cancelled, guessed, clipped, long = ({**silent} for _ in range(8))
    for row, (file, sound, length) in _usable(files).items():
        if sound.peak < SILENT_PEAK:
            silent[row] = f"peak {sound.peak:.1e} of full scale"
        if length < SHORTEST_S:
            short[row] = f"{count(sound.frames, 'sample')}, {length:.4f} s"
        if file.length_is_guess:
            guessed[row] = f"{length:.1f} s"
        elif abs(file.duration_s - length) > LENGTH_TOLERANCE_S:
            other[row] = f"the header says {file.duration_s:.1f} s, the file holds {length:.1f} s"
        if files[row].missing:
            cut[row] = f"{files[row].missing}, the file holds {length:.1f} s"
        if sound.mono_share < CANCELLED_SHARE:
            cancelled[row] = f"{count(file.channels, 'channel')}, whose mean has {sound.mono_share:.2%} of their power"
        if files[row].streams > 1:
            chained[row] = f"{files[row].streams} streams"
        if sound.clipped > CLIPPED_SHARE:
            clipped[row] = f"{sound.clipped:.1%} of the samples"
        if length > LONG_S:
            long[row] = f"{length / 3600:.1f} h"
    kinds: list[tuple[dict[int, str], Level, str, str | None]] = [
        (silent, "warning", "with a silent recording", "a label without a sound teaches nothing: drop these rows"),
        (short, "warning", f"with a recording shorter than {SHORTEST_S} s", "look at the files"),
        (cut, "warning", "with a recording that was cut short", "fetch the files anew"),
        (other, "warning", "with a recording of another length than its header says", "fetch the files anew"),
        (chained, "warning", "with an Ogg file of several streams; only the first is heard", "join them into one"),
        (cancelled, "warning", "with channels that cancel each other: what is heard is their mean", _TURN),
        (guessed, "note", "with an MP3 that does not say how long it is; all of it must be decoded to know", None),
        (clipped, "note", "with a clipped recording", None),
        (long, "note", f"with a recording longer than {LONG_S / 3600:.0f} h", "they are read as a stream of windows"),
    ]
    return [one for notes, level, what, fix in kinds for one in _finding(samples, notes, root, level, what, fix)]


def short_findings(samples: Samples, sources: Sequence[Source], root: Path) -> list[Finding]:
    """Recordings of a table's patterns that are shorter than a window and so give no row."""
    if samples.clips is None:
        return []
    named = [file for one in sources if one.recordings for file in recordings_below(root, one.recordings.path)]
    used = set(samples.clips.recording.tolist())
    without = [file for file in dict.fromkeys(named) if file not in used]
    what = f"{count(len(without), 'recording')} shorter than a window, without a row: {listed(without, 3)}"
    fix = "set `last: pad`, which fills a window with silence, if they should be heard"
    return [Finding("warning", what, (), fix)] if without else []


def clip_findings(samples: Samples, files: Sequence[InspectedAudio], root: Path, *, level: Level) -> list[Finding]:
    """Rows that are seconds of a recording which it does not have."""
    if samples.clips is None:
        return []
    ends, starts = samples.clips.end_s, samples.clips.start_s
    beyond = {
        row: f"{starts[row]:g} to {ends[row]:g} s of {length:.3f} s"
        for row, (_, _, length) in _usable(files).items()
        if starts[row] >= length or (np.isfinite(ends[row]) and ends[row] > length + GRACE_S)
    }
    fix = "correct the seconds in the table"
    return _finding(samples, beyond, root, level, "with seconds behind the end of the recording", fix)


def duration_findings(
    samples: Samples,
    files: Sequence[InspectedAudio],
    column: str,
    root: Path,
    *,
    tolerance_s: float = LENGTH_TOLERANCE_S,
) -> list[Finding]:
    """Rows whose table says another length, in seconds, than the recording has; missing cells say nothing.

    Raises:
        DataError: there is no such column.
    """
    require_columns(samples.frame, [column], role="the length of the recordings", table="table")
    given = samples.frame[column]
    seconds = pd.to_numeric(given, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    nonsense = np.flatnonzero(np.isnan(seconds) & given.notna().to_numpy(dtype=bool))
    findings = _finding(
        samples,
        {int(row): repr(given.iloc[row]) for row in nonsense},
        root,
        "warning",
        f"whose length in column {column!r} is no number of seconds",
        None,
    )
    other = {
        row: f"the table says {seconds[row]:.1f} s, the file holds {length:.1f} s"
        for row, (_, _, length) in _usable(files).items()
        if abs(seconds[row] - length) > tolerance_s
    }
    what = f"with a recording of another length than column {column!r} says"
    return findings + _finding(samples, other, root, "warning", what, "correct the table, or fetch the files anew")


def format_findings(files: Sequence[InspectedAudio], table: str) -> list[Finding]:
    """Formats, rates and lengths of the recordings that could be decoded, and those whose parts are slow to reach."""
    usable = list(_usable(files).values())
    if not usable:
        return []
    infos, lengths = [info for info, _, _ in usable], np.array([length for _, _, length in usable])
    kinds = Counter(f"{info.format} {info.subtype}" for info in infos)
    rates = Counter(f"{info.sample_rate:,} Hz" for info in infos)
    channels = Counter("mono" if info.channels == 1 else count(info.channels, "channel") for info in infos)
    what = (
        f"{table}: {count(len(infos), 'recording')}: {_counted(kinds)}; {_counted(rates)}; {_counted(channels)}; "
        f"{lengths.min():.1f} to {lengths.max():.1f} s (median {np.median(lengths):.1f}), "
        f"{lengths.sum() / 3600:.2f} h together; {sum(info.bytes for info in infos) / 1e6:,.1f} MB"
    )
    findings = [Finding("note", what)]
    slow = Counter(f"{info.format} {info.subtype}" for info in infos if not info.seeks_exactly)
    if slow:
        how = f"{table}: parts of {count(slow.total(), 'recording')} are reached by decoding all that precedes them"
        findings.append(Finding("note", f"{how} ({listed(slow)}), which the cache does once"))
    return findings


def _each_once(samples: Samples, files: Sequence[InspectedAudio]) -> list[InspectedAudio]:
    """The same files, where several rows are seconds of one recording nothing but for the first of them."""
    places = list(samples.media or range(len(files)))[: len(files)]
    first = {place: row for row, place in reversed(list(enumerate(places)))}
    firsts = set(first.values())
    return [file if row in firsts else InspectedAudio() for row, file in enumerate(files)]


def _usable(files: Sequence[InspectedAudio]) -> dict[int, tuple[AudioInfo, Sound, float]]:
    """Header, sound and length in seconds by row, of recordings without a fault."""
    return {
        row: (file.info, file.sound, file.sound.frames / file.info.sample_rate)
        for row, file in enumerate(files)
        if file.fault is None and file.info is not None and file.sound is not None
    }


def _finding(
    samples: Samples, notes: dict[int, str], root: Path, level: Level, what: str, fix: str | None
) -> list[Finding]:
    """One finding about some rows, or none."""
    if not notes:
        return []
    places = places_of(samples, notes, root=root, notes=list(notes.values()))
    return [Finding(level, f"{count(len(notes), 'row')} {what}", places, fix)]


def _counted(kinds: Counter[str]) -> str:
    return ", ".join(f"{number:,} {kind}" for kind, number in kinds.most_common())
