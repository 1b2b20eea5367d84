"""Cached recordings by row, as far as a model can ask for them: all of a short one, head and tail of a long one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from outfold.data.audio.cache import AudioCache, build_audio_cache
from outfold.data.audio.decode import GRACE_S, Missing, probe_audio
from outfold.data.audio.parts import Part
from outfold.data.audio.rows import RowClips
from outfold.data.cache import Progress, refuse_bad
from outfold.data.threads import in_order
from outfold.errors import MediaError
from outfold.settings.data import OnBad


@dataclass(frozen=True)
class Sounds:
    """Waveforms of the rows in use.

    Attributes:
        cache: the heads of all rows of the table, and after them their tails; for a row that is kept whole both are the
            same samples, once on disk.
        rows: int64 (n,), the rows in use.
        duration_s: float64 (m,), of all rows of the table, how long they are.
        tail_s: float64 (m,), where in the row its tail begins; 0 for a row that is kept whole.
    """

    cache: AudioCache
    rows: np.ndarray
    duration_s: np.ndarray
    tail_s: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.cache.sample_rate

    @property
    def bad(self) -> dict[int, str]:
        """Rows of the table without sound, and why."""
        count = len(self.duration_s)
        return dict(sorted((place % count, reason) for place, reason in self.cache.bad.items()))

    @property
    def keys(self) -> tuple[str, ...]:
        """What tells the sound of each row in use from all others."""
        keys, count = self.cache.part_keys, len(self.duration_s)
        return tuple(
            keys[row] if keys[row] == keys[row + count] else f"{keys[row]} {keys[row + count]}" for row in self.rows
        )

    @property
    def content(self) -> tuple[str, ...]:
        """What tells the file of each row in use from all others."""
        return tuple(self.cache.content_keys[row] for row in self.rows)

    def take(self, rows: np.ndarray) -> "Sounds":
        """Some of the rows in use, int64 (m,), in that order."""
        return replace(self, rows=self.rows[rows])

    def duration(self, row: int) -> float:
        """Seconds of a row in use."""
        return float(self.duration_s[self.rows[row]])

    def read(self, row: int, start_s: float, length_s: float) -> np.ndarray:
        """Some seconds of a row in use, counted from its own beginning, as far as it has them: float32 (n,).

        They lie within its head or within its tail; see `build_sounds`.
        """
        place, rate = int(self.rows[row]), self.sample_rate
        count, start, samples = len(self.duration_s), round(start_s * rate), round(length_s * rate)
        if start + samples <= self.cache.length(place):
            return self.cache.read(place, start, start + samples)
        start = max(start - round(float(self.tail_s[place]) * rate), 0)
        return self.cache.read(place + count, start, start + samples)


def build_sounds(
    media: Sequence[Path],
    clips: RowClips,
    sample_rate: int,
    span_s: float,
    folder: Path,
    *,
    workers: int,
    missing: Missing = "refuse",
    on_bad: OnBad = "stop",
    progress: Progress = lambda done, total: None,
    name_row: Callable[[int], str] = "row {}".format,
) -> Sounds:
    """Decode what rows need, where the cache does not have it yet.

    Args:
        media: each row's recording.
        clips: which seconds of it each row is.
        sample_rate: Hz.
        span_s: how many seconds from a row's beginning, and how many before its end, can be asked for; of a row that is
            no longer than both together everything can.
        folder: where caches are kept.
        workers: threads that decode.
        missing: for rows that end behind their recording's end; see `outfold.data.audio.decode.decode_audio`.
        on_bad: `stop` raises for bad recordings, once all were tried; `drop` lists their rows in `.bad`.
        progress: called as progress(done, total) for each distinct part.
        name_row: what errors call a row, given its position from 0.

    Raises:
        MediaError: with `stop`, the first bad recordings, their rows and their number.
        RunError: the folder cannot be written, or the disk is full.
    """
    heads, lasting = head_parts(media, clips, span_s, workers)
    cut = ~np.isnan(lasting)
    tails = [
        Part(head.path, float(start + length - span_s), _given(end)) if long else head
        for head, start, length, end, long in zip(heads, clips.start_s, lasting, clips.end_s, cut, strict=True)
    ]
    cache = build_audio_cache(
        [*heads, *tails], sample_rate, folder, missing=missing, workers=workers, on_bad="drop", progress=progress
    )
    count = len(heads)
    sounds = Sounds(
        cache,
        np.arange(count),
        np.where(cut, lasting, cache.lengths[:count] / sample_rate),
        np.where(cut, lasting - span_s, 0.0),
    )
    if on_bad == "stop":
        refuse_bad(sounds.bad, count, name_row, media="recordings")
    return sounds


def head_parts(media: Sequence[Path], clips: RowClips, span_s: float, workers: int) -> tuple[list[Part], np.ndarray]:
    """What rows begin with: all of one that is no longer than twice a span, else as much as a span.

    Args:
        media: each row's recording.
        clips: which seconds of it each row is.
        span_s: seconds.
        workers: threads that read headers.

    Returns:
        A part for each row, and how long the row is where that part is not all of it: float64 (n,) in seconds, else
        NaN.
    """
    ends = _ends(media, clips, span_s, workers)
    lasting = ends - clips.start_s
    lasting[~(np.isfinite(ends) & (lasting > 2 * span_s))] = np.nan
    heads = [
        Part(path, float(start), _given(end) if np.isnan(length) else float(start + span_s))
        for path, start, end, length in zip(media, clips.start_s, clips.end_s, lasting, strict=True)
    ]
    return heads, lasting


def _given(end: float) -> float | None:
    """An end as a part has it."""
    return None if np.isinf(end) else float(end)


def _ends(media: Sequence[Path], clips: RowClips, span_s: float, workers: int) -> np.ndarray:
    """Where each row ends in its recording, float64 (n,); infinite where that cannot be told from its header.

    Headers are asked only where they decide whether a row is kept whole.
    """
    ends = clips.end_s.astype(np.float64)
    asked = np.flatnonzero(np.isinf(ends)) if np.isfinite(span_s) else np.zeros(0, np.int64)
    paths = [media[int(row)] for row in asked]
    known = dict.fromkeys(paths)
    found = dict(zip(known, in_order(_duration, known, workers), strict=True))
    ends[asked] = [found[path] for path in paths]
    return ends


def _duration(path: Path) -> float:
    """Seconds by a recording's header; infinite where it says nothing to rely on: decoding will tell."""
    try:
        info = probe_audio(path)
    except MediaError:
        return float("inf")
    return float("inf") if info.length_is_guess else info.duration_s - GRACE_S
