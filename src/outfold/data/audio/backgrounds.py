"""Recordings to mix in beneath those of rows: what draws from them, and a look at them before a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from outfold.data.audio.cache import AudioCache, build_audio_cache
from outfold.data.audio.findings import FAULTS, SILENT_PEAK, format_findings
from outfold.data.audio.inspection import InspectedAudio, inspect_recordings
from outfold.data.audio.parts import Part
from outfold.data.audio.rows import recordings_below
from outfold.data.cache import Progress, refuse_bad
from outfold.data.findings import Finding, Level, Place, count, finding_of, listed
from outfold.errors import DataError
from outfold.settings.data import OnBad


@dataclass(frozen=True)
class Backgrounds:
    """Recordings to draw a background from.

    Attributes:
        cache: all of each recording.
        rows: int64 (n,), those that can be used, at least one.
        left_out: by file, why the others cannot.
    """

    cache: AudioCache
    rows: np.ndarray
    left_out: dict[str, str]

    @property
    def keys(self) -> tuple[str, ...]:
        """What tells these recordings from all others."""
        return tuple(self.cache.part_keys[row] for row in self.rows)

    def __call__(self, samples: int, rng: np.random.Generator) -> np.ndarray:
        """So many samples from anywhere in a recording at random, float32 (samples,); a shorter one is repeated."""
        row = int(self.rows[rng.integers(len(self.rows))])
        length = self.cache.length(row)
        start = int(rng.integers(max(length - samples, 0) + 1))
        sound = self.cache.read(row, start, start + samples)
        return np.resize(sound, samples)


def build_backgrounds(
    pattern: str, root: Path, sample_rate: int, folder: Path, *, workers: int, on_bad: OnBad = "stop"
) -> Backgrounds:
    """Decode the recordings that a pattern names, where the cache does not have them yet.

    Args:
        pattern: files below the data root, e.g. `noise/*.ogg`.
        root: data root.
        sample_rate: Hz.
        folder: where caches are kept.
        workers: threads that decode.
        on_bad: `stop` raises for files that cannot be used, once all were tried; `drop` goes on without them.

    Raises:
        DataError: no file fits, or one lies outside the root.
        MediaError: with `stop`, a file cannot be used; with `drop`, none can.
    """
    files = recordings_below(root, pattern)
    cache = build_audio_cache(
        [Part(root / file) for file in files], sample_rate, folder, workers=workers, on_bad="drop"
    )
    usable = np.array([row for row in range(len(files)) if row not in cache.bad], dtype=np.int64)
    if on_bad == "stop" or not len(usable):
        refuse_bad(cache.bad, len(files), lambda row: files[row], media="background recordings")
    return Backgrounds(cache, usable, {files[row]: reason for row, reason in cache.bad.items()})


def background_warnings(backgrounds: Mapping[tuple[str, int], Backgrounds]) -> list[str]:
    """A sentence for each pattern some of whose files are not mixed in; the same files at several rates are one."""
    sentences = []
    for (pattern, _), one in backgrounds.items():
        if one.left_out:
            what = f"{len(one.left_out):,} of {count(len(one.cache), 'background recording')} ({pattern})"
            sentences.append(f"{what} cannot be used and are left out: {listed(one.left_out, 3)}")
    return list(dict.fromkeys(sentences))


def background_findings(
    pattern: str, root: Path, *, level: Level, workers: int, progress: Progress | None = None
) -> list[Finding]:
    """What is wrong with the recordings that a pattern names, and what they are.

    Args:
        pattern: as `build_backgrounds` takes it.
        root: data root.
        level: of files that cannot be used: `error` where a run would stop, else `warning`.
        workers: threads that decode.
        progress: called as progress(done, total) for each file.
    """
    try:
        files = recordings_below(root, pattern)
    except DataError as error:
        return [finding_of(error)]
    heard = inspect_recordings([root / file for file in files], workers=workers, progress=progress)
    findings = _faults(files, heard, level)
    silent = [place for place, one in enumerate(heard) if one.sound is not None and one.sound.peak < SILENT_PEAK]
    if silent:
        what, fix = f"{count(len(silent), 'background recording')} without a sound", "remove them: they add nothing"
        findings.append(Finding("warning", what, _places(files, heard, silent), fix))
    return findings + format_findings(heard, f"backgrounds {pattern}")


def _faults(files: Sequence[str], heard: Sequence[InspectedAudio], level: Level) -> list[Finding]:
    """Files that cannot be used, one finding for each kind of fault; an error where there is nothing to go on with."""
    if all(one.fault for one in heard):
        level, fix = "error", "mend the files, or take the background out of augment"
    elif level == "error":
        fix = "mend or remove the files, or set data.on_bad_media: drop to go on without them"
    else:
        fix = "these files are left out (on_bad_media: drop)"
    findings = []
    for fault, words in FAULTS.items():
        places = [place for place, one in enumerate(heard) if one.fault == fault]
        if places:
            what = f"{count(len(places), 'background recording')} with a file that is {words}"
            findings.append(Finding(level, what, _places(files, heard, places), fix))
    return findings


def _places(files: Sequence[str], heard: Sequence[InspectedAudio], places: Sequence[int]) -> tuple[Place, ...]:
    return tuple(Place("", "", files[place], heard[place].reason) for place in places)
