"""Recordings: what they say of themselves, and any seconds of them as one channel at a chosen rate.

A waveform is float32 (n,), the mean of the channels, with 1 as full scale. Its samples lie on the grid of the whole
recording: sample k is k / sample_rate seconds from the recording's beginning, whichever part of it is decoded.

libsndfile decodes (soundfile), libsoxr resamples (soxr, quality HQ). Both let go of the interpreter lock, so threads
decode side by side.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import soxr

from outfold.data.audio.reading import (
    UNKNOWN,
    lacks_length,
    mono_blocks,
    open_audio,
    open_header,
    raw_blocks,
    seeks_exactly,
    skip_to,
)
from outfold.errors import DataError, MediaError

QUALITY = "HQ"
"""soxr's name for its filter: 20 bits, passes up to 0.913 of the lower rate's half."""
MARGIN = 256
"""Periods of the lower rate that are decoded beside a part: twice as far as the filter was seen to reach."""
GRACE_S = 0.001
"""Seconds that a recording may lack of what is asked for, since tables and encoders round; zeros stand there."""

Missing = Literal["refuse", "pad"]
"""What to do about seconds behind the end of a recording: an error, or zeros."""


@dataclass(frozen=True)
class AudioInfo:
    """What a recording's header says."""

    format: str
    """libsndfile's name: WAV, FLAC, OGG, MP3, .."""
    subtype: str
    """libsndfile's name: PCM_16, VORBIS, .."""
    sample_rate: int
    """Hz."""
    channels: int
    frames: int
    """Samples of each channel. A header may lie, above all of a file cut short: see `count_frames`."""
    bytes: int
    """Size of the file."""
    length_is_guess: bool = False
    """Whether there is no length in the file, so that `frames` is only a guess."""

    @property
    def duration_s(self) -> float:
        """Seconds, by the header."""
        return self.frames / self.sample_rate

    @property
    def seeks_exactly(self) -> bool:
        """Whether a part is reached without decoding all that lies before it; see `decode_audio`."""
        return seeks_exactly(self.subtype)


def probe_audio(path: Path | str) -> AudioInfo:
    """Read a recording's header; no sound is decoded, so a recording cut short is not always noticed.

    Raises:
        MediaError: the file is missing, empty, or not a recording.
    """
    with open_header(path) as file:
        size, guess = Path(path).stat().st_size, lacks_length(file, path)
        return AudioInfo(file.format, file.subtype, file.samplerate, file.channels, max(file.frames, 0), size, guess)


def count_frames(path: Path | str) -> int:
    """How many samples of each channel there truly are, by decoding all of them in blocks.

    Raises:
        MediaError: the file is missing, empty, not a recording, or damaged.
    """
    with open_audio(path) as file:
        return sum(map(len, raw_blocks(file)))


def duration_s(path: Path | str) -> float:
    """How long a recording is in seconds: by its header, or by decoding it where the header only lets one guess.

    Raises:
        MediaError: the file is missing, empty, not a recording, or must be decoded and is damaged.
    """
    info = probe_audio(path)
    untold = info.length_is_guess or info.frames > UNKNOWN
    return count_frames(path) / info.sample_rate if untold else info.duration_s


