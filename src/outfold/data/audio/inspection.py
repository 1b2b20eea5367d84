"""Decoding every recording of a table, and what each of them turned out to be."""

import mmap
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from outfold.data.audio.cut_short import what_is_missing
from outfold.data.audio.decode import AudioInfo, probe_audio
from outfold.data.audio.reading import open_audio, raw_blocks
from outfold.data.findings import count
from outfold.data.media import content_key
from outfold.errors import MediaError

Fault = Literal["missing", "empty", "unreadable", "damaged", "soundless", "not_finite"]

FULL_SCALE = 0.9999
"""Samples at least as far from 0 are at the end of the scale."""
_FIRST_PAGE = b"OggS\x00\x02"
"""Begins each logical stream of an Ogg file (RFC 3533, section 6)."""


@dataclass(frozen=True)
class Sound:
    """What a recording turned out to hold."""

    frames: int
    """Samples of each channel that were decoded."""
    peak: float
    """Largest distance from 0; full scale is 1."""
    clipped: float
    """Share of samples at the end of the scale."""
    not_finite: int
    """Samples that are NaN or infinite."""
    mono_share: float = 1.0
    """Power of the channels' mean over the mean of their powers: 1 where all are alike, 1/n of n that have nothing to
    do with each other, 0 where they cancel. 1 of silence."""


@dataclass(frozen=True)
class InspectedAudio:
    """One recording that was opened and decoded."""

    key: str = ""
    """Content key; empty where the file cannot be read."""
    info: AudioInfo | None = None
    """What the header says; None where there is none."""
    sound: Sound | None = None
    """What was decoded; None where something is wrong with that."""
    fault: Fault | None = None
    reason: str = ""
    """What is wrong, in the decoder's words."""
    streams: int = 1
    """Logical streams one after the other in an Ogg file; only the first is decoded."""
    missing: str = ""
    """What the file promises and does not hold; see `outfold.data.audio.cut_short.what_is_missing`."""

    @property
    def duration_s(self) -> float | None:
        """Seconds that were decoded."""
        return None if self.info is None or self.sound is None else self.sound.frames / self.info.sample_rate


def inspect_audio(path: Path) -> InspectedAudio:
    """Decode one recording in blocks; never raises for what is wrong with it."""
    try:
        if not path.stat().st_size:
            return InspectedAudio(fault="empty")
        key = content_key(path)
    except FileNotFoundError:
        return InspectedAudio(fault="missing")
    except (OSError, MediaError) as error:
        return InspectedAudio(fault="unreadable", reason=_reason(error))
    try:
        info = probe_audio(path)
    except MediaError as error:
        return InspectedAudio(key, fault="unreadable", reason=_reason(error))
    try:
        sound = listen(path)
    except MediaError as error:
        return InspectedAudio(key, info, fault="damaged", reason=_reason(error))
    streams = _logical_streams(path) if info.format == "OGG" else 1
    return InspectedAudio(key, info, sound, *_fault_of(sound), streams, what_is_missing(path, info))


def inspect_recordings(
    paths: Sequence[Path], *, workers: int, progress: Callable[[int, int], None] | None = None
) -> list[InspectedAudio]:
    """Inspect recordings in threads; the result is in the order of `paths`, and repeated paths are decoded once.

    Args:
        paths: the files.
        workers: threads.
        progress: called as progress(done, total) for each distinct file, from the calling thread.
    """
    distinct = list(dict.fromkeys(paths))
    seen: dict[Path, InspectedAudio] = {}
    with ThreadPoolExecutor(workers) as pool:
        for path, inspected in zip(distinct, pool.map(inspect_audio, distinct), strict=True):
            seen[path] = inspected
            if progress is not None:
                progress(len(seen), len(distinct))
    return [seen[path] for path in paths]


def listen(path: Path) -> Sound:
    """Decode a whole recording in constant memory and measure it.

    Raises:
        MediaError: the file is missing, not a recording, or damaged.
    """
    heard = _Heard()
    with open_audio(path) as file:
        for block in raw_blocks(file):
            heard.add(block)
    return heard.sound


@dataclass
class _Heard:
    """What has been heard so far."""

    frames: int = 0
    samples: int = 0
    peak: float = 0.0
    clipped: int = 0
    not_finite: int = 0
    power: float = 0.0
    mono_power: float = 0.0

    def add(self, block: np.ndarray) -> None:
        """The next frames, float32 (b, channels)."""
        size = np.abs(block)
        finite = np.isfinite(size)
        self.frames, self.samples = self.frames + len(block), self.samples + block.size
        self.peak = max(self.peak, float(size.max(initial=0.0, where=finite)))
        self.clipped += int((finite & (size >= FULL_SCALE)).sum())
        self.not_finite += block.size - int(finite.sum())
        if block.shape[1] > 1 and finite.all():
            self.power += float(np.square(block, dtype=np.float64).sum()) / block.shape[1]
            self.mono_power += float(np.square(block.mean(axis=1), dtype=np.float64).sum())

    @property
    def sound(self) -> Sound:
        clipped = self.clipped / max(self.samples, 1)
        share = self.mono_power / self.power if self.power else 1.0
        return Sound(self.frames, self.peak, clipped, self.not_finite, share)


def _fault_of(sound: Sound) -> tuple[Fault | None, str]:
    if not sound.frames:
        return "soundless", ""
    return ("not_finite", count(sound.not_finite, "sample")) if sound.not_finite else (None, "")


def _logical_streams(path: Path) -> int:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        streams, place = 0, data.find(_FIRST_PAGE)
        while place >= 0:
            streams, place = streams + 1, data.find(_FIRST_PAGE, place + 1)
    return max(streams, 1)


def _reason(error: OSError | MediaError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    problem = error.problem.partition(": ")[2] or error.problem  # behind the file's name
    return problem if error.got is None else f"{problem} ({error.got})"
