"""Windows over recordings of any length, in constant memory: decoded, resampled and handed out block by block."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from outfold.data.audio.clips import Last, check_window, window_starts
from outfold.data.audio.decode import QUALITY, refuse_not_finite
from outfold.data.audio.reading import mono_blocks, open_audio


@dataclass(frozen=True)
class Windows:
    """Some windows of a recording, in their order."""

    starts_s: np.ndarray
    """float64 (b,), seconds from the recording's beginning."""
    waveforms: np.ndarray
    """float32 (b, n)."""


def stream_audio(path: Path | str, sample_rate: int | None = None) -> Iterator[np.ndarray]:
    """A whole recording piece by piece: together they are what `decode_audio` gives at once.

    Args:
        path: the recording.
        sample_rate: Hz; its own when None.

    Yields:
        float32 (m,), m about 65,536 samples at the recording's own rate, none of them empty.

    Raises:
        MediaError: the file is missing, empty, not a recording, damaged, or holds NaN or infinity.
    """
    with open_audio(path) as file:
        rate = sample_rate or file.samplerate
        resampler = None if rate == file.samplerate else soxr.ResampleStream(file.samplerate, rate, 1, quality=QUALITY)
        for block in mono_blocks(file):
            refuse_not_finite(block, path)
            piece = block if resampler is None else resampler.resample_chunk(block)
            if len(piece):
                yield piece
    rest = (
        np.empty(0, np.float32) if resampler is None else resampler.resample_chunk(np.empty(0, np.float32), last=True)
    )
    if len(rest):
        yield rest


def stream_windows(
    path: Path | str,
    sample_rate: int,
    window_s: float,
    hop_s: float | None = None,
    *,
    batch: int = 16,
    last: Last = "drop",
) -> Iterator[Windows]:
    """Windows of a recording at any hop, in blocks; memory does not grow with the recording's length.

    The windows are those of `outfold.data.audio.clips.window_starts` for the recording's true length, which need not be
    known: headers are not asked. Window i begins at sample round(i * hop_s * sample_rate).

    Args:
        path: the recording.
        sample_rate: Hz of the windows.
        window_s: length of a window in seconds.
        hop_s: from one window's beginning to the next one's; `window_s` when None. Smaller ones overlap, larger ones
            leave gaps.
        batch: windows in a block; the last block may have fewer.
        last: `drop` leaves out a last window that the recording does not fill, `pad` fills it with zeros.

    Raises:
        MediaError: as `stream_audio`.
        DataError: a window or a hop that is not positive.
    """
    hop_s = window_s if hop_s is None else hop_s
    check_window(window_s, hop_s)
    starts: list[int] = []
    waveforms: list[np.ndarray] = []
    for start, waveform in _windows(path, sample_rate, window_s, hop_s, last):
        starts.append(start)
        waveforms.append(waveform)
        if len(starts) == batch:
            yield Windows(np.array(starts) / sample_rate, np.stack(waveforms))
            starts, waveforms = [], []
    if starts:
        yield Windows(np.array(starts) / sample_rate, np.stack(waveforms))


class Held:
    """What is held of a stream: no more than has come since the beginning of the span that is wanted next."""

    def __init__(self) -> None:
        self.sound = np.empty(0, np.float32)
        """float32 (n,), the samples from `begin` on."""
        self.begin = 0
        """Place in the stream of the first of them."""

    def add(self, piece: np.ndarray) -> None:
        """The next samples of the stream, float32 (m,)."""
        self.sound = np.concatenate([self.sound, piece])

    def cut(self, start: int, stop: int) -> np.ndarray | None:
        """Samples start..stop of the stream, float32 (stop - start,), or None where they have not all come yet.

        Spans are asked for in the order of their starts: what lies before one that has not come is let go.
        """
        if stop <= self.begin + len(self.sound):
            return self.sound[start - self.begin : stop - self.begin].copy()
        gone = min(max(start - self.begin, 0), len(self.sound))
        self.sound, self.begin = self.sound[gone:].copy(), self.begin + gone
        return None


def _windows(
    path: Path | str, sample_rate: int, window_s: float, hop_s: float, last: Last
) -> Iterator[tuple[int, np.ndarray]]:
    """The first sample of each window and the window itself, float32 (n,)."""
    length, hop = round(window_s * sample_rate), hop_s * sample_rate
    held, number = Held(), 0
    for piece in stream_audio(path, sample_rate):
        held.add(piece)
        while (window := held.cut(start := round(number * hop), start + length)) is not None:
            yield start, window
            number += 1
    total_s = (held.begin + len(held.sound)) / sample_rate
    for start_s in window_starts(total_s, window_s, hop_s, last=last)[number:]:
        start = round(start_s * sample_rate)
        rest = held.sound[start - held.begin :]
        yield start, np.pad(rest, (0, length - len(rest)))
