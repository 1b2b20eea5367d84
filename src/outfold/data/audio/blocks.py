"""Sound that is heard once: rows in blocks, decoded as they are asked for and kept nowhere.

    for block in sound_blocks(media, clips, 32_000, 5.0, rows=256, workers=4):
        block.read(0, 0.0, 5.0)

What training hears again and again lies in a cache (`outfold.data.audio.sounds`). Later rows need none: each recording
is decoded in one pass, and neither memory nor disk grows with how long it is or how many there are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path

import numpy as np

from outfold.data.audio.cache import Stored, stored_parts
from outfold.data.audio.decode import Missing
from outfold.data.audio.parts import stretches
from outfold.data.audio.rows import RowClips
from outfold.data.audio.sounds import head_parts
from outfold.data.threads import in_order, one_ahead


@dataclass(frozen=True)
class SoundBlock:
    """The beginnings of some rows that follow each other.

    Attributes:
        sample_rate: Hz.
        rows: places in the table.
        sounds: of each row, as the cache would keep it, or why there is none.
        duration_s: float64 (n,), how long the rows are.
    """

    sample_rate: int
    rows: range
    sounds: Sequence[Stored | str]
    duration_s: np.ndarray

    @property
    def bad(self) -> dict[int, str]:
        """Rows of the table without sound, and why."""
        return {row: one for row, one in zip(self.rows, self.sounds, strict=True) if isinstance(one, str)}

    def duration(self, row: int) -> float:
        """Seconds of a row, counted from the block's first."""
        return float(self.duration_s[row])

    def read(self, row: int, start_s: float, length_s: float) -> np.ndarray:
        """Some seconds of a row, as far as they lie in its beginning: float32 (n,).

        Args:
            row: counted from the block's first; not a bad one.
            start_s: from the row's own beginning.
            length_s: how many seconds.
        """
        sound, start = self.sounds[row], round(start_s * self.sample_rate)
        assert not isinstance(sound, str)  # bad rows are left out
        return sound.waveform(start, start + round(length_s * self.sample_rate))


def sound_blocks(
    media: Sequence[Path],
    clips: RowClips,
    sample_rate: int,
    span_s: float,
    *,
    rows: int,
    workers: int,
    missing: Missing = "refuse",
) -> Iterator[SoundBlock]:
    """Rows in their order; the next block is decoded by threads while one is looked at.

    The numbers are those of a cache's (`outfold.data.audio.sounds.build_sounds`) of the same span. Beside two blocks
    there are in memory, for each thread, up to two recordings or stretches of at most 48 rows.

    Args:
        media: each row's recording.
        clips: which seconds of it each row is.
        sample_rate: Hz.
        span_s: how many seconds from a row's beginning can be asked for.
        rows: how many make a block; the last may have fewer.
        workers: threads that decode.
        missing: for rows that end behind their recording's end; see `outfold.data.audio.decode.decode_audio`.

    Raises:
        MediaError: a file could not be read just now, which may pass.
    """
    return one_ahead(_blocks(media, clips, sample_rate, span_s, rows, workers, missing))


def _blocks(
    media: Sequence[Path],
    clips: RowClips,
    sample_rate: int,
    span_s: float,
    rows: int,
    workers: int,
    missing: Missing,
) -> Iterator[SoundBlock]:
    parts, lasting = head_parts(media, clips, span_s, workers)
    prepare = partial(stored_parts, sample_rate=sample_rate, storage="int16", missing=missing)
    found = chain.from_iterable(in_order(prepare, stretches(parts), workers, ahead=1))
    for begin in range(0, len(parts), rows):
        places = range(begin, min(begin + rows, len(parts)))
        sounds = list(islice(found, len(places)))
        heard = np.array([0 if isinstance(one, str) else len(one.samples) for one in sounds]) / sample_rate
        known = lasting[places.start : places.stop]
        yield SoundBlock(sample_rate, places, sounds, np.where(np.isnan(known), heard, known))