def decode_audio(
    path: Path | str,
    sample_rate: int | None = None,
    start_s: float = 0.0,
    end_s: float | None = None,
    *,
    exact: bool = True,
    missing: Missing = "refuse",
) -> np.ndarray:
    """Decode some seconds of a recording; a part equals the same part of the whole, also after resampling.

    Equal means to the rounding of float32 (1e-6); to 1e-5 between rates without a small ratio, as 44,100 and 31,999 Hz.
    Only these seconds and a margin of 256 periods are decoded where the format seeks exactly
    (`AudioInfo.seeks_exactly`: WAV, FLAC and their like). Others, as Ogg Vorbis and MP3, are decoded from the beginning
    and what lies before the part is dropped, unless `exact` is false.

    Args:
        path: ogg, flac, mp3, wav, or whatever else libsndfile reads.
        sample_rate: Hz; the recording's own when None.
        start_s: where the part begins, in seconds.
        end_s: where it ends; None: at the end of the recording.
        exact: False seeks in all formats, which saves decoding what precedes the part; of Ogg Vorbis and MP3 the part
            may then be shifted (of real files, 1 part in 14 by 9 to 56 ms). Enough for random crops, not for answers.
        missing: what to do where the recording ends before `end_s`.

    Returns:
        float32 (n,) with n = round((end_s - start_s) * sample_rate), or what there is to the end.

    Raises:
        MediaError: the file is missing, empty, not a recording, damaged, holds NaN or infinity, ends before the part
            begins, or (with `refuse`) more than 1 ms before the part ends.
        DataError: the part is none: it does not begin at 0 or later, or ends before it begins.
    """
    _refuse_impossible(path, start_s, end_s)
    with open_audio(path) as file:
        rate, source_rate = sample_rate or file.samplerate, file.samplerate
        start = round(start_s * rate)
        samples = None if end_s is None else round((end_s - start_s) * rate)
        span = _source_span(start, samples, source_rate, rate)
        skip_to(file, span.first, exact=exact)
        pieces = list(mono_blocks(file, span.frames))
    source = np.concatenate(pieces) if pieces else np.empty(0, np.float32)
    refuse_not_finite(source, path)
    part = resample(source, source_rate, rate)[span.skip :]
    return _of_length(part, samples, rate, missing, path)


def resample(waveform: np.ndarray, source_rate: int, sample_rate: int) -> np.ndarray:
    """A waveform, float32 (n,), at another rate: float32 (m,), m about n * sample_rate / source_rate."""
    if source_rate == sample_rate or not len(waveform):
        return waveform
    return soxr.resample(waveform, source_rate, sample_rate, quality=QUALITY)


def refuse_not_finite(waveform: np.ndarray, path: Path | str) -> None:
    """Raise MediaError where samples are NaN or infinite: one of them spoils all that is computed from it."""
    wrong = len(waveform) - int(np.isfinite(waveform).sum())
    if wrong:
        raise MediaError(f"{path}: {wrong:,} samples are NaN or infinite", fix="write the recording anew, or drop it")


class _Span(NamedTuple):
    """What must be decoded for a part."""

    first: int
    """Frame of the source; sample `first * rate / source_rate` of the result lies exactly on it."""
    frames: int | None
    """None: to the end."""
    skip: int
    """Samples of the result that lie before the part."""


def _source_span(start: int, samples: int | None, source_rate: int, rate: int) -> _Span:
    """The frames for `samples` samples at `rate` from sample `start` on, with their margins."""
    if source_rate == rate:
        return _Span(start, samples, 0)
    step = source_rate // math.gcd(source_rate, rate)  # the two grids meet once in so many frames
    margin = math.ceil(MARGIN * max(1.0, source_rate / rate))
    first = max(0, start * source_rate // rate - margin) // step * step
    last = None if samples is None else -(-(start + samples) * source_rate // rate) + margin
    return _Span(first, None if last is None else last - first, start - first * rate // source_rate)


def _of_length(part: np.ndarray, samples: int | None, rate: int, missing: Missing, path: Path | str) -> np.ndarray:
    """The part with exactly this many samples."""
    if not len(part):
        raise MediaError(f"{path}: the recording holds nothing of the seconds asked for", got="no samples")
    if samples is None or len(part) >= samples:
        return np.ascontiguousarray(part[:samples])
    lacking = samples - len(part)
    if missing == "refuse" and lacking > math.ceil(GRACE_S * rate):
        raise MediaError(
            f"{path}: the recording ends {lacking / rate:.3f} s before the seconds asked for do",
            got=f"{len(part) / rate:.3f} s",
            expected=f"{samples / rate:.3f} s",
            fix="correct the times (`count_frames` knows the true length), or pad",
        )
    return np.pad(part, (0, lacking))


def _refuse_impossible(path: Path | str, start_s: float, end_s: float | None) -> None:
    end = math.inf if end_s is None else end_s
    if not 0 <= start_s < end or math.inf in (start_s, end_s):
        raise DataError(f"{path}: no part of a recording", got=f"{start_s} to {end_s} s", expected="0 <= start < end")
